//! Room for connections among the files that the process may have open.
//!
//! A connection is an open file to the system, and many systems allow 1,024 unless asked. Were
//! connections to use them up, whoever opens enough of them would keep the store from its own
//! files and every other phone out. So the limit is raised as far as it goes, and connections get
//! what the rest leaves.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Makes room, or lowers the most connections at a time to what there is room for.
pub(super) fn make_room(config: &mut Config) {
    let limit = getrlimit(Resource::Nofile);
    let asked = Connections {
        known: config.connections_max,
        strangers: config.strangers_max,
    };
    let (wanted, mut fitting) = fit(limit, asked);
    if wanted != limit
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
        let unraised = Rlimit {
            maximum: limit.current,
            ..limit
        };
        (_, fitting) = fit(unraised, asked);
    }
    if fitting != asked {
        tracing::warn!(
            connections_max = fitting.known,
            strangers_max = fitting.strangers,
            "fewer connections than asked for: raise the limit of open files (LimitNOFILE)"
        );
    }
    config.connections_max = fitting.known;
    config.strangers_max = fitting.strangers;
}

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Connections {
    /// Of enrolled phones.
    known: u32,
    /// Of others, on each listener.
    strangers: u32,
}

impl Connections {
    fn files(self) -> u64 {
        u64::from(self.known) + LISTENERS * u64::from(self.strangers) + OTHER_FILES
    }
}

/// The limit to be set, and the most connections under it.
fn fit(limit: Rlimit, asked: Connections) -> (Rlimit, Connections) {
    let needed = asked.files();
    if limit.current.is_none_or(|current| current >= needed) {
        return (limit, asked);
    }
    let current = limit.maximum.map_or(needed, |most| most.min(needed));
    let wanted = Rlimit {
        current: Some(current),
        ..limit
    };
    if current >= needed {
        return (wanted, asked);
    }
    let room = u32::try_from(current.saturating_sub(OTHER_FILES)).unwrap_or(u32::MAX);
    // Three eighths for strangers, an eighth on each listener; phones get what is left.
    let strangers = asked.strangers.min(room / 8).max(1);
    let known = room.saturating_sub(3 * strangers).clamp(1, asked.known);
    (wanted, Connections { known, strangers })
}

/// Each has its own [`Config::strangers_max`].
const LISTENERS: u64 = 3;

/// The database with its readers, pieces of files that are being written, the runtime's own.
const OTHER_FILES: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Connections = Connections {
        known: 4_096,
        strangers: 1_024,
    };

    fn limit(current: u64, maximum: Option<u64>) -> Rlimit {
        Rlimit {
            current: Some(current),
            maximum,
        }
    }

    #[test]
    fn the_limit_is_raised_to_what_the_connections_need() {
        let enough = limit(16_384, None);
        assert_eq!(fit(enough, ASKED), (enough, ASKED));
        for maximum in [None, Some(1 << 20)] {
            let (wanted, connections) = fit(limit(1_024, maximum), ASKED);
            assert_eq!(wanted, limit(4_096 + 3 * 1_024 + 256, maximum));
            assert_eq!(connections, ASKED);
        }
    }

    #[test]
    fn connections_leave_room_for_the_store_where_the_limit_cannot_be_raised() {
        let connections = |known, strangers| Connections { known, strangers };
        let tight = limit(1_024, Some(1_024));
        assert_eq!(fit(tight, ASKED), (tight, connections(480, 96)));
        assert_eq!(fit(limit(64, Some(64)), ASKED).1, connections(1, 1));
        assert_eq!(fit(tight, connections(10, 10)).1, connections(10, 10));
    }
}
