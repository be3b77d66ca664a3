//! The history is held against what must always be true.
//!
//! Nothing here asks the product for a verdict. The gateway's rows are read with SQL, signatures
//! and digests are checked with ring, and the tree of RFC 9162 is computed by its definition. The
//! product's own functions are called for two things only: to open a seal and a sealed file with
//! the department's key, and to list what a phone shows its holder.

mod content;
mod ledger;
mod tree;

use candour_core::agent::{Finding, RecordState, SentItem};
use serde_json::Value;

use self::ledger::Ledger;
use super::control::{Control, Rule};
use super::history::has_content;
use super::item::{Item, Told};
use super::world::World;

impl World {
    pub(super) async fn check(&mut self) {
        for p in 0..self.phones.len() {
            if let Some(rows) = self.phones[p].rows_when_revoked {
                self.check_standing(p, rows);
            }
        }
        let shown: Vec<Vec<SentItem>> = (0..self.phones.len()).map(|p| self.shown(p)).collect();
        for p in 0..self.phones.len() {
            self.check_phone(p);
        }
        self.site.stop().await;
        self.damage();
        let ledger = match Ledger::read(&self.site.database()) {
            Ok(ledger) => ledger,
            Err(error) => {
                return self.accuse(Rule::LogHolds, format!("the database: {error}"));
            }
        };
        let mut found = Vec::new();
        ledger.check_chains(&mut found);
        let tree = ledger.check_log(&mut found);
        ledger.check_notes(&tree, &self.history.notes, &mut found);
        ledger.check_receipts(&tree, &self.history, &mut found);
        content::check(&ledger, &self.site.attachments(), &self.items, &mut found);
        for (p, shown) in shown.iter().enumerate() {
            self.check_promises(p, &ledger, shown, &mut found);
        }
        self.check_anomalies(&ledger, &mut found);
        self.check_leaks(&mut found);
        for (rule, detail) in found {
            self.accuse(rule, detail);
        }
        let refused = std::mem::take(&mut self.history.refused);
        self.met.merge(&refused);
    }

    /// What the phone shows its holder at the end.
    fn shown(&mut self, p: usize) -> Vec<SentItem> {
        if !self.be_open(p) {
            return Vec::new();
        }
        let sent = self.phones[p].agent.as_ref().map(|agent| agent.sent());
        match sent {
            Some(Ok(sent)) => sent,
            Some(Err(error)) => {
                let detail = format!("phone {p} cannot list what was sent: {error}");
                self.accuse(Rule::ErrorsAreExplained, detail);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// What a phone must not say when all is over.
    fn check_phone(&mut self, p: usize) {
        let Some(agent) = self.phones[p].agent.clone() else {
            return;
        };
        let problems = agent
            .status()
            .map(|status| status.problems)
            .unwrap_or_default();
        for problem in problems {
            let forged = ["log_forked", "receipt_invalid", "checkpoint_invalid"];
            if forged.contains(&problem.code.as_str()) {
                self.accuse(
                    Rule::CheckpointHolds,
                    format!("phone {p} says {}", problem.code),
                );
            }
        }
        let verified = agent.verify(None);
        if let Err(error) = &verified {
            self.accuse(Rule::ReceiptHolds, format!("phone {p}: {error}"));
        }
        for verified in verified.unwrap_or_default() {
            let excused = verified.finding == Finding::Contradicted && self.server_went_back;
            if excused {
                self.met
                    .hit("excused: a server's clock put back contradicts a receipt");
            }
            if verified.finding != Finding::Verified && !excused {
                let detail = format!("phone {p} finds a receipt {:?}", verified.finding);
                self.accuse(Rule::ReceiptHolds, detail);
            }
        }
        let drafts = agent.drafts().unwrap_or_default();
        let missing = |item: &&Item| {
            item.phone == p
                && item.told == Told::Draft
                && !drafts
                    .iter()
                    .any(|(id, content)| Some(*id) == item.id && content.is_some())
        };
        let missing: Vec<String> = self
            .items
            .iter()
            .filter(missing)
            .map(|i| i.label.clone())
            .collect();
        for label in missing {
            self.accuse(
                Rule::AcknowledgedIsKept,
                format!("the draft {label} is gone"),
            );
        }
    }

    /// Acknowledged is stored, or shown on the phone.
    fn check_promises(
        &self,
        p: usize,
        ledger: &Ledger,
        shown: &[SentItem],
        found: &mut Vec<(Rule, String)>,
    ) {
        let revoked = self.phones[p].rows_when_revoked.is_some();
        for (at, item) in self.items.iter().enumerate() {
            let (Some(id), true) = (item.id, item.phone == p && item.told == Told::Declared) else {
                continue;
            };
            if ledger.has(id.as_bytes()) {
                continue;
            }
            match shown
                .iter()
                .find(|shown| shown.id == id)
                .map(|shown| shown.state)
            {
                Some(RecordState::Queued) if revoked => {}
                Some(RecordState::Quarantined) if self.files_lost => {}
                Some(state) if state != RecordState::Received => {
                    found.push((Rule::QueueDrains, format!("item {at} is still {state:?}")));
                }
                _ => found.push((Rule::AcknowledgedIsKept, format!("item {at} is gone"))),
            }
        }
        for item in shown {
            match item.state {
                RecordState::Received if !ledger.has(item.id.as_bytes()) => found.push((
                    Rule::AcknowledgedIsKept,
                    format!(
                        "a {:?} of phone {p} has a receipt and is not kept",
                        item.kind
                    ),
                )),
                RecordState::Quarantined => {
                    let code = item
                        .refused
                        .as_ref()
                        .map_or("", |advice| advice.code.as_str());
                    let excused = self.files_lost
                        && matches!(code, "attachment_unreadable" | "plane_refused");
                    if !excused {
                        let detail = format!("a {:?} of phone {p} is set aside: {code}", item.kind);
                        found.push((Rule::QuarantineIsEmpty, detail));
                    }
                }
                _ => {}
            }
        }
    }

    /// An honest phone is noted for nothing, unless the network repeats what is out of date, or it
    /// has lost a file and leaves out a record that the server may or may not have.
    fn check_anomalies(&self, ledger: &Ledger, found: &mut Vec<(Rule, String)>) {
        let stale = |code: &str| {
            // A correction of a declaration that could not be sent.
            if self.files_lost && code == "plane_refused" {
                return true;
            }
            (self.stray_batches > 0 || self.files_lost)
                && matches!(
                    code,
                    "sequence_conflict" | "sequence_gap" | "id_conflict" | "chain_broken"
                )
        };
        for (code, count) in &ledger.anomalies {
            if !stale(code) {
                found.push((Rule::NobodyIsAccused, format!("{code}, {count} times")));
            }
        }
    }

    fn check_leaks(&self, found: &mut Vec<(Rule, String)>) {
        for leak in &self.history.leaks {
            found.push((Rule::ContentIsSealed, leak.clone()));
        }
        for malformed in &self.history.malformed {
            found.push((
                Rule::ErrorsAreExplained,
                format!("a reply is odd: {malformed}"),
            ));
        }
        for (p, phone) in self.phones.iter().enumerate() {
            if has_content(&phone.disk.all_bytes()) {
                found.push((Rule::ContentIsSealed, format!("the disk of phone {p}")));
            }
        }
        let database = self.site.database();
        let files = [database.clone(), database.with_extension("db-wal")];
        for file in files {
            if std::fs::read(&file).is_ok_and(|bytes| has_content(&bytes)) {
                found.push((Rule::ContentIsSealed, format!("{}", file.display())));
            }
        }
    }

    /// How many records of a phone the gateway has.
    pub(super) fn rows_of(&self, p: usize) -> u64 {
        ledger::rows_of(&self.site.database(), self.phones[p].handset().as_str())
    }

    /// Nothing has come from a phone since it was revoked.
    pub(super) fn check_standing(&mut self, p: usize, rows: u64) {
        let now = self.rows_of(p);
        if now != rows {
            let detail = format!("{rows} records of phone {p} when it was revoked, {now} now");
            self.accuse(Rule::StandingCounts, detail);
        }
    }

    /// How the department's picture of a phone differs from what is on it.
    pub(super) fn unlike_the_truth(&self, p: usize) -> Option<String> {
        let phone = &self.phones[p];
        let list = ledger::list_of(&self.site.database(), phone.handset().as_str());
        let Some(list) = list else {
            return Some("the department has no list".to_owned());
        };
        let apps = list.get("apps")?.as_array()?;
        let catalogue = self.policies[phone.department].catalogue.as_ref()?;
        let text =
            |app: &Value, name: &str| app.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut named: Vec<String> = apps.iter().filter_map(|app| text(app, "app")).collect();
        named.sort();
        let expected: Vec<&str> = catalogue.apps.iter().map(|app| app.id.as_str()).collect();
        if named != expected {
            return Some(format!(
                "the department lists {named:?} instead of {expected:?}"
            ));
        }
        for app in apps {
            let (name, state) = (text(app, "app")?, text(app, "state")?);
            let truth = phone.truth.of(&name);
            if truth.as_str() != state {
                return Some(format!("{name} is {} and shown as {state}", truth.as_str()));
            }
        }
        let version = list
            .get("handset")
            .and_then(|facts| text(facts, "os_version"));
        (version != Some(phone.truth.os_version())).then(|| format!("system {version:?}"))
    }

    /// What two of the controls do to the database.
    fn damage(&mut self) {
        let sql = match self.control {
            Some(Control::RecordLost) => {
                "DELETE FROM record WHERE leaf = (SELECT max(leaf) / 2 FROM record)"
            }
            Some(Control::RecordAltered) => {
                "UPDATE body SET jws = substr(jws, 1, length(jws) - 9) || 'AAAAAAAAA'
                 WHERE leaf = (SELECT max(leaf) / 2 FROM body)"
            }
            _ => return,
        };
        let opened = rusqlite::Connection::open(self.site.database());
        let damaged = opened.and_then(|db| db.execute(sql, []));
        self.say(format_args!("control: damaged {:?}", damaged.ok()));
    }
}
