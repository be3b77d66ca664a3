//! Keys and policies for tests, made at run time.

use candour_wire::Sensitive;
use candour_wire::jws::{self, VerifyingKey};
use candour_wire::log::checkpoint::LogSigner;
use candour_wire::policy::{
    Channel, Deadlines, Marking, Policy, Retention, Schedule, TYP, Wording,
};
use candour_wire::seal::{RecordsPrivateKey, Suite};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

/// A P-256 key in memory.
pub(crate) struct TestKey {
    pair: EcdsaKeyPair,
    verifying: VerifyingKey,
}

impl TestKey {
    pub(crate) fn generate() -> Self {
        let rng = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &rng)
                .unwrap();
        let verifying = VerifyingKey::from_point(pair.public_key().as_ref()).unwrap();
        Self { pair, verifying }
    }

    pub(crate) const fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Signs a policy as a department does.
    pub(crate) fn sign_policy(&self, policy: &Policy) -> String {
        let payload = serde_json::to_vec(policy).unwrap();
        jws::sign(TYP, &payload, &self.verifying, |message| {
            self.pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
        })
        .unwrap()
    }
}

/// Signs checkpoints with a key made for this test.
pub(crate) fn log_signer() -> LogSigner {
    let mut seed = [0; 32];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut seed).unwrap();
    LogSigner::new("candour.example/log", &Sensitive::new(seed)).unwrap()
}

/// A policy such as a department issues, of that version.
pub(crate) fn policy(version: u64) -> Policy {
    Policy {
        version,
        department: "hm-treasury".parse().unwrap(),
        issued: "2026-11-01T00:00:00Z".parse().unwrap(),
        expires: "2027-11-01T00:00:00Z".parse().unwrap(),
        records_key: RecordsPrivateKey::generate().public_key(Suite::XWingAes256Gcm),
        catalogue: None,
        channels: ["whatsapp", "signal", "sms", "private-email"]
            .map(|id| Channel {
                id: id.parse().unwrap(),
                name: id.to_owned(),
            })
            .to_vec(),
        markings: vec![
            Marking {
                id: "official".into(),
                name: "OFFICIAL".into(),
                sensitive: false,
            },
            Marking {
                id: "official-sensitive".into(),
                name: "OFFICIAL-SENSITIVE".into(),
                sensitive: true,
            },
        ],
        deadlines: Deadlines {
            declare_within_days: 20,
        },
        retention: Retention {
            posture_days: 365,
            handset_receipt_days: 365,
        },
        schedule: Schedule {
            scan_interval_s: 86_400,
            sync_interval_s: 21_600,
            sync_spread_s: 600,
        },
        wording: Wording {
            purpose: "So that business done on messaging apps is kept".into(),
            incident_route: "Telephone the departmental security team".into(),
            contact: "candour@example.gov.uk".into(),
        },
    }
}
