//! Power cuts: the real agent and the real server are recorded at work, and then disks are made
//! on which what was not synced is lost, torn or out of order. On each, everything that had been
//! acknowledged before the cut must be there, once, and the program must open it by itself.

pub mod agent;
pub mod server;
pub mod tally;

use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

use clap::{Parser, ValueEnum};
use fastrand::Rng;
use tempfile::TempDir;

pub use self::agent::AgentRun;
pub use self::server::ServerRun;
pub use self::tally::Tally;
use super::disk::{Disk, Fate, Heeds};
use super::trace::{Step, Trace};
use crate::program::Program;

/// What is tried, and how much of it.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// Whose disk.
    #[arg(long, value_enum, default_value_t = Side::Both)]
    pub side: Side,
    /// Images of each side, over all runs.
    #[arg(long, default_value_t = 10_000)]
    pub images: u64,
    /// Runs that are recorded, each with a seed of its own.
    #[arg(long, default_value_t = 10)]
    pub runs: u64,
    /// Images of each disk and each program that is broken on purpose.
    #[arg(long, default_value_t = 400)]
    pub control_images: u64,
    /// Seed of the first run.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Images that are looked at side by side.
    #[arg(long, default_value_t = 2)]
    pub jobs: u64,
    /// Answers in JSON.
    #[arg(long)]
    pub json: bool,
}

/// Whose disk it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// The phone's.
    Agent,
    /// The department's.
    Server,
    /// Both, one after the other.
    Both,
}

/// What is broken on purpose, which has to be noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Nothing.
    None,
    /// SQLite's `synchronous=NORMAL`.
    Normal,
    /// It says yes before the last sync that makes it true.
    EarlyYes,
    /// Directories are not synced.
    NoDirectories,
    /// The disk lies: no sync does anything.
    LyingDisk,
}

impl Control {
    const BROKEN: [Self; 4] = [
        Self::Normal,
        Self::EarlyYes,
        Self::NoDirectories,
        Self::LyingDisk,
    ];

    /// What is broken, in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Normal => "synchronous=NORMAL",
            Self::EarlyYes => "acknowledged before the commit is synced",
            Self::NoDirectories => "directories are not synced",
            Self::LyingDisk => "a disk that syncs nothing",
        }
    }

    const fn heeds(self) -> Heeds {
        match self {
            Self::None | Self::EarlyYes => Heeds::All,
            Self::Normal => Heeds::AllButCommits,
            Self::NoDirectories => Heeds::Files,
            Self::LyingDisk => Heeds::None,
        }
    }
}

/// A recorded run, and how its images are judged.
pub trait Run: Sync {
    /// What was recorded.
    fn trace(&self) -> &Trace;

    /// Says what is wrong with this image of the disk.
    fn judge(&self, image: &Image<'_>) -> Vec<String>;
}

/// An image of a disk.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Where it is. It may be changed.
    pub path: &'a Path,
    /// After how many steps of the run the power went.
    pub cut: usize,
    /// What was broken on purpose.
    pub control: Control,
    /// Its number.
    pub number: u64,
}

/// From which cut on each acknowledgement counts: the step after it was given, or, for a program
/// that says yes too early, the last sync before that.
#[must_use]
pub fn counts_from(trace: &Trace, given: usize, control: Control) -> usize {
    if control != Control::EarlyYes {
        return given + 1;
    }
    let mut before = trace.steps.iter().take(given);
    let last_sync = before.rposition(|step| matches!(step, Step::Sync(_)));
    last_sync.unwrap_or_default()
}

/// A directory in memory where there is one, since the images are many and short-lived.
///
/// # Errors
///
/// When there is no room for one.
pub fn fast_dir() -> Result<TempDir, String> {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .map_err(|error| error.to_string())
}

/// Makes `images` images of a run and looks at each.
///
/// # Errors
///
/// When an image cannot be written.
pub fn cut(
    run: &dyn Run,
    control: Control,
    images: u64,
    seed: u64,
    jobs: u64,
    tally: &Tally,
) -> Result<(), String> {
    let place = fast_dir()?;
    let worker = |job: u64| -> Result<(), String> {
        // Each worker plays the run once from its beginning, so its images are in order.
        let mut own: Vec<(usize, u64, u64)> = (job..images)
            .step_by(usize::try_from(jobs).unwrap_or(1))
            .map(|number| {
                let mut rng = Rng::with_seed(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                (rng.usize(..=run.trace().steps.len()), rng.u64(..), number)
            })
            .collect();
        own.sort_unstable();
        let mut disk = Disk::new(run.trace(), control.heeds());
        let mut steps = run.trace().steps.iter();
        let mut taken = 0;
        for (cut, image_seed, number) in own {
            while taken < cut {
                steps.next().into_iter().for_each(|step| disk.take(step));
                taken += 1;
            }
            let mut rng = Rng::with_seed(image_seed);
            let fate = Fate::choose(&mut rng);
            let path = place.path().join(format!("{job}"));
            disk.image(fate, &mut rng, &path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let image = Image {
                path: &path,
                cut,
                control,
                number,
            };
            let judged = catch_unwind(AssertUnwindSafe(|| run.judge(&image)));
            let findings = judged.unwrap_or_else(|_| vec!["it panicked".into()]);
            tally.add(findings, cut, fate);
            fs::remove_dir_all(&path).map_err(|error| error.to_string())?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|job| {
                let worker = &worker;
                scope.spawn(move || worker(job))
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a worker panicked")?)
    })
}

/// Says how far it is, where it does not mix with the answer.
pub(super) fn say(progress: &str) {
    // Nobody may be there to hear it.
    let _ = writeln!(std::io::stderr(), "{progress}");
}

/// What an agent does in each of its processes, in the long form.
const ACTS: u64 = 120;

/// Batches that each handset delivers in each of the server's processes, in the long form.
const BATCHES: usize = 12;

/// Runs the trial.
///
/// # Errors
///
/// When something cannot be set up.
pub fn run(args: &Args) -> Result<bool, String> {
    let program = Program::this()?;
    let mut lines = Vec::new();
    let runs = args.runs.max(1);
    for side in [Side::Agent, Side::Server] {
        if args.side != side && args.side != Side::Both {
            continue;
        }
        let tallies: Vec<(Control, Tally)> = std::iter::once(Control::None)
            .chain(Control::BROKEN)
            .map(|control| (control, Tally::default()))
            .collect();
        for number in 0..runs {
            let seed = args.seed + number;
            say(&format!(
                "{side:?}: run {} of {runs}, seed {seed}",
                number + 1
            ));
            let recorded: Box<dyn Run> = match side {
                Side::Server => Box::new(ServerRun::record(&program, seed, BATCHES)?),
                Side::Agent | Side::Both => Box::new(AgentRun::record(&program, seed, ACTS)?),
            };
            for (control, tally) in &tallies {
                let images = if *control == Control::None {
                    args.images
                } else {
                    args.control_images
                };
                let share = images / runs + u64::from(number < images % runs);
                cut(&*recorded, *control, share, seed, args.jobs.max(1), tally)?;
            }
        }
        lines.extend(
            tallies
                .into_iter()
                .map(|(control, tally)| (side, control, tally)),
        );
    }
    tally::report(&lines, args.json)
}
