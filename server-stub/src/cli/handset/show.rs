//! `handset show`: all that the server knows of one handset, and what the anomalies were.

use candour_wire::chain::Head;
use candour_wire::record::Stream;
use candour_wire::{Code, HandsetId, RecordId};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::Line;
use crate::cli::{CliError, Context, output};
use crate::store::{Anomaly, HandsetRow, Reinstatement};

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// Which handset.
    handset: HandsetId,
}

/// A handset as JSON, with what `handset list` leaves out.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    line: Line,
    status_received: Option<Timestamp>,
    chains: [Chain; 2],
    anomaly_list: Vec<Found>,
    reinstatements: Vec<LetBackIn>,
}

/// Where one chain stands.
#[derive(Serialize)]
struct Chain {
    stream: Stream,
    seq: u64,
    digest: String,
}

/// Something that was out of order, as often as it was.
#[derive(Serialize)]
struct Found {
    stream: Stream,
    code: String,
    title: Option<&'static str>,
    count: u64,
    first: Timestamp,
    last: Timestamp,
    last_seq: Option<u64>,
    last_record: Option<RecordId>,
}

/// A revocation that was taken back.
#[derive(Serialize)]
struct LetBackIn {
    revoked: Timestamp,
    revoked_because: String,
    reinstated: Timestamp,
    reinstated_because: String,
}

impl From<Reinstatement> for LetBackIn {
    fn from(back: Reinstatement) -> Self {
        Self {
            revoked: back.revocation.at,
            revoked_because: back.revocation.reason,
            reinstated: back.at,
            reinstated_because: back.reason,
        }
    }
}

impl Show {
    pub(super) fn run(&self, context: &Context) -> Result<(), CliError> {
        let store = context.store()?;
        let row = context.wait(store.handset(&self.handset))?;
        let row = row.ok_or_else(|| CliError::HandsetUnknown(self.handset.to_string()))?;
        let anomalies = context.wait(store.anomalies(&self.handset))?;
        let reinstatements = context.wait(store.reinstatements(&self.handset))?;
        let shown = Shown::new(row, anomalies, reinstatements);
        if context.json {
            output::json(&shown);
        } else {
            shown.print();
        }
        Ok(())
    }
}

impl Shown {
    fn new(row: HandsetRow, anomalies: Vec<Anomaly>, reinstatements: Vec<Reinstatement>) -> Self {
        let chain = |stream, head: Head| Chain {
            stream,
            seq: head.seq,
            digest: head.digest.to_string(),
        };
        Self {
            status_received: row.status.as_ref().map(|status| status.received),
            chains: [
                chain(Stream::Posture, row.posture_head),
                chain(Stream::Records, row.records_head),
            ],
            line: row.into(),
            anomaly_list: anomalies.into_iter().map(Found::from).collect(),
            reinstatements: reinstatements.into_iter().map(LetBackIn::from).collect(),
        }
    }

    fn print(self) {
        let line = self.line;
        let number = |number: Option<u64>| {
            number.map_or_else(|| "–".to_owned(), |number| number.to_string())
        };
        let standing = match (line.revoked, line.revoked_because) {
            (Some(at), why) => format!("revoked {}: {}", output::time(at), why.unwrap_or_default()),
            (None, _) => "enrolled".to_owned(),
        };
        let facts = [
            ("Handset", line.handset.to_string()),
            ("Department", line.department.to_string()),
            ("Label", line.label.unwrap_or_else(|| "–".to_owned())),
            ("Standing", standing),
            ("Enrolled", output::time(line.enrolled)),
            (
                "Certificate until",
                output::time_or_dash(line.certificate_not_after),
            ),
            ("Last seen", output::time_or_dash(line.last_seen)),
            (
                "App list confirmed",
                output::time_or_dash(line.posture_confirmed),
            ),
            ("Status of", output::time_or_dash(self.status_received)),
            ("Waiting", number(line.waiting)),
            ("Set aside", number(line.quarantined)),
            ("Problems", dash_or(&line.problems.join(", "))),
        ];
        for (name, value) in facts {
            output::text(&output::clean(&format!("{name:<20}{value}")));
        }
        for back in &self.reinstatements {
            let text = format!(
                "{:<20}revoked {}: {}; let back in {}: {}",
                "Reinstated",
                output::time(back.revoked),
                back.revoked_because,
                output::time(back.reinstated),
                back.reinstated_because,
            );
            output::text(&output::clean(&text));
        }
        for chain in &self.chains {
            let name = format!("Chain {}", chain.stream.as_str());
            output::text(&format!("{name:<20}number {}, {}", chain.seq, chain.digest));
        }
        if self.anomaly_list.is_empty() {
            output::text("Nothing was ever out of order.");
            return;
        }
        output::text("");
        output::table(
            ["Anomaly", "Chain", "Times", "First", "Last", "Last record"],
            self.anomaly_list.into_iter().map(|found| {
                let what = found.title.map(|title| format!("\n{title}"));
                let record = found.last_record.map(|id| id.to_string());
                let seq = found.last_seq.map(|seq| format!("number {seq}"));
                let record: Vec<_> = [seq, record].into_iter().flatten().collect();
                [
                    format!("{}{}", found.code, what.unwrap_or_default()),
                    found.stream.as_str().to_owned(),
                    found.count.to_string(),
                    output::time(found.first),
                    output::time(found.last),
                    dash_or(&record.join("\n")),
                ]
            }),
        );
    }
}

fn dash_or(text: &str) -> String {
    let text = if text.is_empty() { "–" } else { text };
    text.to_owned()
}

impl From<Anomaly> for Found {
    fn from(anomaly: Anomaly) -> Self {
        let code: Option<Code> = anomaly.code.parse().ok();
        Self {
            stream: anomaly.stream,
            title: code.map(Code::title),
            code: anomaly.code,
            count: anomaly.count,
            first: anomaly.first,
            last: anomaly.last,
            last_seq: anomaly.last_seq,
            last_record: anomaly.last_record,
        }
    }
}

#[cfg(test)]
mod tests {
    use candour_wire::Digest;

    use super::*;
    use crate::store::{Handset, Revocation};

    fn at(minute: u8) -> Timestamp {
        format!("2026-11-22T10:{minute:02}:00Z").parse().unwrap()
    }

    #[test]
    fn a_handset_is_shown_with_both_chains_and_every_kind_of_anomaly() {
        let id = HandsetId::derive(b"key");
        let head = |seq| Head {
            seq,
            digest: Digest::of(&seq.to_be_bytes()),
        };
        let row = HandsetRow {
            handset: Handset {
                id: id.clone(),
                department: "hm-treasury".parse().unwrap(),
                label: Some("PHONE-0001".to_owned()),
                enrolled: at(0),
            },
            spki: Vec::new(),
            revoked: Some(Revocation {
                at: at(9),
                reason: "lost".to_owned(),
            }),
            certificate_not_after: None,
            last_seen: Some(at(8)),
            posture_confirmed: None,
            posture_head: head(4),
            records_head: head(2),
            anomalies: 3,
            status: None,
        };
        let record = RecordId::make(at(7));
        let anomaly = |code: &str, count| Anomaly {
            stream: Stream::Records,
            code: code.to_owned(),
            count,
            first: at(6),
            last: at(7),
            last_seq: Some(3),
            last_record: Some(record),
        };
        let found = vec![anomaly("chain_broken", 2), anomaly("of_a_later_version", 1)];
        let shown = serde_json::to_value(Shown::new(row, found, vec![])).unwrap();
        assert_eq!(shown["handset"], id.to_string());
        assert_eq!(shown["revoked_because"], "lost");
        assert_eq!(
            (&shown["chains"][0]["seq"], &shown["chains"][1]["seq"]),
            (&4.into(), &2.into())
        );
        assert_eq!(shown["chains"][1]["stream"], "records");
        let [first, second] = &shown["anomaly_list"].as_array().unwrap()[..] else {
            panic!("{shown}")
        };
        assert_eq!(
            (&first["code"], &first["title"], &first["count"]),
            (
                &"chain_broken".into(),
                &Code::ChainBroken.title().into(),
                &2.into()
            )
        );
        assert_eq!(first["first"], at(6).to_string());
        assert_eq!(first["last"], at(7).to_string());
        assert_eq!(first["last_record"], record.to_string());
        assert!(second["title"].is_null(), "{second}");
    }
}
