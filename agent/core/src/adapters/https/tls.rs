//! The TLS side: which protocol, whom to trust, and who signs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use candour_wire::jws::VerifyingKey;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::ring::{default_provider, kx_group};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, Error, OtherError, SignatureAlgorithm, SignatureScheme};

use crate::identity::trust::{PinnedVerifier, unix_time};
use crate::ports::{ClientIdentity, Clock, Endpoint, KeyError, KeyStore, TransportError};

/// The configuration for one endpoint.
pub(super) fn config(
    endpoint: &Endpoint,
    clock: Arc<dyn Clock>,
    clock_suspect: Arc<AtomicBool>,
) -> Result<ClientConfig, TransportError> {
    let provider = Arc::new(provider());
    let verifier = PinnedVerifier::new(
        endpoint.ca_pins.clone(),
        endpoint.not_before,
        Arc::clone(&provider),
        clock_suspect,
    );
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Time(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has cipher suites of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &endpoint.client {
        Some(client) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified(client)?)))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// ring, cut down to a closed list (invariant I10).
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            TLS13_AES_256_GCM_SHA384,
            TLS13_AES_128_GCM_SHA256,
            TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
        ..default_provider()
    }
}

/// Pairs the certificate with the key behind the port, after a look that they belong together: a
/// handshake with the wrong key would only be refused by the server, as if it were revoked.
fn certified(client: &ClientIdentity) -> Result<CertifiedKey, TransportError> {
    let unusable = |reason: &str| TransportError::Key(reason.to_owned());
    let spki = client
        .keys
        .public_key()
        .map_err(|error| TransportError::Key(error.to_string()))?;
    let spki = spki.ok_or_else(|| unusable("there is no key"))?;
    VerifyingKey::from_spki_der(&spki).map_err(|_| unusable("it is not an ECDSA P-256 key"))?;
    let key = PortKey {
        keys: Arc::clone(&client.keys),
        spki,
    };
    let chain = client
        .chain
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    let certified = CertifiedKey::new(chain, Arc::new(key));
    certified
        .keys_match()
        .map_err(|_| unusable("it is not the certificate's key"))?;
    Ok(certified)
}

/// The handset's key as rustls wants it. Signing blocks the handshake's thread on the key store:
/// once per connection, on a runtime with more than one thread.
struct PortKey {
    keys: Arc<dyn KeyStore>,
    spki: Vec<u8>,
}

impl SigningKey for PortKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SCHEME).then(|| {
            Box::new(PortSigner {
                keys: Arc::clone(&self.keys),
            }) as Box<dyn Signer>
        })
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.spki.as_slice()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

struct PortSigner {
    keys: Arc<dyn KeyStore>,
}

impl Signer for PortSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.keys
            .sign(message)
            .map_err(|error| Error::Other(OtherError(Arc::new(SignFailed(error)))))
    }

    fn scheme(&self) -> SignatureScheme {
        SCHEME
    }
}

const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

/// Carries a failure of the key store through rustls.
#[derive(Debug, thiserror::Error)]
#[error("the key store did not sign")]
pub(super) struct SignFailed(#[source] pub(super) KeyError);

/// The clock port as rustls wants it.
struct Time(Arc<dyn Clock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl fmt::Debug for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortKey")
    }
}

impl fmt::Debug for PortSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortSigner")
    }
}
