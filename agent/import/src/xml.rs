//! XML as apps write it, read in place: tags and their attributes, and what stands between them.
//!
//! Nothing is copied, nothing is built and nothing recurses. No entity is expanded but the five
//! that XML names itself and characters by number ([`decode`]); a document type declaration, which
//! is where others would come from, is a [`Markup`] of its own for the caller to refuse.
//!
//! A `<` in an attribute's value is an error, as in XML 1.0, 3.1: that is what keeps a missing
//! quote from swallowing the rest of the file.

mod text;

use memchr::{memchr, memchr2, memmem};

pub(crate) use text::{decode, is_sound};

/// Values up to this length, in bytes, are searched byte by byte, which is faster for them.
const SHORT_BYTES: usize = 16;

const COMMENT: &[u8] = b"<!--";
const CDATA: &[u8] = b"<![CDATA[";
const DOCTYPE: &[u8] = b"<!DOCTYPE";

/// Why markup could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The bytes end inside it. The cursor stays before it.
    End,
    /// It is no XML. The cursor stands where reading can go on, further on than before.
    Bad,
}

/// A piece of markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Markup<'a> {
    /// `<name …>` or `<name …/>`
    Open(Tag<'a>),
    /// `</name>`
    Close(&'a [u8]),
    /// `<?…?>`, without these marks.
    Instruction(&'a [u8]),
    /// `<![CDATA[…]]>`
    Cdata,
    /// `<!-- … -->`
    Comment,
    /// `<!DOCTYPE`, read no further.
    Doctype,
}

/// The tag that opens an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub(crate) name: &'a [u8],
    attributes: &'a [u8],
    /// Whether it closes its element too.
    pub(crate) empty: bool,
}

impl<'a> Tag<'a> {
    /// Its attributes in their order: names and values, as written. Ends with [`Broken::Bad`] where
    /// they are none.
    pub(crate) fn attributes(&self) -> Attributes<'a> {
        Attributes {
            rest: self.attributes,
        }
    }

    /// The first value of the attribute `name`, as written.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.attributes()
            .map_while(Result::ok)
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }
}

/// A place in XML text.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    open_value: Option<usize>,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            open_value: None,
        }
    }

    /// How many bytes are behind it.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// After [`Broken::End`]: where the attribute's value begins that the bytes end in.
    pub(crate) const fn open_value(&self) -> Option<usize> {
        self.open_value
    }

    /// Goes past what is no markup, up to the next `<` or the end.
    pub(crate) fn text(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let text = match memchr(b'<', rest) {
            Some(end) => rest.get(..end).unwrap_or_default(),
            None => rest,
        };
        self.at += text.len();
        text
    }

    /// Goes past the markup at whose `<` it stands; `None` at the end.
    pub(crate) fn markup(&mut self) -> Result<Option<Markup<'a>>, Broken> {
        let Some(rest) = self.bytes.get(self.at..).filter(|rest| !rest.is_empty()) else {
            return Ok(None);
        };
        let markup = match rest.get(1) {
            None => return Err(Broken::End),
            Some(b'?') => Markup::Instruction(self.until(2, b"?>")?),
            Some(b'/') => Markup::Close(self.closing(rest)?),
            Some(b'!') => self.declaration(rest)?,
            Some(_) => Markup::Open(self.tag()?),
        };
        Ok(Some(markup))
    }

    /// `rest` is what follows, from its `</`.
    fn closing(&mut self, rest: &'a [u8]) -> Result<&'a [u8], Broken> {
        let name = rest.get(2..).unwrap_or_default();
        let end = memchr2(b'>', b'<', name).ok_or(Broken::End)?;
        let (name, after) = name.split_at(end);
        self.at += 2 + end;
        if after.starts_with(b"<") {
            return Err(Broken::Bad);
        }
        self.at += 1;
        Ok(name.trim_ascii_end())
    }

    /// `rest` is what follows, from its `<!`.
    fn declaration(&mut self, rest: &'a [u8]) -> Result<Markup<'a>, Broken> {
        if rest.starts_with(COMMENT) {
            return self.until(COMMENT.len(), b"-->").map(|_| Markup::Comment);
        }
        if rest.starts_with(CDATA) {
            return self.until(CDATA.len(), b"]]>").map(|_| Markup::Cdata);
        }
        if rest.starts_with(DOCTYPE) {
            self.at += DOCTYPE.len();
            return Ok(Markup::Doctype);
        }
        if [COMMENT, CDATA, DOCTYPE]
            .iter()
            .any(|known| known.starts_with(rest))
        {
            return Err(Broken::End);
        }
        self.at += 1;
        Err(Broken::Bad)
    }

    /// Goes past `end`, which is looked for `skip` bytes further on, and returns what is before it.
    fn until(&mut self, skip: usize, end: &[u8]) -> Result<&'a [u8], Broken> {
        let rest = self.bytes.get(self.at + skip..).ok_or(Broken::End)?;
        let found = memmem::find(rest, end).ok_or(Broken::End)?;
        self.at += skip + found + end.len();
        rest.get(..found).ok_or(Broken::End)
    }

    fn tag(&mut self) -> Result<Tag<'a>, Broken> {
        let rest = self.bytes.get(self.at + 1..).ok_or(Broken::End)?;
        let name_len = rest
            .iter()
            .position(|byte| !is_name(*byte))
            .ok_or(Broken::End)?;
        let mut at = name_len;
        let bad = |at: usize| Err::<Tag<'a>, usize>(at);
        let tag = loop {
            match rest.get(at) {
                None => return Err(Broken::End),
                Some(b'>') => break self.closed(rest, name_len, at),
                Some(b'<') => break bad(at),
                Some(quote @ (b'"' | b'\'')) => {
                    let value = rest.get(at + 1..).unwrap_or_default();
                    match value_end(value, *quote) {
                        None => {
                            self.open_value = Some(self.at + at + 2);
                            return Err(Broken::End);
                        }
                        Some(end) if value.get(end) == Some(&b'<') => break bad(at + 1 + end),
                        Some(end) => at += end + 2,
                    }
                }
                Some(_) => at += 1,
            }
        };
        match tag {
            Ok(tag) => {
                self.at += at + 2;
                Ok(tag)
            }
            Err(resume) => {
                self.at += resume + 1;
                Err(Broken::Bad)
            }
        }
    }

    /// The tag that ends with the `>` at `end` of `rest`; or where to go on where it has no name.
    fn closed(&self, rest: &'a [u8], name_len: usize, end: usize) -> Result<Tag<'a>, usize> {
        let name = rest.get(..name_len).unwrap_or_default();
        let attributes = rest.get(name_len..end).unwrap_or_default();
        if name.is_empty() {
            return Err(end);
        }
        let (attributes, empty) = match attributes.strip_suffix(b"/") {
            Some(attributes) => (attributes, true),
            None => (attributes, false),
        };
        Ok(Tag {
            name,
            attributes,
            empty,
        })
    }
}

/// Where `value`, which begins past its quote, ends: at the other quote, or at a `<`.
fn value_end(value: &[u8], quote: u8) -> Option<usize> {
    let short = value.get(..SHORT_BYTES).unwrap_or(value);
    let ends = |byte: &u8| *byte == quote || *byte == b'<';
    short.iter().position(ends).or_else(|| {
        let long = value.get(short.len()..).unwrap_or_default();
        memchr2(quote, b'<', long).map(|end| short.len() + end)
    })
}

/// What names are made of, roughly: XML 1.0, 2.3 and whatever is not ASCII.
pub(crate) const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | 0x80..)
}

/// The attributes of a tag, or of an instruction that has such.
pub(crate) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Those of an instruction: `content` is what follows its name.
    pub(crate) const fn of_instruction(content: &'a [u8]) -> Self {
        Self { rest: content }
    }

    fn read(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let name_len = self.rest.iter().position(|byte| !is_name(*byte))?;
        let (name, rest) = self.rest.split_at_checked(name_len)?;
        let rest = rest.trim_ascii_start().strip_prefix(b"=")?;
        let (quote, rest) = rest.trim_ascii_start().split_first()?;
        if name.is_empty() || !matches!(quote, b'"' | b'\'') {
            return None;
        }
        let (value, rest) = rest.split_at_checked(value_end(rest, *quote)?)?;
        self.rest = rest.strip_prefix(&[*quote])?;
        Some((name, value))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_ascii_start();
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read().ok_or(Broken::Bad);
        if read.is_err() {
            self.rest = b"";
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests;
