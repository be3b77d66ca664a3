//! Whether an issued certificate is this handset's.

use candour_wire::{Digest, HandsetId};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

use super::trust::{pinned_anchors, spki, unix_time, validity};
use super::{Certificate, Department, Identity, IdentityError, handset_uri};

/// Finds the certificate for the key `own` among those that were `issued`, and checks that it
/// leads to a pinned authority and names this handset. The authority may be among the `issued` or
/// among the `authorities` that are known.
pub(super) fn accept(
    issued: Vec<Certificate>,
    authorities: Vec<Certificate>,
    own: &[u8],
    department: &Department,
    now: Timestamp,
) -> Result<Identity, IdentityError> {
    let pool: Vec<CertificateDer<'_>> = issued
        .iter()
        .chain(&authorities)
        .map(|certificate| CertificateDer::from(certificate.0.as_slice()))
        .collect();
    let leaf = pool
        .iter()
        .find(|certificate| spki(certificate).as_deref() == Some(own))
        .ok_or(IdentityError::Certificate(
            "none of them is for this phone's key",
        ))?;
    let anchors = pinned_anchors(&pool, &department.ca_pins);
    if anchors.is_empty() {
        return Err(IdentityError::Unpinned);
    }
    let unreadable = IdentityError::Certificate("it cannot be read");
    let (Ok(end_entity), Some((not_before, not_after))) =
        (EndEntityCert::try_from(leaf), validity(leaf))
    else {
        return Err(unreadable);
    };
    if not_after <= department.not_before {
        return Err(IdentityError::Certificate("it has expired already"));
    }
    // It was made a moment ago, so the time to judge it by is known whatever the clock says.
    let at = unix_time(department.not_before.max(not_before));
    let path = end_entity
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            &pool,
            at,
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map_err(|error| match error {
            webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
                IdentityError::Unpinned
            }
            webpki::Error::RequiredEkuNotFoundContext(_) => {
                IdentityError::Certificate("it is not for TLS clients")
            }
            _ => IdentityError::Certificate("its path to the authority does not hold"),
        })?;
    let handset = HandsetId::derive(own);
    let expected = handset_uri(&department.id, &handset);
    let mut names = end_entity.valid_uri_names();
    if names.next() != Some(expected.as_str()) || names.next().is_some() {
        return Err(IdentityError::Certificate(
            "it names another phone or department",
        ));
    }
    let chain = std::iter::once(leaf.to_vec())
        .chain(
            path.intermediate_certificates()
                .map(|certificate| certificate.der().to_vec()),
        )
        .map(Certificate)
        .collect();
    Ok(Identity {
        handset,
        department: department.id.clone(),
        chain,
        authorities: pool
            .iter()
            .filter(|certificate| is_pinned(certificate, &department.ca_pins))
            .map(|c| Certificate(c.to_vec()))
            .collect(),
        not_before,
        not_after,
        obtained: now,
    })
}

/// Checks that at least one of the department's authorities is pinned, before a token is sent.
pub(super) fn require_pinned(
    authorities: &[Certificate],
    pins: &[Digest],
) -> Result<(), IdentityError> {
    let pinned = |certificate: &Certificate| {
        is_pinned(&CertificateDer::from(certificate.0.as_slice()), pins)
    };
    if authorities.iter().any(pinned) {
        Ok(())
    } else {
        Err(IdentityError::Unpinned)
    }
}

fn is_pinned(certificate: &CertificateDer<'_>, pins: &[Digest]) -> bool {
    spki(certificate).is_some_and(|spki| pins.contains(&Digest::of(&spki)))
}
