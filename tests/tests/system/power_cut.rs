//! Power cuts, as many as there is time for; `candour-tests torture power-cut` makes more. They
//! show what `kill -9` cannot: the kernel keeps what a dead process has written, a dead machine
//! does not.

use candour_tests::torture::power_cut::{AgentRun, Control, Run, ServerRun, Tally, cut};
use candour_tests::torture::stuck::nonces_used_twice;

use crate::program;

/// Cuts the power on a recorded run, then on the same run with something broken on purpose.
fn holds_and_notices(run: &dyn Run, images: u64) {
    let tally = Tally::default();
    cut(run, Control::None, images, 1, 2, &tally).unwrap();
    let counts = tally.counts();
    assert_eq!((counts.images, counts.bad), (images, 0), "{counts:#?}");
    for control in [Control::Normal, Control::NoDirectories, Control::LyingDisk] {
        let tally = Tally::default();
        cut(run, control, 12, 1, 2, &tally).unwrap();
        assert!(tally.counts().bad > 0, "{control:?} was not noticed");
    }
}

#[test]
fn a_phone_whose_power_goes_has_everything_that_it_acknowledged() {
    holds_and_notices(&AgentRun::record(&program(), 1, 25).unwrap(), 100);
}

#[test]
fn a_server_whose_power_goes_has_everything_that_it_acknowledged() {
    holds_and_notices(&ServerRun::record(&program(), 1, 3).unwrap(), 100);
}

#[test]
fn a_nonce_that_is_used_twice_is_noticed() {
    let used_twice = |stuck| nonces_used_twice(&program(), 25, stuck).unwrap();
    assert_eq!(used_twice(false), 0);
    assert!(used_twice(true) > 0);
}
