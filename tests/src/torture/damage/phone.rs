//! A phone's files. What was acknowledged is still there, or the agent says that something is
//! wrong; it never goes on as if nothing had been.

use std::fs;
use std::path::Path;

use candour_core::Config;
use candour_core::agent::Finding;
use candour_wire::RecordId;
use fastrand::Rng;
use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::places::{self, Place};
use super::{Ended, Outcome, Share, Verdict, copy};
use crate::department::Department;
use crate::handset::Handset;
use crate::program::Program;
use crate::torture::facts::Known;
use crate::torture::kill::{LoadedPhone, Witness, sync_patiently};
use crate::torture::power_cut::fast_dir;

/// Things that the agent has acknowledged before its files are damaged.
const FACTS: usize = 80;

/// A phone whose agent has ended in the midst of its work.
pub struct Victim {
    phone: LoadedPhone,
    known: Known,
    config: Config,
    _department: Department,
    runtime: Runtime,
}

impl Victim {
    /// Lets an agent work and ends it.
    ///
    /// # Errors
    ///
    /// When it does not work.
    ///
    /// # Panics
    ///
    /// When the department does not get ready.
    pub fn make(program: &Program, seed: u64, ended: Ended) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let department = Department::start(program);
        let witness = Witness::new(seed);
        let mut phone = runtime.block_on(LoadedPhone::enrol(&department, 0, &witness))?;
        phone.start(program, seed, 0, false)?;
        for _ in 0..FACTS {
            phone.wait_for_a_fact()?;
        }
        phone.kill();
        let config = department.config();
        if ended == Ended::InOrder {
            // Whoever opens the store and closes it empties its log.
            let opened = Handset::at(&phone.home()).try_open(config.clone());
            drop(opened.map_err(|error| error.to_string())?);
        }
        Ok(Self {
            known: phone.known(),
            phone,
            config,
            _department: department,
            runtime,
        })
    }

    /// Damages a copy of the phone at each of these places in turn. Before and after that, a copy
    /// that is not damaged has to be unharmed, and a record that never was has to be missed.
    ///
    /// # Errors
    ///
    /// When there is no room for copies, or when an undamaged copy is misjudged.
    pub fn suffer<'a>(
        &self,
        places: impl IntoIterator<Item = &'a Place>,
    ) -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        let dir = fast_dir()?;
        let home = dir.path().join("home");
        let with_copy = |place: Option<&Place>, look: &mut dyn FnMut(&Path)| {
            copy(&self.phone.home(), &home)?;
            place.map_or(Ok(()), |place| place.harm(&home))?;
            look(&home);
            fs::remove_dir_all(&home)
        };
        let control = || {
            let mut verdicts = Vec::new();
            for missing in [None, Some(RecordId::make(Timestamp::UNIX_EPOCH))] {
                let look = &mut |home: &Path| verdicts.push(self.look(home, missing));
                with_copy(None, look).map_err(|error| error.to_string())?;
            }
            match verdicts.as_slice() {
                [Verdict::Harmless, Verdict::Silent(_)] => Ok(()),
                _ => Err(format!("what is not damaged is judged so: {verdicts:?}")),
            }
        };
        control()?;
        for place in places {
            let look = &mut |home: &Path| outcome.count(place, || self.look(home, None));
            with_copy(Some(place), look).map_err(|error| error.to_string())?;
        }
        control()?;
        Ok(outcome)
    }

    /// A share of all places of every file, in a random order.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn places(&self, seed: u64, share: Share) -> Result<Vec<Place>, String> {
        let mut rng = Rng::with_seed(seed);
        let places = places::of_phone(&self.phone.home(), &mut rng)?;
        Ok(share.of(places, &mut rng))
    }

    /// What has become of everything that was acknowledged, and of a record that never was.
    fn look(&self, home: &Path, missing: Option<RecordId>) -> Verdict {
        let agent = match Handset::at(home).try_open(self.config.clone()) {
            Ok(agent) => agent,
            Err(error) => return told(error.code().as_str()),
        };
        let (status, sent, drafts) = match (agent.status(), agent.sent(), agent.drafts()) {
            (Ok(status), Ok(sent), Ok(drafts)) => (status, sent, drafts),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                return told(error.code().as_str());
            }
        };
        let codes: Vec<String> = status
            .problems
            .into_iter()
            .map(|problem| problem.code)
            .filter(|code| !self.usual(code))
            .collect();
        if !codes.is_empty() {
            return Verdict::Told("told", codes.join(", "));
        }
        if sent.iter().any(|item| item.refused.is_some()) {
            return told("listed as damaged");
        }
        // Listed is not yet whole: what waits has to arrive, and what is said of it to hold.
        // All copies are one phone to the department, which lets it ask so often a minute.
        let report = match self.runtime.block_on(sync_patiently(&agent)) {
            Ok(report) => report,
            Err(error) => return told(error.code().as_str()),
        };
        if let Some(failure) = report.failure {
            return told(failure.code.as_str());
        }
        let verified = match agent.verify(None) {
            Ok(verified) => verified,
            Err(error) => return told(error.code().as_str()),
        };
        if !report.quarantined.is_empty()
            || verified.iter().any(|one| one.finding != Finding::Verified)
        {
            return told("set aside, or its receipt does not hold");
        }
        let arrived = |id: &RecordId| verified.iter().any(|one| one.id == *id);
        let records = self.known.declared.keys().chain(&self.known.queued);
        let records = records.chain(&missing);
        let lost_records = records.filter(|id| !arrived(id));
        let there = |id| {
            drafts
                .iter()
                .any(|(draft, content)| *draft == id && content.is_some())
        };
        // A draft that cannot be read is listed as such, and that is a word.
        let a_word = drafts.iter().any(|(_, content)| content.is_none());
        let lost_drafts = self.known.drafts.keys().filter(|id| !there(**id));
        let lost: Vec<String> = lost_records
            .chain(lost_drafts.filter(|_| !a_word))
            .map(ToString::to_string)
            .collect();
        if lost.is_empty() {
            Verdict::Harmless
        } else {
            Verdict::Silent(lost.join(", "))
        }
    }

    /// Problems that the phone had before: what lies between it and the department cuts.
    fn usual(&self, code: &str) -> bool {
        code == "unreachable"
    }
}

fn told(code: &str) -> Verdict {
    Verdict::Told("told", code.to_owned())
}
