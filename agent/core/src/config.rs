//! The agent's configuration: the keys that a device management pushes.
//!
//! It arrives as one flat object (Android's managed configuration, iOS's managed app
//! configuration, a TOML file on Linux), is checked as a whole, and either all of it is taken or
//! every problem is named. Unknown keys are refused with the nearest known one, because a
//! misspelt `ca_pins` must not silently leave a phone unprotected.

use candour_wire::id::InvalidId;
use candour_wire::jws::VerifyingKey;
use candour_wire::log::checkpoint::LogVerifier;
use candour_wire::{DepartmentId, Digest, Sensitive, limits};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::outbox::Limits;

/// A valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The gateway's address for enrolled handsets, `https://host:port`.
    pub server_url: String,
    /// The gateway's address for enrolment, `https://host:port`.
    pub enrol_url: String,
    /// Whose phone this is.
    pub department: DepartmentId,
    /// SHA-256 of the public keys of the department's certificate authority and of its backup.
    pub ca_pins: Vec<Digest>,
    /// Verifies policy bundles.
    pub policy_key: VerifyingKey,
    /// Verifies the log's checkpoints.
    pub log_key: LogVerifier,
    /// `http://host:port` of a web proxy.
    pub proxy: Option<String>,
    /// The holder's name, as it stands in declarations unless another is given.
    pub holder_name: Option<Sensitive<String>>,
    /// The holder's role, likewise.
    pub holder_role: Option<Sensitive<String>>,
    /// IANA time zone for message times that carry none.
    pub time_zone: String,
    /// Bounds of the outbox.
    pub outbox: Limits,
}

/// What one key means; also the source of the documentation.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Name.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it says, in a sentence.
    pub about: &'static str,
}

/// Every key there is, in the order of the documentation.
pub const KEYS: &[Key] = &[
    Key {
        name: "server_url",
        required: true,
        about: "Gateway address for enrolled phones, https://host:port.",
    },
    Key {
        name: "enrol_url",
        required: true,
        about: "Gateway address for enrolment, https://host:port.",
    },
    Key {
        name: "department",
        required: true,
        about: "The department's id, such as hm-treasury.",
    },
    Key {
        name: "ca_pins",
        required: true,
        about: "SHA-256 of the certificate authority's public key and of a backup's, base64url; one or two.",
    },
    Key {
        name: "policy_key",
        required: true,
        about: "Public key that signs policies: DER SubjectPublicKeyInfo in base64.",
    },
    Key {
        name: "log_key",
        required: true,
        about: "Public key that signs the log, in C2SP verifier-key form.",
    },
    Key {
        name: "proxy",
        required: false,
        about: "Web proxy, http://host:port.",
    },
    Key {
        name: "holder_name",
        required: false,
        about: "The holder's name for declarations.",
    },
    Key {
        name: "holder_role",
        required: false,
        about: "The holder's role for declarations.",
    },
    Key {
        name: "time_zone",
        required: false,
        about: "IANA time zone for message times without one; Europe/London unless given.",
    },
    Key {
        name: "outbox_max_records",
        required: false,
        about: "Most records that may wait on the phone, 100 to 100000; 10000 unless given.",
    },
    Key {
        name: "outbox_max_mib",
        required: false,
        about: "Most MiB that may wait on the phone, 16 to 4096; 256 unless given.",
    },
    Key {
        name: "attachments_max_mib",
        required: false,
        about: "Most MiB of sealed files that may wait on the phone, 128 to 65536; 1024 unless given.",
    },
    Key {
        name: "outbox_max_age_days",
        required: false,
        about: "Days after which a waiting record stops new declarations until a sync, 7 to 365; 90 unless given.",
    },
];

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key.
    pub key: String,
    /// What is wrong and what would be right; at most 1,000 characters, so that Android can
    /// report it back by key (keyed app states). Never the value of the key.
    pub problem: String,
}

/// The configuration is not valid; all problems are named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|p| format!("{}: {}", p.key, p.problem)).collect::<Vec<_>>().join("; "))]
pub struct ConfigError(pub Vec<ConfigProblem>);

impl Config {
    /// Reads a configuration from the flat object that a device management pushes.
    ///
    /// # Errors
    ///
    /// Names every problem at once.
    pub fn from_object(object: &Map<String, Value>) -> Result<Self, ConfigError> {
        let mut reader = Reader {
            object,
            problems: Vec::new(),
        };
        reader.refuse_unknown_keys();
        let server_url = reader.required("server_url", https_url);
        let enrol_url = reader.required("enrol_url", https_url);
        let department = reader.required("department", |v| {
            text(v)?.parse().map_err(|e: InvalidId| e.to_string())
        });
        let ca_pins = reader.required("ca_pins", ca_pins);
        let policy_key = reader.required("policy_key", policy_key);
        let log_key = reader.required("log_key", |v| {
            text(v)?
                .trim()
                .parse()
                .map_err(|_| "give it as the server printed it: name+hash+base64".to_owned())
        });
        let proxy = reader.optional("proxy", proxy_url);
        let holder_name = reader.optional("holder_name", personal_text);
        let holder_role = reader.optional("holder_role", personal_text);
        let time_zone = reader.optional("time_zone", time_zone);
        let defaults = Limits::default();
        let max_records = reader.optional("outbox_max_records", |v| number(v, 100, 100_000));
        let max_mib = reader.optional("outbox_max_mib", |v| number(v, 16, 4096));
        let max_files_mib = reader.optional("attachments_max_mib", |v| number(v, 128, 65_536));
        let max_age_days = reader.optional("outbox_max_age_days", |v| number(v, 7, 365));
        match (
            server_url, enrol_url, department, ca_pins, policy_key, log_key,
        ) {
            (
                Some(server_url),
                Some(enrol_url),
                Some(department),
                Some(ca_pins),
                Some(policy_key),
                Some(log_key),
            ) if reader.problems.is_empty() => Ok(Self {
                server_url,
                enrol_url,
                department,
                ca_pins,
                policy_key,
                log_key,
                proxy,
                holder_name,
                holder_role,
                time_zone: time_zone.unwrap_or_else(|| "Europe/London".to_owned()),
                outbox: Limits {
                    records: max_records.unwrap_or(defaults.records),
                    bytes: max_mib.map_or(defaults.bytes, |mib| mib << 20),
                    age: max_age_days.map_or(defaults.age, |days| {
                        SignedDuration::from_hours(24 * days.cast_signed())
                    }),
                    spool_bytes: max_files_mib.map_or(defaults.spool_bytes, |mib| mib << 20),
                    ..defaults
                },
            }),
            _ => Err(ConfigError(reader.problems)),
        }
    }
}

/// Reads keys one by one and remembers what was wrong.
struct Reader<'a> {
    object: &'a Map<String, Value>,
    problems: Vec<ConfigProblem>,
}

impl Reader<'_> {
    fn refuse_unknown_keys(&mut self) {
        for key in self
            .object
            .keys()
            .filter(|key| KEYS.iter().all(|known| known.name != *key))
        {
            let shown: String = key.chars().take(limits::SHORT_TEXT_MAX_CHARS).collect();
            let nearest = KEYS
                .iter()
                .map(|known| (strsim::jaro_winkler(&shown, known.name), known.name))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let problem = match nearest {
                Some((likeness, name)) if likeness > 0.7 => {
                    format!("there is no such key; did you mean `{name}`?")
                }
                _ => "there is no such key".to_owned(),
            };
            self.problems.push(ConfigProblem {
                key: shown,
                problem,
            });
        }
    }

    fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        // A device management sends an empty text for a key that the administrator left blank.
        let value = self
            .object
            .get(key)
            .filter(|v| !v.is_null() && v.as_str() != Some(""))?;
        read(value)
            .map_err(|problem| {
                self.problems.push(ConfigProblem {
                    key: key.to_owned(),
                    problem,
                })
            })
            .ok()
    }

    fn required<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let before = self.problems.len();
        let value = self.optional(key, read);
        if value.is_none() && self.problems.len() == before {
            self.problems.push(ConfigProblem {
                key: key.to_owned(),
                problem: "it is missing".to_owned(),
            });
        }
        value
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "it must be a text".to_owned())
}

fn personal_text(value: &Value) -> Result<Sensitive<String>, String> {
    let text = text(value)?.trim();
    if text.chars().count() > limits::SHORT_TEXT_MAX_CHARS {
        return Err(format!(
            "at most {} characters",
            limits::SHORT_TEXT_MAX_CHARS
        ));
    }
    Ok(text.into())
}

fn number(value: &Value, least: u64, most: u64) -> Result<u64, String> {
    // Android's restrictions carry numbers as texts as often as not.
    let number = value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok());
    number
        .filter(|n| (least..=most).contains(n))
        .ok_or_else(|| format!("a whole number from {least} to {most}"))
}

/// Checks the shape only: scheme, host, an optional port, nothing after it.
fn base_url(value: &Value, scheme: &str) -> Result<String, String> {
    let rule = || format!("write it as {scheme}host:port, without a path");
    let url = text(value)?.trim().trim_end_matches('/');
    let authority = url.strip_prefix(scheme).ok_or_else(rule)?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host_ok = !host.is_empty()
        && host.len() <= 253
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    let port_ok = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if host_ok && port_ok {
        Ok(url.to_owned())
    } else {
        Err(rule())
    }
}

fn https_url(value: &Value) -> Result<String, String> {
    base_url(value, "https://")
}

fn proxy_url(value: &Value) -> Result<String, String> {
    base_url(value, "http://")
}

fn time_zone(value: &Value) -> Result<String, String> {
    let zone = text(value)?.trim();
    TimeZone::get(zone).map_err(|_| "write an IANA name such as Europe/London".to_owned())?;
    Ok(zone.to_owned())
}

fn ca_pins(value: &Value) -> Result<Vec<Digest>, String> {
    let rule = || "one or two SHA-256 digests in base64url, separated by commas".to_owned();
    let texts: Vec<&str> = match value {
        Value::String(text) => text
            .split(',')
            .map(str::trim)
            .filter(|t| !t.is_empty())
            .collect(),
        Value::Array(values) => values
            .iter()
            .map(Value::as_str)
            .collect::<Option<_>>()
            .ok_or_else(rule)?,
        _ => return Err(rule()),
    };
    let pins: Result<Vec<Digest>, _> = texts.iter().map(|text| text.parse()).collect();
    pins.ok()
        .filter(|pins| (1..=2).contains(&pins.len()))
        .ok_or_else(rule)
}

fn policy_key(value: &Value) -> Result<VerifyingKey, String> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text(value)?.trim())
        .ok()
        .and_then(|der| VerifyingKey::from_spki_der(&der).ok())
        .ok_or_else(|| "the P-256 public key's DER SubjectPublicKeyInfo in base64".to_owned())
}

#[cfg(test)]
mod tests;
