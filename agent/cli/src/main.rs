//! `candour`, the agent on the command line.

fn main() -> std::process::ExitCode {
    candour::run(std::env::args_os())
}
