//! The product's programs in one, so that tests can start, starve and kill them, and so that
//! `cargo demo` needs one program only.
//!
//! ```text
//! candour-tests server …   as `candour-server …`
//! candour-tests demo …     as `candour demo …`, with this program as the server
//! candour-tests bench …    measures the product
//! candour-tests fleet …    a hundred thousand phones before a gateway; see
//!                          [`candour_tests::fleet`]
//! candour-tests simulate … phones, network and gateway under seeded faults; see
//!                          [`candour_tests::simulate`]
//! candour-tests torture …  trials that take long; see [`candour_tests::torture`]
//! candour-tests …          as `candour …`; `agent` may stand before it
//! ```
//!
//! With `CANDOUR_TESTS_DIE=after:3` the agent kills itself after the third write to its disk.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use candour_core::adapters::linux_platform;
use candour_tests::Program;
use candour_tests::faults::{DIE, Death, MortalHome};

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    match args.get(1).and_then(|name| name.to_str()) {
        Some("server") => {
            args.remove(1);
            candour_server::run(args)
        }
        Some("demo") => demo(args),
        Some("bench") => bench(&args),
        Some("bench-reference") => {
            candour_tests::bench::serve_reference(args.get(2..).unwrap_or_default())
        }
        Some("fleet") => {
            args.remove(1);
            candour_tests::fleet::run(args)
        }
        Some("simulate") => {
            args.remove(1);
            candour_tests::simulate::run(args)
        }
        Some("torture") => {
            args.remove(1);
            candour_tests::torture::run(args)
        }
        Some("agent") => {
            args.remove(1);
            agent(args)
        }
        _ => agent(args),
    }
}

fn agent(args: Vec<OsString>) -> ExitCode {
    let death = match std::env::var(DIE).map(|text| text.parse::<Death>()) {
        Err(_) => return candour::run(args),
        Ok(Ok(death)) => death,
        Ok(Err(problem)) => return fail(&format!("{DIE}: {problem}")),
    };
    candour::run_with(args, |home, events| {
        let platform = linux_platform(home, events)?;
        Ok(candour_core::ports::Platform {
            home: Arc::new(MortalHome::new(Arc::clone(&platform.home), death)),
            ..platform
        })
    })
}

fn bench(args: &[OsString]) -> ExitCode {
    let Ok(this) = std::env::current_exe() else {
        return fail("this program's own path is not known");
    };
    let program = Program::new(&this.to_string_lossy());
    candour_tests::bench::run(&program, args.get(2..).unwrap_or_default())
}

/// The demo runs the server by its command line, and this program is the server as well.
fn demo(mut args: Vec<OsString>) -> ExitCode {
    let named = args
        .iter()
        .any(|arg| arg.to_string_lossy().starts_with("--server-command"));
    if !named {
        let Ok(this) = std::env::current_exe() else {
            return fail("this program's own path is not known");
        };
        let mut command = this.into_os_string();
        command.push(" server");
        args.extend(["--server-command".into(), command]);
    }
    agent(args)
}

#[expect(clippy::print_stderr, reason = "this is a command line")]
fn fail(problem: &str) -> ExitCode {
    eprintln!("candour-tests: {problem}");
    ExitCode::from(2)
}
