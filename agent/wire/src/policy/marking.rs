//! Markings above OFFICIAL-SENSITIVE, in whatever way a person writes them (invariant I7).

/// Whether a marking or a handling instruction, as a person might write it, stands above
/// OFFICIAL-SENSITIVE (Government Security Classifications, June 2023: the tiers SECRET and TOP
/// SECRET).
///
/// It judges by words, and looks through spaced-out, full-width and invisible letters:
///
/// - SECRET anywhere in a word, so that `UK SECRET`, `top-secret` and `TOPSECRET` are all caught.
///   A secretary is no secret: `Permanent Secretary only` is an everyday handling instruction.
/// - STRAP, with or without its number. A bootstrap is none.
/// - CONFIDENTIAL where it is a marking, as the ones of NATO and the EU and the United Kingdom's
///   own of before 2014: alone, beside its owner, or in capitals. `Keep confidential` and
///   `PRIVATE AND CONFIDENTIAL` are everyday words.
#[must_use]
pub fn above_official_sensitive(marking: &str) -> bool {
    let words = words(marking);
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    lower.iter().any(|word| is_secret(word) || is_strap(word)) || is_confidential(&words, &lower)
}

/// In English and as the European Union writes it in French.
const CONFIDENTIAL: [&str; 2] = ["confidential", "confidentiel"];

/// Who marks CONFIDENTIAL, and what stands beside it in such markings.
const OWNERS: [&str; 11] = [
    "nato", "cosmic", "atomal", "eu", "ue", "euratom", "esa", "uk", "ukeo", "us", "usa",
];

/// What goes before the word where it is no marking, even in capitals.
const EVERYDAY: [&str; 11] = [
    "and",
    "commercial",
    "commercially",
    "keep",
    "kept",
    "legally",
    "medically",
    "personal",
    "private",
    "remain",
    "strictly",
];

fn is_secret(word: &str) -> bool {
    word.contains("secret") && !word.contains("secretary") && !word.contains("secretari")
}

fn is_strap(word: &str) -> bool {
    word.strip_prefix("strap")
        .is_some_and(|level| level.chars().all(|c| c.is_ascii_digit()))
}

fn is_confidential(words: &[String], lower: &[String]) -> bool {
    let is_one_of = |list: &[&str], place: Option<usize>| {
        place
            .and_then(|place| lower.get(place))
            .is_some_and(|word| list.contains(&word.as_str()))
    };
    words.iter().enumerate().any(|(place, word)| {
        let (before, after) = (place.checked_sub(1), place.checked_add(1));
        let in_capitals = !word.chars().any(char::is_lowercase);
        is_one_of(&CONFIDENTIAL, Some(place))
            && (words.len() == 1
                || is_one_of(&OWNERS, before)
                || is_one_of(&OWNERS, after)
                || in_capitals && !is_one_of(&EVERYDAY, before))
    })
}

/// The words, with full-width letters made plain and letters that stand apart put together.
fn words(text: &str) -> Vec<String> {
    let plain: String = text
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(plain_width)
        .collect();
    let mut words: Vec<String> = Vec::new();
    let mut spelling = false;
    for word in plain.split(|c: char| !c.is_alphanumeric()) {
        let letter = word.chars().count() == 1;
        match words.last_mut() {
            _ if word.is_empty() => continue,
            Some(last) if letter && spelling => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
        spelling = letter;
    }
    words
}

/// Marks that may stand inside a word without being seen, and accents that follow their letter.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// The ASCII character of which `c` is the full-width form; any other as it is.
fn plain_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_and_above_are_caught_however_they_are_written() {
        for marking in [
            "SECRET",
            "top-secret",
            "TOPSECRET",
            "T O P  S E C R E T",
            "S.E.C.R.E.T",
            "UK Secret – UKEO",
            "official / UK SECRET",
            "ＳＥＣＲＥＴ",
            "ｔｏｐ　ｓｅｃｒｅｔ",
            "SEC\u{200b}RET",
            "se\u{ad}cret",
            "strap 1",
            "STRAP2",
            "S T R A P 1",
            "TOP SECRET STRAP",
            "Annex B: STRAP 1",
        ] {
            assert!(above_official_sensitive(marking), "{marking}");
        }
        for marking in [
            "official",
            "OFFICIAL-SENSITIVE",
            "official-sensitive-commercial",
            "bootstrap team",
            "strapline drafts",
            "for the Perm Sec; return to sender",
            "",
        ] {
            assert!(!above_official_sensitive(marking), "{marking}");
        }
    }

    #[test]
    fn a_secretary_is_no_secret_and_hides_none() {
        for handling in [
            "Permanent Secretary only",
            "private secretaries",
            "Secretariat",
            "the Under-Secretary's office",
        ] {
            assert!(!above_official_sensitive(handling), "{handling}");
        }
        for marking in [
            "SECRET ARTICLE",
            "Secret: for the Secretary of State",
            "S E C R E T A R M Y",
        ] {
            assert!(above_official_sensitive(marking), "{marking}");
        }
    }

    #[test]
    fn confidential_is_caught_where_it_is_a_marking_and_not_where_it_is_a_word() {
        for marking in [
            "confidential",
            "C O N F I D E N T I A L",
            "NATO Confidential",
            "uk-confidential",
            "CONFIDENTIEL UE / EU CONFIDENTIAL",
            "Confidential (UK)",
            "CONFIDENTIAL // NOFORN",
            "CONFIDENTIAL - PERSONAL",
            "POLISH CONFIDENTIAL",
            "Treat as CONFIDENTIAL",
        ] {
            assert!(above_official_sensitive(marking), "{marking}");
        }
        for handling in [
            "Keep confidential",
            "commercial in confidence",
            "Private and confidential",
            "PRIVATE AND CONFIDENTIAL",
            "COMMERCIALLY CONFIDENTIAL",
            "Confidential until the announcement",
            "confidentiality agreement applies",
        ] {
            assert!(!above_official_sensitive(handling), "{handling}");
        }
    }
}
