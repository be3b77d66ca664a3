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
    let (wanted, connections_max) = fit(limit, config.connections_max);
    if wanted != limit
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
        (_, config.connections_max) = fit(
            Rlimit {
                maximum: limit.current,
                ..limit
            },
            config.connections_max,
        );
    } else {
        config.connections_max = connections_max;
    }
}

/// The limit to be set, and the most connections on each listener under it.
fn fit(limit: Rlimit, connections_max: u32) -> (Rlimit, u32) {
    let needed = LISTENERS * u64::from(connections_max) + OTHER_FILES;
    if limit.current.is_none_or(|current| current >= needed) {
        return (limit, connections_max);
    }
    let current = limit.maximum.map_or(needed, |most| most.min(needed));
    let room = current.saturating_sub(OTHER_FILES) / LISTENERS;
    let fitting =
        u32::try_from(room).map_or(connections_max, |room| room.clamp(1, connections_max));
    if fitting < connections_max {
        tracing::warn!(
            connections_max = fitting,
            asked = connections_max,
            open_files = current,
            "fewer connections than asked for: raise the limit of open files (LimitNOFILE)"
        );
    }
    let wanted = Rlimit {
        current: Some(current),
        ..limit
    };
    (wanted, fitting)
}

/// Each has its own [`Config::connections_max`].
const LISTENERS: u64 = 3;

/// The database with its readers, pieces of files that are being written, the runtime's own.
const OTHER_FILES: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(current: u64, maximum: Option<u64>) -> Rlimit {
        Rlimit {
            current: Some(current),
            maximum,
        }
    }

    #[test]
    fn the_limit_is_raised_to_what_the_connections_need() {
        let enough = limit(16_384, None);
        assert_eq!(fit(enough, 4_096), (enough, 4_096));
        for maximum in [None, Some(1 << 20)] {
            let (wanted, connections) = fit(limit(1_024, maximum), 4_096);
            assert_eq!(wanted, limit(3 * 4_096 + 256, maximum));
            assert_eq!(connections, 4_096);
        }
    }

    #[test]
    fn connections_leave_room_for_the_store_where_the_limit_cannot_be_raised() {
        let (wanted, connections) = fit(limit(1_024, Some(1_024)), 4_096);
        assert_eq!((wanted, connections), (limit(1_024, Some(1_024)), 256));
        assert_eq!(fit(limit(64, Some(64)), 4_096).1, 1);
        assert_eq!(fit(limit(1_024, Some(1_024)), 10).1, 10);
    }
}
