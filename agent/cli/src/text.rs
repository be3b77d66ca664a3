//! Text from elsewhere, made fit for a terminal.
//!
//! A message may hold escape sequences that rewrite the screen or direction marks that make it
//! read otherwise than it stands. Both are shown, not obeyed.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Text of several lines: line breaks stay, tabs become blanks, everything else that a terminal
/// would act on is shown as an escape such as `\u{1b}`.
pub(crate) fn block(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push('\n'),
            '\t' => shown.push_str("    "),
            c if is_unsafe(c) => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "{}", c.escape_unicode());
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Text of one line: as [`block`], with line breaks, however many, shown as `⏎`.
pub(crate) fn line(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    block(&lines.join("\n")).replace('\n', " ⏎ ")
}

/// A name on one line: as [`line`], without the marks that WhatsApp puts around phone numbers.
/// They hold nothing and turn nothing round; the marks that do are shown.
pub(crate) fn name(text: &str) -> String {
    let around = ['\u{200e}', '\u{202a}', '\u{202c}', '\u{2068}', '\u{2069}'];
    line(&text.replace(around, ""))
}

/// A number with the word for what is counted: `1 draft`, `2 drafts`.
pub(crate) fn count(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// [`line`], cut to at most `columns` terminal columns, with `…` where something was cut.
pub(crate) fn short(text: &str, columns: usize) -> String {
    let shown = line(text);
    if shown.width() <= columns {
        return shown;
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in shown.chars() {
        let width = c.width().unwrap_or(0);
        if used + width + 1 > columns {
            break;
        }
        used += width;
        cut.push(c);
    }
    cut.push('…');
    cut
}

/// What a terminal acts on, or what changes the order or the look of its neighbours without
/// being seen itself. U+200D stays: emoji are built with it.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' // Arabic letter mark
            | '\u{180e}' // Mongolian vowel separator
            | '\u{200b}' // zero width space
            | '\u{200e}' | '\u{200f}' // direction marks
            | '\u{2028}' | '\u{2029}' // line and paragraph separators
            | '\u{202a}'..='\u{202e}' // embeddings and overrides
            | '\u{2060}'..='\u{206f}' // invisible operators, isolates
            | '\u{feff}' // byte-order mark
            | '\u{fff9}'..='\u{fffb}' // interlinear annotation
            | '\u{e0000}'..='\u{e001f}' // tags that no flag is built with
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_and_not_obeyed() {
        assert_eq!(
            block("a\u{1b}[2Jb\u{7}\u{9b}1m"),
            "a\\u{1b}[2Jb\\u{7}\\u{9b}1m"
        );
        assert_eq!(block("over\rwritten"), "over\\u{d}written");
        assert_eq!(line("one\r\ntwo\n\nthree"), "one ⏎ two ⏎ three");
    }

    #[test]
    fn direction_overrides_are_shown_and_not_obeyed() {
        assert_eq!(
            line("pay \u{202e}001£\u{202c} now"),
            "pay \\u{202e}001£\\u{202c} now"
        );
        assert_eq!(
            line("\u{2066}x\u{2069}\u{200f}"),
            "\\u{2066}x\\u{2069}\\u{200f}"
        );
    }

    #[test]
    fn a_phone_number_is_shown_without_the_marks_around_it() {
        assert_eq!(name("\u{202a}+44 7700 900123\u{202c}"), "+44 7700 900123");
        assert_eq!(name("Bob \u{202e}ecilA"), "Bob \\u{202e}ecilA");
    }

    #[test]
    fn ordinary_text_of_any_script_stays_as_it_is() {
        for text in [
            "Diolch yn fawr, ŵyl y banc",
            "平仮名",
            "مرحبا",
            "👩‍🚀 🏴󠁧󠁢󠁷󠁬󠁳󠁿",
            "£4.2bn – “agreed”",
        ] {
            assert_eq!(block(text), text);
        }
    }

    #[test]
    fn cutting_counts_terminal_columns_and_not_characters() {
        assert_eq!(short("short", 10), "short");
        assert_eq!(short("a long sentence", 8), "a long …");
        assert_eq!(short("平仮名平仮名", 7), "平仮名…");
    }
}
