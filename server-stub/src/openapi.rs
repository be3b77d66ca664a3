//! The OpenAPI 3.1 document of what phones use, generated from the handlers and the wire's types.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::gateway;

/// A problem document (RFC 9457) with a stable `code`.
#[derive(utoipa::ToResponse)]
#[response(
    description = "A problem document (RFC 9457) with a stable code",
    content_type = "application/problem+json"
)]
pub struct ProblemResponse(
    #[expect(dead_code, reason = "only the schema counts")] candour_wire::Problem,
);

/// The document as JSON, with a newline at its end.
#[must_use]
pub fn document() -> String {
    let mut text = Document::openapi()
        .to_pretty_json()
        .expect("the document is plain data");
    text.push('\n');
    text
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Candour",
        version = "1",
        description = "What a handset says to its department. Enrolment is EST (RFC 7030). Records are \
            JWS (ES256) that the handset signs and chains; receipts are inclusion proofs of a \
            transparency log (C2SP tlog-tiles). Refusals are problem documents with a stable `code`."
    ),
    paths(
        gateway::est::ca_certs,
        gateway::est::simple_enrol,
        gateway::est::simple_reenrol,
        gateway::ingest::post_posture,
        gateway::ingest::post_records,
        gateway::attachments::upload_status,
        gateway::attachments::put_piece,
        gateway::policy::get_policy,
        gateway::log::checkpoint,
        gateway::log::tile,
    ),
    components(schemas(candour_wire::Problem), responses(ProblemResponse)),
    tags(
        (name = "enrolment", description = "On the public listener; renewal on the handset listener"),
        (name = "records", description = "On the handset listener"),
        (name = "attachments", description = "On the handset listener"),
        (name = "policy", description = "On the handset listener"),
        (name = "log", description = "On both listeners"),
    ),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        document.info.license = None;
        let components = document.components.get_or_insert_default();
        let token = Http::builder()
            .scheme(HttpAuthScheme::Basic)
            .description(Some(
                "Any user; the password is the one-time enrolment token",
            ))
            .build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let handset = SecurityScheme::MutualTls {
            description: Some("The handset's certificate from enrolment; TLS 1.3 only".to_owned()),
            deprecated: None,
            extensions: None,
        };
        components.add_security_scheme("handset", handset);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// Every `$ref` below `value`.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(
                    members
                        .get("$ref")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn whatever_the_document_refers_to_is_in_it() {
        let document: Value = serde_json::from_str(&super::document()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_committed_document_is_the_generated_one() {
        let committed = include_str!("../../docs/openapi.json");
        assert!(
            super::document() == committed,
            "docs/openapi.json has drifted: run `cargo run -p candour-server -- openapi > docs/openapi.json`"
        );
    }
}
