//! Which faults a seed has. Each seed has some of them only, so that one which hides another
//! does not hide it everywhere.

use super::control::Control;

/// What may happen in a seed, and how much of it.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) phones: usize,
    pub(super) steps: usize,
    /// Of a hundred requests, how many meet a fault.
    pub(super) network: u8,
    /// Requests may arrive late or twice.
    pub(super) late: bool,
    pub(super) agent_crashes: bool,
    pub(super) agent_disk: bool,
    pub(super) server_crashes: bool,
    pub(super) server_store: bool,
    pub(super) clocks: bool,
    pub(super) keys: bool,
    pub(super) operator: bool,
    /// The outbox holds few records.
    pub(super) small_outbox: bool,
    /// Some files are longer than a piece.
    pub(super) long_files: bool,
    /// Sealed files disappear from a phone's disk.
    pub(super) files_lost: bool,
}

impl Profile {
    pub(super) fn draw(rng: &mut fastrand::Rng, control: Option<Control>) -> Self {
        let mut drawn = Self {
            phones: rng.usize(1..4),
            steps: rng.usize(40..160),
            network: [0, 5, 20, 40][rng.usize(0..4)],
            late: rng.bool(),
            agent_crashes: rng.bool(),
            agent_disk: rng.u8(0..3) == 0,
            server_crashes: rng.bool(),
            server_store: rng.u8(0..3) == 0,
            clocks: rng.u8(0..3) == 0,
            keys: rng.u8(0..3) == 0,
            operator: rng.bool(),
            small_outbox: rng.u8(0..6) == 0,
            long_files: rng.u8(0..8) == 0,
            files_lost: rng.u8(0..10) == 0,
        };
        match control {
            Some(Control::AgentForgets | Control::HolderRepeats) => drawn.agent_crashes = true,
            Some(Control::ServerForgets) => drawn.server_crashes = true,
            Some(Control::RevocationIgnored) => drawn.operator = true,
            _ => {}
        }
        drawn
    }
}
