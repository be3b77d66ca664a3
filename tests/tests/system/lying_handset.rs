//! Everything that a modified client can say: refused, shown, and nothing of it kept.
//!
//! The handset is enrolled and its certificate is good; only what it says is not. Each table has
//! a control: the same thing said honestly is taken.

mod files;
mod records;
mod requests;

use candour_tests::raw::{Signed, batch_of, refusal};
use candour_tests::{Connection, Department, RawHandset, wait};
use candour_wire::api::{BatchReply, RecordResult};
use candour_wire::posture::Presence;
use candour_wire::record::{Record, Stream};
use candour_wire::seal::RecordsPublicKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::department;

/// What only a modified client would send; none of it may be found anywhere afterwards.
const PRIVATE: &str = "Alice Jones 07700 900123";

struct Scene {
    department: Department,
    handset: RawHandset,
    connection: Connection,
    key: RecordsPublicKey,
    catalogue: u64,
    /// Codes in the order in which they came.
    refused: Vec<String>,
}

impl Scene {
    async fn set_up() -> Self {
        let department = department();
        let handset = RawHandset::enrol(&department).await;
        let mut connection = handset.connect(&department).await;
        let policy = connection.policy(&department).await;
        Self {
            department,
            handset,
            connection,
            key: policy.records_key,
            catalogue: policy.catalogue.unwrap().version,
            refused: Vec::new(),
        }
    }

    fn inventory(&self) -> Record {
        let apps = [
            ("signal", Presence::Absent),
            ("whatsapp", Presence::Installed),
        ];
        let head = self.handset.genesis(Stream::Posture);
        self.handset.inventory(&head, self.catalogue, &apps).record
    }

    fn declaration(&self) -> Signed {
        let head = self.handset.genesis(Stream::Records);
        self.handset.declaration(&head, &self.key, "a message")
    }

    async fn say(&mut self, stream: Stream, jws: String) -> BatchReply {
        let body = batch_of(vec![jws], 0);
        let reply = self.connection.post(stream, body).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    async fn refuses(&mut self, what: &str, stream: Stream, jws: String, code: &str) {
        let reply = self.say(stream, jws).await;
        let refusal = refusal(&reply);
        assert_eq!(refusal.code, code, "{what}: {refusal:?}");
        let told = format!("{reply:?}");
        assert!(
            !told.contains("Alice") && !told.contains("07700"),
            "{what}: {told}"
        );
        self.refused.push(code.to_owned());
    }

    async fn takes(&mut self, stream: Stream, jws: String) {
        let reply = self.say(stream, jws).await;
        assert!(
            matches!(reply.results[..], [RecordResult::Receipt(_)]),
            "{reply:?}"
        );
    }

    /// All that was refused stands in the handset's anomalies and in the metrics, and nothing of
    /// it on the disk or in the log.
    async fn was_shown_and_not_kept(mut self, taken: u64) {
        assert_eq!(self.department.checkpoint().await.size, taken);
        let shown = self
            .department
            .command(&["handset", "show", self.handset.id.as_str(), "--json"])
            .succeeded()
            .json();
        let noted = |code: &str| -> u64 {
            let anomalies = shown["anomaly_list"].as_array().unwrap();
            let of_code = anomalies.iter().filter(|anomaly| anomaly["code"] == code);
            of_code
                .map(|anomaly| anomaly["count"].as_u64().unwrap())
                .sum()
        };
        let metrics = metrics(&self.department).await;
        let mut codes = std::mem::take(&mut self.refused);
        codes.sort();
        for code in codes
            .clone()
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
        {
            let times = codes.iter().filter(|other| **other == code).count() as u64;
            assert_eq!(noted(&code), times, "{code}: {shown}");
            let line = format!("candour_refusals_total{{code=\"{code}\"}} {times}");
            assert!(metrics.contains(&line), "{line}: {metrics}");
        }
        assert_eq!(self.department.stop().code(), Some(0));
        for private in [PRIVATE, "07700", "Alice Jones"] {
            assert!(!crate::privacy::contains(&self.department.data(), private));
            assert!(!self.department.process().log().contains(private));
        }
    }
}

async fn metrics(department: &Department) -> String {
    let mut stream = tokio::net::TcpStream::connect(department.ops_address())
        .await
        .unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    wait::within("the metrics", stream.read_to_string(&mut text))
        .await
        .unwrap();
    text
}
