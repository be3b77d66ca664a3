use std::fs;
use std::path::Path;

use candour_wire::api::RecordResult;
use candour_wire::chain::Head;
use candour_wire::content::{Attachment, Message, Person, Redaction, RedactionReason};
use candour_wire::record::{self, AttachmentRef, Declaration, Stream};
use candour_wire::{Digest, HandsetId, attachment};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};

use super::*;
use crate::cli::{Global, open_store};
use crate::files::DataDir;
use crate::gateway::token_digest;
use crate::store::{Batch, EnrolRequest, NewToken, Piece, Store as _, Verified};

const SECRET: &str = "[redacted]: the Chancellor said\u{1b}[2J yes";
const FILE: &[u8] = b"a photograph of a whiteboard";

/// A data directory with one declaration that has one file.
struct Office {
    dir: tempfile::TempDir,
    record: RecordId,
}

impl Office {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let run = |arguments: &[&str]| crate::cli::tests::code(&data, arguments);
        assert_eq!(run(&crate::cli::tests::INIT), 0);
        assert_eq!(run(&["department", "add", "home-office", "Home Office"]), 0);
        let record = declare(&context(&data));
        Self { dir, record }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn open(&self, key: &str, more: &[&str]) -> u8 {
        let key = self.data().join("records-role").join(key);
        let record = self.record.to_string();
        let arguments = [
            "open",
            &record,
            "--key",
            key.to_str().unwrap(),
            "--reason",
            "FOI 2026/123",
            "--who",
            "Ada",
        ];
        crate::cli::tests::code(&self.data(), &[&arguments, more].concat())
    }

    fn audited(&self) -> Vec<Audit> {
        let context = context(&self.data());
        let store = context.store().unwrap();
        context.wait(store.audit_trail(10)).unwrap()
    }
}

fn context(data: &Path) -> Context {
    Context::new(Global {
        data: data.to_owned(),
        json: false,
    })
    .unwrap()
}

fn declare(context: &Context) -> RecordId {
    let key = KeyPair::generate().unwrap();
    let spki = key.subject_public_key_info();
    let handset = HandsetId::derive(&spki);
    let now = context.clock.now();
    let (id, body) = declaration(context, &handset);
    let (body, sealed_file) = body;
    let head = Head::genesis(&handset, Stream::Records);
    let record = Record {
        v: record::VERSION,
        id,
        handset: handset.clone(),
        seq: 1,
        prev: head.digest,
        created: now,
        policy: 1,
        body,
    };
    let payload = serde_json::to_vec(&record).unwrap();
    let verifying = VerifyingKey::from_spki_der(&spki).unwrap();
    let jws = jws::sign(record::TYP, &payload, &verifying, |message| {
        key.sign(message)
    })
    .unwrap();
    let signer = context.log_key().unwrap().into_signer();
    let store = open_store(&DataDir::new(context.data.path()), Some(signer)).unwrap();
    let expires = now
        .checked_add(jiff::SignedDuration::from_hours(1))
        .unwrap();
    let hash = token_digest(&"token".into());
    let department = "hm-treasury".parse().unwrap();
    context.wait(async {
        store
            .put_token(NewToken {
                hash,
                department,
                label: None,
                created: now,
                expires,
            })
            .await
            .unwrap();
        store
            .enrol(EnrolRequest {
                token: hash,
                spki,
                now,
            })
            .await
            .unwrap();
        let piece = Piece {
            handset: handset.clone(),
            sha256: Digest::of(&sealed_file),
            total: sealed_file.len() as u64,
            offset: 0,
            bytes: sealed_file,
            now,
        };
        assert!(store.upload_piece(piece).await.unwrap().complete);
        let entries = vec![Ok(Verified::new(record, jws))];
        let batch = Batch {
            handset,
            stream: Stream::Records,
            entries,
            log_size: 0,
            received: now,
        };
        let reply = store.append(batch).await.unwrap();
        assert!(
            matches!(reply.results[0], RecordResult::Receipt(_)),
            "{:?}",
            reply.results
        );
        store.close().await;
    });
    id
}

/// A sealed declaration, and the sealed file that it names.
fn declaration(context: &Context, handset: &HandsetId) -> (RecordId, (Body, Vec<u8>)) {
    use candour_wire::content::{
        Capture, DeviceOwnership, Direction, Disappearing, Extent, Significance,
    };
    let mut sealed_file = Vec::new();
    let file = attachment::encrypt(FILE, &mut sealed_file).unwrap();
    let content = DeclarationContent {
        channel: "whatsapp".parse().unwrap(),
        direction: Direction::Received,
        participants: vec![],
        occurred: candour_wire::time::MessageTime::at(
            "2026-11-20T14:30:00".parse().unwrap(),
            "Europe/London",
        )
        .unwrap(),
        capture: Capture::Export,
        device: DeviceOwnership::Government,
        significance: Significance::Significant,
        marking: "official".into(),
        handling: None,
        reason: None,
        exceptional_circumstances: None,
        disappearing: Disappearing::Off,
        extent: Extent::Extract,
        declared_by: Person {
            name: "Priya".into(),
            role: Some("Private secretary".into()),
        },
        on_behalf_of: None,
        messages: vec![Message {
            at: None,
            author: Some("Sam".into()),
            text: SECRET.into(),
            source_sha256: None,
            flags: vec!["time_runs_back".into()],
            redactions: vec![Redaction {
                at: 0,
                reason: RedactionReason::Other,
                note: Some("A patient's name".into()),
            }],
        }],
        substance: None,
        attachments: vec![Attachment {
            name: "../../white board.jpg".into(),
            size: file.plaintext_bytes,
            sha256: file.plaintext,
            sealed_sha256: file.ciphertext,
            sealed_size: file.ciphertext_bytes,
            key: file.key,
        }],
        source: None,
        late_days: None,
    };
    let policy = fs::read_to_string(context.data.records_key_path(None)).unwrap();
    let key = RecordsPrivateKey::from_text(&policy).unwrap();
    let public = key.public_key(seal::Suite::XWingAes256Gcm);
    let id = RecordId::make(context.clock.now());
    let seal_context = SealContext {
        id,
        handset,
        kind: record::Kind::Declaration,
    };
    let sealed = seal::seal(
        &public,
        &seal_context,
        &serde_json::to_vec(&content).unwrap(),
    )
    .unwrap();
    let attachments = vec![AttachmentRef {
        sha256: file.ciphertext,
        size: file.ciphertext_bytes,
    }];
    (
        id,
        (
            Body::Declaration(Declaration {
                sealed,
                attachments,
            }),
            sealed_file,
        ),
    )
}

#[test]
fn a_record_is_opened_with_its_files_and_every_attempt_is_audited_first() {
    let office = Office::new();
    assert_eq!(
        office.open("home-office.key", &[]),
        5,
        "another department's key"
    );
    let out = office.dir.path().join("out");
    let into = ["--attachments", out.to_str().unwrap()];
    assert_eq!(office.open("records.key", &into), 0);
    let names: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["1-_.._white board.jpg"]);
    assert_eq!(fs::read(out.join(&names[0])).unwrap(), FILE);
    assert_eq!(office.open("records.key", &into), 5, "no file is replaced");
    let audited: Vec<_> = office
        .audited()
        .iter()
        .map(|row| (row.action, row.who.clone(), row.record))
        .collect();
    let row = |action| (action, "Ada".to_owned(), office.record);
    assert_eq!(
        audited,
        [
            row(AuditAction::OpenWithAttachments),
            row(AuditAction::OpenWithAttachments),
            row(AuditAction::Open)
        ]
    );
}

#[test]
fn what_is_shown_is_the_declaration_without_what_could_fool_a_terminal() {
    let office = Office::new();
    let context = context(&office.data());
    let store = context.store().unwrap();
    let audit = Audit {
        at: context.clock.now(),
        who: "Ada".into(),
        action: AuditAction::Open,
        record: office.record,
        reason: Reason::new("FOI 2026/123").unwrap(),
    };
    let stored = context
        .wait(store.open_record(office.record, audit))
        .unwrap()
        .unwrap();
    assert!(!stored.jws.contains("Chancellor"));
    let key = fs::read_to_string(context.data.records_key_path(None)).unwrap();
    let record = verified(&stored).unwrap();
    let content = unsealed(&RecordsPrivateKey::from_text(&key).unwrap(), &record).unwrap();
    let text = print::as_text(&stored, &record, &content);
    for line in [
        "Channel       whatsapp",
        "Took place    2026-11-20 14:30 Europe/London",
        "Declared by   Priya, Private secretary",
        "  (remarks: time runs back)",
        "  (redaction 1, Another reason: A patient's name)",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(
        text.contains("the Chancellor said\u{fffd}[2J yes"),
        "{text}"
    );
    assert_eq!(
        print::as_json(&stored, &record, &content)["content"]["messages"][0]["text"],
        SECRET
    );
    let mut forged = stored;
    forged.spki = KeyPair::generate().unwrap().subject_public_key_info();
    assert!(matches!(
        verified(&forged),
        Err(CliError::Refused {
            code: Code::SignatureInvalid,
            ..
        })
    ));
}

#[test]
fn nothing_of_the_content_is_in_the_data_directory() {
    let office = Office::new();
    let mut places = vec![office.data()];
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(
                fs::read_dir(place)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            let bytes = fs::read(&place).unwrap();
            for word in ["Chancellor", "Priya", "whiteboard", "white board"] {
                let found = bytes
                    .windows(word.len())
                    .any(|window| window == word.as_bytes());
                assert!(!found, "{word} is in {}", place.display());
            }
        }
    }
}
