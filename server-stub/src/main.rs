//! The `candour-server` program; everything is in the library, so that tests can run it too.

fn main() -> std::process::ExitCode {
    candour_server::run(std::env::args_os())
}
