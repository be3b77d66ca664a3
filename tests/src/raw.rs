//! A handset without scruples: an enrolled key, and whatever a test wants to send with it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use candour_wire::api::{BatchReply, BatchRequest, Receipt, RecordResult};
use candour_wire::chain::Head;
use candour_wire::code::Refusal;
use candour_wire::jws::{self, VerifyingKey};
use candour_wire::policy::Policy;
use candour_wire::posture::{AppPresence, HandsetFacts, Inventory, Presence};
use candour_wire::record::{self, AttachmentRef, Body, Declaration, Kind, Record, Stream};
use candour_wire::seal::{self, RecordsPublicKey, SealContext};
use candour_wire::{HandsetId, RecordId};
use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::SignedData;
use der::asn1::UintRef;
use der::{Decode as _, Encode as _};
use http::Request;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, SigningKey as _};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use crate::client::{Connection, Failure, Reply};
use crate::department::{self, Department};
use crate::pki::{ClientCertificate, client_config};

/// An enrolled key in memory.
pub struct RawHandset {
    /// Its id.
    pub id: HandsetId,
    /// Its key.
    pub key: KeyPair,
    /// Its certificate.
    pub chain: Vec<CertificateDer<'static>>,
    verifying: VerifyingKey,
}

/// A record and what goes over the wire for it.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What it says.
    pub record: Record,
    /// The signed form.
    pub jws: String,
}

/// The body of a PKCS#10 request that `key` has signed, as EST wants it.
///
/// # Panics
///
/// When it cannot be made.
#[must_use]
pub fn certificate_request(key: &KeyPair) -> String {
    let request = CertificateParams::default()
        .serialize_request(key)
        .expect("a request");
    STANDARD.encode(request.der())
}

/// The certificates of an EST reply.
///
/// # Panics
///
/// When it is not a certs-only PKCS#7 message in base64.
#[must_use]
pub fn certificates(reply: &Reply) -> Vec<CertificateDer<'static>> {
    let text: String = reply.text().split_whitespace().collect();
    let der = STANDARD.decode(text).expect("base64");
    let message = ContentInfo::from_der(&der).expect("a PKCS#7 message");
    let signed: SignedData = message.content.decode_as().expect("signed data");
    let set = signed.certificates.expect("certificates");
    let certificates = set.0.iter().map(|choice| match choice {
        CertificateChoices::Certificate(certificate) => {
            CertificateDer::from(certificate.to_der().expect("DER"))
        }
        CertificateChoices::Other(_) => panic!("another kind of certificate"),
    });
    certificates.collect()
}

/// Sends an enrolment request.
///
/// # Panics
///
/// When there is no reply.
pub async fn simple_enrol(department: &Department, token: &str, request: String) -> Reply {
    simple_enrol_on(&mut department.connect_public().await, token, request).await
}

/// As [`simple_enrol`], on a connection to the public listener.
///
/// # Panics
///
/// When there is no reply.
pub async fn simple_enrol_on(connection: &mut Connection, token: &str, request: String) -> Reply {
    let basic = STANDARD.encode(format!("anyone:{token}"));
    let post = Request::post("/.well-known/est/simpleenroll")
        .header("content-type", "application/pkcs10")
        .header("content-transfer-encoding", "base64")
        .header("authorization", format!("Basic {basic}"));
    connection.send(post, request).await.expect("a reply")
}

impl RawHandset {
    /// Makes a key and enrols it with a fresh token.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn enrol(department: &Department) -> Self {
        let token = department.token();
        Self::enrol_on(&mut department.connect_public().await, department, &token).await
    }

    /// As [`RawHandset::enrol`], on a connection to the public listener and with a given token.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn enrol_on(
        connection: &mut Connection,
        department: &Department,
        token: &str,
    ) -> Self {
        let key = KeyPair::generate().expect("a P-256 key");
        let reply = simple_enrol_on(connection, token, certificate_request(&key)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let mut chain = certificates(&reply);
        chain.retain(|certificate| *certificate != department.authority_certificate());
        let verifying = VerifyingKey::from_spki_der(&key.subject_public_key_info()).expect("P-256");
        Self {
            id: HandsetId::derive(verifying.spki_der()),
            key,
            chain,
            verifying,
        }
    }

    /// The certificate and its key.
    #[must_use]
    pub fn certificate(&self) -> ClientCertificate {
        ClientCertificate {
            chain: self.chain.clone(),
            key: self.key.serialize_der(),
        }
    }

    /// TLS settings that show the certificate.
    #[must_use]
    pub fn tls(&self, department: &Department) -> Arc<ClientConfig> {
        client_config(
            &department.authority_certificate(),
            Some(&self.certificate()),
        )
    }

    /// Connects to the handset listener.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn connect(&self, department: &Department) -> Connection {
        Connection::open(department.handset_address(), self.tls(department))
            .await
            .expect("a connection")
    }

    /// The head of a chain that has no record yet.
    #[must_use]
    pub fn genesis(&self, stream: Stream) -> Head {
        Head::genesis(&self.id, stream)
    }

    /// A record that follows `head`.
    #[must_use]
    pub fn record(&self, head: &Head, id: RecordId, body: Body) -> Record {
        Record {
            v: record::VERSION,
            id,
            handset: self.id.clone(),
            seq: head.seq + 1,
            prev: head.digest,
            created: department::now(),
            policy: 1,
            body,
        }
    }

    /// Signs a record with the enrolled key.
    ///
    /// # Panics
    ///
    /// When it is too long.
    #[must_use]
    pub fn sign(&self, record: Record) -> Signed {
        let payload = serde_json::to_vec(&record).expect("a record serialises");
        let jws = jws::sign(record::TYP, &payload, &self.verifying, |message| {
            self.key.sign(message)
        });
        Signed {
            record,
            jws: jws.expect("a short record"),
        }
    }

    /// Signs any payload as a record.
    ///
    /// # Panics
    ///
    /// When it is too long.
    #[must_use]
    pub fn sign_payload(&self, payload: &[u8]) -> String {
        let sign = |message: &[u8]| self.key.sign(message);
        jws::sign(record::TYP, payload, &self.verifying, sign).expect("a short record")
    }

    /// Signs any payload under any header.
    ///
    /// # Panics
    ///
    /// When the key does not sign.
    #[must_use]
    pub fn sign_under(&self, header: &str, payload: &[u8]) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let der = self.key.sign(signed.as_bytes()).expect("a signature");
        let numbers: Vec<UintRef<'_>> = Vec::from_der(&der).expect("two numbers");
        let mut fixed = [0; 64];
        for (number, place) in numbers.iter().zip(fixed.chunks_exact_mut(32)) {
            let bytes = number.as_bytes();
            place[32 - bytes.len()..].copy_from_slice(bytes);
        }
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(fixed))
    }

    /// The header of a good record.
    #[must_use]
    pub fn header(&self) -> String {
        let kid = self.verifying.key_id();
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{}"}}"#, record::TYP)
    }

    /// A declaration of `text` that follows `head`, signed.
    ///
    /// # Panics
    ///
    /// When it cannot be sealed.
    #[must_use]
    pub fn declaration(&self, head: &Head, key: &RecordsPublicKey, text: &str) -> Signed {
        self.declaration_with(head, key, text, Vec::new())
    }

    /// A declaration with files.
    ///
    /// # Panics
    ///
    /// When it cannot be sealed.
    #[must_use]
    pub fn declaration_with(
        &self,
        head: &Head,
        key: &RecordsPublicKey,
        text: &str,
        attachments: Vec<AttachmentRef>,
    ) -> Signed {
        let id = RecordId::make(department::now());
        let context = SealContext {
            id,
            handset: &self.id,
            kind: Kind::Declaration,
        };
        let sealed = seal::seal(key, &context, text.as_bytes()).expect("short content");
        self.sign(self.record(
            head,
            id,
            Body::Declaration(Declaration {
                sealed,
                attachments,
            }),
        ))
    }

    /// `count` declarations, each following the one before.
    #[must_use]
    pub fn declarations(
        &self,
        mut head: Head,
        key: &RecordsPublicKey,
        count: usize,
    ) -> Vec<Signed> {
        let mut signed = Vec::new();
        for number in 0..count {
            let next = self.declaration(&head, key, &format!("message {number}"));
            head = head.extended(&next.jws);
            signed.push(next);
        }
        signed
    }

    /// The whole app list with these answers, by that version of the catalogue, signed.
    ///
    /// # Panics
    ///
    /// When a name is not an app id.
    #[must_use]
    pub fn inventory(&self, head: &Head, catalogue: u64, apps: &[(&str, Presence)]) -> Signed {
        let mut apps: Vec<_> = apps
            .iter()
            .map(|(app, state)| AppPresence {
                app: app.parse().expect("an app id"),
                state: *state,
                evidence: vec![],
            })
            .collect();
        apps.sort_by(|a, b| a.app.cmp(&b.app));
        let handset = HandsetFacts {
            platform: "linux".into(),
            os_version: None,
            model: None,
            agent_version: "0.1.0".into(),
        };
        let id = RecordId::make(department::now());
        self.sign(self.record(
            head,
            id,
            Body::Inventory(Inventory {
                catalogue,
                handset,
                apps,
            }),
        ))
    }
}

/// The body of a batch.
///
/// # Panics
///
/// Never: texts serialise.
#[must_use]
pub fn batch(records: &[Signed]) -> Vec<u8> {
    batch_of(records.iter().map(|signed| signed.jws.clone()).collect(), 0)
}

/// The body of a batch of any texts.
///
/// # Panics
///
/// Never: texts serialise.
#[must_use]
pub fn batch_of(records: Vec<String>, log_size: u64) -> Vec<u8> {
    serde_json::to_vec(&BatchRequest { records, log_size }).expect("texts serialise")
}

impl Connection {
    /// Posts a body to a stream's endpoint.
    ///
    /// # Errors
    ///
    /// When the server ends the connection instead.
    pub async fn post(&mut self, stream: Stream, body: Vec<u8>) -> Result<Reply, Failure> {
        let post = Request::post(format!("/v1/{}", stream.as_str()))
            .header("content-type", "application/json");
        self.send(post, body).await
    }

    /// Posts declarations and returns what became of each.
    ///
    /// # Panics
    ///
    /// When the batch as a whole is refused.
    pub async fn deliver(&mut self, records: &[Signed]) -> BatchReply {
        let stream = records
            .first()
            .map_or(Stream::Records, |signed| signed.record.body.kind().stream());
        let reply = self.post(stream, batch(records)).await.expect("a reply");
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// The policy in force, its signature not looked at.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn policy(&mut self, department: &Department) -> Policy {
        let reply = self.get("/v1/policy").await.expect("a reply");
        assert_eq!(reply.status, 200, "{}", reply.text());
        Policy::open(&reply.text(), &department.config().policy_key).expect("a policy")
    }
}

/// The receipts of a reply.
///
/// # Panics
///
/// When a record was refused.
#[must_use]
pub fn receipts(reply: &BatchReply) -> Vec<&Receipt> {
    let receipts = reply.results.iter().map(|result| match result {
        RecordResult::Receipt(receipt) => receipt,
        RecordResult::Refusal(refusal) => panic!("{refusal:?}"),
    });
    receipts.collect()
}

/// The only refusal of a reply to one record.
///
/// # Panics
///
/// When it was taken.
#[must_use]
pub fn refusal(reply: &BatchReply) -> &Refusal {
    match reply.results.as_slice() {
        [RecordResult::Refusal(refusal)] => refusal,
        other => panic!("{other:?}"),
    }
}
