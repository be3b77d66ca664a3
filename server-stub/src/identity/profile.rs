//! What a handset's certificate must be, beyond what webpki checks.
//!
//! webpki checks the chain, the dates and that clientAuth is allowed; it also takes leaves
//! without any extended key usage, keys of other curves, and any name. A certificate that this
//! authority made for another purpose must not open the handset listener, so the profile is
//! closed: whatever is not listed here is refused.

use candour_wire::jws::VerifyingKey;
use candour_wire::{DepartmentId, HandsetId};
use jiff::{SignedDuration, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::HandsetIdentity;

/// How long a handset's certificate lives: it is renewed from day 20, so a phone may be off for
/// ten days at the worst moment.
pub const LIFETIME_DAYS: i64 = 30;

/// How far back validity begins, so that a handset whose clock is slow can still connect.
pub const BACKDATED_HOURS: i64 = 48;

/// How a certificate breaks the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProfileError {
    /// Not an X.509 certificate, or bytes after it.
    #[error("the certificate cannot be read")]
    Malformed,
    /// The key is not P-256.
    #[error("the key is not P-256")]
    Key,
    /// It may sign other certificates.
    #[error("it is an authority's certificate")]
    Authority,
    /// Extended key usage is not exactly clientAuth, or key usage not exactly digitalSignature.
    #[error("it is for another purpose than client authentication")]
    Purpose,
    /// Not exactly one name, `urn:candour:handset:<department>:<handset>`.
    #[error("it does not name a handset")]
    Name,
    /// The handset's id is not derived from this key.
    #[error("it names another handset than the key's")]
    OtherHandset,
    /// Longer than any certificate that this server makes.
    #[error("its lifetime is longer than 31 days")]
    Lifetime,
}

/// The name of a handset in its certificate.
#[must_use]
pub fn uri(department: &DepartmentId, handset: &HandsetId) -> String {
    format!("{URN}{department}:{handset}")
}

/// Checks a certificate whose chain and dates webpki has checked, and says whose it is.
///
/// # Errors
///
/// [`ProfileError`] names the first rule that is broken.
pub fn check(der: &[u8]) -> Result<HandsetIdentity, ProfileError> {
    let (rest, certificate) =
        x509_parser::parse_x509_certificate(der).map_err(|_| ProfileError::Malformed)?;
    if !rest.is_empty() {
        return Err(ProfileError::Malformed);
    }
    if certificate.is_ca() {
        return Err(ProfileError::Authority);
    }
    check_purpose(&certificate)?;
    let (not_before, not_after) = check_lifetime(&certificate)?;
    let key =
        VerifyingKey::from_spki_der(certificate.public_key().raw).map_err(|_| ProfileError::Key)?;
    let (department, handset) = name(&certificate)?;
    if handset != HandsetId::derive(key.spki_der()) {
        return Err(ProfileError::OtherHandset);
    }
    Ok(HandsetIdentity {
        handset,
        department,
        key,
        not_before,
        not_after,
    })
}

fn check_purpose(certificate: &X509Certificate<'_>) -> Result<(), ProfileError> {
    let extended = certificate
        .extended_key_usage()
        .map_err(|_| ProfileError::Malformed)?;
    let extended = extended.ok_or(ProfileError::Purpose)?.value;
    let any_other = extended.any
        || extended.server_auth
        || extended.code_signing
        || extended.email_protection
        || extended.time_stamping
        || extended.ocsp_signing
        || !extended.other.is_empty();
    let usage = certificate
        .key_usage()
        .map_err(|_| ProfileError::Malformed)?;
    let usage = usage.ok_or(ProfileError::Purpose)?.value;
    if extended.client_auth && !any_other && usage.flags == DIGITAL_SIGNATURE {
        Ok(())
    } else {
        Err(ProfileError::Purpose)
    }
}

/// Returns when it begins and ends.
fn check_lifetime(
    certificate: &X509Certificate<'_>,
) -> Result<(Timestamp, Timestamp), ProfileError> {
    let at = |seconds| Timestamp::from_second(seconds).map_err(|_| ProfileError::Lifetime);
    let validity = certificate.validity();
    let begin = at(validity.not_before.timestamp())?;
    let end = at(validity.not_after.timestamp())?;
    if end.duration_since(begin) <= LONGEST {
        Ok((begin, end))
    } else {
        Err(ProfileError::Lifetime)
    }
}

fn name(certificate: &X509Certificate<'_>) -> Result<(DepartmentId, HandsetId), ProfileError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| ProfileError::Malformed)?;
    let [GeneralName::URI(uri)] = names
        .ok_or(ProfileError::Name)?
        .value
        .general_names
        .as_slice()
    else {
        return Err(ProfileError::Name);
    };
    let (department, handset) = uri
        .strip_prefix(URN)
        .and_then(|rest| rest.split_once(':'))
        .ok_or(ProfileError::Name)?;
    let department = department.parse().map_err(|_| ProfileError::Name)?;
    Ok((department, handset.parse().map_err(|_| ProfileError::Name)?))
}

const URN: &str = "urn:candour:handset:";

/// Bit 0 of `KeyUsage` (RFC 5280, section 4.2.1.3), as the parser numbers it.
const DIGITAL_SIGNATURE: u16 = 1;

/// A day of slack for those who round.
const LONGEST: SignedDuration =
    SignedDuration::from_hours(24 * (LIFETIME_DAYS + 1) + BACKDATED_HOURS);

#[cfg(test)]
mod tests;
