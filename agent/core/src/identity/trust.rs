//! Which server is the department's.
//!
//! No public authority is trusted. A server is the department's when its certificate leads to a
//! certificate authority whose public key is pinned in the configuration; the authority's own
//! certificate comes along in the handshake, so that a pin stays the same when it is reissued. The
//! certificate must be for the host that was asked for, and for TLS servers: a handset's
//! certificate comes from the same authority and must not pass for a server's.
//!
//! # Time
//!
//! A phone's clock may be years out, and a phone that cannot sync because of its clock cannot
//! report that either. So the clock is not the last word. With *T* a time that is known to have
//! passed, which is the later of [`RELEASED`] and the last time that the department signed (see
//! [`known_to_have_passed`]), a certificate is accepted
//!
//! 1. when it is valid at the later of the clock and *T*; or else
//! 2. when it is valid at the later of *T* and its own start of validity, because the pinned
//!    authority would not have signed it before then. The handset then reports that its clock is
//!    suspect.
//!
//! The price: a server certificate that has expired is still accepted by a handset that has not
//! seen a signed time after its expiry. As each sync brings a newer signed time, that is at most
//! one sync for a live server; and a thief of an expired key gains only handsets that have been
//! out of touch since before it expired.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use candour_wire::Digest;
use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible, SignatureScheme,
};
use webpki::{EndEntityCert, KeyUsage};

/// A day before which this version was not in use.
///
/// Kept by hand and moved forward with each release, not stamped by the build: the same source
/// gives the same binary, and a build machine with a wrong clock cannot lock phones out. A test
/// holds that it has passed.
pub const RELEASED: Timestamp = Timestamp::constant(1_793_491_200, 0); // 2026-11-01T00:00:00Z

/// The later of [`RELEASED`] and the last time that the department signed.
#[must_use]
pub fn known_to_have_passed(signed: Option<Timestamp>) -> Timestamp {
    signed.map_or(RELEASED, |signed| signed.max(RELEASED))
}

/// Accepts the department's servers and no others.
#[derive(Debug)]
pub struct PinnedVerifier {
    ca_pins: Vec<Digest>,
    not_before: Timestamp,
    provider: Arc<CryptoProvider>,
    clock_suspect: Arc<AtomicBool>,
}

impl PinnedVerifier {
    /// `ca_pins` are SHA-256 digests of `SubjectPublicKeyInfo`s; `not_before` is a time that is
    /// known to have passed; `clock_suspect` is set when a certificate could only be accepted by
    /// setting the clock aside.
    #[must_use]
    pub const fn new(
        ca_pins: Vec<Digest>,
        not_before: Timestamp,
        provider: Arc<CryptoProvider>,
        clock_suspect: Arc<AtomicBool>,
    ) -> Self {
        Self {
            ca_pins,
            not_before,
            provider,
            clock_suspect,
        }
    }

    /// Checks the path to a pinned authority and the purpose, at a time.
    fn verify_path(
        &self,
        leaf: &EndEntityCert<'_>,
        others: &[CertificateDer<'_>],
        at: UnixTime,
    ) -> Result<(), webpki::Error> {
        let anchors = pinned_anchors(others, &self.ca_pins);
        leaf.verify_for_usage(
            self.provider.signature_verification_algorithms.all,
            &anchors,
            others,
            at,
            KeyUsage::required(SERVER_AUTH),
            None,
            None,
        )
        .map(|_| ())
    }
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let leaf = EndEntityCert::try_from(end_entity).map_err(refusal)?;
        let passed = unix_time(self.not_before);
        match self.verify_path(&leaf, intermediates, now.max(passed)) {
            Ok(()) => {}
            Err(webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }) => {
                let (start, _) = validity(end_entity).ok_or(CertificateError::BadEncoding)?;
                self.verify_path(&leaf, intermediates, passed.max(unix_time(start)))
                    .map_err(refusal)?;
                self.clock_suspect.store(true, Ordering::Relaxed);
            }
            Err(error) => return Err(refusal(error)),
        }
        leaf.verify_is_valid_for_subject_name(server_name)
            .map_err(refusal)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(
            PeerIncompatible::Tls13RequiredForQuic,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// id-kp-serverAuth (RFC 5280, section 4.2.1.12) without tag and length.
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// Those of `certificates` whose key is pinned, as anchors.
///
/// Nobody vouches for the rest of such a certificate, and nobody needs to: whatever it says, only
/// the pinned key can have signed what leads to it.
pub(super) fn pinned_anchors<'a>(
    certificates: &'a [CertificateDer<'a>],
    pins: &[Digest],
) -> Vec<TrustAnchor<'a>> {
    certificates
        .iter()
        .filter(|certificate| {
            spki(certificate).is_some_and(|spki| pins.contains(&Digest::of(&spki)))
        })
        .filter_map(|certificate| webpki::anchor_from_trusted_cert(certificate).ok())
        .collect()
}

/// The DER `SubjectPublicKeyInfo` of a certificate; `None` where it cannot be read.
pub(crate) fn spki(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    Some(certificate.subject_public_key_info().as_ref().to_vec())
}

/// Start and end of a certificate's life; `None` where it cannot be read.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = certificate.validity();
    let time = |seconds| Timestamp::from_second(seconds).ok();
    Some((
        time(validity.not_before.timestamp())?,
        time(validity.not_after.timestamp())?,
    ))
}

/// A time as webpki wants it; times before 1970 become 1970.
pub(crate) fn unix_time(time: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(
        u64::try_from(time.as_second()).unwrap_or(0),
    ))
}

/// Picks the variant that decides the alert that the server gets and the advice that the holder
/// gets.
fn refusal(error: webpki::Error) -> Error {
    use webpki::Error as E;
    Error::InvalidCertificate(match error {
        E::CertExpired { .. } => CertificateError::Expired,
        E::CertNotValidYet { .. } => CertificateError::NotValidYet,
        E::UnknownIssuer => CertificateError::UnknownIssuer,
        E::CertNotValidForName(_) => CertificateError::NotValidForName,
        E::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        E::BadDer | E::BadDerTime | E::TrailingData(_) => CertificateError::BadEncoding,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    })
}

#[cfg(test)]
mod tests;
