//! TLS: version 1.3 only, three cipher suites, no resumption, and on the handset listener a
//! client certificate that fits the profile and whose key is enrolled.
//!
//! Resumption is off on purpose: a resumed session skips the certificate, so a handset that was
//! revoked in between would come back in, and its hardware key would not be asked again
//! (invariant I10).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use candour_wire::{Digest, Sensitive};
use jiff::{SignedDuration, Timestamp};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group, sign};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName, Error,
    RootCertStore, ServerConfig, SignatureScheme,
};

use self::known::{Known, KnownCertificates};
use crate::files::{self, FileError};
use crate::identity::ca::{self, Authority, CaError};
use crate::identity::enrolled::{EnrolledKeys, Standing};
use crate::identity::profile::{self, ProfileError};

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The certificate file does not hold a key and a chain that belong together.
    #[error("{} does not hold a private key and its certificate chain", .0.display())]
    Certificate(PathBuf),
    /// A new certificate could not be made.
    #[error("the server's certificate could not be renewed")]
    Renew(#[source] CaError),
    /// The certificate authority cannot be used.
    #[error("the certificate authority cannot be used to check handsets")]
    Verifier(#[source] VerifierBuilderError),
    /// The library refuses the combination.
    #[error("the TLS settings do not go together")]
    Settings(#[from] Error),
}

/// The server's certificate, which may be renewed while connections are open.
#[derive(Debug)]
pub struct ServerCertificate {
    path: PathBuf,
    held: ArcSwap<Held>,
}

#[derive(Debug)]
struct Held {
    /// Digest of the file, to tell whether it has changed.
    file: Digest,
    key: Arc<CertifiedKey>,
    made: Timestamp,
    ends: Timestamp,
}

impl ServerCertificate {
    /// Reads the certificate from its file. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the file cannot be used.
    pub fn open(path: PathBuf) -> Result<Self, TlsError> {
        let text = files::read_secret(&path)?;
        let held = ArcSwap::from_pointee(
            Held::parse(&text).ok_or_else(|| TlsError::Certificate(path.clone()))?,
        );
        Ok(Self { path, held })
    }

    /// Takes over the file if it has changed, and says whether it had. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the file cannot be used; the certificate in use stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let text = files::read_secret(&self.path)?;
        if self.held.load().file == file_digest(&text) {
            return Ok(false);
        }
        let held = Held::parse(&text).ok_or_else(|| TlsError::Certificate(self.path.clone()))?;
        self.held.store(Arc::new(held));
        Ok(true)
    }

    /// Makes a new certificate when two thirds of the present one's life are over, or when it is
    /// not valid yet because the clock was ahead when it was made, and says whether it did.
    /// Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be made or written; the certificate in use stays.
    pub fn renew_if_due(
        &self,
        authority: &Authority,
        hosts: &[String],
        now: Timestamp,
    ) -> Result<bool, TlsError> {
        let held = self.held.load();
        let life = held.ends.duration_since(held.made);
        let age = now.duration_since(held.made);
        let valid = age > SignedDuration::from_hours(-profile::BACKDATED_HOURS);
        if valid && age < life / 3 * 2 {
            return Ok(false);
        }
        let text = authority
            .issue_server(hosts, now)
            .map_err(TlsError::Renew)?;
        files::write_secret(&self.path, &text)?;
        self.reload()
    }

    /// When it ends.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.held.load().ends
    }
}

impl Held {
    fn parse(text: &Sensitive<String>) -> Option<Self> {
        // EXPOSE: key and chain are parsed for TLS.
        let pem = text.expose().as_bytes();
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let key = sign::any_supported_type(&PrivateKeyDer::from_pem_slice(pem).ok()?).ok()?;
        let key = CertifiedKey::new(chain.ok()?, key);
        key.keys_match().ok()?;
        // EXPOSE: the dates are read from the chain.
        let (made, ends) = ca::server_validity(text.expose()).ok()?;
        Some(Self {
            file: file_digest(text),
            key: Arc::new(key),
            made,
            ends,
        })
    }
}

fn file_digest(text: &Sensitive<String>) -> Digest {
    // EXPOSE: only the digest goes on.
    Digest::of(text.expose().as_bytes())
}

/// rustls asks at each handshake.
#[derive(Debug)]
struct Resolver(Arc<ServerCertificate>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.held.load().key))
    }
}

/// The settings of the public listener.
///
/// # Errors
///
/// When the library refuses them.
pub(super) fn public_config(certificate: Arc<ServerCertificate>) -> Result<ServerConfig, TlsError> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS)?;
    Ok(closed(
        builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(certificate))),
    ))
}

/// The settings of the handset listener.
///
/// # Errors
///
/// When the authority cannot be used or the library refuses them.
pub(super) fn handset_config(
    certificate: Arc<ServerCertificate>,
    authority: &Authority,
    enrolled: Arc<EnrolledKeys>,
) -> Result<ServerConfig, TlsError> {
    let verifier = HandsetVerifier::new(authority, enrolled)?;
    let builder =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS)?;
    let builder = builder.with_client_cert_verifier(Arc::new(verifier));
    Ok(closed(
        builder.with_cert_resolver(Arc::new(Resolver(certificate))),
    ))
}

const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

fn provider() -> Arc<CryptoProvider> {
    // The first that both have is taken. Processors have instructions for SHA-256 and none for
    // SHA-384, which would be a twentieth of the handshake; content is sealed with AES-256 anyway.
    let cipher_suites = vec![
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(CryptoProvider {
        cipher_suites,
        // P-384 would cost ten times as much, at the client's choice.
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
        ..default_provider()
    })
}

fn closed(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// Chain and dates by webpki, then the profile, then whether the key is enrolled.
#[derive(Debug)]
struct HandsetVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    known: KnownCertificates,
    enrolled: Arc<EnrolledKeys>,
    provider: Arc<CryptoProvider>,
}

impl HandsetVerifier {
    fn new(authority: &Authority, enrolled: Arc<EnrolledKeys>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(TlsError::Verifier)?;
        Ok(Self {
            chain,
            known: KnownCertificates::default(),
            enrolled,
            provider: provider(),
        })
    }
}

impl ClientCertVerifier for HandsetVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let digest = Digest::of(leaf);
        let key = if let Some(known) = self.known.find(&digest, now) {
            known.key
        } else {
            self.chain.verify_client_cert(leaf, intermediates, now)?;
            let identity = profile::check(leaf).map_err(|error| match error {
                ProfileError::Malformed => CertificateError::BadEncoding,
                ProfileError::Purpose | ProfileError::Authority => CertificateError::InvalidPurpose,
                _ => CertificateError::ApplicationVerificationFailure,
            })?;
            let known = Known {
                key: identity.key.key_id(),
                not_before: identity.not_before,
                not_after: identity.not_after,
            };
            // One that needs others ends with the first of them.
            if intermediates.is_empty() {
                self.known.remember(digest, known, now);
            }
            known.key
        };
        match self.enrolled.standing(&key) {
            Standing::Enrolled => Ok(ClientCertVerified::assertion()),
            Standing::Revoked => Err(CertificateError::Revoked.into()),
            Standing::Unknown => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        // The profile takes P-256 keys only.
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// How a handshake failed, in one word for the metrics.
pub(super) fn outcome(error: &io::Error) -> &'static str {
    let Some(error) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
    else {
        return "cut_off";
    };
    match error {
        Error::NoCertificatesPresented => "no_certificate",
        Error::InvalidCertificate(error) => match AlertDescription::from(error.clone()) {
            AlertDescription::CertificateExpired => "expired",
            AlertDescription::CertificateRevoked => "revoked",
            AlertDescription::UnknownCA => "foreign_authority",
            AlertDescription::UnsupportedCertificate => "wrong_purpose",
            _ => "refused",
        },
        Error::AlertReceived(_) => "client_refused",
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => "incompatible",
        _ => "broken",
    }
}

/// Whether a certificate that ends then deserves a warning: the renewal has failed for a while.
pub(super) fn ends_soon(not_after: Timestamp, now: Timestamp) -> bool {
    not_after.duration_since(now) < SignedDuration::from_hours(24 * ca::SERVER_DAYS / 6)
}

mod known;

#[cfg(test)]
mod tests;
