use super::*;
use crate::row::RowKind;

fn view(source: &[u8]) -> RowView<'_> {
    RowView {
        source,
        raw_body: source,
        kind: RowKind::Media,
    }
}

#[test]
fn a_file_is_decoded_without_a_look_at_the_rest_of_its_message() {
    let part = "<part ct=\"image/gif\" data=\"QUJD\"/>";
    let message = format!("<mms><parts>{}</parts></mms>", part.repeat(100));
    let files = Sms.attachments(&view(message.as_bytes()));
    assert_eq!(files.len(), 100);
    for file in files {
        let Place::Embedded(place) = file.place else {
            panic!("{:?}", file.place);
        };
        let end = place + part.len();
        assert_eq!(&message[place..end], part);
        // Whoever reads before it or behind it loses his way.
        let mut alone = vec![b'<'; message.len()];
        alone[place..end].copy_from_slice(part.as_bytes());
        assert_eq!(Sms.embedded(&view(&alone), place, 3).unwrap(), b"ABC");
    }
}

#[test]
fn a_place_at_which_no_file_begins_has_none() {
    let message =
        b"<mms><parts><part ct=\"text/plain\" text=\"a\"/><part data=\"QUJD\"/></parts></mms>";
    let files = Sms.attachments(&view(message));
    assert_eq!(files.len(), 1);
    for place in 0..message.len() + 2 {
        let found = Sms.embedded(&view(message), place, 3).is_ok();
        assert_eq!(found, files[0].place == Place::Embedded(place), "{place}");
    }
}
