//! Peak memory of agent and gateway.

use std::sync::Arc;

use super::Scale;
use super::report::Report;
use super::usage::Watched;
use super::{agent, ingest};
use crate::client::connect_tls;
use crate::department::Department;
use crate::program::Program;
use crate::raw::RawHandset;

/// Connections that say nothing.
const IDLE: u32 = 10_000;

/// How many shake hands at once.
const AT_ONCE: usize = 64;

pub(super) fn measure(program: &Program, scale: Scale, report: &mut Report) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let department = Department::start(program);
    let peak = agent::peak_mb(program, &department, scale);
    report.figure(
        &format!(
            "agent: enrol, scan, sync of {} records",
            scale.of(agent::RECORDS)
        ),
        peak,
        "MB peak",
        "< 24",
    );
    // A fresh one, which has served nobody; one handset stands for all.
    let mut department = Department::start(program);
    assert!(department.stop().success());
    let mut command = department.serve_command();
    command.env("CANDOUR_SERVER_CONNECTIONS_MAX", IDLE.to_string());
    command.env("CANDOUR_SERVER_CONNECTIONS_PER_HANDSET", IDLE.to_string());
    department.restart_with(&mut command);
    let watched = Watched(department.process().pid().as_raw_nonzero().get());
    report.figure("gateway, idle", watched.resident_mb(), "MB", "< 30");
    let count = scale.of(IDLE);
    runtime.block_on(async {
        let handset = RawHandset::enrol(&department).await;
        let tls = handset.tls(&department);
        let mut open = Vec::with_capacity(count);
        while open.len() < count {
            let connecting = (0..AT_ONCE.min(count - open.len()))
                .map(|_| connect_tls(department.handset_address(), Arc::clone(&tls)));
            for connection in futures_util::future::join_all(connecting).await {
                open.push(connection.expect("a connection"));
            }
        }
        report.figure(
            &format!("gateway with {count} idle connections"),
            watched.resident_mb(),
            "MB",
            "< 400",
        );
        report.figure(
            "… a connection",
            watched.resident_mb() * 1e3 / ingest::to_f64(count),
            "kB",
            "",
        );
    });
}
