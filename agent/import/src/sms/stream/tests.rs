use super::*;

const PHONE: &[u8] = include_bytes!("../../../tests/sms/sms-20240602101500.xml");

/// How the export begins, up to its first message.
const START_BYTES: usize = 512;

/// Reads `chunk` bytes at a time and takes values over `value_max` out of tags.
fn feed(bytes: &[u8], chunk: usize, value_max: usize) -> Feed<&[u8]> {
    let mut feed = Feed::new(bytes);
    feed.start = START_BYTES;
    feed.chunk = chunk;
    feed.value_max = value_max;
    feed
}

/// Wherever reading pauses, the same messages come out of it, byte for byte.
fn check(bytes: &[u8], chunk: usize, value_max: usize) {
    let listed = list_sms(bytes).expect("it is an export");
    let again = list(feed(bytes, chunk, value_max)).expect("it is an export");
    assert_eq!(again, listed, "{chunk} {value_max}");
    for one in &listed {
        let whole = select_sms(bytes, &one.id).expect("it is listed");
        let again = select(feed(bytes, chunk, value_max), &one.id).expect("it is listed");
        assert!(again.text == whole.text, "{chunk} {value_max}");
        assert_eq!(again.sha256, whole.sha256);
        assert_eq!(again.bytes, bytes.len() as u64);
    }
}

#[test]
fn it_does_not_matter_where_reading_pauses() {
    for chunk in [1, 3, 7, 64, 511, 4_096] {
        // Over the longest list of addresses, which is looked at; under texts and files.
        for value_max in [32, 64, 200, SMS_VALUE_MAX_BYTES] {
            check(PHONE, chunk, value_max);
        }
    }
}

#[test]
fn nor_does_it_where_the_file_is_damaged_or_cut_off() {
    let text = std::str::from_utf8(PHONE).expect("it is UTF-8");
    let damaged = [
        text.replace("Can you clear it?\"", "Can you clear it?"),
        text.replace("body=\"Clause", "body=Clause"),
        text.replacen("</mms>", "", 1),
        text.replacen("</parts>", "</addrs>", 1),
        text.replacen("AAAAASUVORK5CYII=\"", "", 1),
        text.replacen("<parts>", "<parts><smsx>", 1),
    ];
    let cut = [
        "Do not tell",
        "signed page",
        "AAAAASUVORK",
        "</smses>",
        "<mms",
    ];
    let cut = cut.map(|at| text.split(at).next().unwrap_or_default().to_owned());
    for text in damaged.iter().chain(&cut) {
        for chunk in [1, 3, 64] {
            for value_max in [32, 200] {
                check(text.as_bytes(), chunk, value_max);
            }
        }
    }
}
