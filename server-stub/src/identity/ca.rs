//! The department's own certificate authority.
//!
//! It signs two kinds of leaf and nothing else: the server's, and the handsets' (see
//! [`super::profile`]). Phones pin its public key, so the server's certificate can be renewed at
//! any time without touching them.

use std::fmt;
use std::time::Duration;

use candour_wire::jws::VerifyingKey;
use candour_wire::{DepartmentId, Digest, HandsetId, Sensitive};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber,
    SubjectPublicKeyInfo, date_time_ymd,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::profile;
use crate::keys::{self, KeyError};

/// How long the authority lives: longer than any phone in service, so that pins stay.
const AUTHORITY_DAYS: i64 = 3_653;

/// How long a server certificate lives.
pub const SERVER_DAYS: i64 = 90;

/// A certificate cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The key file is not what it should be.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate file is not what it should be.
    #[error("the file does not hold a certificate in PEM")]
    Certificate,
    /// Certificate and key are of two authorities.
    #[error("the certificate authority's certificate is not for this key")]
    Mismatch,
    /// The certificate could not be made.
    #[error("the certificate could not be made")]
    Make(#[source] rcgen::Error),
    /// The time is out of the range of certificates.
    #[error("the clock shows a time for which no certificate can be made")]
    Time,
}

/// The certificate authority with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate for a handset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// DER.
    pub der: Vec<u8>,
    /// Serial number.
    pub serial: Vec<u8>,
    /// When it ends.
    pub not_after: Timestamp,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authority").field(&self.pin()).finish()
    }
}

impl Authority {
    /// Makes an authority with a fresh key, valid for ten years.
    ///
    /// # Errors
    ///
    /// When the operating system gives no randomness or the clock is absurd.
    pub fn make(name: &str, now: Timestamp) -> Result<Self, CaError> {
        let key = keys::make_p256()?;
        let mut params = params(&format!("{name} Candour CA"), now, AUTHORITY_DAYS)?;
        // No intermediate: both kinds of leaf come straight from it.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(CaError::Make)?;
        let pem = certificate.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate: certificate.der().clone(),
            pem,
        })
    }

    /// Reads an authority from its two files.
    ///
    /// # Errors
    ///
    /// When a file is not what it should be or the two do not belong together.
    pub fn open(certificate: &str, key: &Sensitive<String>) -> Result<Self, CaError> {
        let key = keys::p256_from_pem(key)?;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| CaError::Certificate)?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(&der).map_err(|_| CaError::Certificate)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(CaError::Mismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|_| CaError::Certificate)?;
        Ok(Self {
            issuer,
            certificate: der.into_owned(),
            pem: certificate.to_owned(),
        })
    }

    /// The certificate, DER.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The private key, PEM, for its file.
    #[must_use]
    pub fn key_pem(&self) -> Sensitive<String> {
        Sensitive::new(self.issuer.key().serialize_pem())
    }

    /// SHA-256 of the public key: what handsets pin.
    #[must_use]
    pub fn pin(&self) -> Digest {
        Digest::of(&self.issuer.key().subject_public_key_info())
    }

    /// Makes the server's key and certificate for these names and addresses: one PEM text with
    /// the key, the leaf and this authority's certificate, from which a handset takes the
    /// authority that it has pinned.
    ///
    /// # Errors
    ///
    /// When a host is not a name or an address, or as [`Authority::make`].
    pub fn issue_server(
        &self,
        hosts: &[String],
        now: Timestamp,
    ) -> Result<Sensitive<String>, CaError> {
        let key = keys::make_p256()?;
        let mut params = params(
            hosts.first().map_or("candour", String::as_str),
            now,
            SERVER_DAYS,
        )?;
        params.subject_alt_names = CertificateParams::new(hosts)
            .map_err(CaError::Make)?
            .subject_alt_names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params
            .signed_by(&key, &self.issuer)
            .map_err(CaError::Make)?;
        Ok(Sensitive::new(
            [key.serialize_pem(), leaf.pem(), self.pem.clone()].concat(),
        ))
    }

    /// Makes a certificate for a handset's key, which the caller has seen sign something.
    ///
    /// # Errors
    ///
    /// As [`Authority::make`].
    pub fn issue_handset(
        &self,
        key: &VerifyingKey,
        department: &DepartmentId,
        now: Timestamp,
    ) -> Result<Issued, CaError> {
        let handset = HandsetId::derive(key.spki_der());
        let mut params = params(handset.as_str(), now, profile::LIFETIME_DAYS)?;
        params
            .distinguished_name
            .push(DnType::OrganizationName, department.as_str());
        let uri = profile::uri(department, &handset);
        params.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(CaError::Make)?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let serial = params
            .serial_number
            .as_ref()
            .map(SerialNumber::to_bytes)
            .unwrap_or_default();
        let public = SubjectPublicKeyInfo::from_der(key.spki_der()).map_err(CaError::Make)?;
        let certificate = params
            .signed_by(&public, &self.issuer)
            .map_err(CaError::Make)?;
        Ok(Issued {
            der: certificate.der().to_vec(),
            serial,
            not_after: days_after(now, profile::LIFETIME_DAYS)?,
        })
    }
}

/// When the leaf in a server's PEM text was made and when it ends.
///
/// # Errors
///
/// When the text holds no certificate.
pub fn server_validity(pem: &str) -> Result<(Timestamp, Timestamp), CaError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| CaError::Certificate)?;
    let (_, leaf) = x509_parser::parse_x509_certificate(&der).map_err(|_| CaError::Certificate)?;
    let at = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|_| CaError::Time)
    };
    let not_before = at(leaf.validity().not_before)?;
    let made = not_before
        .checked_add(SignedDuration::from_hours(profile::BACKDATED_HOURS))
        .map_err(|_| CaError::Time)?;
    Ok((made, at(leaf.validity().not_after)?))
}

fn params(name: &str, now: Timestamp, days: i64) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let since_epoch = |time: Timestamp| {
        let seconds = u64::try_from(time.as_second()).map_err(|_| CaError::Time)?;
        Ok::<_, CaError>(date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds))
    };
    let begin = now
        .checked_sub(SignedDuration::from_hours(profile::BACKDATED_HOURS))
        .map_err(|_| CaError::Time)?;
    params.not_before = since_epoch(begin)?;
    params.not_after = since_epoch(days_after(now, days)?)?;
    params.serial_number = Some(make_serial()?);
    Ok(params)
}

fn days_after(now: Timestamp, days: i64) -> Result<Timestamp, CaError> {
    let end = now
        .checked_add(SignedDuration::from_hours(24 * days))
        .map_err(|_| CaError::Time)?;
    // Certificates count in seconds.
    Timestamp::from_second(end.as_second()).map_err(|_| CaError::Time)
}

/// 16 random bytes, positive and not zero (RFC 5280, section 4.1.2.2).
fn make_serial() -> Result<SerialNumber, CaError> {
    let mut serial = [0; 16];
    SystemRandom::new()
        .fill(&mut serial)
        .map_err(|_| KeyError::Random)?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(SerialNumber::from_slice(&serial))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn an_authority_comes_back_from_its_files_and_not_from_anothers() {
        let authority = Authority::make("HM Treasury", now()).unwrap();
        let other = Authority::make("HM Treasury", now()).unwrap();
        let again = Authority::open(authority.pem(), &authority.key_pem()).unwrap();
        assert_eq!(again.pin(), authority.pin());
        assert!(matches!(
            Authority::open(authority.pem(), &other.key_pem()),
            Err(CaError::Mismatch)
        ));
        assert!(matches!(
            Authority::open("", &other.key_pem()),
            Err(CaError::Certificate)
        ));
    }

    #[test]
    fn a_servers_certificate_names_its_hosts_and_ends_after_90_days() {
        let authority = Authority::make("HM Treasury", now()).unwrap();
        let hosts = [
            "candour.example".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        let pem = authority.issue_server(&hosts, now()).unwrap();
        let (made, ends) = server_validity(pem.expose()).unwrap();
        assert_eq!(made, now());
        assert_eq!(ends, days_after(now(), 90).unwrap());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.expose().as_bytes())
            .map(Result::unwrap)
            .collect();
        assert_eq!(chain.len(), 2, "the leaf and the authority");
        let (_, leaf) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
        assert_eq!(
            leaf.subject_alternative_name()
                .unwrap()
                .unwrap()
                .value
                .general_names
                .len(),
            3
        );
        assert_eq!(&chain[1], authority.certificate());
    }
}
