use super::*;

/// Every piece of markup of `text`, and how reading it ends.
fn read(text: &str) -> (Vec<Markup<'_>>, Option<Broken>) {
    let mut cursor = Cursor::new(text.as_bytes(), 0);
    let mut found = Vec::new();
    loop {
        cursor.text();
        match cursor.markup() {
            Ok(Some(markup)) => found.push(markup),
            Ok(None) => return (found, None),
            Err(broken) => return (found, Some(broken)),
        }
    }
}

fn attributes(text: &str) -> Vec<Option<(&str, &str)>> {
    let (found, _) = read(text);
    let Some(Markup::Open(tag)) = found.first() else {
        panic!("it opens an element");
    };
    let text = |bytes| std::str::from_utf8(bytes).expect("it is UTF-8");
    tag.attributes()
        .map(|read| read.ok().map(|(name, value)| (text(name), text(value))))
        .collect()
}

#[test]
fn tags_are_found_with_either_quote_and_marks_inside_them() {
    assert_eq!(
        attributes(r#"<sms body="a > b" other = 'say "x"'	n:m="1"/>"#),
        [
            Some(("body", "a > b")),
            Some(("other", r#"say "x""#)),
            Some(("n:m", "1"))
        ]
    );
    let (found, end) = read("<a></a ><b/><?p q?><!-- <c> -- --><![CDATA[<d>]]>");
    assert_eq!(end, None);
    assert_eq!(found.len(), 6);
    assert!(matches!(
        found[0],
        Markup::Open(Tag {
            name: b"a",
            empty: false,
            ..
        })
    ));
    assert_eq!(found[1], Markup::Close(b"a"));
    assert!(matches!(
        found[2],
        Markup::Open(Tag {
            name: b"b",
            empty: true,
            ..
        })
    ));
    assert_eq!(
        found[3..],
        [Markup::Instruction(b"p q"), Markup::Comment, Markup::Cdata]
    );
}

#[test]
fn attributes_that_are_none_end_the_list() {
    for text in ["<a b>", "<a b=c>", "<a b=\"1\" \"2\">", "<a =\"1\">"] {
        assert_eq!(attributes(text).last(), Some(&None), "{text}");
    }
    assert!(attributes("<a >").is_empty());
}

#[test]
fn what_is_cut_off_is_told_from_what_is_broken() {
    for cut in [
        "<",
        "<a",
        "<a b",
        "<a b=\"c",
        "<a b=\"c\"",
        "</a",
        "<?a",
        "<!-",
        "<!-- a --",
        "<![CDATA[a]]",
        "<!DOCT",
    ] {
        assert_eq!(read(cut).1, Some(Broken::End), "{cut}");
    }
    for bad in [
        "<>",
        "< a>",
        "<!ENTITY a>",
        "<a b=\"c<d\">",
        "<a <b>",
        "<\"a\">",
    ] {
        assert_eq!(read(bad).1, Some(Broken::Bad), "{bad}");
    }
}

#[test]
fn after_something_broken_reading_goes_on_at_the_next_tag() {
    let text = "<a b=\"c<d>";
    let mut cursor = Cursor::new(text.as_bytes(), 0);
    assert_eq!(cursor.markup(), Err(Broken::Bad));
    assert_eq!(&text[cursor.at()..], "<d>");
}

#[test]
fn the_value_that_the_bytes_end_in_is_known() {
    let text = b"<part ct='a' data=\"QUJD";
    let mut cursor = Cursor::new(text, 0);
    assert_eq!(cursor.markup(), Err(Broken::End));
    assert_eq!(cursor.at(), 0);
    assert_eq!(&text[cursor.open_value().expect("it is open")..], b"QUJD");
}

#[test]
fn references_are_resolved_and_no_others_are_expanded() {
    for (raw, said) in [
        ("a &amp; b &lt;&gt;&quot;&apos;", "a & b <>\"'"),
        ("&#10;&#x1F44D;", "\n👍"),
        ("&#55357;&#56397;", "👍"),
        ("&#xD83D;&#xDC4D;", "👍"),
    ] {
        assert_eq!(decode(raw.as_bytes()), said);
        assert!(is_sound(raw.as_bytes()), "{raw}");
    }
    for (raw, said) in [
        ("&nbsp;", "&nbsp;"),
        ("a & b", "a & b"),
        ("&&amp", "&&amp"),
        ("&#;&#x;&#xg;", "&#;&#x;&#xg;"),
        ("&#55357;", "\u{fffd}"),
        ("&#55357;x&#56397;", "\u{fffd}x\u{fffd}"),
        ("&#55357;&#55357;&#56397;", "\u{fffd}👍"),
        ("&#0;&#99999999999;", "\u{fffd}\u{fffd}"),
        (
            "&#00000000000000000000000065;",
            "&#00000000000000000000000065;",
        ),
    ] {
        assert_eq!(decode(raw.as_bytes()), said);
        assert!(!is_sound(raw.as_bytes()), "{raw}");
    }
    assert_eq!(
        decode(b"\xff&amp;\xed\xa0\xbd"),
        "\u{fffd}&\u{fffd}\u{fffd}\u{fffd}"
    );
}
