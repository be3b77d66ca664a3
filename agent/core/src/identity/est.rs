//! The exchanges of EST (RFC 7030) that a handset needs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::{Code, Sensitive};
use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::SignedData;
use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _};

use super::{Certificate, IdentityError};
use crate::ports::{Method, Request, Response, Transport};
use crate::reply::{Refusal, retry_after};

/// Fetches the department's certificate authorities (section 4.1).
pub(super) async fn ca_certificates(
    transport: &dyn Transport,
) -> Result<Vec<Certificate>, IdentityError> {
    let response = transport
        .send(request(Method::Get, "cacerts", Vec::new()))
        .await?;
    certificates(&response)
}

/// Asks for the first certificate (section 4.2.1). The token is the password of HTTP Basic.
pub(super) async fn simple_enrol(
    transport: &dyn Transport,
    csr: String,
    token: &Sensitive<String>,
) -> Result<Vec<Certificate>, IdentityError> {
    let mut request = request(Method::Post, "simpleenroll", csr.into_bytes());
    request.basic = Some((USER.to_owned(), token.clone()));
    match certificates(&transport.send(request).await?) {
        // Without a problem document a 401 can only be about the token.
        Err(IdentityError::Refused {
            status: 401,
            code: Code::CertificateRefused,
            detail,
            retry_after,
        }) => Err(IdentityError::Refused {
            status: 401,
            code: Code::TokenUnknown,
            detail,
            retry_after,
        }),
        answer => answer,
    }
}

/// Asks for another certificate, by the one in force (section 4.2.2).
pub(super) async fn simple_reenrol(
    transport: &dyn Transport,
    csr: String,
) -> Result<Vec<Certificate>, IdentityError> {
    certificates(
        &transport
            .send(request(Method::Post, "simplereenroll", csr.into_bytes()))
            .await?,
    )
}

/// The user name means nothing; the token says everything.
const USER: &str = "candour";

/// A chain of ten certificates of 2 KiB in base64 is under 28 KiB.
const REPLY_MAX_BYTES: usize = 64 << 10;

/// A leaf, its issuers, two authorities and the certificates that link them (section 4.1.3).
const CERTIFICATES_MAX: usize = 10;

/// RFC 5652, section 5.1.
const ID_SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

fn request(method: Method, operation: &str, body: Vec<u8>) -> Request {
    let mut headers = vec![("accept", "application/pkcs7-mime".to_owned())];
    if !body.is_empty() {
        headers.push(("content-type", "application/pkcs10".to_owned()));
        headers.push(("content-transfer-encoding", "base64".to_owned()));
    }
    Request {
        method,
        path: format!("/.well-known/est/{operation}"),
        headers,
        basic: None,
        body,
        reply_max_bytes: REPLY_MAX_BYTES,
    }
}

/// The certificates of a successful reply.
fn certificates(response: &Response) -> Result<Vec<Certificate>, IdentityError> {
    match response.status {
        200 => {}
        202 => {
            return Err(IdentityError::AwaitsApproval {
                retry_after: retry_after(response),
            });
        }
        status => {
            let Refusal {
                code,
                detail,
                retry_after,
            } = Refusal::read(response);
            return Err(IdentityError::Refused {
                status,
                code,
                detail,
                retry_after,
            });
        }
    }
    let media_type = response.header("content-type").unwrap_or_default();
    if !media_type
        .to_ascii_lowercase()
        .starts_with("application/pkcs7-mime")
    {
        return Err(IdentityError::Reply(
            "it is not of type application/pkcs7-mime",
        ));
    }
    // RFC 2045 lets base64 be broken into lines.
    let text: Vec<u8> = response
        .body
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let der = STANDARD
        .decode(text)
        .map_err(|_| IdentityError::Reply("it is not base64"))?;
    certs_only(&der).ok_or(IdentityError::Reply(
        "it is not a certs-only PKCS#7 message",
    ))
}

/// Reads a SignedData message that has certificates and no signatures (RFC 5272, section 4.1).
fn certs_only(der: &[u8]) -> Option<Vec<Certificate>> {
    let message = ContentInfo::from_der(der)
        .ok()
        .filter(|message| message.content_type == ID_SIGNED_DATA)?;
    let signed: SignedData = message.content.decode_as().ok()?;
    let set = signed.certificates?.0;
    if set.is_empty() || set.len() > CERTIFICATES_MAX || !signed.signer_infos.0.is_empty() {
        return None;
    }
    set.iter()
        .map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => {
                certificate.to_der().ok().map(Certificate)
            }
            CertificateChoices::Other(_) => None,
        })
        .collect()
}
