//! Crowds before the gateway: thousands of connections that say nothing, or say it slowly, or ask
//! for handshake after handshake. Enrolled handsets go on delivering records meanwhile; what is
//! measured is whether they succeed, how long they take, and the gateway's memory.
//!
//! The crowd comes from as many addresses as asked for. With `--shared` the handsets share the
//! first of them, as they do behind a mobile operator's gateway, and some may be turned away: they
//! would come back. `--away` puts a slow network before them, on which a handshake takes two ways
//! there and one back, and gives each an address of its own. The control is a listener that lets
//! 1,024 in and makes the others wait: the handsets' failures there show that the trial can fail.

mod attack;
mod control;
mod far;
mod honest;

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::attack::{Attack, Crowd};
use self::honest::{Ask, Score};
use crate::{Department, Program, RawHandset};

/// What is tried, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Connections of each crowd; the limit of open files must leave room for them.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Loopback addresses that the crowd comes from.
    #[arg(long, default_value_t = 1)]
    addresses: u16,
    /// Milliseconds that whatever the handsets say, or are told, is under way.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    away: u64,
    /// Let the handsets share the crowd's address.
    #[arg(long)]
    shared: bool,
    /// Seconds for each crowd.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Only these crowds.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Attack>,
    /// Try the listener that is broken on purpose instead of the gateway.
    #[arg(long)]
    control: bool,
    /// Program that the gateway is; this one unless given.
    #[arg(long)]
    program: Option<PathBuf>,
}

/// Handsets that go on delivering.
const HONEST: usize = 16;

/// The first of the handsets' addresses on a slow network.
const FAR: Ipv4Addr = Ipv4Addr::new(127, 128, 0, 1);

/// What the gateway's memory must stay below with 10,000 idle connections.
const RSS_MAX_MIB: u64 = 400;

/// Runs the trial; says whether the handsets were served throughout and the memory stayed bounded.
///
/// # Errors
///
/// When it cannot be set up.
pub fn run(args: &Args) -> Result<bool, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let program = match &args.program {
        Some(path) => path.clone(),
        None => std::env::current_exe().map_err(|error| error.to_string())?,
    };
    let program = Program::new(&program.to_string_lossy());
    runtime.block_on(trial(args, &program))
}

async fn trial(args: &Args, program: &Program) -> Result<bool, String> {
    let attacks = match args.only.as_slice() {
        [] => Attack::ALL.to_vec(),
        only => only.to_vec(),
    };
    let mut department = Department::start(program);
    let _ = department.stop();
    let mut serve = department.serve_command();
    serve.env("CANDOUR_SERVER_CONNECTIONS_MAX", "12000");
    serve.env("CANDOUR_SERVER_CONNECTIONS_PER_HANDSET", "12000");
    department.restart_with(&mut serve);
    let mut handsets = Vec::new();
    for _ in 0..HONEST {
        handsets.push(RawHandset::enrol(&department).await);
    }
    let department = Arc::new(department);
    let (control, ask, at) = if args.control {
        let control = control::Narrow::start(&department).await;
        let address = control.address();
        (Some(control), Ask::Policy, [address, address])
    } else {
        let both = [department.handset_address(), department.public_address()];
        (None, Ask::Record, both)
    };
    let idle = rss_mib(&department);
    let mut table = format!(
        "load average {}; gateway idle: {idle} MiB resident\n{HEAD}",
        load_average()
    );
    let mut failures = String::new();
    let mut right = true;
    let from = match args.shared {
        true => (Ipv4Addr::LOCALHOST, 1),
        false => (FAR, u32::try_from(HONEST).expect("a few")),
    };
    let far = match args.away {
        0 => None,
        ms => Some(far::Far::start(at[0], Duration::from_millis(ms), from).await),
    };
    let far = far.transpose().map_err(|error| error.to_string())?;
    let gateway = far.as_ref().map_or(at[0], far::Far::address);
    let mut honest = honest::Honest::new(Arc::clone(&department), handsets, ask, gateway).await;
    let calm = honest.work(Duration::from_secs(args.seconds)).await;
    let _ = write!(table, "{}", row("nobody else", 0, &calm, idle));
    for attack in attacks {
        let crowd = Crowd::gather(&department, at, attack, args).await;
        let watched = tokio::spawn(peak(Arc::clone(&department), args.seconds));
        let score = honest.work(Duration::from_secs(args.seconds)).await;
        let peak = watched.await.map_err(|error| error.to_string())?;
        let held = crowd.held();
        drop(crowd);
        let tolerated = if args.shared { score.done() / 10 } else { 0 };
        let served = score.failed() <= tolerated && score.done() > 0;
        // A crowd that has not come shows nothing; the handshakes that it is to hold may all be over
        // at the moment in which they are counted.
        let came = held > 0 || attack.is_brief();
        right &= served && came && peak < RSS_MAX_MIB;
        let _ = write!(table, "{}", row(attack.name(), held, &score, peak));
        for (why, times) in score.why() {
            let _ = writeln!(failures, "{}: {times} × {why}", attack.name());
        }
    }
    drop((control, far));
    let crowded = metrics(&department).await;
    say(&format!("{table}\n{failures}{crowded}"));
    Ok(right)
}

const HEAD: &str = "| crowd | it holds | served | failed | p50 | p99 | slowest | peak MiB |\n\
                    |---|---|---|---|---|---|---|---|\n";

fn row(name: &str, held: usize, score: &Score, peak: u64) -> String {
    format!(
        "| {name} | {held} | {} | {} | {} ms | {} ms | {} ms | {peak} |\n",
        score.done(),
        score.failed(),
        score.quantile(50).as_millis(),
        score.quantile(99).as_millis(),
        score.quantile(100).as_millis(),
    )
}

/// The most that the gateway had in memory, looked at ten times a second.
async fn peak(department: Arc<Department>, seconds: u64) -> u64 {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut most = 0;
    for _ in 0..seconds * 10 {
        ticks.tick().await;
        most = most.max(rss_mib(&department));
    }
    most
}

fn rss_mib(department: &Department) -> u64 {
    let path = format!(
        "/proc/{}/status",
        department.process().pid().as_raw_nonzero()
    );
    let status = std::fs::read_to_string(path).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or_default() >> 10
}

fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// What the gateway itself counted of connections and handshakes.
async fn metrics(department: &Department) -> String {
    let text = department.ops("/metrics").await.unwrap_or_default();
    let wanted = [
        "candour_crowded",
        "candour_handshakes_total",
        "candour_connections",
    ];
    let lines = text
        .lines()
        .filter(|line| wanted.iter().any(|name| line.starts_with(name)));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[expect(clippy::print_stdout, reason = "this is a command line")]
fn say(text: &str) {
    println!("{text}");
}
