//! Certs-only PKCS#7 messages, the form in which EST hands out certificates (RFC 7030,
//! section 4.1.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cms::cert::x509::Certificate;
use cms::content_info::ContentInfo;
use der::{Decode as _, Encode as _};

/// The message in base64, in lines of 64 characters, so that `openssl base64 -d` reads it.
///
/// # Errors
///
/// When `certificate` is not the DER of a certificate.
pub(super) fn encode(certificate: &[u8]) -> der::Result<String> {
    let message = ContentInfo::try_from(Certificate::from_der(certificate)?)?.to_der()?;
    let text = STANDARD.encode(message);
    let mut lines = String::with_capacity(text.len() + text.len() / 64 + 1);
    for (number, character) in text.chars().enumerate() {
        if number > 0 && number % 64 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines.push('\n');
    Ok(lines)
}
