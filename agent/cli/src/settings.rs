//! Where the agent's home and its configuration are.

use std::path::{Path, PathBuf};

use candour_core::config::Config;
use etcetera::BaseStrategy as _;
use serde_json::{Map, Value};

use crate::args::Global;
use crate::failure::Failure;

/// The configuration for the whole machine, as a package or a device management installs it.
const SYSTEM_CONFIG: &str = "/etc/candour/agent.toml";

/// Longest configuration file that is read, in bytes: a real one is under 2 KiB.
const CONFIG_MAX_BYTES: u64 = 1 << 20;

/// The agent's home: `--home`, `$CANDOUR_HOME`, or `candour` in the XDG state directory.
///
/// # Errors
///
/// When none is given and the user has no home directory.
pub(crate) fn home(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(home) = &global.home {
        return Ok(home.clone());
    }
    etcetera::choose_base_strategy()
        .ok()
        .and_then(|base| base.state_dir())
        .map(|state| state.join("candour"))
        .ok_or_else(|| {
            Failure::Usage("there is no home directory; name the agent's home with --home".into())
        })
}

/// Reads the configuration: `--config`, `$CANDOUR_CONFIG`, else `config.toml` in the home, else
/// [`SYSTEM_CONFIG`].
///
/// # Errors
///
/// When there is none, it cannot be read, or it is not valid; all problems are named.
pub(crate) fn config(global: &Global) -> Result<Config, Failure> {
    let path = config_path(global)?;
    let source = read_capped(&path)?;
    parse(&path, &source)
}

fn config_path(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(path) = &global.config {
        return Ok(path.clone());
    }
    first_existing(vec![
        home(global)?.join("config.toml"),
        PathBuf::from(SYSTEM_CONFIG),
    ])
}

fn first_existing(places: Vec<PathBuf>) -> Result<PathBuf, Failure> {
    match places.iter().find(|place| place.exists()) {
        Some(place) => Ok(place.clone()),
        None => Err(Failure::ConfigMissing(places)),
    }
}

fn read_capped(path: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::File {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Failure::ConfigMissing(vec![path.to_owned()]),
        _ => failed(source),
    })?;
    if length.len() > CONFIG_MAX_BYTES {
        return Err(Failure::ConfigSyntax {
            path: path.to_owned(),
            problem: "it is longer than 1 MiB".into(),
        });
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// Reads a configuration's text; `path` is for messages.
///
/// # Errors
///
/// As [`config`].
pub(crate) fn parse(path: &Path, source: &str) -> Result<Config, Failure> {
    let object: Map<String, Value> =
        toml::from_str(source).map_err(|error| Failure::ConfigSyntax {
            path: path.to_owned(),
            // The parser's own words name the place; its rendering quotes the line, which may hold
            // the holder's name.
            problem: match error.span() {
                Some(span) => {
                    let line = source
                        .get(..span.start)
                        .map_or(0, |before| before.matches('\n').count())
                        + 1;
                    format!("line {line}: {}", error.message())
                }
                None => error.message().to_owned(),
            },
        })?;
    Config::from_object(&object).map_err(|problems| Failure::Config {
        path: path.to_owned(),
        problems,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(source: &str) -> Failure {
        parse(Path::new("agent.toml"), source).expect_err("it is not valid")
    }

    #[test]
    fn a_misspelt_key_is_named_with_the_nearest_known_one() {
        let told = failure("departmnet = \"hm-treasury\"").to_string();
        assert!(
            told.contains("departmnet") && told.contains("did you mean `department`?"),
            "{told}"
        );
    }

    #[test]
    fn broken_toml_is_placed_by_line_without_quoting_it() {
        let failure = failure("holder_name = \"A. Holder\"\nproxy = = \n");
        let told = failure.to_string();
        assert!(told.contains("line 2"), "{told}");
        assert!(!told.contains("A. Holder"), "{told}");
        assert_eq!(failure.code(), candour_wire::Code::ConfigInvalid);
    }

    #[test]
    fn a_missing_configuration_says_where_it_was_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let places = vec![
            dir.path().join("config.toml"),
            dir.path().join("agent.toml"),
        ];
        let told = first_existing(places.clone())
            .expect_err("there is none")
            .to_string();
        assert!(
            places
                .iter()
                .all(|place| told.contains(&place.display().to_string())),
            "{told}"
        );
        std::fs::write(&places[1], "").unwrap();
        assert_eq!(first_existing(places.clone()).unwrap(), places[1]);
    }

    #[test]
    fn home_and_configuration_can_be_named() {
        let global = Global {
            home: Some("/srv/candour".into()),
            ..Global::default()
        };
        assert_eq!(home(&global).unwrap(), Path::new("/srv/candour"));
        let global = Global {
            config: Some("/nowhere/agent.toml".into()),
            ..Global::default()
        };
        assert!(
            matches!(config(&global), Err(Failure::ConfigMissing(places)) if places.len() == 1)
        );
    }
}
