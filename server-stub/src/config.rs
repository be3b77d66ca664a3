//! The server's settings: file, then environment, then flags; the later wins.
//!
//! They are checked as a whole: either all are taken or every problem is named, with the place it
//! comes from. Unknown keys are refused with the nearest known one, because a misspelt
//! `ops_listen` must not silently open a port.
//!
//! No setting is a secret: keys live in files of their own. `config show` prints the settings
//! and, of the keys, only where they are and their public halves.

mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use candour_wire::DepartmentId;

pub(crate) use read::is_host;
pub use read::{Source, Sources};

/// Prefix of the environment variables, such as `CANDOUR_SERVER_OPS_LISTEN`.
pub const ENV_PREFIX: &str = "CANDOUR_SERVER_";

/// Valid settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where phones enrol, and where the log is public. No client certificate.
    pub public_listen: SocketAddr,
    /// Its address as phones know it, `https://host:port`.
    pub public_url: String,
    /// Where enrolled phones deliver. Client certificate required.
    pub handset_listen: SocketAddr,
    /// Its address as phones know it, `https://host:port`.
    pub handset_url: String,
    /// Where health and metrics are served, in clear.
    pub ops_listen: SocketAddr,
    /// Whether [`Config::ops_listen`] may be other than loopback.
    pub ops_allow_remote: bool,
    /// Names and addresses of the server's certificate.
    pub hosts: Vec<String>,
    /// Name of the log (C2SP tlog-checkpoint: origin).
    pub log_origin: String,
    /// Most connections of enrolled phones at a time.
    pub connections_max: u32,
    /// Most connections of one enrolled phone at a time.
    pub connections_per_handset: u32,
    /// Most connections at a time, on each listener, that have not shown a certificate.
    pub strangers_max: u32,
    /// As many of them as may come from one address.
    pub strangers_per_address: u32,
    /// Seconds that a handshake may take.
    pub handshake_timeout_s: u32,
    /// Seconds that a connection may be silent, and that the head of a request may take.
    pub idle_timeout_s: u32,
    /// Seconds that a whole request may take.
    pub request_timeout_s: u32,
    /// MiB of records and files that one phone may send in a day.
    pub handset_daily_mib: u32,
    /// MiB that records and files leave free on the disk.
    pub disk_reserve_mib: u32,
    /// Seconds that a shutdown waits for requests that were taken.
    pub shutdown_grace_s: u32,
    /// What is logged, as a tracing filter such as `info` or `candour_server=debug`.
    pub log_filter: String,
    /// How the log is written.
    pub log_format: LogFormat,
    /// Departments by id, with their names for people.
    pub departments: BTreeMap<DepartmentId, String>,
}

/// How the server's own log is written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object in each line.
    Json,
}

impl LogFormat {
    /// The word in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// What one key means; also the source of the documentation.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Name in the file; in the environment in capitals after [`ENV_PREFIX`].
    pub name: &'static str,
    /// The value where none is given; `None` where one must be.
    pub default: Option<&'static str>,
    /// What it says, in a sentence.
    pub about: &'static str,
}

const fn key(name: &'static str, default: Option<&'static str>, about: &'static str) -> Key {
    Key {
        name,
        default,
        about,
    }
}

/// Every key there is, in the order of the documentation. Beside them the file has the table
/// `[departments]`.
pub const KEYS: &[Key] = &[
    key(
        "public_listen",
        Some("127.0.0.1:8443"),
        "Address and port for enrolment and the log.",
    ),
    key(
        "public_url",
        None,
        "That address as phones know it, https://host:port.",
    ),
    key(
        "handset_listen",
        Some("127.0.0.1:8444"),
        "Address and port for enrolled phones.",
    ),
    key(
        "handset_url",
        None,
        "That address as phones know it, https://host:port.",
    ),
    key(
        "ops_listen",
        Some("127.0.0.1:8445"),
        "Address and port for /livez, /readyz and /metrics, in clear.",
    ),
    key(
        "ops_allow_remote",
        Some("false"),
        "Whether ops_listen may be other than loopback.",
    ),
    key(
        "hosts",
        None,
        "Names and addresses of the server's certificate.",
    ),
    key(
        "log_origin",
        None,
        "Name of the transparency log, such as candour.example/log; never changes.",
    ),
    key(
        "connections_max",
        Some("4096"),
        "Most connections of enrolled phones at a time, 1 to 65536.",
    ),
    key(
        "connections_per_handset",
        Some("4"),
        "Most connections of one enrolled phone at a time, 1 to 65536.",
    ),
    key(
        "strangers_max",
        Some("2048"),
        "Most connections without a certificate at a time on each listener, 1 to 65536.",
    ),
    key(
        "strangers_per_address",
        Some("1024"),
        "As many of them as may come from one address, 1 to 65536.",
    ),
    key(
        "handshake_timeout_s",
        Some("15"),
        "Seconds that a handshake may take, 1 to 600.",
    ),
    key(
        "idle_timeout_s",
        Some("30"),
        "Seconds that a connection may be silent, and a request's head may take, 1 to 600.",
    ),
    key(
        "request_timeout_s",
        Some("60"),
        "Seconds that a whole request may take, 1 to 600.",
    ),
    key(
        "handset_daily_mib",
        Some("2048"),
        "MiB of records and files that one phone may send in a day, 1 to 1048576.",
    ),
    key(
        "disk_reserve_mib",
        Some("256"),
        "MiB that records and files leave free on the disk, 0 to 1048576.",
    ),
    key(
        "shutdown_grace_s",
        Some("20"),
        "Seconds that a shutdown waits for requests, 0 to 600.",
    ),
    key(
        "log_filter",
        Some("info"),
        "What is logged, as a tracing filter.",
    ),
    key(
        "log_format",
        Some("text"),
        "How the log is written: text or json.",
    ),
];

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where it stands.
    pub source: Source,
    /// The key.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.key, self.source, self.problem)
    }
}

/// The settings are not valid; all problems are named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigError(pub Vec<ConfigProblem>);

impl Config {
    /// Reads the settings from where they come from.
    ///
    /// # Errors
    ///
    /// Names every problem at once.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        read::load(sources)
    }

    /// Every setting with its value, for `config show`.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("public_listen", self.public_listen.to_string()),
            ("public_url", self.public_url.clone()),
            ("handset_listen", self.handset_listen.to_string()),
            ("handset_url", self.handset_url.clone()),
            ("ops_listen", self.ops_listen.to_string()),
            ("ops_allow_remote", self.ops_allow_remote.to_string()),
            ("hosts", self.hosts.join(",")),
            ("log_origin", self.log_origin.clone()),
            ("connections_max", self.connections_max.to_string()),
            (
                "connections_per_handset",
                self.connections_per_handset.to_string(),
            ),
            ("strangers_max", self.strangers_max.to_string()),
            (
                "strangers_per_address",
                self.strangers_per_address.to_string(),
            ),
            ("handshake_timeout_s", self.handshake_timeout_s.to_string()),
            ("idle_timeout_s", self.idle_timeout_s.to_string()),
            ("request_timeout_s", self.request_timeout_s.to_string()),
            ("handset_daily_mib", self.handset_daily_mib.to_string()),
            ("disk_reserve_mib", self.disk_reserve_mib.to_string()),
            ("shutdown_grace_s", self.shutdown_grace_s.to_string()),
            ("log_filter", self.log_filter.clone()),
            ("log_format", self.log_format.as_str().to_owned()),
        ]
    }

    /// The department's name for people; its id where it has none.
    #[must_use]
    pub fn department_name<'a>(&'a self, id: &'a DepartmentId) -> &'a str {
        self.departments.get(id).map_or(id.as_str(), String::as_str)
    }
}

#[cfg(test)]
mod tests;
