//! Certificates that should be refused, and TLS settings with and without one. Everything is made
//! at run time, so that nothing expires in the repository.

use std::sync::Arc;
use std::time::Duration;

use candour_wire::{DepartmentId, HandsetId};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType, date_time_ymd,
};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};

/// A certificate authority with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A client certificate and its key.
pub struct ClientCertificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub key: Vec<u8>,
}

/// How a client certificate is to differ from a good one.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Begin and end, in hours from now.
    pub hours: (i64, i64),
    /// Extended key usage.
    pub purposes: Vec<ExtendedKeyUsagePurpose>,
    /// Subject alternative names; `None` for the handset's own.
    pub names: Option<Vec<SanType>>,
    /// Whether it may sign certificates.
    pub authority: bool,
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            hours: (-48, 30 * 24),
            purposes: vec![ExtendedKeyUsagePurpose::ClientAuth],
            names: None,
            authority: false,
        }
    }
}

impl Authority {
    /// An authority that nobody pins, under any name it likes.
    ///
    /// # Panics
    ///
    /// When a certificate cannot be made.
    #[must_use]
    pub fn foreign(name: &str, now: Timestamp) -> Self {
        let key = KeyPair::generate().expect("a P-256 key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        set_validity(&mut params, (-48, 24 * 365), now);
        let certificate = params
            .self_signed(&key)
            .expect("a certificate")
            .der()
            .clone();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// A department's own authority, from its two files.
    ///
    /// # Panics
    ///
    /// When the files are not what they should be.
    #[must_use]
    pub fn from_pem(certificate: &str, key: &str) -> Self {
        let key = KeyPair::from_pem(key).expect("the authority's key");
        let certificate = parse_certificates(certificate).swap_remove(0);
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).expect("the authority's certificate");
        Self {
            issuer,
            certificate,
        }
    }

    /// The authority's own certificate.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Signs a client certificate for a key.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn issue(
        &self,
        key: &KeyPair,
        department: &DepartmentId,
        leaf: Leaf,
        now: Timestamp,
    ) -> ClientCertificate {
        let handset = HandsetId::derive(&key.subject_public_key_info());
        let own = || {
            let uri = format!("urn:candour:handset:{department}:{handset}");
            vec![SanType::URI(uri.try_into().expect("ASCII"))]
        };
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, handset.as_str());
        params.subject_alt_names = leaf.names.unwrap_or_else(own);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = leaf.purposes;
        params.is_ca = if leaf.authority {
            IsCa::Ca(BasicConstraints::Unconstrained)
        } else {
            IsCa::ExplicitNoCa
        };
        set_validity(&mut params, leaf.hours, now);
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate");
        ClientCertificate {
            chain: vec![certificate.der().clone()],
            key: key.serialize_der(),
        }
    }

    /// Signs a server certificate for 127.0.0.1 and returns it with its key.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn issue_server(&self, hours: (i64, i64), now: Timestamp) -> ClientCertificate {
        let key = KeyPair::generate().expect("a P-256 key");
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.is_ca = IsCa::ExplicitNoCa;
        set_validity(&mut params, hours, now);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        ClientCertificate {
            chain,
            key: key.serialize_der(),
        }
    }
}

impl ClientCertificate {
    /// The key as rustls takes it.
    #[must_use]
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }
}

/// TLS settings that trust `authority` and show `client`, where given.
///
/// # Panics
///
/// When the certificate and its key do not belong together.
#[must_use]
pub fn client_config(
    authority: &CertificateDer<'static>,
    client: Option<&ClientCertificate>,
) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.clone())
        .expect("an authority's certificate");
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .expect("one root");
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .with_webpki_verifier(verifier);
    let mut config = match client {
        Some(client) => builder
            .with_client_auth_cert(client.chain.clone(), client.private_key())
            .expect("a certificate and its key"),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The certificates of a PEM text.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn parse_certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = certificates.expect("PEM");
    assert!(!certificates.is_empty(), "no certificate");
    certificates
}

/// How long after the beginning of 1970 the moment `hours` from now is.
fn since_1970(now: Timestamp, hours: i64) -> Duration {
    let then = now
        .saturating_add(SignedDuration::from_hours(hours))
        .expect("within the calendar");
    Duration::from_secs(u64::try_from(then.as_second()).expect("after 1970"))
}

fn set_validity(params: &mut CertificateParams, hours: (i64, i64), now: Timestamp) {
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_1970(now, hours.0);
    params.not_after = epoch + since_1970(now, hours.1);
}
