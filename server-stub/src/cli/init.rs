//! `init`: everything that a department's server needs, made on the spot.
//!
//! It works in a directory beside the data directory, or in it where it is there and empty, and
//! moves everything into place at the end, so that an interrupted `init` leaves nothing behind that
//! looks finished.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use candour_wire::DepartmentId;
use candour_wire::seal::{RecordsPrivateKey, Suite};
use clap::Args;

use super::agent_config::{AgentConfig, PublicKeys};
use super::{CliError, Context, output};
use crate::clock::Clock as _;
use crate::config::{Config, Sources, is_host};
use crate::files::{self, DataDir, FileError};
use crate::identity::ca::Authority;
use crate::keys::{LogKey, PolicyKey};
use crate::policy;
use crate::store::Store as _;
use crate::store::sqlite::{Settings, SqliteStore};

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The department's id, such as hm-treasury.
    #[arg(long, value_name = "ID")]
    department: DepartmentId,
    /// The department's name, such as "HM Treasury".
    #[arg(long)]
    name: String,
    /// Name or address under which phones reach this server; the first stands in their settings.
    #[arg(long = "host", required = true, value_name = "HOST")]
    hosts: Vec<String>,
    /// Address to listen on; loopback when every host is, else all addresses.
    #[arg(long, value_name = "IP")]
    listen: Option<IpAddr>,
    /// Port for enrolment and the log.
    #[arg(long, default_value_t = 8443, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    public_port: u16,
    /// Port for enrolled phones.
    #[arg(long, default_value_t = 8444, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    handset_port: u16,
    /// Port for health and metrics, on loopback.
    #[arg(long, default_value_t = 8445, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    ops_port: u16,
    /// Name of the transparency log; the first host and /log unless given. It never changes.
    #[arg(long, value_name = "ORIGIN")]
    log_origin: Option<String>,
}

impl Init {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        let target = context.data.path();
        let work = Workplace::beside_or_in(target)?;
        let made = self
            .make(context, &DataDir::new(&work.dir))
            .and_then(|summary| {
                let fail = |error| CliError::File(FileError::Write(target.to_owned(), error));
                work.move_into(target).map_err(fail)?;
                Ok(summary)
            });
        let summary = made.inspect_err(|_| {
            // The first error is the one that counts.
            let _ = fs::remove_dir_all(&work.dir);
        })?;
        self.report(context, &summary);
        Ok(())
    }

    fn make(&self, context: &Context, data: &DataDir) -> Result<AgentConfig, CliError> {
        let now = context.clock.now();
        let config_text = self.config_text()?;
        let config = Config::load(&Sources {
            file: &config_text,
            ..Sources::default()
        })?;
        let authority = Authority::make(&self.name, now)?;
        files::create(&data.ca_path(), authority.pem())?;
        files::create_secret(&data.ca_key_path(), &authority.key_pem())?;
        files::create_secret(
            &data.server_path(),
            &authority.issue_server(&config.hosts, now)?,
        )?;
        let policy_key = PolicyKey::make()?;
        files::create_secret(&data.policy_key_path(), &policy_key.to_text())?;
        let log_key = LogKey::make(&config.log_origin)?;
        files::create_secret(&data.log_key_path(), log_key.to_text())?;
        let keys = PublicKeys::new(&authority, &policy_key, log_key.verifier());
        add_department(
            context,
            data,
            &policy_key,
            (&self.department, &self.name),
            None,
        )?;
        let agent_config = AgentConfig::new(&config, &self.department, &keys);
        files::create(
            &data.agent_config_path(&self.department),
            &agent_config.to_toml(),
        )?;
        let signer = Some(log_key.into_signer());
        let settings = Settings {
            attachments: data.attachments_dir(),
            signer,
            now,
        };
        let store = SqliteStore::create(&data.store_path(), settings)?;
        context.wait(store.close());
        files::create(&data.config_path(), &config_text)?;
        Ok(agent_config)
    }

    fn config_text(&self) -> Result<String, CliError> {
        let listen = self.listen.unwrap_or_else(|| default_listen(&self.hosts));
        let [public, handset] = [self.public_port, self.handset_port]
            .map(|port| std::net::SocketAddr::new(listen, port).to_string());
        if let Some(bad) = self.hosts.iter().find(|host| !is_host(host)) {
            return Err(CliError::usage(
                "--host",
                format!("{bad:?} is not a host name or an IP address"),
            ));
        }
        let first = self.hosts.first().map_or("localhost", String::as_str);
        let url_host = if first.contains(':') {
            format!("[{first}]")
        } else {
            first.to_owned()
        };
        let origin = self
            .log_origin
            .clone()
            .unwrap_or_else(|| format!("{first}/log"));
        let mut document = toml_edit::DocumentMut::new();
        document.insert("public_listen", toml_edit::value(public));
        document.insert(
            "public_url",
            toml_edit::value(format!("https://{url_host}:{}", self.public_port)),
        );
        document.insert("handset_listen", toml_edit::value(handset));
        document.insert(
            "handset_url",
            toml_edit::value(format!("https://{url_host}:{}", self.handset_port)),
        );
        document.insert(
            "ops_listen",
            toml_edit::value(format!("127.0.0.1:{}", self.ops_port)),
        );
        document.insert(
            "hosts",
            toml_edit::value(self.hosts.iter().collect::<toml_edit::Array>()),
        );
        document.insert("log_origin", toml_edit::value(origin));
        let mut departments = toml_edit::Table::new();
        departments.insert(self.department.as_str(), toml_edit::value(self.name.trim()));
        document.insert("departments", toml_edit::Item::Table(departments));
        Ok(format!(
            "# Settings of candour-server; `candour-server config keys` lists all of them.\n{document}"
        ))
    }

    fn report(&self, context: &Context, agent_config: &AgentConfig) {
        let data = &context.data;
        let records_key = data.records_key_path(None);
        let agent_path = data.agent_config_path(&self.department);
        if context.json {
            output::json(&serde_json::json!({
                "data": data.path(),
                "department": self.department,
                "config_path": data.config_path(),
                "records_key_path": records_key,
                "agent_config_path": agent_path,
                "agent_config": agent_config,
            }));
            return;
        }
        output::text(&format!(
            "Set up {data} for {name}.\n\n\
             The records key opens declarations. The gateway never reads it. Move it off this machine:\n  {records}\n\n\
             What the device management pushes to {name}'s phones ({agent}):\n\n{config}\n\
             Next:\n  candour-server --data {data} serve\n  candour-server --data {data} token new",
            data = data.path().display(),
            name = output::clean(&self.name),
            records = records_key.display(),
            agent = agent_path.display(),
            config = agent_config.to_toml(),
        ));
    }
}

/// Makes a department's records key and first policy.
///
/// `file_name` is `None` for the first department, whose key is `records-role/records.key`.
pub(super) fn add_department(
    context: &Context,
    data: &DataDir,
    policy_key: &PolicyKey,
    (id, name): (&DepartmentId, &str),
    file_name: Option<&DepartmentId>,
) -> Result<PathBuf, CliError> {
    let records_key = RecordsPrivateKey::generate();
    let path = data.records_key_path(file_name);
    files::create_secret(&path, &records_key.to_text())?;
    let public = records_key.public_key(Suite::XWingAes256Gcm);
    let first = policy::standard(id, name, public, context.clock.now());
    policy::issue(&data.policy_dir(), policy_key, &first)?;
    Ok(path)
}

fn default_listen(hosts: &[String]) -> IpAddr {
    let is_loopback = |host: &String| {
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    if hosts.iter().all(is_loopback) {
        IpAddr::from([127, 0, 0, 1])
    } else {
        IpAddr::from([0, 0, 0, 0])
    }
}

/// Where everything is made, before it moves to its place.
struct Workplace {
    dir: PathBuf,
    /// The target is there, and empty: it is filled rather than replaced, for it may be a mount,
    /// or the only place where this account can write.
    fill: bool,
}

impl Workplace {
    /// An empty directory may be there; anything else stays as it is.
    fn beside_or_in(target: &Path) -> Result<Self, CliError> {
        let fill = match fs::read_dir(target).map(|mut entries| entries.next().is_none()) {
            Ok(true) => true,
            Ok(false) => return Err(CliError::NotEmpty(target.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(CliError::File(FileError::Read(target.to_owned(), error))),
        };
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".init-{}", std::process::id()));
        let dir = if fill {
            target.join(name)
        } else {
            target.with_file_name(name)
        };
        files::create_dir(&dir).map_err(|_| CliError::NoPlace(target.to_owned()))?;
        Ok(Self { dir, fill })
    }

    /// Moves everything into place. Where that takes several steps the settings come last:
    /// without them nothing looks set up.
    fn move_into(&self, target: &Path) -> io::Result<()> {
        if !self.fill {
            return fs::rename(&self.dir, target).and_then(|()| files::sync_parent(target));
        }
        fs::set_permissions(target, fs::Permissions::from_mode(0o700))?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            names.push(entry?.file_name());
        }
        let settings = DataDir::new("").config_path();
        names.sort_by_key(|name| *name == settings.as_os_str());
        let moved = names
            .iter()
            .try_for_each(|name| fs::rename(self.dir.join(name), target.join(name)))
            .and_then(|()| fs::remove_dir(&self.dir))
            .and_then(|()| fs::File::open(target)?.sync_all());
        moved.inspect_err(|_| {
            for name in &names {
                // Only what this `init` has made is there; what cannot be moved back is kept.
                let _ = fs::rename(target.join(name), self.dir.join(name));
            }
        })
    }
}
