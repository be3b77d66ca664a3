//! The line that begins a message in a mailbox: `From `, the envelope's sender, a date.
//!
//! A sentence can begin a line with `From ` too, so the date must be whole: as `asctime` writes it
//! (RFC 4155, appendix A), with a zone before or after the year as Gmail and others add one, or as
//! in a `Date` header.

/// Longest such line, in bytes: an address has at most 254 (RFC 5321, 4.5.3.1).
pub(super) const LINE_MAX_BYTES: usize = 512;

/// Most words in one: a sender of some words and a date of eight.
const WORDS_MAX: usize = 20;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Abbreviated months, in their order.
pub(super) const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Whether `line`, with or without its ending, begins a message.
pub(super) fn is_separator(line: &[u8]) -> bool {
    if line.len() > LINE_MAX_BYTES || !line.starts_with(b"From ") {
        return false;
    }
    let words: Vec<&[u8]> = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .take(WORDS_MAX + 1)
        .collect();
    words.len() <= WORDS_MAX
        && (1..words.len()).any(|at| {
            let (day, rest) = (words.get(at), words.get(at + 1..).unwrap_or_default());
            day.is_some_and(|day| is_one_of(&DAYS, day.strip_suffix(b",").unwrap_or(day)))
                && is_date(rest)
        })
}

/// Whether `words`, which follow the day of the week, are the rest of a date.
fn is_date(words: &[&[u8]]) -> bool {
    match words {
        [month, day, time, rest @ ..]
            if is_one_of(&MONTHS, month) && is_number(day, 1, 2) && is_time(time) =>
        {
            match rest {
                [year, rest @ ..] if is_number(year, 4, 4) => is_tail(rest),
                [zone, year, rest @ ..] if is_zone(zone) && is_number(year, 4, 4) => is_tail(rest),
                _ => false,
            }
        }
        [day, month, year, time, rest @ ..] => {
            is_number(day, 1, 2)
                && is_one_of(&MONTHS, month)
                && is_number(year, 4, 4)
                && is_time(time)
                && is_tail(rest)
        }
        _ => false,
    }
}

/// What may follow: a zone, or where the mail came in from (`remote from host`).
fn is_tail(words: &[&[u8]]) -> bool {
    match words {
        [] => true,
        [zone] => is_zone(zone),
        [zone, comment] => is_zone(zone) && comment.starts_with(b"("),
        [remote, from, _] => *remote == b"remote" && *from == b"from",
        _ => false,
    }
}

fn is_one_of(names: &[&str], word: &[u8]) -> bool {
    names
        .iter()
        .any(|name| name.as_bytes().eq_ignore_ascii_case(word))
}

fn is_number(word: &[u8], least: usize, most: usize) -> bool {
    (least..=most).contains(&word.len()) && word.iter().all(u8::is_ascii_digit)
}

/// `9:05`, `09:05:01`
fn is_time(word: &[u8]) -> bool {
    let mut parts = word.split(|byte| *byte == b':');
    let hour = parts.next().is_some_and(|part| is_number(part, 1, 2));
    let minute = parts.next().is_some_and(|part| is_number(part, 2, 2));
    let second = parts.next().is_none_or(|part| is_number(part, 2, 2));
    hour && minute && second && parts.next().is_none()
}

/// `+0000`, `GMT`, `CEST`
fn is_zone(word: &[u8]) -> bool {
    match word {
        [b'+' | b'-', digits @ ..] => is_number(digits, 4, 4),
        name => (1..=5).contains(&name.len()) && name.iter().all(u8::is_ascii_uppercase),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_and_a_whole_date_begin_a_message() {
        for line in [
            "From alice@example.org Tue Feb 13 09:05:01 2024",
            "From - Tue Feb 13 09:05:01 2024\r",
            "From 1790000000000000000@xxx Tue Feb 13 09:05:01 +0000 2024",
            "From alice@example.org Tue Feb 13 09:05:01 GMT 2024",
            "From alice@example.org Tue Feb 13 09:05:01 2024 +0000",
            "From alice@example.org Tue, 13 Feb 2024 09:05:01 -0000",
            "From MAILER-DAEMON Fri Jul  8 12:08 2011",
            "From uucp Fri Jul  8 12:08:34 2011 remote from host",
            "From ???@??? Tue Feb 13 09:05:01 2024",
            "From \"Alice Example\" Tue Feb 13 09:05:01 2024",
        ] {
            assert!(is_separator(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_sentence_does_not() {
        for line in [
            "From my point of view it is late.",
            "From Tuesday on, see Feb 13 09:05 2024",
            "From Tue Feb 13 2024 at 09:05 we meet",
            "From alice Tue Feb 13 09:05:01 2024 we meet",
            "From alice Tue Feb 13 09:05:01",
            "From: alice@example.org Tue Feb 13 09:05:01 2024",
            "from alice@example.org Tue Feb 13 09:05:01 2024",
            ">From alice@example.org Tue Feb 13 09:05:01 2024",
            "From ",
        ] {
            assert!(!is_separator(line.as_bytes()), "{line}");
        }
        let long = format!("From {} Tue Feb 13 09:05:01 2024", "a".repeat(600));
        assert!(!is_separator(long.as_bytes()));
    }
}
