//! What the people do with their phones.

use std::sync::Arc;

use candour_core::agent::RecordState;
use candour_core::declaration::Draft;
use candour_core::{Agent, AgentError};
use candour_wire::content::{Direction, Participant, Significance};
use candour_wire::time::MessageTime;
use candour_wire::{Code, Digest, RecordId};

use super::control::{Control, Rule};
use super::disk::Condition;
use super::item::{Item, Told, explained};
use super::world::World;

/// What came of a call.
enum Came<T> {
    Done(T),
    /// It was refused, and nothing has changed.
    Refused,
    /// The app went away over it.
    Unknown,
}

impl World {
    /// Starts the phone's agent if its process is not there. Says whether it is now.
    pub(super) fn be_open(&mut self, p: usize) -> bool {
        if self.phones[p].agent.is_some() {
            return true;
        }
        let jitter = self.rng.u64(..);
        match self.phones[p].open(jitter) {
            Ok(()) => {
                self.look_after(p);
                if self.phones[p].agent.is_none() {
                    return false;
                }
                self.holder_looks(p);
            }
            Err(error) => {
                let faulty = self.phones[p].disk.condition() != Condition::Well;
                if !faulty && !explained(error.code()) {
                    let detail = format!("phone {p} does not open: {error}");
                    self.accuse(Rule::ErrorsAreExplained, detail);
                }
                self.look_after(p);
            }
        }
        self.phones[p].agent.is_some()
    }

    fn call<T>(
        &mut self,
        p: usize,
        what: &str,
        call: impl FnOnce(&Agent) -> Result<T, AgentError>,
    ) -> Came<T> {
        let Some(agent) = self.phones[p].agent.clone() else {
            return Came::Refused;
        };
        let result = call(&agent);
        drop(agent);
        let faulty = self.phones[p].disk.condition() != Condition::Well;
        let came = match result {
            Ok(done) => Came::Done(done),
            Err(_) if faulty => Came::Unknown,
            Err(error) => {
                let code = error.code();
                self.say(format_args!("phone {p}: {what}: {code}"));
                if !explained(code) {
                    let detail = format!("phone {p}: {what}: {code}: {error}");
                    self.accuse(Rule::ErrorsAreExplained, detail);
                }
                Came::Refused
            }
        };
        let slow = self.phones[p].keys.take_slow_signatures();
        self.met.add("agent: key slow", slow);
        came
    }

    /// The holder does something.
    pub(super) fn holder_acts(&mut self, p: usize) {
        if !self.be_open(p) {
            return;
        }
        let drafts = self.choose(p, |item| item.told == Told::Draft);
        // A phone keeps receipts for thirty days at least, by the server's clock; what it has
        // none of it cannot correct.
        let (now, put) = (self.time.ms(), self.server_clock_put);
        let kept = |item: &Item| !put && now - item.entered_ms < 20 * 24 * 3600 * 1000;
        let declared = self.choose(p, |item| item.told == Told::Declared && kept(item));
        match (self.rng.u8(0..12), drafts, declared) {
            (0..3, _, _) => self.draft(p),
            (3, Some(item), _) => self.edit(p, item),
            (4, Some(item), _) => self.delete(p, item),
            (5..8, Some(item), _) => self.declare_draft(p, item),
            (8, _, Some(item)) => self.correct(p, item),
            (9, _, Some(item)) => self.withdraw(p, item),
            (10, _, _) => self.requeue(p),
            _ => self.declare(p),
        }
        self.look_after(p);
    }

    fn choose(&mut self, p: usize, fits: impl Fn(&Item) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = (0..self.items.len())
            .filter(|at| self.items[*at].phone == p && fits(&self.items[*at]))
            .collect();
        let chosen = self.draw(fitting.len());
        fitting.get(chosen).copied()
    }

    fn enter(&mut self, p: usize, told: Told, id: Option<RecordId>, label: String, files: usize) {
        let named = self.items.len();
        self.say(format_args!("phone {p}: item {named} is {told:?}"));
        self.items.push(Item {
            phone: p,
            label,
            id,
            told,
            files,
            is_declaration: true,
            entered_ms: self.time.ms(),
        });
    }

    fn tell(&mut self, item: usize, told: Told) {
        let p = self.items[item].phone;
        self.say(format_args!("phone {p}: item {item} is {told:?}"));
        self.items[item].told = told;
    }

    fn entered(label: &str) -> Draft {
        let occurred = MessageTime::at(
            "2015-06-01T09:05:00".parse().expect("a time"),
            "Europe/London",
        );
        Draft {
            channel: Some("whatsapp".parse().expect("a valid id")),
            direction: Some(Direction::Received),
            participants: vec![Participant {
                name: format!("{label} with somebody").into(),
                role: None,
            }],
            occurred: occurred.ok(),
            significance: Some(Significance::Logistical),
            substance: Some(label.into()),
            ..Draft::default()
        }
    }

    /// Fills in a form, perhaps with files.
    fn fill_in(&mut self, p: usize, label: &str) -> Option<Draft> {
        let mut draft = Self::entered(label);
        if self.control == Some(Control::ContentSpilled) {
            let name = Digest::of(label.as_bytes());
            self.phones[p].disk.plant(&name, label.as_bytes().to_vec());
        }
        let files = if self.percent(25) {
            1 + usize::from(self.percent(30))
        } else {
            0
        };
        for number in 0..files {
            let most = if self.profile.long_files {
                3 << 20
            } else {
                90_000
            };
            let bytes = self.rng.usize(1..most);
            let line = format!("{label} file {number}\n");
            let text = line.repeat(bytes / line.len() + 1);
            let name = format!("{label}-{number}.txt");
            let came = self.call(p, "attach", |agent| {
                agent.attach(&name, &mut text.as_bytes())
            });
            let Came::Done(file) = came else {
                return None;
            };
            self.met.hit("act: attach");
            draft.attachments.push(file);
        }
        Some(draft)
    }

    fn draft(&mut self, p: usize) {
        let label = self.label();
        let Some(draft) = self.fill_in(p, &label) else {
            return;
        };
        let files = draft.attachments.len();
        match self.call(p, "save a draft", |agent| agent.save_draft(None, &draft)) {
            Came::Done(id) => {
                self.met.hit("act: draft");
                self.enter(p, Told::Draft, Some(id), label, files);
            }
            Came::Unknown => self.enter(p, Told::PerhapsDraft, None, label, files),
            Came::Refused => {}
        }
    }

    fn edit(&mut self, p: usize, item: usize) {
        let Some(id) = self.items[item].id else {
            return;
        };
        let came = self.call(p, "edit a draft", |agent| {
            let mut draft = agent.draft(id)?;
            draft.handling = Some("Keep this to the private office".into());
            agent.save_draft(Some(id), &draft)
        });
        if let Came::Unknown = came {
            // Either version is a draft of this item.
            self.tell(item, Told::PerhapsDraft);
        }
    }

    fn delete(&mut self, p: usize, item: usize) {
        let Some(id) = self.items[item].id else {
            return;
        };
        match self.call(p, "delete a draft", |agent| agent.delete_draft(id)) {
            Came::Done(()) => {
                self.met.hit("act: draft deleted");
                self.tell(item, Told::Nothing);
            }
            Came::Unknown => self.tell(item, Told::PerhapsDraft),
            Came::Refused => {
                // The files are removed after the draft, and that may fail.
                self.tell(item, Told::PerhapsDraft);
                self.holder_looks(p);
            }
        }
    }

    fn declare_draft(&mut self, p: usize, item: usize) {
        let Some(id) = self.items[item].id else {
            return;
        };
        let busy = self.phones[p].is_busy();
        let came = self.call(p, "declare a draft", |agent| {
            let preview = agent.preview(&agent.draft(id)?)?;
            agent.declare(preview, Some(id))
        });
        match came {
            Came::Done(_) => {
                self.met.hit(if busy {
                    "act: declare during a sync"
                } else {
                    "act: declare"
                });
                self.tell(item, Told::Declared);
            }
            Came::Unknown => self.tell(item, Told::PerhapsDeclared),
            Came::Refused => {}
        }
    }

    /// Declares without keeping a draft.
    fn declare(&mut self, p: usize) {
        let label = self.label();
        let Some(draft) = self.fill_in(p, &label) else {
            return;
        };
        let came = self.call(p, "declare", |agent| {
            agent.declare(agent.preview(&draft)?, None)
        });
        self.note_new(
            p,
            came,
            label,
            draft.attachments.len(),
            "act: declare",
            true,
        );
    }

    fn note_new(
        &mut self,
        p: usize,
        came: Came<RecordId>,
        label: String,
        files: usize,
        what: &'static str,
        is_declaration: bool,
    ) {
        match came {
            Came::Done(id) => {
                self.met.hit(what);
                self.enter(p, Told::Declared, Some(id), label, files);
            }
            Came::Unknown => self.enter(p, Told::PerhapsOnce, None, label, files),
            Came::Refused => return,
        }
        if let Some(item) = self.items.last_mut() {
            item.is_declaration = is_declaration;
        }
    }

    fn correct(&mut self, p: usize, item: usize) {
        let (Some(amends), label) = (self.items[item].id, self.label()) else {
            return;
        };
        let Some(draft) = self.fill_in(p, &label) else {
            return;
        };
        let original = self.items[item].is_declaration;
        let came = self.call(p, "amend", |agent| {
            match agent.amend(amends, agent.preview(&draft)?, None) {
                // A correction is not corrected itself.
                Err(error) if !original && error.code() == Code::RecordUnknown => {
                    Err(AgentError::Busy)
                }
                done => done,
            }
        });
        self.note_new(p, came, label, draft.attachments.len(), "act: amend", false);
    }

    fn withdraw(&mut self, p: usize, item: usize) {
        let (Some(withdraws), label) = (self.items[item].id, self.label()) else {
            return;
        };
        let reason = label.as_str();
        let original = self.items[item].is_declaration;
        let came = self.call(p, "withdraw", |agent| {
            match agent.withdraw(withdraws, reason.into(), None) {
                Err(error) if !original && error.code() == Code::RecordUnknown => {
                    Err(AgentError::Busy)
                }
                done => done,
            }
        });
        self.note_new(p, came, label, 0, "act: withdraw", false);
    }

    /// The holder sends again what was set aside.
    pub(super) fn requeue(&mut self, p: usize) {
        let came = self.call(p, "look at what was sent", Agent::sent);
        let Came::Done(sent) = came else {
            return;
        };
        let set_aside = sent
            .iter()
            .filter(|item| item.state == RecordState::Quarantined);
        for id in set_aside.map(|item| item.id).collect::<Vec<_>>() {
            if let Came::Done(()) = self.call(p, "send again", |agent| agent.requeue(id)) {
                self.met.hit("agent: a record set aside is sent again");
            }
        }
    }

    pub(super) fn scan(&mut self, p: usize) {
        if self.be_open(p) {
            if let Came::Done(scan) = self.call(p, "scan", Agent::scan) {
                self.say(format_args!("phone {p}: scan queued {:?}", scan.queued));
            }
            self.look_after(p);
        }
    }

    /// The app went away. A holder who was told nothing asks again.
    pub(super) fn holder_wonders(&mut self, p: usize) {
        if self.control == Some(Control::HolderRepeats) {
            let repeats = |item: &&mut Item| item.phone == p && item.told == Told::PerhapsDeclared;
            for item in self.items.iter_mut().filter(repeats) {
                // What an app would do that does not look first.
                item.told = Told::PerhapsOnce;
            }
        }
    }

    /// The app is back: the holder looks what became of what was under way.
    pub(super) fn holder_looks(&mut self, p: usize) {
        let Some(agent) = self.phones[p].agent.clone() else {
            return;
        };
        let (Ok(drafts), Ok(sent)) = (agent.drafts(), agent.sent()) else {
            return;
        };
        self.repeat_blindly(p, &agent);
        for at in 0..self.items.len() {
            let Item {
                phone,
                id,
                told,
                ref label,
                ..
            } = self.items[at];
            if phone != p {
                continue;
            }
            let draft = drafts.iter().find(|(draft, content)| match id {
                Some(id) => *draft == id,
                None => content.as_ref().is_some_and(|content| says(content, label)),
            });
            let declared = sent.iter().any(|item| Some(item.id) == id);
            match (told, draft.map(|(draft, _)| *draft)) {
                (Told::PerhapsDraft, Some(found)) => {
                    self.items[at].id = Some(found);
                    self.tell(at, Told::Draft);
                }
                (Told::PerhapsDraft, None) => self.tell(at, Told::Nothing),
                (Told::PerhapsDeclared, Some(_)) => {
                    self.met.hit("agent: the holder asked again after a crash");
                    self.tell(at, Told::Draft);
                }
                (Told::PerhapsDeclared, None) if declared => {
                    self.met.hit("agent: the holder asked again after a crash");
                    self.tell(at, Told::Declared);
                }
                (Told::PerhapsDeclared, None) => {
                    let detail = format!("item {at} is neither draft nor declared after a crash");
                    self.tell(at, Told::Nothing);
                    self.accuse(Rule::AcknowledgedIsKept, detail);
                }
                _ => {}
            }
        }
    }

    /// The control's app declares anew whatever it does not know about.
    fn repeat_blindly(&mut self, p: usize, agent: &Arc<Agent>) {
        if self.control != Some(Control::HolderRepeats) {
            return;
        }
        for at in 0..self.items.len() {
            if self.items[at].phone == p && self.items[at].told == Told::PerhapsOnce {
                let draft = Self::entered(&self.items[at].label);
                let declared = agent
                    .preview(&draft)
                    .and_then(|preview| agent.declare(preview, None));
                if declared.is_ok() {
                    self.items[at].told = Told::Nothing;
                }
            }
        }
    }
}

/// Whether a draft has this label.
fn says(draft: &Draft, label: &str) -> bool {
    // EXPOSE: the simulation looks for what it planted.
    draft
        .substance
        .as_ref()
        .is_some_and(|text| text.expose() == label)
}
