//! The policy that `init` issues as version 1: a sound start that a department then edits.

use candour_wire::DepartmentId;
use candour_wire::policy::{Channel, Deadlines, Marking, Policy, Retention, Schedule, Wording};
use candour_wire::seal::RecordsPublicKey;
use jiff::{SignedDuration, Timestamp};

use super::BUNDLED_CATALOGUE;

/// Channels that are no app of the catalogue: they come with the phone or live on the web.
const FURTHER_CHANNELS: [(&str, &str); 5] = [
    ("imessage", "iMessage"),
    ("private-email", "Private email"),
    ("sms", "Text message (SMS or RCS)"),
    ("voice-call", "Voice or video call on a private service"),
    ("other", "Another channel"),
];

/// The channels that the guidance names and that staff use most stand first in every form.
const FIRST_CHANNELS: [&str; 5] = ["whatsapp", "signal", "sms", "imessage", "private-email"];

/// What stands last: it is chosen when nothing before it fits.
const LAST_CHANNELS: [&str; 2] = ["voice-call", "other"];

/// Makes version 1 of a department's policy.
#[must_use]
pub fn standard(
    department: &DepartmentId,
    name: &str,
    records_key: RecordsPublicKey,
    now: Timestamp,
) -> Policy {
    let apps = BUNDLED_CATALOGUE
        .apps
        .iter()
        .map(|app| (app.id.as_str(), app.name.as_str()));
    let channels = apps.chain(FURTHER_CHANNELS).filter_map(|(id, name)| {
        // Every app id is a valid channel id: both are slugs.
        Some(Channel {
            id: id.parse().ok()?,
            name: name.to_owned(),
        })
    });
    let mut channels: Vec<Channel> = channels.collect();
    channels.sort_by_key(|channel| place_in_form(channel.id.as_str()));
    let marking = |id: &str, name: &str, sensitive| Marking {
        id: id.to_owned(),
        name: name.to_owned(),
        sensitive,
    };
    Policy {
        version: 1,
        department: department.clone(),
        issued: now,
        // A year: a department that forgets its policy for longer should notice.
        expires: now
            .checked_add(SignedDuration::from_hours(24 * 366))
            .unwrap_or(Timestamp::MAX),
        records_key,
        catalogue: Some(BUNDLED_CATALOGUE.clone()),
        channels,
        markings: vec![
            marking("official", "OFFICIAL", false),
            marking("official-sensitive", "OFFICIAL-SENSITIVE", true),
        ],
        // Cabinet Office, "Using non-corporate communication channels", March 2023, gives no
        // number; 20 working days is FOI's own clock, and 20 days stay within it.
        deadlines: Deadlines {
            declare_within_days: 20,
        },
        retention: Retention {
            posture_days: 90,
            handset_receipt_days: 365,
        },
        // Four scans and syncs a day, spread over ten minutes.
        schedule: Schedule {
            scan_interval_s: 21_600,
            sync_interval_s: 21_600,
            sync_spread_s: 600,
        },
        wording: Wording {
            purpose: format!(
                "Candour reports to {name} which messaging apps are on this work phone, and carries the \
                 business messages that you choose to declare. It reads no message by itself."
            ),
            incident_route: "Do not put SECRET or TOP SECRET material here. Report it to your \
                departmental security team by phone or on a suitable system."
                .to_owned(),
            contact: format!(
                "Ask the {name} service desk about this phone, and your departmental records officer about records."
            ),
        },
    }
}

/// Where a channel stands in a form; those of the same place keep the catalogue's order.
fn place_in_form(channel: &str) -> usize {
    let first = FIRST_CHANNELS.iter().position(|id| *id == channel);
    let last = LAST_CHANNELS.iter().position(|id| *id == channel);
    match (first, last) {
        (Some(place), _) => place,
        (None, None) => FIRST_CHANNELS.len(),
        (None, Some(place)) => FIRST_CHANNELS.len() + 1 + place,
    }
}
