//! What a failed request means, by the variants of the errors behind it.
//!
//! In TLS 1.3 the client is done with the handshake before the server has looked at its
//! certificate, so that a refusal arrives as an alert in place of the first reply. It is found in
//! the same way as one that arrives during the handshake.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::tls::SignFailed;
use crate::ports::TransportError;
use crate::reply::legible;

/// Finds the cause of a failed request.
pub(super) fn classify(error: &(dyn StdError + 'static), by_proxy: bool) -> TransportError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let (mut innermost, mut io) = (error, None);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<TlsError>() {
            return of_tls(tls);
        }
        innermost = error;
        // `source` of an I/O error is the source of what it wraps, not what it wraps.
        cause = match error.downcast_ref::<io::Error>() {
            Some(error) => {
                io = Some(error.kind());
                error
                    .get_ref()
                    .map(|wrapped| wrapped as &(dyn StdError + 'static))
            }
            None => error.source(),
        };
    }
    let detail = legible(&innermost.to_string());
    let request = error.downcast_ref::<reqwest::Error>();
    if request.is_some_and(reqwest::Error::is_connect) {
        // Behind a proxy, only the proxy can be reached or not; the rest it reports in its own way.
        return if by_proxy {
            TransportError::Proxy(detail)
        } else {
            TransportError::Unreachable(detail)
        };
    }
    let cut_off = match io {
        // hyper reports what it cannot parse in a body in this way.
        Some(kind) => !matches!(
            kind,
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
        ),
        None => request.is_some_and(closed_early),
    };
    if cut_off {
        TransportError::Unreachable(detail)
    } else {
        TransportError::Malformed(detail)
    }
}

/// The server closed the connection in place of a reply.
fn closed_early(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            return hyper.is_incomplete_message() || hyper.is_closed() || hyper.is_canceled();
        }
        cause = error.source();
    }
    false
}

fn of_tls(error: &TlsError) -> TransportError {
    match error {
        TlsError::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => TransportError::ServerCertificateExpired,
        TlsError::InvalidCertificate(_)
        | TlsError::NoCertificatesPresented
        | TlsError::UnsupportedNameType => {
            TransportError::ServerNotTrusted(legible(&error.to_string()))
        }
        TlsError::AlertReceived(alert) => of_alert(*alert),
        TlsError::Other(other) => match other.0.downcast_ref::<SignFailed>() {
            Some(SignFailed(error)) => TransportError::Key(legible(&error.to_string())),
            None => TransportError::ServerNotTrusted(legible(&error.to_string())),
        },
        // A server that does not speak TLS 1.3 with one of our suites, or does not keep to it, is
        // not the department's, or somebody sits in between.
        TlsError::PeerIncompatible(_)
        | TlsError::PeerMisbehaved(_)
        | TlsError::InvalidMessage(_)
        | TlsError::InappropriateMessage { .. }
        | TlsError::InappropriateHandshakeMessage { .. }
        | TlsError::DecryptError
        | TlsError::NoApplicationProtocol => {
            TransportError::ServerNotTrusted(legible(&error.to_string()))
        }
        _ => TransportError::Malformed(legible(&error.to_string())),
    }
}

/// What the server says of this handset (RFC 8446, section 6.2).
fn of_alert(alert: AlertDescription) -> TransportError {
    use AlertDescription as A;
    match alert {
        A::CertificateExpired => TransportError::ClientCertificateExpired,
        A::CertificateRevoked => TransportError::ClientCertificateRevoked,
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateUnknown
        | A::CertificateRequired
        | A::UnknownCA
        | A::AccessDenied
        | A::DecryptError => TransportError::ClientCertificateRefused,
        A::ProtocolVersion
        | A::HandshakeFailure
        | A::InsufficientSecurity
        | A::UnrecognisedName
        | A::NoApplicationProtocol => {
            TransportError::ServerNotTrusted(format!("it answered {alert:?}"))
        }
        other => {
            TransportError::Unreachable(format!("the server ended the connection with {other:?}"))
        }
    }
}
