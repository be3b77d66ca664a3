use rcgen::SubjectPublicKeyInfo;

use super::testing::EstServer;
use super::*;
use crate::adapters::memory::MemoryKeys;
use crate::ports::Response;

const NOW: &str = "2026-11-22T10:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn department(server: &EstServer) -> Department {
    Department {
        id: server.department.clone(),
        ca_pins: vec![server.authority.pin()],
        not_before: trust::RELEASED,
    }
}

async fn enrol_at(server: &EstServer, keys: &Arc<MemoryKeys>) -> Result<Identity, IdentityError> {
    let keys = Arc::clone(keys) as Arc<dyn KeyStore>;
    enrol(
        server,
        keys,
        &department(server),
        &Sensitive::from("one-time"),
        now(),
    )
    .await
}

fn keys() -> Arc<MemoryKeys> {
    Arc::new(MemoryKeys::new())
}

#[tokio::test]
async fn a_handset_enrols_with_a_token_and_survives_being_written_down() {
    let (server, keys) = (EstServer::new(), keys());
    let identity = enrol_at(&server, &keys).await.unwrap();
    let spki = keys.public_key().unwrap().unwrap();
    assert_eq!(identity.handset, HandsetId::derive(&spki));
    assert_eq!(identity.not_after.to_string(), "2026-12-22T00:00:00Z");
    assert_eq!((identity.chain.len(), identity.authorities.len()), (1, 1));
    assert_eq!(Identity::from_json(&identity.to_json()).unwrap(), identity);

    let requests = server.requests.lock().unwrap();
    let (user, token) = requests[1].basic.clone().unwrap();
    // EXPOSE: the test's own token.
    assert_eq!(
        (user.as_str(), token.expose().as_str()),
        ("candour", "one-time")
    );
    assert!(
        requests[0].basic.is_none(),
        "the token is sent only once the authority is known"
    );
}

#[tokio::test]
async fn a_renewal_makes_no_key_in_place_of_one_that_is_missing() {
    let (server, keys) = (EstServer::new(), keys());
    let identity = enrol_at(&server, &keys).await.unwrap();
    keys.destroy().unwrap();
    let renewed = renew(
        &server,
        Arc::clone(&keys) as Arc<dyn KeyStore>,
        &department(&server),
        &identity,
        now(),
    )
    .await;
    assert_eq!(renewed.unwrap_err().code(), Code::KeyUnavailable);
    assert_eq!(keys.public_key().unwrap(), None);
}

#[tokio::test]
async fn enrolling_again_after_a_lost_reply_gives_the_same_handset() {
    let (server, keys) = (EstServer::new(), keys());
    *server.instead.lock().unwrap() = Some(Err(TransportError::Unreachable("cut off".into())));
    assert_eq!(
        enrol_at(&server, &keys).await.unwrap_err().code(),
        Code::Unreachable
    );
    let first = keys.public_key().unwrap().unwrap();
    let identity = enrol_at(&server, &keys).await.unwrap();
    assert_eq!(
        identity.handset,
        HandsetId::derive(&first),
        "the key that the token may be bound to"
    );
}

#[tokio::test]
async fn no_token_is_sent_to_a_department_whose_authority_is_not_pinned() {
    let (server, other) = (EstServer::new(), EstServer::new());
    let wrong = Department {
        ca_pins: vec![other.authority.pin()],
        ..department(&server)
    };
    let refused = enrol(&server, keys(), &wrong, &Sensitive::from("one-time"), now())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PinMismatch);
    assert_eq!(server.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_certificate_that_is_not_this_handsets_is_not_taken() {
    type Spoil = (&'static str, testing::Change);
    let spoilt: [Spoil; 4] = [
        (
            "another name",
            Box::new(|params| {
                params.subject_alt_names = vec![rcgen::SanType::URI(
                    "urn:candour:handset:other:h0"
                        .to_owned()
                        .try_into()
                        .unwrap(),
                )];
            }),
        ),
        (
            "two names",
            Box::new(|params| {
                let first = params.subject_alt_names[0].clone();
                params.subject_alt_names.push(first);
            }),
        ),
        (
            "for servers",
            Box::new(|params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        (
            "expired",
            Box::new(|params| params.not_after = rcgen::date_time_ymd(2026, 10, 1)),
        ),
    ];
    for (what, change) in spoilt {
        let server = EstServer {
            change,
            ..EstServer::new()
        };
        let refused = enrol_at(&server, &keys()).await.unwrap_err();
        assert!(
            matches!(refused, IdentityError::Certificate(_)),
            "{what}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_for_another_key_or_by_another_authority_is_not_taken() {
    let (server, foreign, keys) = (EstServer::new(), EstServer::new(), keys());
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let leaf = server.authority.handset(&server.department, &other, |_| {});
    *server.instead.lock().unwrap() = Some(Ok(testing::certs_only(&[leaf])));
    assert!(matches!(
        enrol_at(&server, &keys).await,
        Err(IdentityError::Certificate(_))
    ));

    let own = SubjectPublicKeyInfo::from_der(&keys.create().unwrap()).unwrap();
    let leaf = foreign.authority.handset(&server.department, &own, |_| {});
    let chain = [leaf, foreign.authority.der.clone()];
    *server.instead.lock().unwrap() = Some(Ok(testing::certs_only(&chain)));
    assert!(matches!(
        enrol_at(&server, &keys).await,
        Err(IdentityError::Unpinned)
    ));
}

#[tokio::test]
async fn refusals_carry_the_servers_code_and_its_wish_to_be_left_alone() {
    let (server, keys) = (EstServer::new(), keys());
    let problem = |status, code: &str| {
        let headers = [
            ("content-type", "application/problem+json"),
            ("retry-after", "60"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = format!(r#"{{"code":"{code}"}}"#).into_bytes();
        Response {
            status,
            headers: headers.to_vec(),
            body,
        }
    };
    for (status, code, expected) in [
        (401, "token_used", Code::TokenUsed),
        (401, "token_expired", Code::TokenExpired),
        (401, "", Code::TokenUnknown),
        (503, "unavailable", Code::Unavailable),
        (202, "", Code::Unavailable),
    ] {
        *server.instead.lock().unwrap() = Some(Ok(problem(status, code)));
        let refused = enrol_at(&server, &keys).await.unwrap_err();
        assert_eq!(refused.code(), expected, "{status} {code}");
        if let IdentityError::Refused { retry_after, .. }
        | IdentityError::AwaitsApproval { retry_after } = refused
        {
            assert_eq!(retry_after, Some(Duration::from_secs(60)));
        }
    }
}

#[tokio::test]
async fn replies_that_are_not_est_are_refused_without_a_panic() {
    let (server, keys) = (EstServer::new(), keys());
    let good = testing::certs_only(std::slice::from_ref(&server.authority.der));
    let with_body = |body: &[u8]| Response {
        body: body.to_vec(),
        ..good.clone()
    };
    let cut = &good.body[..good.body.len() / 2];
    let none = testing::certs_only(&[]);
    let html = Response {
        headers: vec![("content-type".into(), "text/html".into())],
        ..good.clone()
    };
    for reply in [
        with_body(b""),
        with_body(b"!!"),
        with_body(b"AAAA"),
        with_body(cut),
        none,
        html,
    ] {
        *server.instead.lock().unwrap() = Some(Ok(reply.clone()));
        let refused = enrol_at(&server, &keys).await.unwrap_err();
        assert!(
            matches!(refused, IdentityError::Reply(_)),
            "{reply:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_renewal_keeps_the_key_and_follows_the_department_to_its_backup_authority() {
    let (mut server, keys) = (EstServer::new(), keys());
    let first = enrol_at(&server, &keys).await.unwrap();
    let mut department = department(&server);
    let store = || Arc::clone(&keys) as Arc<dyn KeyStore>;
    server.change = Box::new(|params| params.not_after = rcgen::date_time_ymd(2027, 1, 10));
    let second = renew(&server, store(), &department, &first, now())
        .await
        .unwrap();
    assert_eq!(
        (&second.handset, second.not_after > first.not_after),
        (&first.handset, true)
    );

    let backup = testing::Authority::new("backup");
    department.ca_pins.push(backup.pin());
    server.authority = backup;
    let third = renew(&server, store(), &department, &second, now())
        .await
        .unwrap();
    assert_eq!(third.handset, first.handset);
    department.ca_pins.truncate(1);
    let refused = renew(&server, store(), &department, &second, now())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PinMismatch);
}

#[tokio::test]
async fn a_renewal_with_another_key_is_not_even_asked_for() {
    let (server, keys) = (EstServer::new(), keys());
    let identity = enrol_at(&server, &keys).await.unwrap();
    let asked = server.requests.lock().unwrap().len();
    let other = self::keys();
    other.create().unwrap();
    let refused = renew(&server, other, &department(&server), &identity, now())
        .await
        .unwrap_err();
    assert!(matches!(refused, IdentityError::OtherKey));
    assert_eq!(server.requests.lock().unwrap().len(), asked);
}

#[tokio::test]
async fn certificates_are_renewed_from_day_twenty_spread_over_days_and_not_twice_a_day() {
    let enrolled = enrol_at(&EstServer::new(), &keys()).await.unwrap();
    let day = |days: i64| enrolled.not_before + SignedDuration::from_hours(24 * days);
    let mut starts = std::collections::BTreeSet::new();
    for number in 0..200_u32 {
        let handset = HandsetId::derive(&number.to_be_bytes());
        let identity = Identity {
            handset,
            ..enrolled.clone()
        };
        let from = identity.renewal_from();
        assert!(from >= day(21) && from <= day(25), "{from}");
        starts.insert(from.as_second() / 3600);
        assert!(!identity.renewal_due(from - SignedDuration::from_secs(1)));
        assert!(identity.renewal_due(from));
        // The clock is ten years ahead: due, but not again at once.
        let ahead = from + SignedDuration::from_hours(24 * 3650);
        let renewed = Identity {
            obtained: ahead,
            ..identity
        };
        assert!(!renewed.renewal_due(ahead + SignedDuration::from_hours(1)));
        assert!(renewed.renewal_due(ahead + SignedDuration::from_hours(13)));
    }
    assert!(starts.len() > 50, "spread over {} hours", starts.len());
}

/// Signs nothing, as a locked phone.
struct Locked(MemoryKeys);

impl KeyStore for Locked {
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        self.0.public_key()
    }
    fn create(&self) -> Result<Vec<u8>, KeyError> {
        self.0.create()
    }
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Unavailable {
            reason: "the phone is locked".into(),
        })
    }
    fn wrap(&self, secret: &Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError> {
        self.0.wrap(secret)
    }
    fn unwrap(&self, wrapped: &[u8]) -> Result<Sensitive<Vec<u8>>, KeyError> {
        self.0.unwrap(wrapped)
    }
    fn destroy(&self) -> Result<(), KeyError> {
        self.0.destroy()
    }
}

#[tokio::test]
async fn a_locked_phone_is_told_from_a_server_that_refuses() {
    let server = EstServer::new();
    let locked = Arc::new(Locked(MemoryKeys::new()));
    let refused = enrol(
        &server,
        locked,
        &department(&server),
        &Sensitive::from("t"),
        now(),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(&refused, IdentityError::Key(KeyError::Unavailable { reason }) if reason.contains("locked"))
    );
    assert_eq!(refused.code(), Code::KeyUnavailable);
}

#[test]
fn an_identity_that_was_damaged_on_disk_is_told() {
    assert_eq!(
        Identity::from_json(b"{").unwrap_err().code(),
        Code::StoreDamaged
    );
}
