//! `candour demo`: the whole of Candour on one machine, for real.
//!
//! A server of its own is started as a person would start it, by its command line. This machine
//! is enrolled with it, scanned, and declares messages of an exported chat; simulated handsets
//! give the prevalence figures something to count. Nothing is acted: each step uses the same code
//! as its command, and whatever does not hold ends the demo with an error.
//!
//! Everything is in one folder, which begins empty. The server is stopped gracefully however the
//! demo ends.

mod declare;
mod error;
mod fleet;
mod fleet_probe;
mod leak;
mod server;
mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candour_core::agent::Agent;
use candour_core::config::Config;
use candour_wire::DepartmentId;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use error::DemoError;

use crate::args::Demo;
use crate::commands::{Context, block_on};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::{Quiet, spinner};
use crate::{out, settings};
use server::{Running, Server};

/// The departments of the demo, this machine's first, and how many of 200 simulated handsets each
/// has. With this machine the first has 64.
const DEPARTMENTS: [(&str, &str, u32); 3] = [
    ("hm-treasury", "HM Treasury", 63),
    ("cabinet-office", "Cabinet Office", 73),
    ("department-for-education", "Department for Education", 64),
];

/// Marks a folder as the demo's own, so that no other is ever emptied.
const MARKER: &str = "made-by-candour-demo";

/// The person whose machine this is, in the demo: a name in the shipped chats.
const HOLDER: (&str, &str) = ("Priya Sample", "Private secretary");

/// The person whose machine this is where the chat is the user's own.
const OWN_HOLDER: (&str, &str) = ("The holder of this machine", "Trying Candour out");

/// Where the demo keeps what.
struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Begins an empty folder, absolute so that the printed commands work from anywhere.
    fn prepare(root: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::FileWrite {
            path: root.to_owned(),
            source,
        };
        let root = std::path::absolute(root).map_err(failed)?;
        if root.exists() {
            let empty = std::fs::read_dir(&root).map_err(failed)?.next().is_none();
            if !empty && !root.join(MARKER).is_file() {
                return Err(DemoError::NotOurFolder(root).into());
            }
            std::fs::remove_dir_all(&root).map_err(failed)?;
        }
        std::fs::create_dir_all(&root).map_err(failed)?;
        std::fs::write(
            root.join(MARKER),
            "This folder is emptied each time the demo begins.\n",
        )
        .map_err(failed)?;
        Ok(Self { root })
    }

    fn server_data(&self) -> PathBuf {
        self.root.join("server")
    }

    fn server_log(&self) -> PathBuf {
        self.root.join("server.log")
    }

    fn handset_home(&self) -> PathBuf {
        self.root.join("handset")
    }
}

/// Plays the demo.
///
/// # Errors
///
/// When a step does not do what it should, or the server cannot be started.
pub(crate) fn demo(context: &mut Context<'_>, args: &Demo) -> Result<Exit, Failure> {
    if args.chat.is_some() && !args.yes && (!out::can_ask() || context.out.is_json()) {
        return Err(Failure::NotConfirmed(
            "your own messages are only declared when you confirm; give --yes without a terminal",
        ));
    }
    let server = Server::find(args.server_command.as_deref())?;
    let folder = Folder::prepare(&args.keep)?;
    block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let stopped = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        tokio::pin!(stopped);
        let mut running = None;
        let played = tokio::select! {
            played = play(context, args, &folder, &server, &mut running) => played,
            () = &mut stopped => Err(Failure::NotConfirmed("the demo was stopped")),
        };
        if played.is_ok() && !args.once {
            context.out.line("The server stays up. Ctrl-C stops it.")?;
            stopped.await;
        }
        if let Some(running) = running {
            running.stop()?;
        }
        played
    })?;
    Ok(Exit::Done)
}

async fn play(
    context: &mut Context<'_>,
    args: &Demo,
    folder: &Folder,
    server: &Server,
    running: &mut Option<Running>,
) -> Result<(), Failure> {
    step(
        context,
        1,
        "The department starts its server, with keys and certificates of its own",
    )?;
    server.init(
        &folder.server_data(),
        &DEPARTMENTS.map(|(id, name, _)| (id, name)),
    )?;
    let started = spinner("Starting the server");
    let server_running = running.insert(server.serve(&folder.server_data(), &folder.server_log())?);
    started.finish_and_clear();
    let addresses = server_running.addresses()?;
    show::server(&mut context.out, &addresses, &folder.server_data())?;

    step(
        context,
        2,
        "This machine enrols over EST (RFC 7030) with a one-time token",
    )?;
    let pushed = server.agent_config(&folder.server_data(), DEPARTMENTS[0].0, &addresses)?;
    let config = write_config(
        &folder.handset_home(),
        pushed,
        if args.chat.is_some() {
            OWN_HOLDER
        } else {
            HOLDER
        },
    )?;
    let agent = open(context, &folder.handset_home(), &config)?;
    let token = server.tokens(&folder.server_data(), DEPARTMENTS[0].0, 1)?;
    let token = token.into_iter().next().ok_or(DemoError::Reply {
        command: "token new",
    })?;
    let enrolment = agent.enrol(token).await?;
    show::enrolment(&mut context.out, &enrolment, agent.config())?;

    step(context, 3, "It looks for catalogue apps, and for no others")?;
    let scan = agent.scan()?;
    show::scan(&mut context.out, &scan, &agent.catalogue())?;

    step(
        context,
        4,
        "The holder picks messages of an exported chat, sees the preview, and declares them",
    )?;
    let declared = declare::declare(context, &agent, args)?;

    step(
        context,
        5,
        "It sends what waits over mutual TLS and verifies every receipt",
    )?;
    let sending = spinner("Sending");
    let report = agent.sync().await;
    sending.finish_and_clear();
    show::sync(&mut context.out, &report?, &agent)?;
    let receipts = show::receipts(&mut context.out, &agent)?;

    step(
        context,
        6,
        "The gateway holds no message text; the records key opens it",
    )?;
    let searched = leak::search(
        &[&folder.server_data(), &folder.server_log()],
        &declared.secrets(),
        enrolment.handset.as_str(),
    )?;
    show::search(&mut context.out, &searched)?;
    let opened = declared
        .records
        .first()
        .map(|record| server.open(&folder.server_data(), *record))
        .transpose()?;
    if let Some(opened) = &opened {
        show::opened(&mut context.out, opened, &declared.texts)?;
    }

    step(
        context,
        7,
        "Further handsets in three departments enrol and report, so that there is something to count",
    )?;
    fleet::enrol(server, &folder.server_data(), &config, args.handsets).await?;
    let prevalence = server.prevalence(&folder.server_data(), "whatsapp")?;
    for line in prevalence.lines() {
        context.out.line(format!("  {}", crate::text::line(line)))?;
    }

    step(context, 8, "What to try next")?;
    show::next(
        &mut context.out,
        &folder.root,
        server,
        &addresses,
        args.once,
    )?;
    context.out.json(&json!({
        "folder": folder.root,
        "home": folder.handset_home(),
        "server_data": folder.server_data(),
        "addresses": addresses,
        "enrolment": enrolment,
        "scan": scan,
        "declared": declared.records,
        "receipts": receipts,
        "texts_searched_for": searched.texts,
        "texts_found_on_the_gateway": 0,
        "opened_with_the_records_key": opened.is_some(),
        "simulated_handsets": args.handsets,
        "prevalence": prevalence.lines().collect::<Vec<_>>(),
    }))
}

fn step(context: &mut Context<'_>, number: u32, what: &str) -> Result<(), Failure> {
    context.out.line(format!("\n{number}. {what}"))
}

/// Writes the configuration that the server printed, with the holder's name, as a person would.
fn write_config(
    home: &Path,
    mut object: Map<String, Value>,
    (name, role): (&str, &str),
) -> Result<Config, Failure> {
    object.insert("holder_name".into(), name.into());
    object.insert("holder_role".into(), role.into());
    let path = home.join("config.toml");
    let failed = |source| Failure::FileWrite {
        path: path.clone(),
        source,
    };
    std::fs::create_dir_all(home).map_err(failed)?;
    let source = toml::to_string(&object).map_err(|error| Failure::ConfigSyntax {
        path: path.clone(),
        problem: error.to_string(),
    })?;
    std::fs::write(&path, &source).map_err(failed)?;
    settings::parse(&path, &source)
}

fn open(context: &Context<'_>, home: &Path, config: &Config) -> Result<Agent, Failure> {
    context.open_at(home, config.clone(), Arc::new(Quiet))
}

/// How many simulated handsets each department has of `total`.
fn shares(total: u32) -> [(DepartmentId, u32); 3] {
    let all: u32 = DEPARTMENTS.iter().map(|(_, _, share)| share).sum();
    let mut left = total;
    let mut weight_left = all;
    DEPARTMENTS.map(|(id, _, weight)| {
        let share = if weight_left == 0 {
            0
        } else {
            (left * weight).div_ceil(weight_left).min(left)
        };
        left -= share;
        weight_left -= weight;
        (id.parse().expect("it is a valid department id"), share)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_handsets_are_shared_out_without_losing_one() {
        assert_eq!(shares(200).map(|(_, share)| share), [63, 73, 64]);
        for total in [0, 1, 2, 3, 50, 199, 5_000] {
            assert_eq!(
                shares(total).iter().map(|(_, share)| share).sum::<u32>(),
                total
            );
        }
    }

    #[test]
    fn a_folder_that_the_demo_did_not_make_is_never_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("precious");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("thesis.txt"), "years of work").unwrap();
        assert!(Folder::prepare(&own).is_err());
        assert!(own.join("thesis.txt").exists());

        let ours = dir.path().join("demo");
        Folder::prepare(&ours).unwrap();
        std::fs::write(ours.join("old"), "from the last time").unwrap();
        Folder::prepare(&ours).unwrap();
        assert!(!ours.join("old").exists());
    }
}
