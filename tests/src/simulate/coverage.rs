//! How often each fault and each path was met, so that one that never happens is visible.

use std::collections::BTreeMap;

/// Counters by name. A name is `area: what`.
#[derive(Debug, Clone, Default)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    /// One more.
    pub(super) fn hit(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// So many more.
    pub(super) fn add(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }

    /// How often it was met.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Takes over another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            self.add(what, *times);
        }
    }

    /// All counters in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, times)| (*what, *times))
    }

    /// What must be met in any run of some thousand seeds and was not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let met = |what: &&&str| self.of(what) == 0;
        REQUIRED.iter().filter(met).copied().collect()
    }
}

/// A run in which one of these never happened has not tried what it claims to.
const REQUIRED: &[&str] = &[
    "act: amend",
    "act: attach",
    "act: declare",
    "act: declare during a sync",
    "act: draft",
    "act: draft deleted",
    "act: withdraw",
    "agent: a record set aside is sent again",
    "agent: a sealed file lost",
    "agent: crash after commit append",
    "agent: crash after commit draft",
    "agent: crash after commit epoch",
    "agent: crash after commit settle",
    "agent: crash after commit state",
    "agent: crash after document",
    "agent: crash after spool",
    "agent: crash before commit append",
    "agent: crash before commit draft",
    "agent: crash before commit epoch",
    "agent: crash before commit settle",
    "agent: crash before commit state",
    "agent: crash before document",
    "agent: crash before spool",
    "agent: crash between steps",
    "agent: crash with a request under way",
    "agent: disk full",
    "agent: key locked",
    "agent: key slow",
    "agent: store failed after the write",
    "agent: store failed before the write",
    "agent: the holder asked again after a crash",
    "clock: handset by days",
    "clock: handset by minutes",
    "clock: handset by years",
    "clock: server",
    "network: cut after the request",
    "network: cut before the request",
    "network: cut within the request",
    "network: delayed reply",
    "network: error page",
    "network: garbled reply",
    "network: request delivered late",
    "network: request delivered twice",
    "operator: policy issued",
    "operator: reinstated",
    "operator: revoked",
    "operator: token for another enrolment",
    "path: batch of several records",
    "path: certificate expired",
    "path: certificate renewed",
    "path: file in several pieces",
    "path: heartbeat",
    "path: list changed",
    "path: receipts of a repeated record",
    "path: refused by standing",
    "path: rest of a file after a cut",
    "path: status record",
    "refused: attachment_missing",
    "refused: sequence_gap",
    "path: 503",
    "path: 507",
    "server: a piece half written at a crash",
    "server: busy",
    "server: crash after append",
    "server: crash after certificate_issued",
    "server: crash after enrol",
    "server: crash after upload_piece",
    "server: crash before append",
    "server: crash before certificate_issued",
    "server: crash before enrol",
    "server: crash before upload_piece",
    "server: crash between requests",
    "server: disk full",
    "server: stopped and started",
    "server: store failed after the write",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_met_is_missing() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.missing(), REQUIRED);
        for what in &REQUIRED[1..] {
            coverage.hit(what);
        }
        assert_eq!(coverage.missing(), [REQUIRED[0]]);
    }
}
