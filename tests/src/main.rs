//! The product's programs in one, so that tests can start, starve and kill them, and so that
//! `cargo demo` needs one program only.
//!
//! ```text
//! candour-tests agent …    as `candour …`
//! candour-tests server …   as `candour-server …`
//! candour-tests demo …     as `candour demo …`, with this program as the server
//! ```
//!
//! With `CANDOUR_TESTS_DIE=after:3` the agent kills itself after the third write to its disk.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use candour_core::adapters::linux_platform;
use candour_tests::faults::{DIE, Death, MortalHome};

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    if args.len() < 2 {
        return usage();
    }
    let name = args.remove(1);
    match name.to_str() {
        Some("agent") => agent(args),
        Some("server") => candour_server::run(args),
        Some("demo") => demo(args),
        _ => usage(),
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

fn demo(args: Vec<OsString>) -> ExitCode {
    let Ok(this) = std::env::current_exe() else {
        return fail("this program's own path is not known");
    };
    let mut with_server: Vec<OsString> =
        vec![args[0].clone(), "demo".into(), "--server-command".into()];
    let mut command = this.into_os_string();
    command.push(" server");
    with_server.push(command);
    with_server.extend(args.into_iter().skip(1));
    candour::run(with_server)
}

fn usage() -> ExitCode {
    fail("give agent, server or demo, and then what that program takes")
}

#[expect(clippy::print_stderr, reason = "this is a command line")]
fn fail(problem: &str) -> ExitCode {
    eprintln!("candour-tests: {problem}");
    ExitCode::from(2)
}
