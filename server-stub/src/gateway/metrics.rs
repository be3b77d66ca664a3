//! What is counted. No label names a handset or a person.

use std::fmt;
use std::time::Duration;

use candour_wire::Code;
use candour_wire::record::Kind;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::identity::enrolled::Count;
use crate::store::Figures;

/// The server's counters. Cheap to count; rendered when asked.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    records: Family<[(&'static str, Word); 2], Counter>,
    refusals: Family<[(&'static str, Word); 1], Counter>,
    failures: Family<[(&'static str, Word); 1], Counter>,
    handshakes: Family<[(&'static str, Word); 2], Counter>,
    enrolments: Family<[(&'static str, Word); 1], Counter>,
    crowded_out: Family<[(&'static str, Word); 2], Counter>,
    append_seconds: Histogram,
    connections: Gauge,
    disk_free: Gauge,
    handsets: Family<[(&'static str, Word); 1], Gauge>,
    anomalies: Gauge,
    log_size: Gauge,
    queued: Gauge,
}

/// A label's value: always one of a few fixed words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.encode(encoder)
    }
}

/// What became of a request for a certificate.
#[derive(Debug, Clone, Copy)]
pub(super) enum Enrolment {
    Enrolled,
    Renewed,
    Refused,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("candour");
        let metrics = Self {
            records: Family::default(),
            refusals: Family::default(),
            failures: Family::default(),
            handshakes: Family::default(),
            enrolments: Family::default(),
            crowded_out: Family::default(),
            // 1 ms to 16 s: from one fsync on a good disk to a store that chokes.
            append_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            connections: Gauge::default(),
            disk_free: Gauge::default(),
            handsets: Family::default(),
            anomalies: Gauge::default(),
            log_size: Gauge::default(),
            queued: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register(
            "records",
            "Records by kind and outcome",
            metrics.records.clone(),
        );
        registry.register(
            "refusals",
            "Refused records by code",
            metrics.refusals.clone(),
        );
        registry.register(
            "failures",
            "Failed requests by code",
            metrics.failures.clone(),
        );
        registry.register(
            "handshakes",
            "TLS handshakes by listener and outcome",
            metrics.handshakes.clone(),
        );
        registry.register(
            "enrolments",
            "Requests for certificates by outcome",
            metrics.enrolments.clone(),
        );
        registry.register(
            "crowded_out",
            "Connections that gave way to newer ones or found no place, by listener and limit",
            metrics.crowded_out.clone(),
        );
        registry.register(
            "append_seconds",
            "Time from a checked batch to its commit",
            metrics.append_seconds.clone(),
        );
        registry.register(
            "connections",
            "Open connections",
            metrics.connections.clone(),
        );
        registry.register(
            "disk_free_bytes",
            "Free bytes on the disk of the data",
            metrics.disk_free.clone(),
        );
        registry.register("handsets", "Handsets by standing", metrics.handsets.clone());
        registry.register(
            "anomalies",
            "Times a handset's batch was out of order",
            metrics.anomalies.clone(),
        );
        registry.register("log_size", "Leaves in the log", metrics.log_size.clone());
        registry.register("store_queue", "Writes that wait", metrics.queued.clone());
        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    pub(super) fn receipt(&self, kind: Option<Kind>, duplicate: bool) {
        self.record(kind, if duplicate { "duplicate" } else { "taken" });
    }

    pub(super) fn refusal(&self, kind: Option<Kind>, code: Option<Code>) {
        self.record(kind, "refused");
        let code = code.map_or("unknown", Code::as_str);
        self.refusals.get_or_create(&[("code", Word(code))]).inc();
    }

    fn record(&self, kind: Option<Kind>, outcome: &'static str) {
        let kind = kind.map_or("unknown", Kind::as_str);
        self.records
            .get_or_create(&[("kind", Word(kind)), ("outcome", Word(outcome))])
            .inc();
    }

    pub(super) fn failed(&self, code: Code) {
        self.failures
            .get_or_create(&[("code", Word(code.as_str()))])
            .inc();
    }

    pub(super) fn handshake(&self, listener: &'static str, outcome: &'static str) {
        self.handshakes
            .get_or_create(&[("listener", Word(listener)), ("outcome", Word(outcome))])
            .inc();
    }

    pub(super) fn enrolment(&self, outcome: Enrolment) {
        let outcome = match outcome {
            Enrolment::Enrolled => "enrolled",
            Enrolment::Renewed => "renewed",
            Enrolment::Refused => "refused",
        };
        self.enrolments
            .get_or_create(&[("outcome", Word(outcome))])
            .inc();
    }

    /// A connection gave way to a newer one, or found no place, because of that limit.
    pub(super) fn crowded_out(&self, listener: &'static str, limit: &'static str) {
        self.crowded_out
            .get_or_create(&[("listener", Word(listener)), ("limit", Word(limit))])
            .inc();
    }

    pub(super) fn disk_free(&self, bytes: u64) {
        self.disk_free.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn appended(&self, took: Duration) {
        self.append_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn connections(&self) -> &Gauge {
        &self.connections
    }

    /// The OpenMetrics text.
    ///
    /// # Errors
    ///
    /// When formatting fails, which a growing text cannot.
    pub(super) fn render(&self, figures: &Figures, keys: Count) -> Result<String, fmt::Error> {
        let set = |gauge: &Gauge, number: u64| {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        };
        set(
            &self
                .handsets
                .get_or_create(&[("standing", Word("enrolled"))]),
            keys.enrolled,
        );
        set(
            &self
                .handsets
                .get_or_create(&[("standing", Word("revoked"))]),
            keys.revoked,
        );
        set(&self.anomalies, figures.anomalies);
        set(&self.log_size, figures.log_size);
        set(&self.queued, figures.queued);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_come_out_under_their_names() {
        let metrics = Metrics::default();
        metrics.receipt(Some(Kind::Declaration), false);
        metrics.refusal(None, Some(Code::SignatureInvalid));
        metrics.handshake("handset", "ok");
        let figures = Figures {
            anomalies: 0,
            log_size: 9,
            queued: 0,
        };
        let keys = Count {
            enrolled: 3,
            revoked: 1,
        };
        let text = metrics.render(&figures, keys).unwrap();
        for line in [
            "candour_records_total{kind=\"declaration\",outcome=\"taken\"} 1",
            "candour_records_total{kind=\"unknown\",outcome=\"refused\"} 1",
            "candour_refusals_total{code=\"signature_invalid\"} 1",
            "candour_handshakes_total{listener=\"handset\",outcome=\"ok\"} 1",
            "candour_handsets{standing=\"enrolled\"} 3",
            "candour_log_size 9",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
