//! An agent at work: the product on its real adapters, in a process of its own, that says on
//! standard output what it has acknowledged, as soon as it has.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use candour_core::agent::RecordState;
use candour_core::{Agent, Config};
use candour_wire::{RecordId, Sensitive};
use clap::Parser;
use fastrand::Rng;
use jiff::SignedDuration;

use super::facts::Fact;
use crate::handset::{Handset, draft};
use crate::program::Program;

/// How the agent is to work.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// The agent's directory.
    #[arg(long)]
    pub home: PathBuf,
    /// Its settings, JSON.
    #[arg(long)]
    pub settings: PathBuf,
    /// Enrols with this token first.
    #[arg(long)]
    pub token: Option<String>,
    /// Seed of what it does.
    #[arg(long)]
    pub seed: u64,
    /// How many things it does; without end where it is not given.
    #[arg(long)]
    pub acts: Option<u64>,
    /// Rests so long after each thing, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub rest_ms: u64,
    /// Says of each declaration that it was made before it is: broken on purpose.
    #[arg(long)]
    pub early: bool,
    /// Days by which its clock is wrong at first. It goes a month ahead halfway.
    #[arg(long, default_value_t = 0)]
    pub days: i64,
}

/// What runs such a phone: at `home`, with the settings in a file, doing what `seed` draws.
#[must_use]
pub fn command(program: &Program, home: &Path, settings: &Path, seed: u64) -> Command {
    let mut command = program.torture(["phone"]);
    command.arg("--home").arg(home);
    command.arg("--settings").arg(settings);
    command.args(["--seed", &seed.to_string()]);
    command
}

/// Works until it is done or killed.
///
/// # Errors
///
/// When the agent refuses what it should not.
pub fn run(args: &Args) -> Result<bool, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(Phone::new(args)?.work(args))?;
    say(&Fact::Done);
    Ok(true)
}

fn say(fact: &Fact) {
    let mut line = serde_json::to_string(fact).expect("a fact serialises");
    line.push('\n');
    // Whoever listens may be gone, and will kill this process soon.
    let _ = std::io::stdout().write_all(line.as_bytes());
}

struct Phone {
    handset: Handset,
    config: Config,
    agent: Option<Agent>,
    rng: Rng,
    drafts: Vec<(RecordId, String)>,
    said: BTreeSet<RecordId>,
    received: BTreeSet<RecordId>,
    early: bool,
}

/// How long a phone that says yes too early takes until it commits.
const EARLY: std::time::Duration = std::time::Duration::from_millis(50);

const APPS: [&str; 4] = ["whatsapp", "signal", "telegram", "wechat"];

impl Phone {
    fn new(args: &Args) -> Result<Self, String> {
        let settings = fs::read(&args.settings).map_err(|error| error.to_string())?;
        let settings = serde_json::from_slice(&settings).map_err(|error| error.to_string())?;
        let handset = Handset::at(&args.home);
        handset.set_clock_wrong_by(SignedDuration::from_hours(24 * args.days));
        let mut this = Self {
            handset,
            config: Config::from_object(&settings).map_err(|error| error.to_string())?,
            agent: None,
            rng: Rng::with_seed(args.seed),
            drafts: Vec::new(),
            said: BTreeSet::new(),
            received: BTreeSet::new(),
            early: args.early,
        };
        this.reopen()?;
        Ok(this)
    }

    fn reopen(&mut self) -> Result<(), String> {
        self.agent = None;
        let agent = self.handset.try_open(self.config.clone());
        self.agent = Some(agent.map_err(|error| format!("{error:?}"))?);
        Ok(())
    }

    fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("it was opened")
    }

    async fn work(mut self, args: &Args) -> Result<(), String> {
        if let Some(token) = &args.token {
            let enrolled = self.agent().enrol(Sensitive::new(token.clone())).await;
            let enrolled = enrolled.map_err(|error| format!("{error:?}"))?;
            say(&Fact::Enrolled {
                handset: enrolled.handset.to_string(),
            });
        }
        // What an earlier process has received and not been able to say.
        self.say_news()?;
        let mut done = 0;
        while args.acts.is_none_or(|acts| done < acts) {
            if args.acts.is_some_and(|acts| done == acts / 2) {
                // A month on, the store begins to seal its rows under another key.
                let days = SignedDuration::from_hours(24 * (args.days + 31));
                self.handset.set_clock_wrong_by(days);
            }
            self.act(done).await?;
            tokio::time::sleep(Duration::from_millis(args.rest_ms)).await;
            done += 1;
        }
        self.sync().await
    }

    async fn act(&mut self, number: u64) -> Result<(), String> {
        match self.rng.u8(..100) {
            0..45 => self.declare(number, false),
            45..55 => self.declare(number, true),
            55..65 => self.save_draft(number),
            65..70 => self.use_draft(true),
            70..75 => self.use_draft(false),
            75..83 => self.scan(),
            83..96 => self.sync().await,
            _ => self.reopen(),
        }
    }

    fn text(&mut self, number: u64) -> String {
        let words = self.rng.usize(1..400);
        format!("{number}: {}", "what was said ".repeat(words))
    }

    fn declare(&mut self, number: u64, with_file: bool) -> Result<(), String> {
        let text = self.text(number);
        let mut draft = draft(&text);
        if with_file {
            let file: Vec<u8> = (0..self.rng.usize(1..60_000)).map(|_| 7).collect();
            let file = self.agent().attach("photo.jpg", &mut file.as_slice());
            draft.attachments = vec![file.map_err(|error| format!("{error:?}"))?];
        }
        let id = self.early.then(|| RecordId::make(crate::department::now()));
        if let Some(id) = id {
            let text = text.clone();
            say(&Fact::Declared { id, text });
            std::thread::sleep(EARLY);
        }
        let declared = self
            .agent()
            .preview(&draft)
            .and_then(|preview| self.agent().declare(preview, id));
        let id = declared.map_err(|error| format!("{error:?}"))?;
        self.said.insert(id);
        if !self.early {
            say(&Fact::Declared { id, text });
        }
        Ok(())
    }

    fn save_draft(&mut self, number: u64) -> Result<(), String> {
        let text = self.text(number);
        let saved = self.agent().save_draft(None, &draft(&text));
        let id = saved.map_err(|error| format!("{error:?}"))?;
        self.drafts.push((id, text.clone()));
        say(&Fact::Draft { id, text });
        Ok(())
    }

    /// Declares the newest draft, or deletes it.
    fn use_draft(&mut self, declare: bool) -> Result<(), String> {
        let Some((id, text)) = self.drafts.pop() else {
            return Ok(());
        };
        if !declare {
            let deleted = self.agent().delete_draft(id);
            deleted.map_err(|error| format!("{error:?}"))?;
            say(&Fact::DraftGone { id });
            return Ok(());
        }
        let declared = self
            .agent()
            .draft(id)
            .and_then(|draft| self.agent().preview(&draft))
            .and_then(|preview| self.agent().declare(preview, Some(id)));
        declared.map_err(|error| format!("{error:?}"))?;
        self.said.insert(id);
        say(&Fact::Declared { id, text });
        Ok(())
    }

    fn scan(&mut self) -> Result<(), String> {
        let apps: Vec<&str> = APPS.into_iter().filter(|_| self.rng.bool()).collect();
        self.handset.install(&apps);
        let scanned = self.agent().scan().map_err(|error| format!("{error:?}"))?;
        if scanned.queued.is_some() {
            self.say_news()?;
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), String> {
        let report = self.agent().sync().await;
        let report = report.map_err(|error| format!("{error:?}"))?;
        if let Some(failure) = report.failure {
            say(&Fact::Failed {
                code: failure.code.as_str().to_owned(),
            });
        }
        self.say_news()
    }

    /// Says which records are new and which have got their receipts.
    fn say_news(&mut self) -> Result<(), String> {
        for item in self.agent().sent().map_err(|error| format!("{error:?}"))? {
            let id = item.id;
            if self.said.insert(id) && !is_declaration(&item) {
                say(&Fact::Queued { id });
            }
            if let (RecordState::Received, Some(index)) = (item.state, item.index)
                && self.received.insert(id)
            {
                say(&Fact::Received { id, index });
            }
        }
        Ok(())
    }
}

fn is_declaration(item: &candour_core::agent::SentItem) -> bool {
    item.kind == candour_wire::record::Kind::Declaration
}
