//! Rows that an app keeps as data and shows in its own words: calls, members, timers.
//!
//! Exports hold the data only. It is shown as it is named there, in plain words, and nothing is
//! made up: `phone_call` with `duration_seconds: 35` reads `phone call: duration seconds 35`.

use crate::json::{Value, decode};

/// A field's name as words: `phone_call` and `phoneCall` are `phone call`.
pub(crate) fn words(key: &str) -> String {
    let mut words = String::with_capacity(key.len() + 4);
    let mut small = false;
    for char in key.chars() {
        if char == '_' {
            words.push(' ');
        } else if char.is_ascii_uppercase() && small {
            words.push(' ');
            words.push(char.to_ascii_lowercase());
        } else {
            words.push(char.to_ascii_lowercase());
        }
        small = char.is_ascii_lowercase() || char.is_ascii_digit();
    }
    words
}

/// The parts of `object` that say something to people, but for those that `skip` names.
pub(crate) fn details(object: Value<'_>, skip: impl Fn(&str) -> bool) -> String {
    let mut parts = Vec::new();
    for (key, value) in object.entries() {
        let key = decode(key);
        if skip(&key) {
            continue;
        }
        let said = said(value);
        if !said.is_empty() {
            parts.push(format!("{} {said}", words(&key)));
        }
    }
    parts.join(", ")
}

/// `title`, and what there is to say about it.
pub(crate) fn titled(title: &str, details: &str) -> String {
    if details.is_empty() {
        title.to_owned()
    } else {
        format!("{title}: {details}")
    }
}

fn said(value: Value<'_>) -> String {
    if let Some(text) = value.text() {
        // Protocol Buffers write the names of choices in capitals.
        let choice = |c: char| c.is_ascii_uppercase() || c == '_';
        return if text.len() > 2 && text.chars().all(choice) {
            words(&text.to_ascii_lowercase())
        } else {
            text.into_owned()
        };
    }
    match value.0.first() {
        Some(b'[') => {
            let items: Vec<String> = value
                .items()
                .filter_map(|item| item.text())
                .map(|t| t.into_owned())
                .collect();
            items.join(", ")
        }
        Some(b'{') => String::new(),
        _ if value.is_null() => String::new(),
        _ => String::from_utf8_lossy(value.0).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_become_words() {
        assert_eq!(words("phone_call"), "phone call");
        assert_eq!(words("individualCall"), "individual call");
    }

    #[test]
    fn what_is_data_is_said_as_it_is_named() {
        let call =
            Value(br#"{"type":"VIDEO_CALL","state":"MISSED","id":"7","with":["A","B"],"n":null}"#);
        let details = details(call, |key| key == "id");
        assert_eq!(details, "type video call, state missed, with A, B");
        assert_eq!(
            titled("call", &details),
            "call: type video call, state missed, with A, B"
        );
        assert_eq!(titled("call", ""), "call");
    }
}
