//! Records a second over connections that stay.

use base64::Engine as _;
use candour_wire::jws::VerifyingKey;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};

use super::Scale;
use super::load::{self, BATCH, HANDSETS, Met};
use super::nginx::Nginx;
use super::reference::{FORGOTTEN, KEPT, Reference};
use super::report::Report;
use super::usage::{Stretch, Watched};
use crate::department::Department;
use crate::program::{Process, Program};

/// What the server's two cores could do at most, if it did nothing but this.
fn a_second_on_two_cores(processor_seconds: f64, count: usize) -> f64 {
    2.0 / (processor_seconds / to_f64(count))
}

pub(super) fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("no trial is that large"))
}

pub(super) fn measure(program: &Program, scale: Scale, report: &mut Report) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let verify = verify_seconds(scale);
    let bound = 2.0 / verify;
    report.figure(
        "verifying one ES256 signature",
        verify * 1e6,
        "µs of one core",
        "",
    );
    for batch in [1, BATCH] {
        let bodies = scale.of(if batch == 1 { 400 } else { 40 });
        let (mut met, processor, wall, peak) = ours(&runtime, program, bodies, batch);
        let name = |what: &str| format!("ingest, {batch} a request: {what}");
        let ours = a_second_on_two_cores(processor, met.records);
        if batch == 1 {
            let Theirs {
                reference: theirs,
                nginx,
            } = theirs(&runtime, program, bodies, batch);
            report.compared(
                &name("requests/s that the server's two cores can do"),
                ours,
                "/s",
                ("rustls+hyper+SQLite that verifies nothing", theirs),
                "",
            );
            // A request costs what any server's costs, and a verification.
            let with_verify = 2.0 / (2.0 / theirs + verify);
            report.compared(
                &name("the same, beside the sum of both bounds"),
                ours,
                "/s",
                ("that server and one verification", with_verify),
                "≥ 0.80",
            );
            if let Some(nginx) = nginx {
                report.compared(
                    &name("requests/s that the server's two cores can do"),
                    ours,
                    "/s",
                    ("nginx and OpenSSL, nothing kept", nginx),
                    "",
                );
            }
        } else {
            report.compared(
                &name("records/s that the server's two cores can do"),
                ours,
                "/s",
                ("bound by verifying alone", bound),
                "≥ 0.80",
            );
        }
        report.figure(
            &name("records/s, client on the same two cores"),
            to_f64(met.records) / wall,
            "/s",
            "",
        );
        report.figure(&name("p50"), met.quantile_ms(0.5), "ms", "");
        report.figure(&name("p99"), met.quantile_ms(0.99), "ms", "< 40");
        report.figure(&name("gateway's peak memory"), peak, "MB", "< 200");
    }
}

fn ours(
    runtime: &tokio::runtime::Runtime,
    program: &Program,
    bodies: usize,
    batch: usize,
) -> (Met, f64, f64, f64) {
    let department = Department::start(program);
    let deliverers = runtime.block_on(load::prepare(&department, HANDSETS, bodies, batch));
    let watched = Watched(department.process().pid().as_raw_nonzero().get());
    let stretch = Stretch::begin(watched);
    let met = runtime.block_on(load::deliver_kept_alive(
        department.handset_address(),
        "/v1/records",
        deliverers,
    ));
    let wall = stretch.wall().as_secs_f64();
    (met, stretch.processor_seconds(), wall, watched.peak_mb())
}

/// What others' servers need for the same.
struct Theirs {
    /// Requests that two cores of the reference could take in a second.
    reference: f64,
    /// The same of nginx, where it is installed.
    nginx: Option<f64>,
}

fn theirs(
    runtime: &tokio::runtime::Runtime,
    program: &Program,
    bodies: usize,
    batch: usize,
) -> Theirs {
    let department = Department::start(program);
    let prepare = || runtime.block_on(load::prepare(&department, HANDSETS, bodies, batch));
    let measure = |process: &Process, address, path| {
        let deliverers = prepare();
        let stretch = Stretch::begin(Watched(process.pid().as_raw_nonzero().get()));
        let met = runtime.block_on(load::deliver_kept_alive(address, path, deliverers));
        a_second_on_two_cores(stretch.processor_seconds(), met.latencies.len())
    };
    let reference = Reference::start(program, &department);
    let nginx = runtime.block_on(Nginx::start(&department));
    Theirs {
        reference: measure(&reference.process, reference.address, KEPT),
        nginx: nginx.map(|nginx| measure(&nginx.process, nginx.address, FORGOTTEN)),
    }
}

/// Seconds of processor time that ring takes for one P-256 signature, without anything around it.
fn verify_seconds(scale: Scale) -> f64 {
    let pair = KeyPair::generate().expect("a P-256 key");
    let verifying = VerifyingKey::from_spki_der(&pair.subject_public_key_info()).expect("P-256");
    let payload = [b'x'; 1024];
    let jws = candour_wire::jws::sign("bench", &payload, &verifying, |message| pair.sign(message))
        .expect("a short payload");
    let (signed, signature) = jws.rsplit_once('.').expect("a compact JWS");
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(signature)
        .expect("base64url");
    let point = pair.public_key_raw();
    let key =
        ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point);
    let count = scale.of(20_000);
    let stretch = Stretch::begin(Watched::this());
    for _ in 0..count {
        key.verify(signed.as_bytes(), &signature)
            .expect("its own signature");
    }
    stretch.processor_seconds() / to_f64(count)
}
