//! E-mail, alone and in mailboxes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use candour_import::{
    Conversation, Doubt, EmbeddedHeaders, Format, ImportError, Message, Options, Place, Stamp,
    conversations, import, import_files, sniff,
};

const PLAIN: &[u8] = include_bytes!("mail/plain.eml");
const ATTACHED: &[u8] = include_bytes!("mail/attached.eml");
const HTML: &[u8] = include_bytes!("mail/html.eml");
const ENCRYPTED: &[u8] = include_bytes!("mail/encrypted.eml");
const QUOTED: &[u8] = include_bytes!("mail/quoted.mbox");
const COUNTED: &[u8] = include_bytes!("mail/counted.mbox");
const TAKEOUT: &[u8] = include_bytes!("mail/takeout.mbox");

fn read(source: &[u8]) -> Conversation<'_> {
    import(source, &Options::default()).unwrap()
}

fn doubts(message: Message<'_>) -> Vec<Doubt> {
    message.doubts().collect()
}

fn subjects(chat: &Conversation<'_>) -> Vec<String> {
    let subject = |text: &str| text.lines().next().unwrap().replace("Subject: ", "");
    chat.messages().map(|m| subject(&m.text())).collect()
}

/// The messages, in the order of the file, are the file.
fn assert_tiles(chat: &Conversation<'_>) {
    let mut tiles: Vec<Message<'_>> = chat.messages().collect();
    tiles.sort_by_key(|message| message.span().start);
    let mut all = chat.preamble().to_vec();
    for message in tiles {
        all.extend_from_slice(message.source());
    }
    assert_eq!(all, chat.sources().collect::<Vec<_>>().concat());
}

#[test]
fn a_mail_is_known_by_its_header_and_reads_like_a_printed_one() {
    assert_eq!(sniff(PLAIN), Some(Format::Eml));
    let chat = read(PLAIN);
    assert_eq!(chat.format_name(), "eml");
    assert_eq!(chat.channel(), Some("private-email"));
    assert_eq!(chat.title(), Some("The annex is late"));
    let mail = chat.message(0).unwrap();
    assert_eq!(mail.author().as_deref(), Some("Alice Exämple"));
    assert_eq!(mail.author_id(), Some("alice@example.org"));
    assert_eq!(
        mail.stamp(),
        Stamp::Instant("2024-02-13T09:05:01Z".parse().unwrap())
    );
    assert_eq!(
        mail.text(),
        "Subject: The annex is late\n\
         From: Alice Exämple <alice@example.org>\n\
         To: Bob Example <bob@example.gov.uk>; Example, Carol <carol@example.gov.uk>\n\
         Cc: team@example.gov.uk\n\
         Date: Tue, 13 Feb 2024 14:35:01 +0530\n\
         \n\
         The annex costs £5 more.\nFrom my side it can go."
    );
    assert_eq!(mail.source(), PLAIN);
    assert!(mail.doubts().next().is_none());
    assert!(mail.attachments().is_empty());
}

#[test]
fn plain_words_go_before_html_and_files_are_decoded_when_asked_for() {
    let chat = read(ATTACHED);
    let mail = chat.message(0).unwrap();
    let text = mail.text();
    let (_, words) = text.split_once("\n\n").unwrap();
    assert_eq!(words, "Café at ten. A line with --outer in it.");
    let files = mail.attachments();
    let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
    assert_eq!(names, ["logo.png", "annex ä.pdf", "attached message.eml"]);
    let types: Vec<&str> = files
        .iter()
        .map(|f| f.media_type.as_deref().unwrap())
        .collect();
    assert_eq!(types, ["image/png", "application/pdf", "message/rfc822"]);
    assert_eq!(files[1].bytes, Some(768));
    assert!(matches!(files[0].place, Place::Embedded(0)));
    assert_eq!(
        mail.embedded(&files[0].place, 100).unwrap(),
        b"\x89PNG\r\n\x1a\n"
    );
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(mail.embedded(&files[1].place, 768).unwrap(), all.repeat(3));
    assert!(matches!(
        mail.embedded(&files[1].place, 767),
        Err(ImportError::TooLarge { .. })
    ));
    let inner = mail.embedded(&files[2].place, 10_000).unwrap();
    assert!(inner.starts_with(b"From: Carol") && inner.ends_with(b"Inside.\n--inmost--"));
}

#[test]
fn an_html_page_becomes_its_words_and_the_mail_says_so() {
    let chat = read(HTML);
    assert_eq!(
        chat.message(0).unwrap().text(),
        "Subject: Only HTML\n\
         From: Newsletter <news@example.org>\n\
         Date: Wed, 14 Feb 2024 08:00:00 GMT\n\
         Content: the words of an HTML page, without its form\n\
         \n\
         Rent\t€100\nHeat\t€20"
    );
}

#[test]
fn an_encrypted_mail_is_said_to_be_one() {
    let chat = read(ENCRYPTED);
    let mail = chat.message(0).unwrap();
    assert_eq!(doubts(mail), [Doubt::NotShown]);
    assert!(mail.text().contains("Content: encrypted or sealed"));
    assert_eq!(mail.attachments().len(), 2);
    let sealed = "From: a@example.org\nDate: 13 Feb 2024 09:05 +0000\n\
        Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\
        Content-Transfer-Encoding: base64\n\nMIAG\n";
    let chat = read(sealed.as_bytes());
    let mail = chat.message(0).unwrap();
    assert_eq!(doubts(mail), [Doubt::NotShown]);
    assert_eq!(mail.attachment_name().as_deref(), Some("smime.p7m"));
}

#[test]
fn several_mails_are_one_conversation_in_the_order_of_time() {
    let chat = import_files(&[HTML, ATTACHED, PLAIN], &Options::default()).unwrap();
    assert_eq!(
        subjects(&chat),
        ["The annex is late", "Re: The annex is late", "Only HTML"]
    );
    assert_eq!(chat.title(), Some("The annex is late"));
    assert_eq!(chat.message(0).unwrap().source(), PLAIN);
    assert_eq!(chat.message(2).unwrap().source(), HTML);
    assert_tiles(&chat);
    let other = import_files(&[PLAIN, QUOTED], &Options::default());
    assert!(matches!(other, Err(ImportError::FilesDiffer)));
}

#[test]
fn a_mailbox_is_split_at_separators_and_not_at_sentences() {
    assert_eq!(sniff(QUOTED), Some(Format::Mbox));
    let chat = read(QUOTED);
    assert_eq!(subjects(&chat), ["One", "Two", "Three"]);
    assert_tiles(&chat);
    let one = chat.message(0).unwrap();
    assert!(one.doubts().next().is_none());
    let text = one.text();
    assert!(text.ends_with(
        "From my side it can go.\n>From was quoted before.\n\
         From the start of a line, but no date.\n\nFrom Tuesday on.\n> From is not quoted."
    ));
    assert!(one.source().starts_with(b"From alice@example.org Tue"));
    assert!(one.source().ends_with(b"\n>From my side it can go.\n>>From was quoted before.\nFrom the start of a line, but no date.\n\nFrom Tuesday on.\n> From is not quoted.\n\n"));
    assert_eq!(doubts(chat.message(2).unwrap()), [Doubt::NoTime]);
    assert_eq!(chat.message(2).unwrap().stamp(), Stamp::None);
    assert_eq!(
        read(&QUOTED.iter().flat_map(crlf).collect::<Vec<u8>>()).len(),
        3
    );
}

fn crlf(byte: &u8) -> Vec<u8> {
    if *byte == b'\n' {
        b"\r\n".to_vec()
    } else {
        vec![*byte]
    }
}

#[test]
fn a_sound_length_keeps_a_separator_in_the_body_and_flags_it() {
    let chat = read(COUNTED);
    assert_eq!(subjects(&chat), ["Counted", "Wrongly counted"]);
    let counted = chat.message(0).unwrap();
    assert_eq!(doubts(counted), [Doubt::HeaderInside]);
    // A mailbox that counts and does not quote has nothing to unquote.
    assert!(counted.text().ends_with("End.\n>From stays."));
    assert_tiles(&chat);
    let options = Options {
        embedded: EmbeddedHeaders::ReadAsMessages,
        ..Options::default()
    };
    let apart = import(COUNTED, &options).unwrap();
    assert_eq!(apart.len(), 3);
    assert_tiles(&apart);
}

#[test]
fn gmail_names_threads_and_says_who_sent() {
    let chat = read(TAKEOUT);
    assert_eq!(subjects(&chat), ["Lunch", "Annex", "Re: Annex"]);
    let sent: Vec<_> = chat.messages().map(|m| m.is_outgoing()).collect();
    assert_eq!(sent, [None, Some(true), Some(false)]);
    assert_tiles(&chat);
    let listed = conversations(&[TAKEOUT], &Options::default()).unwrap();
    let threads: Vec<_> = listed
        .iter()
        .map(|one| (one.id.as_str(), one.title.as_deref().unwrap(), one.messages))
        .collect();
    assert_eq!(threads, [("1001", "Annex", 2), ("2002", "Lunch", 1)]);
    let options = Options {
        conversation: Some("1001"),
        ..Options::default()
    };
    let thread = import(TAKEOUT, &options).unwrap();
    assert_eq!(subjects(&thread), ["Annex", "Re: Annex"]);
    let options = Options {
        conversation: Some("3003"),
        ..Options::default()
    };
    assert!(matches!(
        import(TAKEOUT, &options),
        Err(ImportError::NoSuchConversation)
    ));
    assert_eq!(
        conversations(&[QUOTED], &Options::default()).unwrap().len(),
        1
    );
}

#[test]
fn a_chat_is_no_mail_and_a_mail_with_a_chat_in_it_is_one() {
    let chat = b"13/02/2024, 09:05 - Alice: From: a\n13/02/2024, 09:06 - Alice: Date: b\n";
    assert_eq!(sniff(chat), Some(Format::WhatsAppText));
    let mail = b"From: a@example.org\nDate: Tue, 13 Feb 2024 09:05:01 +0000\n\n\
        13/02/2024, 09:05 - Alice: hi\n";
    assert_eq!(sniff(mail), Some(Format::Eml));
    for other in [
        &b"Dear Alice,\n\nFrom: here\nDate: now\n"[..],
        b"From: Alice\nSubject: no date\n\ntext",
        b"From here on it gets worse.\n\nDate: never",
        b"From a Tue Feb 13 09:05:01 2024\nnot a header\n",
        b"From: a\nthis is no header\nDate: b\n\n",
    ] {
        assert_eq!(sniff(other), None);
    }
}

#[test]
fn missing_and_doubled_headers_are_said() {
    let mail = b"From: a@example.org\nFrom: b@example.org\nDate: 13 Feb 2024 09:05 BST\n\nx";
    let chat = read(mail);
    let message = chat.message(0).unwrap();
    assert_eq!(message.author().as_deref(), Some("a@example.org"));
    assert_eq!(doubts(message), [Doubt::RepeatedPart, Doubt::ZoneUnknown]);
    assert_eq!(message.wall().unwrap().to_string(), "2024-02-13T09:05:00");
    assert!(message.text().contains("From: b@example.org"));
    let box_ = b"From x Tue Feb 13 09:05:01 2024\nSubject: nobody\n\nx";
    let chat = read(box_);
    let message = chat.message(0).unwrap();
    assert_eq!(message.author(), None);
    assert_eq!(doubts(message), [Doubt::NoTime, Doubt::AuthorUnknown]);
}

#[test]
fn an_encoded_line_ending_makes_no_line_of_the_head() {
    let mail = b"From: =?utf-8?q?A=0ATo=3A_b?= <a@example.org>\n\
        Subject: =?utf-8?q?x=0D=0AFrom=3A_minister?=\nDate: 13 Feb 2024 09:05 +0000\n\nbody";
    let chat = read(mail);
    let text = chat.message(0).unwrap().text();
    assert_eq!(text.lines().next(), Some("Subject: x From: minister"));
    assert_eq!(
        text.lines().filter(|line| line.starts_with("To:")).count(),
        0
    );
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("From:"))
            .count(),
        1
    );
}

#[test]
fn words_in_any_character_set_are_shown_and_unknown_ones_named() {
    let mail = |charset: &str, body: &[u8]| {
        let head = format!(
            "From: a@example.org\nDate: 13 Feb 2024 09:05 +0000\nContent-Type: text/plain; charset={charset}\n\n"
        );
        [head.as_bytes(), body].concat()
    };
    for (charset, body, text) in [
        ("utf-8", "Größe".as_bytes(), "Größe"),
        ("iso-8859-15", b"\xa4 5", "€ 5"),
        ("shift_jis", b"\x83n\x83\x8d\x81[", "ハロー"),
        ("gb2312", b"\xc4\xe3\xba\xc3", "你好"),
        ("utf-8", b"caf\xe9", "caf\u{fffd}"),
    ] {
        let source = mail(charset, body);
        let chat = read(&source);
        assert!(chat.message(0).unwrap().text().ends_with(text), "{charset}");
    }
    let source = mail("x-klingon", b"tlh");
    let text = read(&source).message(0).unwrap().text().into_owned();
    assert!(text.contains("Content: in a character set that is not known (x-klingon)"));
    assert!(text.ends_with("\n\ntlh"));
}

/// Looks at everything that a message has.
fn look(source: &[u8]) -> usize {
    let chat = read(source);
    assert_tiles(&chat);
    let mut seen = 0;
    for message in chat.messages() {
        seen += message.text().len();
        for file in message.attachments() {
            let _ = message.embedded(&file.place, 1 << 20);
            seen += 1;
        }
    }
    seen
}

const HEAD: &str = "From: a@example.org\nDate: 13 Feb 2024 09:05 +0000\n";

#[test]
fn hostile_structures_are_read_in_linear_time_and_bounded_depth() {
    let nested = |levels: usize| {
        let mut mail = HEAD.to_owned();
        for level in 0..levels {
            mail.push_str(&format!(
                "Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"
            ));
        }
        mail + "\nend"
    };
    assert!(look(nested(30_000).as_bytes()) > 0);
    let messages = HEAD.to_owned() + &"Content-Type: message/rfc822\n\n".repeat(30_000);
    assert!(look(messages.as_bytes()) > 0);
    // Parts that are multiparts whose boundary never comes.
    let mut parts = HEAD.to_owned() + "Content-Type: multipart/mixed; boundary=a\n\n";
    for part in 0..20_000 {
        parts.push_str(&format!(
            "--a\nContent-Type: multipart/mixed; boundary=never{part}\n\nx\n"
        ));
    }
    let chat = read(parts.as_bytes());
    let text = chat.message(0).unwrap().text().into_owned();
    assert!(text.contains("Content: more parts than can be shown"));
    let boundaries = HEAD.to_owned()
        + "Content-Type: multipart/mixed; boundary=a\n\n"
        + &"--a\n".repeat(250_000);
    assert!(look(boundaries.as_bytes()) > 0);
}

#[test]
fn hostile_headers_are_read_in_linear_time() {
    let bomb = HEAD.to_owned() + &"X-A: b\n".repeat(250_000) + "\nend";
    assert!(look(bomb.as_bytes()) > 0);
    let long = HEAD.to_owned() + "To: " + &"a@example.org, ".repeat(100_000) + "\n\nend";
    assert!(look(long.as_bytes()) > 0);
    let continued: String = (0..100_000).map(|n| format!("; a*{n}=b")).collect();
    let typed = HEAD.to_owned() + "Content-Type: text/plain" + &continued + "\n\nend";
    assert!(look(typed.as_bytes()) > 0);
    let words = HEAD.to_owned() + "Subject: " + &"=?utf-8?q?".repeat(6_000) + "\n\nend";
    assert!(look(words.as_bytes()) > 0);
    let comments = HEAD.to_owned() + "Cc: " + &"(".repeat(60_000) + "\n\nend";
    assert!(look(comments.as_bytes()) > 0);
}

#[test]
fn hostile_mailboxes_are_split_in_linear_time() {
    // Every message counts a body that ends in one long line.
    let mut counted = String::new();
    for _ in 0..10_000 {
        counted.push_str("From a Tue Feb 13 09:05:01 2024\nContent-Length: 700000\n\n");
    }
    counted.push_str(&"From ".repeat(400_000));
    assert_eq!(read(counted.as_bytes()).len(), 10_000);
    let many = "From a Tue Feb 13 09:05:01 2024\na:\n\n".to_owned() + &"\nFrom \n".repeat(500_000);
    assert_eq!(read(many.as_bytes()).len(), 1);
}

#[test]
fn hostile_html_is_read_in_linear_time() {
    for markup in [
        "<a ",
        "<!--",
        "<style>",
        "<head>",
        "&",
        "<",
        "</",
        "<p>",
        "<td></td>",
        "<br>",
    ] {
        let mail = HEAD.to_owned() + "Content-Type: text/html\n\n" + &markup.repeat(100_000);
        assert!(look(mail.as_bytes()) > 0);
    }
}

#[test]
fn a_mail_too_long_to_show_is_cut_and_comes_whole_as_a_file() {
    let long = HEAD.to_owned() + "\n" + &"A line of 20 letters.\n".repeat(4_000);
    let coded = HEAD.to_owned()
        + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
        + &"QUFBQUFBQUFBQUFBQUFBQUFBQUE=\n".repeat(200_000);
    let recipients = HEAD.to_owned() + &"To: a@example.org\n".repeat(5_000) + "\nend";
    for mail in [long, coded, recipients] {
        let chat = read(mail.as_bytes());
        let message = chat.message(0).unwrap();
        let text = message.text();
        assert!(text.contains("Content: cut off here"));
        assert!(text.chars().count() <= 65_536);
        let files = message.attachments();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].name, "whole message.eml");
        let whole = message
            .embedded(&files[0].place, mail.len() as u64)
            .unwrap();
        assert_eq!(whole, mail.as_bytes());
        assert!(message.embedded(&files[0].place, 1_000).is_err());
    }
    let short = HEAD.to_owned() + "\n" + &"A line of 20 letters.\n".repeat(2_900);
    let chat = read(short.as_bytes());
    assert!(chat.message(0).unwrap().attachments().is_empty());
    assert!(!chat.message(0).unwrap().text().contains("Content:"));
}
