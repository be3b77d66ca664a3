mod uploads;
mod world;

use super::*;

const PIECE: u64 = 1 << 20;

fn now() -> Timestamp {
    "2026-11-22T09:00:00Z".parse().unwrap()
}

fn file(number: u64, size: u64) -> AttachmentRef {
    AttachmentRef {
        sha256: Digest::of(&number.to_be_bytes()),
        size,
    }
}

fn item(files: &[AttachmentRef]) -> Item {
    Item {
        id: RecordId::make(now()),
        files: files.to_vec(),
    }
}

fn head(seq: u64) -> Head {
    Head {
        seq,
        digest: Digest::of(b"head"),
    }
}

fn refusal(code: Code) -> Answer {
    Answer::Refused(Refusal::new(code))
}

fn status(offset: u64, complete: bool) -> Outcome {
    Outcome::Upload(UploadStatus { offset, complete })
}

/// A machine that has come to the records stream and loaded `items`.
fn loaded(items: &[Item]) -> Machine {
    let mut machine = Machine::new(false, None, None);
    machine.on_outcome(Outcome::Done);
    machine.on_outcome(Outcome::Loaded(Vec::new()));
    assert!(matches!(
        machine.next(now()),
        Action::Load {
            stream: Stream::Records,
            ..
        }
    ));
    machine.on_outcome(Outcome::Loaded(items.to_vec()));
    machine
}

fn send(count: usize) -> Action {
    Action::Send {
        stream: Stream::Records,
        count,
    }
}

fn aside(item: &Item, code: Code) -> Action {
    Action::SetAside {
        stream: Stream::Records,
        refused: Refused::new(item.id, code),
    }
}

#[test]
fn with_nothing_to_do_the_policy_is_fetched_and_both_streams_are_looked_at() {
    let mut machine = Machine::new(true, None, None);
    assert_eq!(machine.next(now()), Action::Renew);
    machine.on_outcome(Outcome::Done);
    assert_eq!(machine.next(now()), Action::FetchPolicy);
    machine.on_outcome(Outcome::Done);
    for stream in [Stream::Posture, Stream::Records] {
        let load = Action::Load {
            stream,
            max_records: 64,
            max_bytes: BATCH_BUDGET_BYTES,
        };
        assert_eq!(machine.next(now()), load);
        machine.on_outcome(Outcome::Loaded(Vec::new()));
    }
    assert_eq!(machine.next(now()), Action::Finish);
    assert_eq!((machine.failure(), machine.cut_short()), (None, false));
}

#[test]
fn a_halted_sync_sends_nothing_and_says_why() {
    let forked = Failure::new(Code::LogForked);
    let mut machine = Machine::new(false, Some(forked.clone()), None);
    assert_eq!(machine.next(now()), Action::FetchPolicy);
    machine.on_outcome(Outcome::Done);
    assert_eq!(
        (machine.next(now()), machine.failure()),
        (Action::Finish, Some(&forked))
    );
}

#[test]
fn with_a_policy_in_force_its_turn_comes_once_and_in_every_sync() {
    let fresh = || Machine::new(true, None, None).with_policy_after_batch();
    let ask = |machine: &Machine| machine.next(now()) == Action::FetchPolicy;

    // Nothing waits: at the end.
    let mut machine = fresh();
    machine.on_outcome(Outcome::Done);
    machine.on_outcome(Outcome::Loaded(Vec::new()));
    machine.on_outcome(Outcome::Loaded(Vec::new()));
    assert!(ask(&machine));
    machine.on_outcome(Outcome::Done);
    assert_eq!(machine.next(now()), Action::Finish);

    // After the first batch, and not after the second.
    let mut machine = fresh();
    machine.on_outcome(Outcome::Done);
    for first in [true, false] {
        machine.on_outcome(Outcome::Loaded(vec![item(&[])]));
        machine.on_outcome(Outcome::Answered(vec![Answer::Received]));
        assert_eq!(ask(&machine), first);
        if first {
            machine.on_outcome(Outcome::Done);
        }
    }

    // A fork that was seen earlier: before everything, since nothing is sent.
    let forked = Failure::new(Code::LogForked);
    let machine = Machine::new(false, Some(forked), None).with_policy_after_batch();
    assert!(ask(&machine));
}

#[test]
fn the_first_failure_is_told_and_the_longest_time_asked_for_is_waited() {
    let mut machine = Machine::new(false, None, None).with_policy_after_batch();
    machine.on_outcome(Outcome::Loaded(vec![item(&[])]));
    machine.on_outcome(Outcome::Failed(Failure::new(Code::Internal)));
    assert_eq!(machine.next(now()), Action::FetchPolicy);
    let day = std::time::Duration::from_hours(24);
    machine.on_outcome(Outcome::Failed(Failure {
        retry_after: Some(day),
        ..Failure::new(Code::Unavailable)
    }));
    let told = machine.failure().unwrap();
    assert_eq!((told.code, told.retry_after), (Code::Internal, Some(day)));
}

#[test]
fn after_the_deadline_nothing_new_is_begun() {
    let mut machine = Machine::new(false, None, Some(now()));
    let before = now() - jiff::SignedDuration::from_secs(1);
    assert_eq!(machine.next(before), Action::FetchPolicy);
    machine.on_outcome(Outcome::Done);
    assert_eq!(machine.next(now()), Action::Finish);
    assert_eq!((machine.failure(), machine.cut_short()), (None, true));
}

#[test]
fn a_connection_that_fails_ends_the_sync_and_condemns_no_record() {
    for code in [
        Code::Unreachable,
        Code::ServerNotTrusted,
        Code::CertificateRefused,
        Code::TooManyRequests,
    ] {
        let mut machine = loaded(&[item(&[])]);
        machine.on_outcome(Outcome::Failed(Failure::new(code)));
        assert_eq!(machine.next(now()), Action::Finish);
        assert_eq!(machine.failure().map(|failure| failure.code), Some(code));
    }
}

#[test]
fn a_record_that_is_refused_for_what_it_says_is_set_aside_and_the_rest_go_on() {
    let items = [item(&[]), item(&[]), item(&[])];
    let mut machine = loaded(&items);
    let mut gap = Refusal::new(Code::SequenceGap);
    gap.head = Some(head(1));
    machine.on_outcome(Outcome::Answered(vec![
        Answer::Received,
        refusal(Code::AppNotInCatalogue),
        Answer::Refused(gap),
    ]));
    let refused = vec![Refused::new(items[1].id, Code::AppNotInCatalogue)];
    assert_eq!(
        machine.next(now()),
        Action::Rearrange {
            stream: Stream::Records,
            head: Some(head(1)),
            refused
        }
    );
    machine.on_outcome(Outcome::Done);
    assert!(matches!(
        machine.next(now()),
        Action::Load {
            stream: Stream::Records,
            ..
        }
    ));
}

#[test]
fn a_chain_that_never_fits_is_given_up_after_three_rounds() {
    let mut machine = loaded(&[item(&[])]);
    let mut rearranged = 0;
    while machine.next(now()) != Action::Finish {
        match machine.next(now()) {
            Action::Load { .. } => machine.on_outcome(Outcome::Loaded(vec![item(&[])])),
            Action::Rearrange { head: Some(_), .. } => {
                rearranged += 1;
                machine.on_outcome(Outcome::Done);
            }
            _ => {
                let mut broken = Refusal::new(Code::ChainBroken);
                broken.head = Some(head(9));
                machine.on_outcome(Outcome::Answered(vec![Answer::Refused(broken)]));
            }
        }
    }
    assert_eq!(rearranged, FRUITLESS_ROUNDS_MAX - 1);
    assert_eq!(
        machine.failure().map(|failure| failure.code),
        Some(Code::ChainBroken)
    );
}

#[test]
fn a_chain_refusal_without_a_head_ends_the_stream_only() {
    let mut machine = Machine::new(false, None, None);
    machine.on_outcome(Outcome::Done);
    machine.on_outcome(Outcome::Loaded(vec![item(&[])]));
    machine.on_outcome(Outcome::Answered(vec![refusal(Code::SequenceGap)]));
    assert!(matches!(
        machine.next(now()),
        Action::Load {
            stream: Stream::Records,
            ..
        }
    ));
    machine.on_outcome(Outcome::Loaded(Vec::new()));
    assert_eq!(
        machine.failure().map(|failure| failure.code),
        Some(Code::SequenceGap)
    );
}

#[test]
fn a_code_from_the_future_keeps_the_record_waiting() {
    let mut machine = loaded(&[item(&[])]);
    let unknown = Refusal {
        code: "from_\nthe_future".into(),
        detail: None,
        head: None,
    };
    machine.on_outcome(Outcome::Answered(vec![Answer::Refused(unknown)]));
    assert_eq!(machine.next(now()), Action::Finish);
    let failure = machine.failure().unwrap();
    assert_eq!(failure.code, Code::BadReply);
    assert!(
        failure
            .detail
            .as_deref()
            .unwrap()
            .ends_with("from_ the_future")
    );
}

#[test]
fn a_batch_that_is_too_large_is_halved_until_one_record_is_set_aside() {
    let items: Vec<Item> = (0..5).map(|_| item(&[])).collect();
    let mut machine = loaded(&items);
    for count in [5, 2, 1] {
        assert_eq!(machine.next(now()), send(count));
        machine.on_outcome(Outcome::TooLarge);
        if count > 1 {
            let half = count / 2;
            assert!(
                matches!(machine.next(now()), Action::Load { max_records, .. } if max_records == half)
            );
            machine.on_outcome(Outcome::Loaded(items[..half].to_vec()));
        }
    }
    assert_eq!(machine.next(now()), aside(&items[0], Code::RecordTooLarge));
}

#[test]
fn an_outcome_that_belongs_to_another_action_ends_the_sync() {
    for outcome in [
        Outcome::Done,
        Outcome::FileLost,
        Outcome::Answered(Vec::new()),
        Outcome::Loaded(Vec::new()),
    ] {
        let mut machine = loaded(&[item(&[])]);
        machine.on_outcome(outcome);
        assert_eq!(machine.next(now()), Action::Finish);
        assert_eq!(
            machine.failure().map(|failure| failure.code),
            Some(Code::Internal)
        );
    }
}
