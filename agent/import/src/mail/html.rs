//! The words of an HTML part.
//!
//! Nothing is interpreted but where lines end. What a browser would hide with a style is shown:
//! it was in the mail. Linear.

use mail_parser::decoders::html::add_html_token;
use memchr::{memchr, memchr2, memmem};

/// Elements that are no words.
const SILENT: [&str; 5] = ["head", "style", "script", "title", "template"];

/// Elements that begin and end lines.
const BLOCKS: [&str; 26] = [
    "p",
    "div",
    "br",
    "tr",
    "li",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "table",
    "blockquote",
    "hr",
    "pre",
    "section",
    "article",
    "header",
    "footer",
    "address",
    "center",
];

/// Longest entity, in bytes: `&CounterClockwiseContourIntegral;`.
const ENTITY_MAX_BYTES: usize = 34;

/// The words of `html`, a line for a line.
pub(super) fn words(html: &str) -> String {
    let mut out = Lines::default();
    let mut rest = html;
    // Elements whose end was looked for and is not there: it is not looked for again.
    let mut endless = [false; SILENT.len()];
    let mut open_comment = false;
    while let Some(at) = memchr(b'<', rest.as_bytes()) {
        let (text, markup) = rest.split_at(at);
        out.text(text);
        if let Some(comment) = markup.strip_prefix("<!--") {
            let end = (!open_comment)
                .then(|| memmem::find(comment.as_bytes(), b"-->"))
                .flatten();
            // A comment that does not end hides nothing.
            open_comment |= end.is_none();
            rest = end
                .and_then(|end| comment.get(end + 3..))
                .unwrap_or(comment);
            continue;
        }
        let Some(tag) = Tag::read(markup) else {
            out.text("<");
            rest = markup.get(1..).unwrap_or_default();
            continue;
        };
        rest = markup.get(tag.len..).unwrap_or_default();
        let silent = SILENT
            .iter()
            .position(|name| tag.is(name))
            .filter(|_| !tag.closes);
        if let Some(place) = silent {
            let known = endless.get(place).copied().unwrap_or(true);
            match (!known)
                .then(|| end_of(rest, SILENT.get(place).unwrap_or(&"")))
                .flatten()
            {
                Some(end) => rest = rest.get(end..).unwrap_or_default(),
                None => {
                    if let Some(place) = endless.get_mut(place) {
                        *place = true;
                    }
                }
            }
        } else if tag.is("br") {
            out.break_line();
        } else if tag.is("li") && !tag.closes {
            out.begin_line();
            out.text("- ");
        } else if BLOCKS.iter().any(|name| tag.is(name)) {
            out.begin_line();
            if tag.is("p") {
                out.leave_gap();
            }
        } else if tag.closes && (tag.is("td") || tag.is("th")) {
            out.tab();
        }
    }
    out.text(rest);
    out.finish()
}

/// Where `</name` stands in `text`.
fn end_of(text: &str, name: &str) -> Option<usize> {
    memmem::find_iter(text.as_bytes(), b"</").find(|at| {
        let after = text.as_bytes().get(at + 2..at + 2 + name.len());
        after.is_some_and(|after| after.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// A tag.
struct Tag<'h> {
    name: &'h str,
    closes: bool,
    len: usize,
}

impl<'h> Tag<'h> {
    /// Reads the tag at the start of `markup`, which begins with `<`. `None` where it is a mere
    /// sign: `a < b`.
    fn read(markup: &'h str) -> Option<Self> {
        let inner = markup.get(1..)?;
        let (closes, inner) = match inner.strip_prefix('/') {
            Some(inner) => (true, inner),
            None => (false, inner),
        };
        if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '!' | '?')) {
            return None;
        }
        let name = inner
            .find(|c: char| !c.is_ascii_alphanumeric())
            .map_or(inner, |end| inner.get(..end).unwrap_or_default());
        // A tag that does not end before another begins is text, so that it hides nothing.
        let end = memchr2(b'<', b'>', inner.as_bytes())?;
        if inner.as_bytes().get(end) != Some(&b'>') {
            return None;
        }
        let len = markup.len() - inner.len() + end + 1;
        Some(Self { name, closes, len })
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Text with its white space as HTML has it.
#[derive(Default)]
struct Lines {
    out: String,
    /// White space waits until a word follows it.
    space: bool,
}

impl Lines {
    fn text(&mut self, text: &str) {
        for word in text.split_inclusive(|c: char| c.is_ascii_whitespace()) {
            let bare = word.trim_ascii_end();
            if !bare.is_empty() {
                if self.space && !self.at_line_start() {
                    self.out.push(' ');
                }
                self.space = false;
                self.word(bare);
            }
            self.space |= bare.len() < word.len();
        }
    }

    /// A word, with its entities as what they stand for.
    fn word(&mut self, word: &str) {
        let mut rest = word;
        while let Some(at) = memchr(b'&', rest.as_bytes()) {
            let (plain, after) = rest.split_at(at);
            self.out.push_str(plain);
            let near = after
                .as_bytes()
                .get(..after.len().min(ENTITY_MAX_BYTES))
                .unwrap_or_default();
            let len = memchr(b';', near).map_or(1, |end| end + 1);
            let (entity, after) = after.split_at(len);
            add_html_token(&mut self.out, entity.as_bytes(), false);
            rest = after;
        }
        self.out.push_str(rest);
    }

    fn at_line_start(&self) -> bool {
        self.out.is_empty() || self.out.ends_with(['\n', '\t'])
    }

    fn break_line(&mut self) {
        self.space = false;
        self.out.push('\n');
    }

    /// A new line, unless one has just begun.
    fn begin_line(&mut self) {
        self.space = false;
        let end = self.out.trim_end_matches('\t').len();
        self.out.truncate(end);
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    /// An empty line, unless there is one.
    fn leave_gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    fn tab(&mut self) {
        self.space = false;
        if !self.at_line_start() {
            self.out.push('\t');
        }
    }

    fn finish(mut self) -> String {
        let end = self.out.trim_end().len();
        self.out.truncate(end);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_cells_stay_apart() {
        for (html, text) in [
            ("<div>Hello</div><div>World</div>", "Hello\nWorld"),
            (
                "<p class=a>One</p>\n<p>Two<br/>Three</p>",
                "One\n\nTwo\nThree",
            ),
            (
                "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>",
                "1\t2\n3",
            ),
            ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
            ("a <b>bold</b>\n  word", "a bold word"),
        ] {
            assert_eq!(words(html), text, "{html}");
        }
    }

    #[test]
    fn what_is_no_word_is_left_out() {
        let html = "<!DOCTYPE html><html><head><title>T</title><style type=\"text/css\">p{}</style>\
            </head><body><!-- no --><style>b{}</style><script>x</script>Yes</body></html>";
        assert_eq!(words(html), "Yes");
    }

    #[test]
    fn entities_are_what_they_stand_for() {
        assert_eq!(
            words("Fish &amp; chips &lt;3 &#163;5 &#xA3; &nope; & &eacute;"),
            "Fish & chips <3 £5 £ &nope; & é"
        );
    }

    #[test]
    fn markup_that_does_not_end_hides_nothing() {
        assert_eq!(words("a <!-- b"), "a b");
        assert_eq!(words("a < b and <b c"), "a < b and <b c");
        assert_eq!(words("a <style> b"), "a b");
        assert_eq!(words("a <head> b"), "a b");
    }
}
