//! The command line: what can be asked for, and how it is explained.

#[macro_use]
mod fields;

use std::path::PathBuf;

use candour_import::DateOrder;
use candour_wire::RecordId;
use candour_wire::content::RedactionReason;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use jiff::civil::DateTime;

pub(crate) use fields::{Fields, Source, flag_of};

use crate::exit::Exit;
use crate::selection::Selection;

/// Declare business messages, report which messaging apps are installed, and prove both.
#[derive(Debug, Parser)]
#[command(name = "candour", version, propagate_version = true, after_long_help = exit_codes())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options for every command")]
pub(crate) struct Global {
    /// Folder of the agent's own files [default: candour in the XDG state directory]
    #[arg(long, global = true, env = "CANDOUR_HOME", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) home: Option<PathBuf>,
    /// Configuration file [default: config.toml in the home, else /etc/candour/agent.toml]
    #[arg(long, global = true, env = "CANDOUR_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on standard error; twice for all there is. Never shows content
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Enrol this machine with a one-time token
    Enrol(Enrol),
    /// Show what waits, when it was last sent, and what is wrong
    Status(Status),
    /// Ask this machine which catalogue apps are installed
    Scan,
    /// List the messages of an exported chat, and pick some to declare
    Import(Import),
    /// Declare business messages
    Declare(Declare),
    /// List, show, delete or declare drafts
    Drafts(Drafts),
    /// Send what waits and check the receipts
    Sync(Sync),
    /// List everything that was made to leave this machine: what, when, why
    Sent,
    /// Correct an earlier declaration with a new record
    Amend(Amend),
    /// Take an earlier declaration back, with a reason
    Withdraw(Withdraw),
    /// Check the receipts again, without a network
    Verify(Verify),
    /// Show the department's policy: wording, channels, markings, deadlines, catalogue
    Policy,
    /// Stay up: scan and send when due, until stopped
    Run,
    /// Destroy the keys and remove everything of the agent from this machine
    Wipe(Wipe),
    /// Show the whole of Candour at work on this machine, with a server of its own
    Demo(Box<Demo>),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the man page, or write one page for each command into a folder
    Man {
        /// Folder for the pages
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

/// Enrolment.
#[derive(Debug, Args)]
#[command(
    after_help = "The token comes from --token-file, from $CANDOUR_TOKEN, or is asked for. It is \
never an argument, since arguments can be read by every user of the machine."
)]
pub(crate) struct Enrol {
    /// File that holds the token and nothing else; - for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) token_file: Option<PathBuf>,
}

/// How things stand.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Stop naming the damaged store that was set aside: it has been dealt with
    #[arg(long)]
    pub(crate) acknowledge: bool,
}

/// Import of an exported chat.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The export as the app made it: a file, several files that belong together, or a folder
    #[arg(required_unless_present = "paste", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,
    /// Read messages that were copied out of an app, from standard input, in place of an export
    #[arg(long, conflicts_with = "paths")]
    pub(crate) paste: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) listing: Listing,
    #[command(flatten)]
    pub(crate) picking: Picking,
    #[command(flatten)]
    pub(crate) fields: Fields,
    #[command(flatten)]
    pub(crate) act: Act,
}

/// How an export is read.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Reading {
    /// Order of the numbers in dates, where the chat leaves it open: dmy, mdy or ymd
    #[arg(long, value_name = "ORDER")]
    pub(crate) date_order: Option<DateOrder>,
    /// Which conversation of an export that holds several, by its id; without it they are listed
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
}

/// Which messages are listed.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which messages to list")]
pub(crate) struct Listing {
    /// From this date or time on, such as 2026-11-20 or 2026-11-20T14:30
    #[arg(long, value_name = "TIME", value_parser = from_time)]
    pub(crate) from: Option<DateTime>,
    /// Up to this date or time, the whole day included
    #[arg(long, value_name = "TIME", value_parser = to_time)]
    pub(crate) to: Option<DateTime>,
    /// Whose author's name contains this
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,
    /// That contain this
    #[arg(long, value_name = "WORDS")]
    pub(crate) text: Option<String>,
}

/// Which of the listed messages are to be declared, and how.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which of them to declare")]
pub(crate) struct Picking {
    /// By the numbers of the list, such as 3-7,12 or 20-; or `listed` for all that are listed
    #[arg(long, value_name = "NUMBERS", group = "picked")]
    pub(crate) pick: Option<Selection>,
    /// Mark them in the list, at the terminal
    #[arg(long, group = "picked")]
    pub(crate) choose: bool,
    /// Also those that have been declared before
    #[arg(long, requires = "picked")]
    pub(crate) again: bool,
    /// Leave out the files that belong to picked messages
    #[arg(long, requires = "picked")]
    pub(crate) no_files: bool,
    /// Take a passage of somebody else's out of a picked message, as 12:PASSAGE with the message's
    /// number; @FILE reads one on each line; may be repeated
    #[arg(long, value_name = "NUMBER:PASSAGE", requires = "picked")]
    pub(crate) redact: Vec<String>,
    /// Why passages are redacted
    #[arg(long, requires = "redact", value_name = "REASON", value_parser = words!(RedactionReason))]
    pub(crate) redact_why: Option<RedactionReason>,
    /// More about why, in a few words, or @FILE; needed for `other`
    #[arg(long, value_name = "TEXT", requires = "redact")]
    pub(crate) redact_note: Option<String>,
    /// Which author is the holder; tells sent from received where the export does not
    #[arg(long, value_name = "NAME", requires = "picked")]
    pub(crate) me: Option<String>,
}

/// A declaration.
#[derive(Debug, Args)]
pub(crate) struct Declare {
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) fields: Fields,
    #[command(flatten)]
    pub(crate) act: Act,
}

/// What is done with a complete declaration.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "What to do")]
pub(crate) struct Act {
    /// Show what would be declared, and keep nothing
    #[arg(long, conflicts_with_all = ["yes", "save"])]
    pub(crate) dry_run: bool,
    /// Declare without asking; the preview is still shown
    #[arg(long, conflicts_with = "save")]
    pub(crate) yes: bool,
    /// Keep it as a draft and declare nothing
    #[arg(long)]
    pub(crate) save: bool,
}

/// Drafts.
#[derive(Debug, Args)]
pub(crate) struct Drafts {
    #[command(subcommand)]
    pub(crate) command: Option<DraftsCommand>,
}

/// What is done with drafts.
#[derive(Debug, Subcommand)]
pub(crate) enum DraftsCommand {
    /// List them (the default)
    List,
    /// Show one as it stands
    Show {
        /// Which draft
        draft: RecordId,
    },
    /// Delete one
    Delete {
        /// Which draft
        draft: RecordId,
    },
    /// Complete one and declare it
    Declare(Box<DraftsDeclare>),
}

/// Declares a draft.
#[derive(Debug, Args)]
pub(crate) struct DraftsDeclare {
    /// Which draft
    pub(crate) draft: RecordId,
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) fields: Fields,
    #[command(flatten)]
    pub(crate) act: Act,
}

/// Sending.
#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// Try records that were set aside once more, first
    #[arg(long)]
    pub(crate) retry_quarantined: bool,
    /// After an alarm: the auditors have looked into it, and the log as it is now is taken as good
    #[arg(long)]
    pub(crate) clear_alarm: bool,
}

/// A correction.
#[derive(Debug, Args)]
#[command(
    after_help = "An amendment is the whole declaration as it should have been; the first one stays as \
it was. This machine no longer holds the content of what was received, so it is given again."
)]
pub(crate) struct Amend {
    /// The declaration to correct, as `candour sent` lists it
    pub(crate) record: RecordId,
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) fields: Fields,
    #[command(flatten)]
    pub(crate) act: Act,
}

/// A withdrawal.
#[derive(Debug, Args)]
pub(crate) struct Withdraw {
    /// The declaration to take back, as `candour sent` lists it
    pub(crate) record: RecordId,
    /// Why, or @FILE to read it from a file
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Who takes it back, as "Name (Role)" [default: the holder]
    #[arg(long, value_name = "PERSON")]
    pub(crate) by: Option<String>,
    /// Withdraw without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

/// A check of receipts.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A checkpoint from elsewhere, such as an auditor's; - for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) checkpoint: Option<PathBuf>,
}

/// The end.
#[derive(Debug, Args)]
pub(crate) struct Wipe {
    /// Wipe without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

/// The demonstration.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The demo needs the candour-server program beside this one, on the PATH, or named \
with --server-command. Everything that it makes is in one folder, which it empties first."
)]
pub(crate) struct Demo {
    /// Your own exported chat instead of the invented ones, as `candour import` takes it
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) chat: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Stop the server and exit when all is shown
    #[arg(long)]
    pub(crate) once: bool,
    /// Declare the first messages of your own chat without asking; for the shipped ones nothing is asked
    #[arg(long, requires = "chat")]
    pub(crate) yes: bool,
    /// Folder for everything that the demo makes; emptied first
    #[arg(long, value_name = "DIR", default_value = ".demo", value_hint = ValueHint::DirPath)]
    pub(crate) keep: PathBuf,
    /// How to start candour-server, where it is not found by itself: a path, or words separated by blanks
    #[arg(long, env = "CANDOUR_DEMO_SERVER", value_name = "COMMAND")]
    pub(crate) server_command: Option<String>,
    /// Simulated handsets
    #[arg(long, default_value_t = 200, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=5_000))]
    pub(crate) handsets: u32,
}

/// The table of exit codes under `--help` and in the man page.
fn exit_codes() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for exit in Exit::ALL {
        text.push_str(&format!("  {}  {}\n", exit as u8, exit.meaning()));
    }
    text.push_str("\nErrors are `error[code]: what happened. What to do.` on standard error, or with --json an object `error` on standard output.");
    text
}

fn time(
    text: &str,
    of_day: impl FnOnce(jiff::civil::Date) -> DateTime,
) -> Result<DateTime, String> {
    // A date is also a valid start of a date and time, so it is tried first and strictly.
    if text.len() == 10
        && let Ok(date) = text.parse::<jiff::civil::Date>()
    {
        return Ok(of_day(date));
    }
    text.parse::<DateTime>()
        .map_err(|_| "write it as 2026-11-20 or 2026-11-20T14:30".to_owned())
}

fn from_time(text: &str) -> Result<DateTime, String> {
    time(text, |date| date.at(0, 0, 0, 0))
}

fn to_time(text: &str) -> Result<DateTime, String> {
    time(text, |date| date.at(23, 59, 59, 999_999_999))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_long_help_lists_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(exit.meaning()), "{exit:?}");
        }
    }

    #[test]
    fn a_token_cannot_be_given_as_an_argument() {
        assert!(Cli::try_parse_from(["candour", "enrol", "s3cret"]).is_err());
        assert!(Cli::try_parse_from(["candour", "enrol", "--token", "s3cret"]).is_err());
    }

    #[test]
    fn a_day_given_as_an_end_is_the_whole_day() {
        assert_eq!(
            to_time("2026-11-20").unwrap().to_string(),
            "2026-11-20T23:59:59.999999999"
        );
        assert_eq!(
            from_time("2026-11-20").unwrap().to_string(),
            "2026-11-20T00:00:00"
        );
        assert_eq!(
            to_time("2026-11-20T14:30").unwrap().to_string(),
            "2026-11-20T14:30:00"
        );
        assert!(from_time("20/11/2026").is_err());
    }

    #[test]
    fn a_preview_is_never_skipped_and_never_also_declared() {
        assert!(Cli::try_parse_from(["candour", "declare", "--dry-run", "--yes"]).is_err());
        assert!(Cli::try_parse_from(["candour", "declare", "--save", "--yes"]).is_err());
    }
}
