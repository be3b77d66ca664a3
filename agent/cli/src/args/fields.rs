//! The flags that describe a declaration. `declare`, `import --pick`, `drafts declare` and
//! `amend` share them.

use std::path::PathBuf;

use candour_wire::ChannelId;
use candour_wire::content::{
    Capture, DeviceOwnership, Direction, Disappearing, Extent, Significance,
};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use jiff::civil::DateTime;

/// A parser for one of the contract's word lists: the words with their labels as help.
macro_rules! words {
    ($name:ident) => {
        PossibleValuesParser::new(
            $name::ALL
                .iter()
                .map(|w| PossibleValue::new(w.as_str()).help(w.label())),
        )
        .try_map(|word| word.parse::<$name>())
    };
}

/// What is known of a declaration. Whatever is missing is asked for at a terminal.
#[derive(Debug, Clone, Default, Args)]
#[command(
    next_help_heading = "The declaration (texts: @FILE reads from a file, @- from standard input)"
)]
pub(crate) struct Fields {
    /// Where the conversation took place; `candour policy` lists the channels
    #[arg(long, value_name = "ID")]
    pub(crate) channel: Option<ChannelId>,
    /// Which way the messages went, from the holder's side
    #[arg(long, value_parser = words!(Direction))]
    pub(crate) direction: Option<Direction>,
    /// Someone who took part, as "Name (Role)"; may be repeated
    #[arg(long, value_name = "PERSON")]
    pub(crate) with: Vec<String>,
    /// When, as 2026-11-20T14:30 [default: the first message's time]
    #[arg(long, value_name = "TIME")]
    pub(crate) occurred: Option<DateTime>,
    /// IANA time zone of the times [default: the configuration's]
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Significant government information, or arrangements only
    #[arg(long, value_parser = words!(Significance))]
    pub(crate) significance: Option<Significance>,
    /// The marking, at most OFFICIAL-SENSITIVE; `candour policy` lists them
    #[arg(long, value_name = "ID")]
    pub(crate) marking: Option<String>,
    /// Handling instructions that go with the marking
    #[arg(long, value_name = "TEXT")]
    pub(crate) handling: Option<String>,
    /// Whose device the messages were on
    #[arg(long, value_parser = words!(DeviceOwnership))]
    pub(crate) device: Option<DeviceOwnership>,
    /// Why this channel was used
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The exceptional circumstances, for a private device
    #[arg(long, value_name = "TEXT")]
    pub(crate) exception: Option<String>,
    /// The conversation's disappearing-messages setting
    #[arg(long, value_parser = words!(Disappearing))]
    pub(crate) disappearing: Option<Disappearing>,
    /// All of the conversation, or a part
    #[arg(long, value_parser = words!(Extent))]
    pub(crate) extent: Option<Extent>,
    /// How the content came here [default: worked out]
    #[arg(long, value_parser = words!(Capture))]
    pub(crate) capture: Option<Capture>,
    /// Who declares, as "Name (Role)" [default: the holder]
    #[arg(long, value_name = "PERSON")]
    pub(crate) by: Option<String>,
    /// For whom, when a private office declares, as "Name (Role)"
    #[arg(long = "for", value_name = "PERSON")]
    pub(crate) on_behalf_of: Option<String>,
    /// A note of what was said and decided; - for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) note_file: Option<PathBuf>,
    /// A screenshot or another file to attach; may be repeated
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) attach: Vec<PathBuf>,
}

/// Where the messages come from, where they are not picked from an export.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The messages")]
pub(crate) struct Source {
    /// The messages' text; - for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) text_file: Option<PathBuf>,
    /// A whole draft as JSON, as `candour drafts show --json` prints it; - for standard input. Flags go before it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) draft_file: Option<PathBuf>,
}

/// The flag that fills a draft's field, for messages about what is missing.
pub(crate) fn flag_of(field: &str) -> &str {
    match field {
        "channel" => "--channel",
        "direction" => "--direction",
        "participants" => "--with",
        "occurred" => "--occurred",
        "significance" => "--significance",
        "marking" => "--marking",
        "handling" => "--handling",
        "device" => "--device",
        "reason" => "--reason",
        "exceptional_circumstances" => "--exception",
        "disappearing" => "--disappearing",
        "extent" => "--extent",
        "capture" => "--capture",
        "declared_by" => "--by",
        "on_behalf_of" => "--for",
        "substance" => "--note-file",
        "messages" => "--text-file, --note-file or --attach",
        "attachments" => "--attach",
        other => other,
    }
}
