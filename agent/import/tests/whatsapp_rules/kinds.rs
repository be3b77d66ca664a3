//! What kind of message it is.

use candour_import::{Options, RowKind, import};

use super::{kinds, read};

#[test]
fn media_are_known_by_their_structure_in_any_language() {
    let chat = read(
        "13/02/2024, 09:05 - A: IMG-20240213-WA0001.jpg (fichier joint)\n\
         13/02/2024, 09:05 - A: IMG-20240213-WA0002.jpg (něco přiloženo)\nwith a caption\n\
         13/02/2024, 09:06 - A: Minute.pdf (Datei angehängt)\n\
         13/02/2024, 09:07 - A: Bob.vcf (file attached)\n\
         13/02/2024, 09:08 - A: <Medien ausgeschlossen>\n\
         13/02/2024, 09:09 - A: the annex.pdf (second draft)\n\
         13/02/2024, 09:10 - A: location: https://maps.google.com/?q=51.5,-0.12\n\
         13/02/2024, 09:11 - A: \n",
    );
    use RowKind::{Blank, Contact, Location, Media, Omitted, Text};
    assert_eq!(
        kinds(&chat),
        [Media, Media, Media, Contact, Omitted, Text, Location, Blank]
    );
    let name = |index: usize| {
        chat.message(index)
            .unwrap()
            .attachment_name()
            .map(|n| n.into_owned())
    };
    assert_eq!(name(1).as_deref(), Some("IMG-20240213-WA0002.jpg"));
    assert_eq!(name(2).as_deref(), Some("Minute.pdf"));
    assert_eq!(name(5), None);

    let chat = read(
        "[13/02/2024, 09:05:01] A: \u{200e}<Anhang: 00000001-PHOTO.jpg>\r\n\
         [13/02/2024, 09:05:02] A: Report.pdf • \u{200e}4 pages \u{200e}<pièce jointe\u{a0}: 2-Report.pdf>\r\n\
         [13/02/2024, 09:05:03] A: \u{200e}image omitted\r\n\
         [13/02/2024, 09:05:04] A: \u{200e}Video weggelassen\r\n\
         [13/02/2024, 09:05:05] A: \u{200e}Missed voice call\r\n\
         [13/02/2024, 09:05:06] A: see <b: c.txt> there\r\n",
    );
    use RowKind::Notice;
    assert_eq!(kinds(&chat), [Media, Media, Omitted, Omitted, Notice, Text]);
    assert_eq!(
        chat.message(1).unwrap().attachment_name().unwrap(),
        "2-Report.pdf"
    );
}

#[test]
fn a_file_that_came_with_the_text_is_media_whatever_its_name() {
    let text = "13/02/2024, 09:05 - A: holiday.png (liitetty tiedosto)\n";
    assert_eq!(kinds(&read(text)), [RowKind::Text]);
    let files = ["holiday.png".to_owned()].into();
    let options = Options {
        attachments: Some(&files),
        ..Options::default()
    };
    assert_eq!(
        kinds(&import(text.as_bytes(), &options).unwrap()),
        [RowKind::Media]
    );
}

#[test]
fn edited_and_deleted_messages_say_so() {
    let chat = read(
        "13/02/2024, 09:05 - A: v2 <This message was edited>\n\
         13/02/2024, 09:06 - A: This message was deleted\n\
         13/02/2024, 09:07 - A: Diese Nachricht wurde gelöscht.\n\
         13/02/2024, 09:08 - A: He wrote: This message was deleted\n",
    );
    assert!(chat.message(0).unwrap().is_edited());
    assert_eq!(
        chat.message(0).unwrap().text(),
        "v2 <This message was edited>"
    );
    use RowKind::{Deleted, Text};
    assert_eq!(kinds(&chat), [Text, Deleted, Deleted, Text]);
    let chat = read("[13/02/2024, 09:05:01] A: v2 \u{200e}<Tämä viesti muokattiin>\r\n");
    assert!(chat.message(0).unwrap().is_edited(), "by the app's mark");
}
