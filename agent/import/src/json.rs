//! JSON as apps write it, read in place.
//!
//! Nothing is copied and nothing is built: a value is a slice of the source, looked into when
//! asked. That is how a row's place in the file stays known to the byte, how a file of half a
//! gibibyte is indexed without a tree of it, and how the escapes of apps that do not keep to RFC
//! 8259 (`\x1B`) can be read at all. Nothing here recurses.

mod stop;
mod text;

use memchr::{memchr, memchr2};

pub(crate) use stop::Stop;
pub(crate) use text::{decode, matches};

/// Deepest nesting that is read. The deepest known export has nine levels.
const DEPTH_MAX: u32 = 64;

/// Strings up to this length, in bytes, are searched byte by byte, which is faster for them.
const SHORT_BYTES: usize = 24;

/// Why a value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The bytes end inside it.
    End,
    /// It is no JSON.
    Bad,
}

/// A place in JSON text.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How many bytes are behind it.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is no white space; stays before it.
    pub(crate) fn peek(&mut self) -> Result<u8, Broken> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Broken::End),
            }
        }
    }

    /// Goes past `byte`.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(Broken::Bad)
        }
    }

    /// The next key of an object whose `{` is passed, as it is written between its quotes, or
    /// `None` past its `}`. `first` is true before the first key, and is set to false.
    pub(crate) fn key(&mut self, first: &mut bool) -> Result<Option<&'a [u8]>, Broken> {
        match self.peek()? {
            b'}' => {
                self.at += 1;
                return Ok(None);
            }
            b',' if !*first => self.at += 1,
            _ if *first => {}
            _ => return Err(Broken::Bad),
        }
        *first = false;
        if self.peek()? != b'"' {
            return Err(Broken::Bad);
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// Whether an array whose `[` is passed has another item, at which it then stands; goes past
    /// `]` otherwise. `first` as for [`key`](Self::key).
    pub(crate) fn item(&mut self, first: &mut bool) -> Result<bool, Broken> {
        match self.peek()? {
            b']' => {
                self.at += 1;
                return Ok(false);
            }
            b',' if !*first => self.at += 1,
            _ if *first => {}
            _ => return Err(Broken::Bad),
        }
        *first = false;
        self.peek().map(|_| true)
    }

    /// Goes past a value and returns it as it is written.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, Broken> {
        let byte = self.peek()?;
        let start = self.at;
        match byte {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.nested()?,
            _ => self.scalar()?,
        }
        Ok(Value(self.bytes.get(start..self.at).unwrap_or_default()))
    }

    /// Goes past a string, at whose first quote it stands, and returns what is between the quotes.
    fn string(&mut self) -> Result<&'a [u8], Broken> {
        let start = self.at + 1;
        let mut from = start;
        loop {
            let rest = self.bytes.get(from..).ok_or(Broken::End)?;
            let short = rest.get(..SHORT_BYTES).unwrap_or(rest);
            let found = match short.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
                Some(found) => Some(found),
                None => memchr2(b'"', b'\\', rest.get(short.len()..).unwrap_or_default())
                    .map(|found| found + short.len()),
            };
            let found = found.ok_or(Broken::End)?;
            if rest.get(found) == Some(&b'"') {
                self.at = from + found + 1;
                return self.bytes.get(start..from + found).ok_or(Broken::End);
            }
            // Past the backslash and what it escapes, which may be a quote.
            from += found + 2;
        }
    }

    /// Goes past an object or array, at whose first bracket it stands.
    fn nested(&mut self) -> Result<(), Broken> {
        let mut depth = 0_u32;
        // One bit for each open bracket, set where it is a `{`.
        let mut open = 0_u64;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => {
                    if depth == DEPTH_MAX {
                        return Err(Broken::Bad);
                    }
                    open = open << 1 | u64::from(*byte == b'{');
                    depth += 1;
                }
                b'}' | b']' => {
                    if (open & 1 == 1) != (*byte == b'}') {
                        return Err(Broken::Bad);
                    }
                    open >>= 1;
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Ok(());
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        Err(Broken::End)
    }

    /// Goes past a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Result<(), Broken> {
        let start = self.at;
        while let Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') =
            self.bytes.get(self.at)
        {
            self.at += 1;
        }
        match self.bytes.get(start..self.at) {
            Some([]) | None => Err(Broken::Bad),
            // More of it may have been cut off.
            Some(_) if self.at == self.bytes.len() => Err(Broken::End),
            Some(_) => Ok(()),
        }
    }
}

/// A value as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Value<'a>(pub(crate) &'a [u8]);

impl<'a> Value<'a> {
    pub(crate) fn is_null(self) -> bool {
        self.0 == b"null"
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.first() == Some(&b'{')
    }

    /// What stands between the quotes of a string, escapes as written.
    pub(crate) fn raw(self) -> Option<&'a [u8]> {
        self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    /// A string, its escapes resolved.
    pub(crate) fn text(self) -> Option<std::borrow::Cow<'a, str>> {
        self.raw().map(decode)
    }

    /// A string that says something.
    pub(crate) fn full(self) -> Option<std::borrow::Cow<'a, str>> {
        self.text().filter(|text| !text.is_empty())
    }

    /// A whole number, written as one or as a string of one: 64-bit numbers stand in quotes in
    /// what Protocol Buffers write.
    pub(crate) fn integer(self) -> Option<i64> {
        let digits = self.raw().unwrap_or(self.0);
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// The first value under `key` of an object.
    pub(crate) fn get(self, key: &str) -> Option<Value<'a>> {
        self.entries()
            .find(|(found, _)| matches(found, key))
            .map(|(_, value)| value)
    }

    /// The value under each of `keys` in turn.
    pub(crate) fn path(self, keys: &[&str]) -> Option<Value<'a>> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Keys, as written, and values of an object; none of anything else. Ends where the object is
    /// broken.
    pub(crate) fn entries(self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> {
        let mut cursor = Cursor::new(self.0, 0);
        let mut open = self.is_object() && cursor.expect(b'{').is_ok();
        let mut first = true;
        std::iter::from_fn(move || {
            if !open {
                return None;
            }
            let entry = match cursor.key(&mut first) {
                Ok(Some(key)) => cursor.value().ok().map(|value| (key, value)),
                _ => None,
            };
            open = entry.is_some();
            entry
        })
    }

    /// Items of an array; none of anything else. Ends where the array is broken.
    pub(crate) fn items(self) -> impl Iterator<Item = Value<'a>> {
        let mut cursor = Cursor::new(self.0, 0);
        let mut open = self.0.first() == Some(&b'[') && cursor.expect(b'[').is_ok();
        let mut first = true;
        std::iter::from_fn(move || {
            if !open {
                return None;
            }
            let item = match cursor.item(&mut first) {
                Ok(true) => cursor.value().ok(),
                _ => None,
            };
            open = item.is_some();
            item
        })
    }
}

/// The line that starts at `at`, without its line ending, and where the next one starts.
pub(crate) fn line(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    let (line, next) = match memchr(b'\n', rest) {
        Some(end) => (rest.get(..end)?, at + end + 1),
        None => (rest, bytes.len()),
    };
    Some((line.strip_suffix(b"\r").unwrap_or(line), next))
}

#[cfg(test)]
mod tests;
