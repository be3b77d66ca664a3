use proptest::prelude::*;

use super::*;

fn value(text: &str) -> Result<Value<'_>, Broken> {
    Cursor::new(text.as_bytes(), 0).value()
}

#[test]
fn escapes_of_the_standard_and_of_telegram_are_resolved() {
    let raw = br#"a\n\t\"\\\/\u00e9\ud83d\udc4d\x1B\x7f\u2028"#;
    assert_eq!(decode(raw), "a\n\t\"\\/é👍\u{1b}\u{7f}\u{2028}");
}

#[test]
fn what_is_no_escape_stands_as_it_is_written() {
    assert_eq!(decode(br"\q\xZZ \"), r"\q\xZZ \");
}

#[test]
fn halves_of_surrogate_pairs_and_damaged_bytes_become_replacement_characters() {
    assert_eq!(decode(br"\ud83d!\udc4d\u12"), "\u{fffd}!\u{fffd}\u{fffd}12");
    assert_eq!(decode(b"a\xff\\n"), "a\u{fffd}\n");
}

#[test]
fn values_are_slices_of_the_source() {
    let text = r#"{"a": [1, {"b": "x]}\""}], "c" : null, "a": 2}"#;
    let object = value(text).unwrap();
    assert_eq!(object.0, text.as_bytes());
    let first = object.get("a").unwrap();
    assert_eq!(
        first.0, br#"[1, {"b": "x]}\""}]"#,
        "the first of two counts"
    );
    let inner = first.items().nth(1).unwrap();
    assert_eq!(inner.get("b").unwrap().text().unwrap(), "x]}\"");
    assert!(object.get("c").unwrap().is_null());
    assert!(object.path(&["a", "b"]).is_none());
}

#[test]
fn numbers_are_read_with_and_without_quotes() {
    assert_eq!(
        Value(b"\"1704265200000\"").integer(),
        Some(1_704_265_200_000)
    );
    assert_eq!(Value(b"-7").integer(), Some(-7));
    assert_eq!(Value(b"7.5").integer(), None);
    assert_eq!(Value(b"99999999999999999999").integer(), None);
}

#[test]
fn an_escaped_key_is_the_key_that_it_says() {
    let object = value(r#"{"\u0061": 1}"#).unwrap();
    assert_eq!(object.get("a").unwrap().integer(), Some(1));
}

#[test]
fn broken_values_are_told_from_values_that_are_cut_off() {
    for cut in [r#"{"a": [1"#, r#"["a"#, r#""a\"#, "{", "12"] {
        assert_eq!(value(cut).err(), Some(Broken::End), "{cut}");
    }
    for bad in ["[1}", "{]", "}", ",", &"[".repeat(100)] {
        assert_eq!(value(bad).err(), Some(Broken::Bad), "{bad}");
    }
}

#[test]
fn lines_end_with_lf_or_crlf_or_the_file() {
    let bytes = b"a\r\nb\n\nc";
    let mut at = 0;
    let mut lines = Vec::new();
    while let Some((line, next)) = line(bytes, at) {
        lines.push(line);
        at = next;
    }
    assert_eq!(lines, [&b"a"[..], b"b", b"", b"c"]);
}

proptest! {
    #[test]
    fn what_serde_writes_is_read_back(text in any::<String>(), number in any::<i64>()) {
        let json = serde_json::json!({ "k": [text, { "n": number }] }).to_string();
        let object = value(&json).unwrap();
        let items: Vec<_> = object.get("k").unwrap().items().collect();
        prop_assert_eq!(items[0].text().unwrap(), text.as_str());
        prop_assert_eq!(items[1].get("n").unwrap().integer(), Some(number));
    }

    #[test]
    fn any_bytes_are_a_value_inside_them_or_none(bytes in prop::collection::vec(
        prop::sample::select(b"{}[]\",:\\ux1a \n\xff".to_vec()), 0..80))
    {
        let mut cursor = Cursor::new(&bytes, 0);
        if let Ok(found) = cursor.value() {
            prop_assert!(cursor.at() <= bytes.len());
            prop_assert!(found.entries().count() + found.items().count() <= bytes.len());
            let _ = (found.text(), found.integer(), found.get("a"));
        }
        let _ = decode(&bytes);
    }
}
