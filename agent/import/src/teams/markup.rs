//! The HTML that people's words are written in.

use crate::xml::{Broken, Cursor, Markup, Tag, decode};

/// Elements that stand on lines of their own.
const BLOCKS: [&[u8]; 5] = [b"p", b"div", b"li", b"blockquote", b"tr"];

/// What `markup` says, without its tags. A link under other words is shown after them in angle
/// brackets, because where it leads is part of what was said. What is no tag stands as it is.
pub(super) fn plain(markup: &str) -> String {
    let bytes = markup.as_bytes();
    let mut out = Plain::default();
    let mut cursor = Cursor::new(bytes, 0);
    loop {
        out.say(cursor.text());
        let start = cursor.at();
        match cursor.markup() {
            Ok(Some(Markup::Open(tag))) => out.open(&tag),
            Ok(Some(Markup::Close(name))) => out.close(name),
            Ok(Some(_)) => {}
            Ok(None) => return out.said,
            Err(Broken::Bad) => out.say(bytes.get(start..cursor.at()).unwrap_or_default()),
            Err(Broken::End) => {
                out.say(bytes.get(start..).unwrap_or_default());
                return out.said;
            }
        }
    }
}

#[derive(Default)]
struct Plain {
    said: String,
    /// Whether what comes next begins a line.
    ended: bool,
    /// Where the link at hand leads, and where its words begin.
    link: Option<(String, usize)>,
}

impl Plain {
    fn say(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.ended) {
            self.said.push('\n');
        }
        // HTML has more entities than XML; of these only this one is usual.
        let text = String::from_utf8_lossy(text).replace("&nbsp;", "&#160;");
        self.said.push_str(&decode(text.as_bytes()));
    }

    fn open(&mut self, tag: &Tag<'_>) {
        if is(tag.name, b"br") {
            self.said.push('\n');
        } else if is(tag.name, b"a")
            && let Some(href) = tag.get(b"href")
        {
            self.link = Some((decode(href).into_owned(), self.said.len()));
        } else if BLOCKS.iter().any(|block| is(tag.name, block)) {
            self.ended |= !self.said.is_empty() && !self.said.ends_with('\n');
        }
    }

    fn close(&mut self, name: &[u8]) {
        if is(name, b"a")
            && let Some((href, start)) = self.link.take()
        {
            let words = self.said.get(start..).unwrap_or_default();
            if !href.is_empty() && words.trim() != href {
                self.said.push_str(&format!(" <{href}>"));
            }
        } else if BLOCKS.iter().any(|block| is(name, block)) {
            self.ended |= !self.said.is_empty();
        }
    }
}

fn is(name: &[u8], known: &[u8]) -> bool {
    name.eq_ignore_ascii_case(known)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn words_are_shown_without_their_tags() {
        for (markup, said) in [
            ("Clause 14 &amp; 15", "Clause 14 & 15"),
            (
                "<b raw_pre=\"*\">now</b> <ss type=\"smile\">:)</ss>",
                "now :)",
            ),
            ("<at id=\"8:live:bob\">Bob</at> see", "Bob see"),
            ("one<br/>two<br>three", "one\ntwo\nthree"),
            ("<p>one</p><p>two&nbsp;three</p>", "one\ntwo\u{a0}three"),
            ("<div>a<div>b</div>c</div>", "a\nb\nc"),
            (
                "<a href=\"https://example.org/?a&amp;b\">https://example.org/?a&amp;b</a>",
                "https://example.org/?a&b",
            ),
            (
                "<a href=\"https://evil.example\">gov.uk</a>",
                "gov.uk <https://evil.example>",
            ),
            (
                "<quote author=\"bob\"><legacyquote>[10:00:00] Bob: </legacyquote>No\
                 <legacyquote>\n\n&lt;&lt;&lt; </legacyquote></quote>Yes",
                "[10:00:00] Bob: No\n\n<<< Yes",
            ),
            (
                "New<e_m ts=\"1\" ts_ms=\"1000\" a=\"bob\" t=\"61\"/>",
                "New",
            ),
            ("a < b and <", "a < b and <"),
            ("&amp;nbsp;", "&nbsp;"),
            ("", ""),
        ] {
            assert_eq!(plain(markup), said);
        }
    }
}
