//! Whole handshakes, each with one record.

use super::Scale;
use super::ingest::to_f64;
use super::load::{self, Deliverer};
use super::nginx::Nginx;
use super::reference::{FORGOTTEN, KEPT, Reference};
use super::report::Report;
use super::usage::{Stretch, Watched};
use crate::department::Department;
use crate::program::Program;

/// How many handsets knock at once.
const HANDSETS: usize = 64;

pub(super) fn measure(program: &Program, scale: Scale, report: &mut Report) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bodies = scale.of(40);
    let prepare = |department: &Department| -> Vec<Deliverer> {
        runtime.block_on(load::prepare(department, HANDSETS, bodies, 1))
    };
    let department = Department::start(program);
    let deliverers = prepare(&department);
    let stretch = Stretch::begin(Watched(department.process().pid().as_raw_nonzero().get()));
    let mut met = runtime.block_on(load::deliver_one_by_one(
        department.handset_address(),
        "/v1/records",
        deliverers,
    ));
    let wall = to_f64(met.records) / stretch.wall().as_secs_f64();
    let ours = to_f64(met.records) / stretch.processor_seconds();
    let p99 = met.quantile_ms(0.99);
    let reference = Reference::start(program, &department);
    let watched = Watched(reference.process.pid().as_raw_nonzero().get());
    let theirs = |watched: Watched, address, path: &'static str| {
        let deliverers = prepare(&department);
        let stretch = Stretch::begin(watched);
        let met = runtime.block_on(load::deliver_one_by_one(address, path, deliverers));
        to_f64(met.records) / stretch.processor_seconds()
    };
    let bare = theirs(watched, reference.address, FORGOTTEN);
    let keeping = theirs(watched, reference.address, KEPT);
    let nginx = runtime.block_on(Nginx::start(&department)).map(|nginx| {
        let watched = Watched(nginx.process.pid().as_raw_nonzero().get());
        theirs(watched, nginx.address, FORGOTTEN)
    });
    report.compared(
        "handshake and one record, by one core's time",
        ours,
        "/s",
        ("bare rustls+hyper, nothing kept", bare),
        "≥ 0.85",
    );
    report.compared(
        "handshake and one record, by one core's time",
        ours,
        "/s",
        ("rustls+hyper+SQLite that verifies nothing", keeping),
        "",
    );
    if let Some(nginx) = nginx {
        report.compared(
            "handshake and one record, by one core's time",
            ours,
            "/s",
            ("nginx and OpenSSL, nothing kept", nginx),
            "",
        );
    }
    report.figure(
        "handshake and one record, client on the same two cores",
        wall,
        "/s",
        "",
    );
    report.figure("handshake and one record: p99", p99, "ms", "");
}
