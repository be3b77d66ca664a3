//! What a refused request means: the server's problem document, or failing that its status.

use std::time::Duration;

use candour_wire::Code;
use jiff::Timestamp;
use serde::Deserialize;

use crate::ports::Response;

/// A request was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The server's code where this version knows it, else what the status amounts to.
    pub(crate) code: Code,
    /// The server's words, fit for a log and a person.
    pub(crate) detail: Option<String>,
    /// How long the server asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads a reply that is not the one that was hoped for.
    pub(crate) fn read(response: &Response) -> Self {
        let problem = problem(response);
        let known = problem
            .as_ref()
            .and_then(|problem| problem.code.parse().ok());
        let detail = match (known, problem) {
            (Some(_), Some(problem)) => problem.detail,
            (None, Some(problem)) => {
                Some(format!("status {}, code {}", response.status, problem.code))
            }
            (_, None) => Some(format!("status {}", response.status)),
        };
        Self {
            code: known.unwrap_or_else(|| by_status(response.status)),
            detail: detail.as_deref().map(legible),
            retry_after: retry_after(response),
        }
    }
}

/// Makes text from outside fit for a log line: no control characters, at most 200 characters.
pub(crate) fn legible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(DETAIL_MAX_CHARS)
        .collect()
}

/// How long the server asks to be left alone (RFC 9110, section 10.2.3), at most a day: a slip in
/// a server's configuration must not silence a handset for good.
///
/// A date is measured against the reply's own `Date`, so the handset's clock does not matter.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    let asked = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let until = http_date(text)?;
        let sent = http_date(response.header("date")?)?;
        Duration::try_from(until.duration_since(sent)).unwrap_or_default()
    };
    Some(asked.min(RETRY_AFTER_MAX))
}

const DETAIL_MAX_CHARS: usize = 200;
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// The members of a problem document that a handset uses.
#[derive(Deserialize)]
struct ProblemParts {
    code: String,
    #[serde(default)]
    detail: Option<String>,
}

fn problem(response: &Response) -> Option<ProblemParts> {
    let media_type = response.header("content-type")?.split(';').next()?.trim();
    if !media_type.eq_ignore_ascii_case("application/problem+json") {
        return None;
    }
    serde_json::from_slice(&response.body).ok()
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
}

/// What a status says when no problem document does, such as one from a proxy on the way.
const fn by_status(status: u16) -> Code {
    match status {
        400 => Code::BadRequest,
        401 | 403 => Code::CertificateRefused,
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        407 => Code::ProxyFailed,
        408 => Code::TimedOut,
        413 => Code::BodyTooLarge,
        415 => Code::UnsupportedMediaType,
        429 => Code::TooManyRequests,
        502..=504 => Code::Unavailable,
        507 => Code::StorageFull,
        500..=599 => Code::Internal,
        _ => Code::BadReply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Response {
            status,
            headers,
            body: body.as_bytes().to_vec(),
        }
    }

    const PROBLEM: (&str, &str) = ("content-type", "application/problem+json; charset=utf-8");

    #[test]
    fn the_servers_code_counts_for_more_than_the_status() {
        let refusal = Refusal::read(&response(
            401,
            &[PROBLEM],
            r#"{"code":"token_used","detail":"by h1"}"#,
        ));
        assert_eq!(
            (refusal.code, refusal.detail.as_deref()),
            (Code::TokenUsed, Some("by h1"))
        );
    }

    #[test]
    fn an_unknown_code_is_named_and_judged_by_its_status() {
        let refusal = Refusal::read(&response(503, &[PROBLEM], r#"{"code":"from_the_future"}"#));
        assert_eq!(refusal.code, Code::Unavailable);
        assert_eq!(
            refusal.detail.as_deref(),
            Some("status 503, code from_the_future")
        );
    }

    #[test]
    fn a_page_from_some_proxy_is_judged_by_its_status_alone() {
        for (status, code) in [
            (403, Code::CertificateRefused),
            (502, Code::Unavailable),
            (302, Code::BadReply),
            (599, Code::Internal),
        ] {
            let page = response(
                status,
                &[("content-type", "text/html")],
                r#"{"code":"handset_revoked"}"#,
            );
            assert_eq!(Refusal::read(&page).code, code, "{status}");
        }
        for broken in ["", "{", "[]", r#"{"code":7}"#, "\u{0}"] {
            assert_eq!(
                Refusal::read(&response(500, &[PROBLEM], broken)).code,
                Code::Internal,
                "{broken:?}"
            );
        }
    }

    #[test]
    fn words_from_outside_become_one_short_line() {
        let detail = format!(
            r#"{{"code":"internal","detail":"a\n\u001b[31m{}"}}"#,
            "x".repeat(5000)
        );
        let detail = Refusal::read(&response(500, &[PROBLEM], &detail))
            .detail
            .unwrap();
        assert_eq!(detail.chars().count(), 200);
        assert!(detail.starts_with("a  [31mxxx"), "{detail}");
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date_whatever_the_handsets_clock_says() {
        let after = |headers: &[(&str, &str)]| retry_after(&response(503, headers, ""));
        assert_eq!(
            after(&[("retry-after", "120")]),
            Some(Duration::from_secs(120))
        );
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            after(&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            after(&[date, ("retry-after", "Sun, 06 Nov 1994 08:40:00 GMT")]),
            Some(Duration::ZERO)
        );
        assert_eq!(
            after(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]),
            None,
            "no date to measure from"
        );
        assert_eq!(
            after(&[("retry-after", "99999999999")]),
            Some(Duration::from_hours(24))
        );
        assert_eq!(after(&[("retry-after", "soon")]), None);
        assert_eq!(after(&[]), None);
    }
}
