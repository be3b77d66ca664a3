//! Reading and checking of settings.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use candour_wire::{DepartmentId, limits};
use toml::{Table, Value};

use super::{Config, ConfigError, ConfigProblem, ENV_PREFIX, KEYS, LogFormat};
use crate::names::Hint;

/// Where settings come from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sources<'a> {
    /// Text of the configuration file.
    pub file: &'a str,
    /// Environment variables, all of them; only those with [`ENV_PREFIX`] are looked at.
    pub environment: &'a [(String, String)],
    /// Keys and values from the command line.
    pub flags: &'a [(String, String)],
}

/// Where a setting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the configuration file.
    File,
    /// In the environment.
    Environment,
    /// On the command line.
    Flag,
    /// Nowhere.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "config.toml",
            Self::Environment => "environment",
            Self::Flag => "command line",
            Self::Default => "nowhere set",
        })
    }
}

pub(super) fn load(sources: &Sources<'_>) -> Result<Config, ConfigError> {
    let mut reader = Reader::default();
    let departments = reader.take_file(sources.file);
    let environment = sources.environment.iter().filter_map(|(name, value)| {
        Some((name.strip_prefix(ENV_PREFIX)?.to_lowercase(), value.clone()))
    });
    for (key, value) in environment {
        reader.put(Source::Environment, key, Value::String(value));
    }
    for (key, value) in sources.flags {
        reader.put(Source::Flag, key.clone(), Value::String(value.clone()));
    }
    let public_listen = reader.read("public_listen", address);
    let public_url = reader.read("public_url", https_url);
    let handset_listen = reader.read("handset_listen", address);
    let handset_url = reader.read("handset_url", https_url);
    let ops_listen = reader.read("ops_listen", address);
    let ops_allow_remote = reader.read("ops_allow_remote", truth);
    let hosts = reader.read("hosts", hosts);
    let log_origin = reader.read("log_origin", origin);
    let connections_max = reader.read("connections_max", |v| number(v, 1, 65_536));
    let connections_per_handset = reader.read("connections_per_handset", |v| number(v, 1, 65_536));
    let strangers_max = reader.read("strangers_max", |v| number(v, 1, 65_536));
    let strangers_per_address = reader.read("strangers_per_address", |v| number(v, 1, 65_536));
    let handshake_timeout_s = reader.read("handshake_timeout_s", |v| number(v, 1, 600));
    let idle_timeout_s = reader.read("idle_timeout_s", |v| number(v, 1, 600));
    let request_timeout_s = reader.read("request_timeout_s", |v| number(v, 1, 600));
    let handset_daily_mib = reader.read("handset_daily_mib", |v| number(v, 1, 1 << 20));
    let disk_reserve_mib = reader.read("disk_reserve_mib", |v| number(v, 0, 1 << 20));
    let shutdown_grace_s = reader.read("shutdown_grace_s", |v| number(v, 0, 600));
    let log_filter = reader.read("log_filter", |v| text(v).map(str::to_owned));
    let log_format = reader.read("log_format", log_format);
    if let (Some(listen), Some(false)) = (ops_listen, ops_allow_remote)
        && !listen.ip().is_loopback()
    {
        reader.problem(
            "ops_listen",
            "it must be loopback, such as 127.0.0.1:8445, unless ops_allow_remote is set"
                .to_owned(),
        );
    }
    let config = (|| {
        Some(Config {
            public_listen: public_listen?,
            public_url: public_url?,
            handset_listen: handset_listen?,
            handset_url: handset_url?,
            ops_listen: ops_listen?,
            ops_allow_remote: ops_allow_remote?,
            hosts: hosts?,
            log_origin: log_origin?,
            connections_max: connections_max?,
            connections_per_handset: connections_per_handset?,
            strangers_max: strangers_max?,
            strangers_per_address: strangers_per_address?,
            handshake_timeout_s: handshake_timeout_s?,
            idle_timeout_s: idle_timeout_s?,
            request_timeout_s: request_timeout_s?,
            handset_daily_mib: handset_daily_mib?,
            disk_reserve_mib: disk_reserve_mib?,
            shutdown_grace_s: shutdown_grace_s?,
            log_filter: log_filter?,
            log_format: log_format?,
            departments,
        })
    })();
    match config {
        Some(config) if reader.problems.is_empty() => Ok(config),
        _ => Err(ConfigError(reader.problems)),
    }
}

/// Collects settings, the later over the earlier, and remembers what is wrong.
#[derive(Default)]
struct Reader {
    values: BTreeMap<String, (Source, Value)>,
    problems: Vec<ConfigProblem>,
}

impl Reader {
    fn take_file(&mut self, file: &str) -> BTreeMap<DepartmentId, String> {
        let mut table: Table = match file.parse() {
            Ok(table) => table,
            Err(error) => {
                self.push(Source::File, "config.toml", error.to_string());
                return BTreeMap::new();
            }
        };
        let departments = table.remove("departments");
        for (key, value) in table {
            self.put(Source::File, key, value);
        }
        departments.map_or_else(BTreeMap::new, |value| self.departments(value))
    }

    fn departments(&mut self, value: Value) -> BTreeMap<DepartmentId, String> {
        let Value::Table(table) = value else {
            self.push(
                Source::File,
                "departments",
                "it is a table of ids and names".to_owned(),
            );
            return BTreeMap::new();
        };
        let mut departments = BTreeMap::new();
        for (id, name) in table {
            match (id.parse::<DepartmentId>(), short_text(&name)) {
                (Ok(id), Ok(name)) => {
                    departments.insert(id, name);
                }
                (Err(error), _) => self.push(
                    Source::File,
                    &format!("departments.{id}"),
                    error.to_string(),
                ),
                (_, Err(problem)) => self.push(Source::File, &format!("departments.{id}"), problem),
            }
        }
        departments
    }

    fn put(&mut self, source: Source, key: String, value: Value) {
        if KEYS.iter().any(|known| known.name == key) {
            self.values.insert(key, (source, value));
            return;
        }
        let shown: String = key.chars().take(limits::SHORT_TEXT_MAX_CHARS).collect();
        let hint = Hint::nearest(&shown, KEYS.iter().map(|known| known.name));
        self.push(source, &shown, format!("there is no such key{hint}"));
    }

    fn read<T>(&mut self, key: &str, parse: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let default = || KEYS.iter().find(|known| known.name == key)?.default;
        let parsed = match (self.values.get(key), default()) {
            (Some((_, value)), _) => parse(value),
            (None, Some(default)) => parse(&Value::String(default.to_owned())),
            (None, None) => Err("it is missing".to_owned()),
        };
        parsed.map_err(|problem| self.problem(key, problem)).ok()
    }

    fn problem(&mut self, key: &str, problem: String) {
        let source = self
            .values
            .get(key)
            .map_or(Source::Default, |(source, _)| *source);
        self.push(source, key, problem);
    }

    fn push(&mut self, source: Source, key: &str, problem: String) {
        self.problems.push(ConfigProblem {
            source,
            key: key.to_owned(),
            problem,
        });
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .map(str::trim)
        .ok_or_else(|| "it must be a text".to_owned())
}

fn short_text(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let length = text.chars().count();
    if length == 0 || length > limits::SHORT_TEXT_MAX_CHARS || text.chars().any(char::is_control) {
        return Err(format!(
            "1 to {} printable characters",
            limits::SHORT_TEXT_MAX_CHARS
        ));
    }
    Ok(text.to_owned())
}

fn address(value: &Value) -> Result<SocketAddr, String> {
    text(value)?
        .parse()
        .map_err(|_| "write an IP address and a port, such as 0.0.0.0:8443 or [::]:8443".to_owned())
}

fn truth(value: &Value) -> Result<bool, String> {
    let truth = value
        .as_bool()
        .or_else(|| value.as_str()?.trim().parse().ok());
    truth.ok_or_else(|| "true or false".to_owned())
}

/// The environment and the command line give texts, the file gives numbers.
fn number(value: &Value, least: u32, most: u32) -> Result<u32, String> {
    let number = match value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|n| (least..=most).contains(n))
        .ok_or_else(|| format!("a whole number from {least} to {most}"))
}

fn log_format(value: &Value) -> Result<LogFormat, String> {
    match text(value)? {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json".to_owned()),
    }
}

fn origin(value: &Value) -> Result<String, String> {
    let origin = text(value)?;
    let allowed = |c: char| c.is_ascii_graphic() && c != '+';
    if origin.is_empty()
        || origin.len() > limits::SHORT_TEXT_MAX_CHARS
        || !origin.chars().all(allowed)
    {
        return Err(
            "a host name and a path without spaces or plus signs, such as candour.example/log"
                .to_owned(),
        );
    }
    Ok(origin.to_owned())
}

/// A list in the file, a text with commas elsewhere.
fn hosts(value: &Value) -> Result<Vec<String>, String> {
    let rule = || "one or more host names or IP addresses".to_owned();
    let texts: Option<Vec<&str>> = match value {
        Value::String(text) => Some(text.split(',').collect()),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let hosts: Vec<String> = texts
        .ok_or_else(rule)?
        .iter()
        .map(|host| host.trim().to_owned())
        .collect();
    let all_valid = hosts.iter().all(|host| is_host(host));
    if hosts.is_empty() || hosts.len() > MAX_HOSTS || !all_valid {
        Err(rule())
    } else {
        Ok(hosts)
    }
}

/// More names than a department has for one gateway.
const MAX_HOSTS: usize = 32;

pub(crate) fn is_host(host: &str) -> bool {
    let name = |host: &str| {
        !host.is_empty()
            && host.len() <= 253
            && host.split('.').all(|label| {
                let inner = label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-');
                inner
                    && !label.is_empty()
                    && label.len() <= 63
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            })
    };
    host.parse::<std::net::IpAddr>().is_ok() || name(host)
}

fn https_url(value: &Value) -> Result<String, String> {
    let rule = || "write it as https://host:port, without a path".to_owned();
    let url = text(value)?.trim_end_matches('/');
    let authority = url.strip_prefix("https://").ok_or_else(rule)?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port_ok = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if is_host(bare) && port_ok {
        Ok(url.to_owned())
    } else {
        Err(rule())
    }
}
