//! The agent's disk.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use candour_core::agent::RecordState;
use candour_wire::RecordId;
use tokio::runtime::Runtime;

use super::{Control, Image, Run, counts_from, fast_dir};
use crate::department::Department;
use crate::handset::Handset;
use crate::program::{Program, run};
use crate::torture::disk::{Disk, Fate, Heeds, compare};
use crate::torture::facts::{Fact, Known};
use crate::torture::phone;
use crate::torture::phone_check::PhoneCheck;
use crate::torture::recorder::Recorder;
use crate::torture::trace::Trace;

/// Where the agent's home is on the disk: in a directory that it has to make as well.
const HOME: &str = "home/phone";

/// One image in so many is also synced with the department, whose server is far ahead of it.
const SYNCED: u64 = 50;

/// Processes of the agent in one run, one after the other.
const SESSIONS: u64 = 3;

/// A recorded run of the agent.
pub struct AgentRun {
    trace: Trace,
    facts: Vec<(usize, Fact)>,
    check: PhoneCheck,
    department: Department,
    /// Every record, and its place in the log in the end.
    places: BTreeMap<RecordId, u64>,
    log_size: u64,
    runtime: Runtime,
    synced: AtomicU64,
}

impl AgentRun {
    /// Records an agent that enrols and does `acts` things in each of its processes.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded, or the record is not of everything.
    ///
    /// # Panics
    ///
    /// When the department does not get ready.
    pub fn record(program: &Program, seed: u64, acts: u64) -> Result<Self, String> {
        let failed = |error: std::io::Error| error.to_string();
        let scratch = fast_dir()?;
        let root = scratch.path().join("disk");
        fs::create_dir(&root).map_err(failed)?;
        let recorder = Recorder::compile(scratch.path(), &root)?;
        let department = Department::start(program);
        let settings = scratch.path().join("settings.json");
        let json = serde_json::to_vec(&department.settings()).expect("settings serialise");
        fs::write(&settings, json).map_err(failed)?;
        let recorded = recorder.around(program);
        for session in 0..SESSIONS {
            let home = root.join(HOME);
            let mut command =
                phone::command(&recorded, &home, &settings, seed * SESSIONS + session);
            command.args(["--acts", &acts.to_string()]);
            command.args(["--days", &(31 * session).to_string()]);
            if session == 0 {
                command.args(["--token", &department.token()]);
            }
            let outcome = run(&mut command, b"");
            if !outcome.status.success() {
                return Err(format!("the agent does not work: {outcome:?}"));
            }
        }
        let trace = recorder.trace()?;
        let mut whole = Disk::new(&trace, Heeds::All);
        trace.steps.iter().for_each(|step| whole.take(step));
        let image = scratch.path().join("image");
        let mut rng = fastrand::Rng::with_seed(seed);
        whole.image(Fate::KEEP, &mut rng, &image).map_err(failed)?;
        compare(&image, &root)?;
        Self::of(trace, department)
    }

    fn of(trace: Trace, department: Department) -> Result<Self, String> {
        let mut facts = Vec::new();
        let mut line = String::new();
        for (at, text) in trace.said() {
            line.push_str(text);
            if line.ends_with('\n') {
                let fact = serde_json::from_str(&line).map_err(|error| error.to_string())?;
                facts.push((at, fact));
                line.clear();
            }
        }
        let mut known = Known::default();
        facts.iter().for_each(|(_, fact)| known.learn(fact));
        if let Some((_, Fact::Failed { code })) = facts
            .iter()
            .find(|(_, fact)| matches!(fact, Fact::Failed { .. }))
        {
            return Err(format!(
                "a sync failed in a run where nothing should: {code}"
            ));
        }
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let log_size = runtime.block_on(department.checkpoint()).size;
        Ok(Self {
            check: PhoneCheck::of(&department)?,
            trace,
            facts,
            department,
            places: known.received,
            log_size,
            runtime,
            synced: AtomicU64::new(0),
        })
    }

    fn known(&self, cut: usize, control: Control) -> Known {
        let mut known = Known::default();
        let mut facts = self.facts.iter().peekable();
        while let Some((_, fact)) =
            facts.next_if(|(at, _)| counts_from(&self.trace, *at, control) <= cut)
        {
            known.learn(fact);
        }
        // What was being done with a draft may be done already.
        if let Some((_, Fact::DraftGone { id } | Fact::Declared { id, .. })) = facts.peek() {
            known.drafts.remove(id);
        }
        known
    }

    /// The department has everything already: the phone gets the receipts that it should have,
    /// and the department nothing new.
    fn sync(&self, handset: &Handset) -> Vec<String> {
        let mut found = Vec::new();
        let agent = match handset.try_open(self.department.config()) {
            Ok(agent) => agent,
            Err(error) => return vec![format!("the agent does not open: {error:?}")],
        };
        match self.runtime.block_on(agent.sync()) {
            Ok(report) if report.failure.is_none() && report.quarantined.is_empty() => {}
            outcome => found.push(format!("it does not sync: {outcome:?}")),
        }
        for item in agent.sent().unwrap_or_default() {
            let place = self.places.get(&item.id);
            if item.state != RecordState::Received || item.index.as_ref() != place {
                found.push(format!("it has another receipt: {item:?}, not {place:?}"));
            }
        }
        let size = self.runtime.block_on(self.department.checkpoint()).size;
        if size != self.log_size {
            found.push(format!("doubled: the log has {size} leaves"));
        }
        self.synced.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// How many images were synced with the department.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.synced.load(Ordering::Relaxed)
    }
}

impl Run for AgentRun {
    fn trace(&self) -> &Trace {
        &self.trace
    }

    fn judge(&self, image: &Image<'_>) -> Vec<String> {
        let home = image.path.join(HOME);
        let known = self.known(image.cut, image.control);
        let mut found = Vec::new();
        let enrolled = known.handset.is_some();
        if image.control == Control::None && enrolled && image.number.is_multiple_of(SYNCED) {
            found.extend(self.sync(&Handset::at(&home)));
        }
        found.extend(self.check.look(&home, &known));
        found
    }
}
