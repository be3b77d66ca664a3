use candour_wire::posture::{Evidence, Heartbeat, Presence};
use candour_wire::record::{Declaration, Kind, Withdrawal};
use candour_wire::seal::{self, RecordsPrivateKey, SealContext, Sealed, Suite};
use candour_wire::{Digest, RecordId};
use serde_json::json;

use super::*;
use crate::gateway::testing::{Phone, World, department, inventory, now};

struct Desk {
    world: World,
    phone: Phone,
}

impl Desk {
    fn new() -> Self {
        Self {
            world: World::new(),
            phone: Phone::new(),
        }
    }

    fn check(&self, stream: Stream, jws: String) -> Result<Verified, Code> {
        let policies = self.world.gateway.policies.of(&department());
        let checker = Checker {
            identity: self.phone.identity(),
            stream,
            policies: policies.clone(),
        };
        checker
            .check(jws)
            .map_err(|refusal| refusal.known_code().unwrap())
    }

    fn posture(&self, body: Body) -> Result<Verified, Code> {
        self.check(Stream::Posture, self.phone.sign(&self.phone.record(body)))
    }

    fn sealed(&self, key: &RecordsPrivateKey) -> Sealed {
        let id = RecordId::make(now());
        let handset = self.phone.id();
        let context = SealContext {
            id,
            handset: &handset,
            kind: Kind::Declaration,
        };
        seal::seal(&key.public_key(Suite::XWingAes256Gcm), &context, b"{}").unwrap()
    }
}

fn listed() -> Body {
    Body::Inventory(inventory(&[
        ("signal", Presence::Absent),
        ("whatsapp", Presence::Installed),
    ]))
}

#[test]
fn an_app_outside_the_catalogue_is_refused_and_its_name_is_not_repeated() {
    let desk = Desk::new();
    assert!(desk.posture(listed()).is_ok());
    let unlisted = || {
        inventory(&[
            ("grindr", Presence::Installed),
            ("whatsapp", Presence::Installed),
        ])
    };
    assert_eq!(
        desk.posture(Body::Inventory(unlisted())),
        Err(Code::AppNotInCatalogue)
    );
    let policies = desk.world.gateway.policies.of(&department());
    let identity = desk.phone.identity();
    let checker = Checker {
        identity: identity.clone(),
        stream: Stream::Posture,
        policies: policies.clone(),
    };
    let refusal = checker
        .check(
            desk.phone
                .sign(&desk.phone.record(Body::Inventory(unlisted()))),
        )
        .unwrap_err();
    assert!(!format!("{refusal:?}").contains("grindr"));

    let base = inventory(&[("whatsapp", Presence::Absent)]);
    assert_eq!(
        desk.posture(Body::InventoryChange(base.change_to(&unlisted()).unwrap())),
        Err(Code::AppNotInCatalogue)
    );
    let removal = unlisted().change_to(&base).unwrap();
    assert_eq!(
        desk.posture(Body::InventoryChange(removal)),
        Err(Code::AppNotInCatalogue)
    );
    let mut other_catalogue = base;
    other_catalogue.catalogue = 99;
    assert_eq!(
        desk.posture(Body::Inventory(other_catalogue)),
        Err(Code::AppNotInCatalogue)
    );
}

#[test]
fn lists_out_of_order_or_out_of_size_are_refused() {
    let desk = Desk::new();
    let twice = inventory(&[
        ("whatsapp", Presence::Absent),
        ("whatsapp", Presence::Installed),
    ]);
    assert_eq!(
        desk.posture(Body::Inventory(twice)),
        Err(Code::RecordMalformed)
    );
    let mut evidence = inventory(&[("whatsapp", Presence::Installed)]);
    evidence.apps[0].evidence = vec![Evidence::Process; 7];
    assert_eq!(
        desk.posture(Body::Inventory(evidence)),
        Err(Code::RecordMalformed)
    );
    for model in ["x".repeat(201), "a\u{1b}[2J".to_owned()] {
        let mut facts = inventory(&[]);
        facts.handset.model = Some(model);
        assert_eq!(
            desk.posture(Body::Inventory(facts)),
            Err(Code::RecordMalformed)
        );
    }
}

#[test]
fn another_key_another_phone_and_another_stream_are_told_apart() {
    let desk = Desk::new();
    let other = Phone::new();
    let foreign = other.sign(&other.record(listed()));
    assert_eq!(
        desk.check(Stream::Posture, foreign),
        Err(Code::SignatureInvalid)
    );
    let named = desk.phone.sign(&other.record(listed()));
    assert_eq!(desk.check(Stream::Posture, named), Err(Code::WrongHandset));
    let heartbeat = Body::Heartbeat(Heartbeat {
        inventory: Digest::of(b""),
    });
    let jws = desk.phone.sign(&desk.phone.record(heartbeat));
    assert_eq!(desk.check(Stream::Records, jws), Err(Code::WrongStream));
}

#[test]
fn an_altered_record_is_refused() {
    let desk = Desk::new();
    let jws = desk.phone.sign(&desk.phone.record(listed()));
    let [header, payload, signature] = jws.split('.').collect::<Vec<_>>()[..] else {
        panic!("{jws}")
    };
    let swapped = format!("{header}.{}A.{signature}", &payload[..payload.len() - 1]);
    assert!(matches!(
        desk.check(Stream::Posture, swapped),
        Err(Code::SignatureInvalid | Code::RecordMalformed)
    ));
    assert_eq!(
        desk.check(Stream::Posture, String::new()),
        Err(Code::RecordMalformed)
    );
    let long = "a".repeat(limits::RECORD_MAX_BYTES + 1);
    assert_eq!(desk.check(Stream::Posture, long), Err(Code::RecordTooLarge));
}

#[test]
fn a_record_of_another_version_is_named_as_such_whatever_its_shape() {
    let desk = Desk::new();
    let check = |value: serde_json::Value| {
        desk.check(Stream::Posture, desk.phone.sign(&value))
            .unwrap_err()
    };
    assert_eq!(check(json!({ "v": 2, "news": true })), Code::RecordVersion);
    assert_eq!(check(json!({ "v": 1 })), Code::RecordMalformed);
    assert_eq!(check(json!(["v", 1])), Code::RecordMalformed);
    let mut record = desk.phone.record(listed());
    record.seq = 0;
    assert_eq!(
        desk.check(Stream::Posture, desk.phone.sign(&record)),
        Err(Code::RecordMalformed)
    );
    record.seq = MAX_SEQ + 1;
    assert_eq!(
        desk.check(Stream::Posture, desk.phone.sign(&record)),
        Err(Code::RecordMalformed)
    );
}

#[test]
fn content_must_be_sealed_to_a_key_of_the_department() {
    let desk = Desk::new();
    let check = |body| desk.check(Stream::Records, desk.phone.sign(&desk.phone.record(body)));
    let declaration = |sealed, attachments| {
        Body::Declaration(Declaration {
            sealed,
            attachments,
        })
    };
    let ours = || desk.sealed(&desk.world.records_key);
    assert!(check(declaration(ours(), vec![])).is_ok());
    let theirs = desk.sealed(&RecordsPrivateKey::generate());
    assert_eq!(
        check(declaration(theirs.clone(), vec![])),
        Err(Code::SealRefused)
    );
    let withdraws = RecordId::make(now());
    assert_eq!(
        check(Body::Withdrawal(Withdrawal {
            withdraws,
            sealed: theirs
        })),
        Err(Code::SealRefused)
    );
    let file = |size| AttachmentRef {
        sha256: Digest::of(b""),
        size,
    };
    assert_eq!(
        check(declaration(ours(), vec![file(1); 65])),
        Err(Code::RecordMalformed)
    );
    assert_eq!(
        check(declaration(ours(), vec![file(1 << 40)])),
        Err(Code::AttachmentTooLarge)
    );
}

#[test]
fn without_a_policy_nothing_can_be_judged_and_nothing_is_taken() {
    let desk = Desk::new();
    let identity = desk.phone.identity();
    let checker = Checker {
        identity: identity.clone(),
        stream: Stream::Posture,
        policies: None,
    };
    let refusal = checker
        .check(desk.phone.sign(&desk.phone.record(listed())))
        .unwrap_err();
    assert_eq!(refusal.known_code(), Some(Code::AppNotInCatalogue));
}
