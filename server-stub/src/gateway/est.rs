//! Enrolment over secure transport (RFC 7030): `cacerts`, `simpleenroll`, `simplereenroll`.
//!
//! A phone enrols with a one-time token as HTTP Basic password and a PKCS#10 request that its own
//! key has signed. The token is redeemed and the key enrolled in one transaction; only then is a
//! certificate made. If the reply is lost, the same token with the same key gives another
//! certificate until the token expires.

mod csr;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::jws::VerifyingKey;
use candour_wire::{Code, DepartmentId, Digest, HandsetId, Sensitive, limits};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::layers::Received;
use super::limits::Group;
use super::metrics::Enrolment;
use super::{Gateway, certs_only, layers};
use crate::identity::HandsetIdentity;
use crate::problem::{Failure, Outcome};
use crate::store::{EnrolRequest, IssuedCertificate};

pub(super) fn public_routes() -> Router<Gateway> {
    Router::new()
        .route("/.well-known/est/cacerts", get(ca_certs))
        .route("/.well-known/est/simpleenroll", post(simple_enrol))
}

pub(super) fn handset_routes() -> Router<Gateway> {
    Router::new()
        .route("/.well-known/est/cacerts", get(ca_certs))
        .route("/.well-known/est/simplereenroll", post(simple_reenrol))
}

/// Digest of an enrolment token: all that the server keeps of it.
///
/// A token has 160 random bits, so a plain hash does not help to guess it.
#[must_use]
pub fn token_digest(token: &Sensitive<String>) -> Digest {
    // EXPOSE: only the digest goes on.
    Digest::of_parts(&[b"candour/token/v1\n", token.expose().as_bytes()])
}

/// The department's certificate authority.
#[utoipa::path(
    get, path = "/.well-known/est/cacerts", tag = "enrolment",
    responses((status = 200, description = "Certs-only PKCS#7, base64", content_type = "application/pkcs7-mime", body = String)),
)]
pub(crate) async fn ca_certs(State(gateway): State<Gateway>) -> Outcome {
    certificates(gateway.authority.certificate(), "application/pkcs7-mime")
}

/// Enrols a phone: a one-time token as HTTP Basic password, and a PKCS#10 request in base64,
/// signed by the phone's P-256 key. The same token with the same key may be sent again.
#[utoipa::path(
    post, path = "/.well-known/est/simpleenroll", tag = "enrolment",
    request_body(content = String, content_type = "application/pkcs10", description = "PKCS#10, base64"),
    responses(
        (status = 200, description = "The certificate: certs-only PKCS#7, base64", content_type = "application/pkcs7-mime", body = String),
        (status = "4XX", response = crate::openapi::ProblemResponse),
        (status = "5XX", response = crate::openapi::ProblemResponse),
    ),
    security(("token" = [])),
)]
pub(crate) async fn simple_enrol(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let outcome = enrol(&gateway, &headers, body).await;
    let counted = match &outcome {
        Ok(_) => Enrolment::Enrolled,
        Err(_) => Enrolment::Refused,
    };
    gateway.metrics.enrolment(counted);
    outcome
}

async fn enrol(gateway: &Gateway, headers: &HeaderMap, body: Body) -> Outcome {
    let token = basic_password(headers).ok_or(Code::TokenMissing)?;
    let request = read_request(gateway, headers, body).await?;
    let _turn = gateway.limits.turn(Group::Enrolment).await?;
    let key = request_key(&request.bytes)?;
    let now = gateway.clock.now();
    let request = EnrolRequest {
        token: token_digest(&token),
        spki: key.spki_der().to_vec(),
        now,
    };
    let handset = gateway.store.enrol(request).await?;
    // So that the phone's first connection does not have to wait for the next refresh.
    gateway.enrolled.refresh(gateway.store.as_ref()).await?;
    tracing::info!(department = %handset.department, "a handset has enrolled");
    issue(gateway, &key, &handset.department, handset.id).await
}

/// Renews the certificate of a phone that has one in force, for the same key.
#[utoipa::path(
    post, path = "/.well-known/est/simplereenroll", tag = "enrolment",
    request_body(content = String, content_type = "application/pkcs10", description = "PKCS#10, base64"),
    responses(
        (status = 200, description = "The certificate: certs-only PKCS#7, base64", content_type = "application/pkcs7-mime", body = String),
        (status = "4XX", response = crate::openapi::ProblemResponse),
        (status = "5XX", response = crate::openapi::ProblemResponse),
    ),
    security(("handset" = [])),
)]
pub(crate) async fn simple_reenrol(
    State(gateway): State<Gateway>,
    Extension(identity): Extension<HandsetIdentity>,
    headers: HeaderMap,
    body: Body,
) -> Outcome {
    let request = read_request(&gateway, &headers, body).await?;
    let _turn = gateway.limits.turn(Group::Renewal).await?;
    let key = request_key(&request.bytes)?;
    if key != identity.key {
        return Err(Code::CsrKeyChanged.into());
    }
    // The set in memory may be a second old; a new certificate is worth a look at the store.
    let row = gateway
        .store
        .handset(&identity.handset)
        .await?
        .ok_or(Code::CertificateRefused)?;
    if row.revoked.is_some() {
        return Err(Code::HandsetRevoked.into());
    }
    gateway.metrics.enrolment(Enrolment::Renewed);
    issue(&gateway, &key, &row.handset.department, identity.handset).await
}

async fn issue(
    gateway: &Gateway,
    key: &VerifyingKey,
    department: &DepartmentId,
    handset: HandsetId,
) -> Outcome {
    let issued = gateway
        .authority
        .issue_handset(key, department, gateway.clock.now())
        .map_err(|error| Failure::caused(Code::Internal, error))?;
    let certificate = IssuedCertificate {
        handset,
        serial: issued.serial,
        not_after: issued.not_after,
    };
    gateway.store.certificate_issued(certificate).await?;
    certificates(&issued.der, "application/pkcs7-mime; smime-type=certs-only")
}

fn certificates(der: &[u8], media_type: &'static str) -> Outcome {
    let body = certs_only::encode(der)
        .map_err(|error| Failure::caused(Code::Internal, error.to_string()))?;
    let mut response: Response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("base64"));
    Ok(response)
}

/// RFC 7030 asks for it, although HTTP has no such header; RFC 8951 lets receivers ignore it.
const TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

async fn read_request(gateway: &Gateway, headers: &HeaderMap, body: Body) -> Outcome<Received> {
    layers::require_media_type(headers, "application/pkcs10")?;
    layers::read_body(&gateway.limits, headers, body, limits::CSR_MAX_BYTES).await
}

/// The key that the request is for, which has signed the request.
fn request_key(body: &[u8]) -> Outcome<VerifyingKey> {
    let text: Vec<u8> = body
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let der = STANDARD
        .decode(text)
        .map_err(|_| Failure::new(Code::CsrInvalid).with_detail("it is not base64"))?;
    csr::verified_key(&der)
        .map_err(|error| Failure::new(error.code()).with_detail(error.to_string()))
}

/// The password of HTTP Basic (RFC 7617); the user name means nothing.
fn basic_password(headers: &HeaderMap) -> Option<Sensitive<String>> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Sensitive::new(STANDARD.decode(encoded.trim()).ok()?);
    // EXPOSE: the password is cut out of the decoded header.
    let (_, password) = std::str::from_utf8(decoded.expose())
        .ok()?
        .split_once(':')?;
    let password = password.trim();
    (!password.is_empty()).then(|| Sensitive::from(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn the_token_is_the_password_whatever_the_user() {
        let header = |text: &str| headers(&format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(
            basic_password(&header("candour:to:ken")),
            Some("to:ken".into())
        );
        assert_eq!(basic_password(&header(":token\n")), Some("token".into()));
        for none in ["", "user:", "token"] {
            assert_eq!(basic_password(&header(none)), None, "{none}");
        }
        assert_eq!(basic_password(&headers("Bearer x")), None);
        assert_eq!(basic_password(&headers("Basic %%%")), None);
        assert_eq!(basic_password(&HeaderMap::new()), None);
    }

    #[test]
    fn a_token_is_known_by_its_digest_only() {
        assert_ne!(token_digest(&"a".into()), token_digest(&"b".into()));
        assert_ne!(token_digest(&"a".into()), Digest::of(b"a"));
    }
}
