use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData as _, SanType, date_time_ymd,
};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::gateway::testing::{Phone, World, department};
use crate::store::Reason;

/// A gateway whose authority is valid now, by the clock that rustls reads.
struct Door {
    world: World,
    authority: Authority,
    certificate: Arc<ServerCertificate>,
    dir: tempfile::TempDir,
}

/// What a client shows.
type Shown = Option<(CertificateDer<'static>, KeyPair)>;

impl Door {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let authority = Authority::make("HM Treasury", now).unwrap();
        let path = dir.path().join("server.pem");
        files::create_secret(
            &path,
            &authority
                .issue_server(&["localhost".to_owned()], now)
                .unwrap(),
        )
        .unwrap();
        let certificate = Arc::new(ServerCertificate::open(path).unwrap());
        Self {
            world: World::new(),
            authority,
            certificate,
            dir,
        }
    }

    async fn enrolled(&self) -> Phone {
        self.world.handset().await
    }

    fn issue(&self, phone: Phone) -> Shown {
        let issued = self
            .authority
            .issue_handset(&phone.verifying_key(), &department(), SystemClock.now())
            .unwrap();
        Some((issued.der.into(), phone.key))
    }

    /// A certificate of this authority that is like a handset's but for what `change` does.
    fn odd(&self, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let authority_key = KeyPair::from_pem(self.authority.key_pem().expose()).unwrap();
        let issuer = Issuer::from_ca_cert_der(self.authority.certificate(), authority_key).unwrap();
        let handset = candour_wire::HandsetId::derive(&key.subject_public_key_info());
        let mut params = CertificateParams::default();
        let seconds = u64::try_from(SystemClock.now().as_second()).unwrap();
        let now = date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        params.not_before = now - Duration::from_secs(86_400 * 365);
        params.not_after = now + Duration::from_secs(86_400 * 365);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![SanType::URI(
            profile::uri(&department(), &handset).try_into().unwrap(),
        )];
        change(&mut params);
        Some((params.signed_by(&key, &issuer).unwrap().der().clone(), key))
    }

    fn config(&self) -> ServerConfig {
        let enrolled = Arc::clone(&self.world.gateway.enrolled);
        handset_config(Arc::clone(&self.certificate), &self.authority, enrolled).unwrap()
    }

    fn client(&self, shown: Shown) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate().clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::new(default_provider()),
        );
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(VERSIONS)
            .unwrap()
            .with_webpki_verifier(verifier.build().unwrap());
        match shown {
            None => builder.with_no_client_auth(),
            Some((leaf, key)) => {
                let key = PrivatePkcs8KeyDer::from(key.serialize_der());
                builder
                    .with_client_auth_cert(vec![leaf], key.into())
                    .unwrap()
            }
        }
    }

    /// How the handset listener's handshake ends with a client that shows this.
    async fn knock(&self, shown: Shown) -> &'static str {
        let (near, far) = tokio::io::duplex(64 << 10);
        let acceptor = TlsAcceptor::from(Arc::new(self.config()));
        let connector = TlsConnector::from(Arc::new(self.client(shown)));
        let client = async {
            let mut stream = connector
                .connect(ServerName::try_from("localhost").unwrap(), near)
                .await?;
            stream.write_all(b"x").await?;
            // In TLS 1.3 the client learns of a refusal when it reads.
            stream.read(&mut [0]).await
        };
        let server = async {
            match acceptor.accept(far).await {
                Ok(_) => "ok",
                Err(error) => outcome(&error),
            }
        };
        let (_, outcome) = tokio::join!(client, server);
        outcome
    }
}

fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

#[tokio::test]
async fn only_an_enrolled_handset_gets_in() {
    let door = Door::new();
    let phone = door.enrolled().await;
    assert_eq!(door.knock(door.issue(phone)).await, "ok");
    assert_eq!(door.knock(None).await, "no_certificate");
    assert_eq!(
        door.knock(door.issue(Phone::new())).await,
        "refused",
        "never enrolled here"
    );
}

#[tokio::test]
async fn a_revoked_handset_is_told_so() {
    let door = Door::new();
    let phone = door.enrolled().await;
    let gateway = &door.world.gateway;
    gateway
        .store
        .revoke(&phone.id(), Reason::new("lost").unwrap(), SystemClock.now())
        .await
        .unwrap();
    gateway
        .enrolled
        .refresh(gateway.store.as_ref())
        .await
        .unwrap();
    assert_eq!(door.knock(door.issue(phone)).await, "revoked");
}

#[tokio::test]
async fn a_certificate_that_is_known_is_asked_for_dates_and_standing_all_the_same() {
    let door = Door::new();
    let phone = door.enrolled().await;
    let id = phone.id();
    let gateway = &door.world.gateway;
    let verifier = HandsetVerifier::new(&door.authority, Arc::clone(&gateway.enrolled)).unwrap();
    let (leaf, _) = door.issue(phone).unwrap();
    let seconds = u64::try_from(SystemClock.now().as_second()).unwrap();
    let day = 86_400;
    let verify = |leaf: &CertificateDer<'_>, seconds| {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        match verifier.verify_client_cert(leaf, &[], now) {
            Ok(_) => "ok",
            Err(error) => outcome(&io::Error::other(error)),
        }
    };
    let is_known = |leaf: &CertificateDer<'_>| {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier.known.find(&Digest::of(leaf), now).is_some()
    };
    assert!(!is_known(&leaf));
    assert_eq!(verify(&leaf, seconds), "ok");
    assert!(is_known(&leaf));
    assert_eq!(verify(&leaf, seconds), "ok");
    assert_eq!(verify(&leaf, seconds + 40 * day), "expired");
    assert_eq!(verify(&leaf, seconds - 3 * day), "expired", "not yet valid");
    let mut altered = leaf.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let altered = CertificateDer::from(altered);
    assert_ne!(verify(&altered, seconds), "ok");
    assert!(!is_known(&altered));
    let reason = Reason::new("lost").unwrap();
    let revoked = gateway.store.revoke(&id, reason, SystemClock.now()).await;
    revoked.unwrap();
    let refreshed = gateway.enrolled.refresh(gateway.store.as_ref()).await;
    refreshed.unwrap();
    assert!(is_known(&leaf));
    assert_eq!(verify(&leaf, seconds), "revoked");
}

#[tokio::test]
async fn a_foreign_authoritys_certificate_is_refused() {
    let door = Door::new();
    let phone = door.enrolled().await;
    let foreign = Authority::make("HM Treasury", SystemClock.now()).unwrap();
    let issued = foreign
        .issue_handset(&phone.verifying_key(), &department(), SystemClock.now())
        .unwrap();
    // The name is the same, the key is not: the signature is what tells.
    let outcome = door.knock(Some((issued.der.into(), phone.key))).await;
    assert!(
        ["foreign_authority", "refused"].contains(&outcome),
        "{outcome}"
    );
}

#[tokio::test]
async fn certificates_that_do_not_fit_the_profile_are_refused() {
    let door = Door::new();
    let purpose = |usage| move |params: &mut CertificateParams| params.extended_key_usages = usage;
    assert_eq!(
        door.knock(door.odd(p256(), purpose(vec![ExtendedKeyUsagePurpose::ServerAuth])))
            .await,
        "wrong_purpose"
    );
    assert_eq!(
        door.knock(door.odd(p256(), purpose(vec![]))).await,
        "wrong_purpose"
    );
    assert_eq!(
        door.knock(door.odd(p256(), |_| {})).await,
        "refused",
        "two years are too long"
    );
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 31);
    };
    assert_eq!(door.knock(door.odd(p256(), expired)).await, "expired");
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    assert_ne!(door.knock(door.odd(p384, |_| {})).await, "ok");
}

#[tokio::test]
async fn no_session_can_be_resumed() {
    let door = Door::new();
    let config = door.config();
    assert_eq!(
        (
            config.send_tls13_tickets,
            config.max_tls13_tickets,
            config.max_early_data_size
        ),
        (0, 0, 0)
    );
    assert!(!config.ticketer.enabled() && !config.session_storage.can_cache());
}

#[test]
fn only_tls_13_and_the_three_suites_are_offered() {
    let door = Door::new();
    let provider = provider();
    assert_eq!(provider.cipher_suites.len(), 3);
    assert!(
        provider
            .cipher_suites
            .iter()
            .all(|suite| suite.tls13().is_some())
    );
    let client =
        ClientConnection::new(Arc::new(door.client(None)), "localhost".try_into().unwrap())
            .unwrap();
    assert!(client.is_handshaking());
}

#[test]
fn a_renewed_certificate_is_taken_over_and_a_damaged_one_is_not() {
    let door = Door::new();
    let path = door.dir.path().join("server.pem");
    let before = door.certificate.not_after();
    assert!(!door.certificate.reload().unwrap(), "nothing has changed");
    let later = SystemClock
        .now()
        .checked_add(SignedDuration::from_hours(24))
        .unwrap();
    files::write_secret(
        &path,
        &door
            .authority
            .issue_server(&["localhost".to_owned()], later)
            .unwrap(),
    )
    .unwrap();
    assert!(door.certificate.reload().unwrap());
    let renewed = door.certificate.not_after();
    assert!(renewed > before);
    files::write_secret(&path, &"damaged".into()).unwrap();
    assert!(matches!(
        door.certificate.reload(),
        Err(TlsError::Certificate(_))
    ));
    assert_eq!(
        door.certificate.not_after(),
        renewed,
        "the one in use stays"
    );
}

#[test]
fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
    let door = Door::new();
    let hosts = ["localhost".to_owned()];
    let in_days = |days: i64| {
        SystemClock
            .now()
            .checked_add(SignedDuration::from_hours(24 * days))
            .unwrap()
    };
    assert!(
        !door
            .certificate
            .renew_if_due(&door.authority, &hosts, in_days(59))
            .unwrap()
    );
    assert!(
        door.certificate
            .renew_if_due(&door.authority, &hosts, in_days(61))
            .unwrap()
    );
    assert!(door.certificate.not_after() > in_days(149));
    assert!(ends_soon(door.certificate.not_after(), in_days(140)));
}

#[test]
fn a_certificate_made_while_the_clock_was_ahead_is_replaced() {
    let door = Door::new();
    let hosts = ["localhost".to_owned()];
    let now = SystemClock.now();
    let ahead = now + SignedDuration::from_hours(24 * 365);
    let renewed_at = |time| {
        door.certificate
            .renew_if_due(&door.authority, &hosts, time)
            .unwrap()
    };
    assert!(renewed_at(ahead));
    assert!(!renewed_at(ahead - SignedDuration::from_hours(47)));
    assert!(renewed_at(now), "it is not valid yet");
    assert!(!renewed_at(now));
}
