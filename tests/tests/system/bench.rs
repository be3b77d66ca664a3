//! The benchmarks still run and say what they measured; how fast it was is nobody's test.

use candour_tests::program::run;

use crate::program;

#[test]
fn every_benchmark_runs_and_gives_its_figures() {
    let mut bench = std::process::Command::new(program().path());
    bench.args(["bench", "--scale", "0.004", "--json"]);
    let report = run(&mut bench, b"").succeeded().json();
    let figures = report["figures"].as_array().unwrap();
    let named = |part: &str| {
        figures.iter().any(|figure| {
            figure["name"]
                .as_str()
                .is_some_and(|name| name.contains(part))
        })
    };
    for part in [
        "inclusion proof",
        "into the outbox",
        "sync of one changed app",
        "heartbeat",
        "waking",
        "agent: enrol",
        "gateway, idle",
        "handshake and one record",
        "ingest, 1 a request",
        "ingest, 32 a request",
    ] {
        assert!(named(part), "nothing about {part}: {report}");
    }
    let bytes = figures
        .iter()
        .find(|figure| {
            figure["name"]
                .as_str()
                .is_some_and(|name| name.contains("heartbeat"))
        })
        .and_then(|figure| figure["value"].as_f64())
        .unwrap();
    assert!(bytes > 1_000.0, "a handshake alone is more: {report}");
    assert!(report["machine"].is_object());
}
