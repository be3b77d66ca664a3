use std::collections::BTreeMap;

use proptest::prelude::*;

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
fn records_without_files_go_before_the_upload_that_a_later_one_needs() {
    let big = file(1, 3 * PIECE);
    let mut machine = loaded(&[item(&[]), item(&[]), item(&[big]), item(&[])]);
    assert_eq!(machine.next(now()), send(2));
    machine.on_outcome(Outcome::Answered(vec![Answer::Received, Answer::Received]));
    assert_eq!(machine.next(now()), Action::AskUpload { file: big });
    machine.on_outcome(status(PIECE, false));
    assert_eq!(
        machine.next(now()),
        Action::UploadPiece {
            file: big,
            offset: PIECE
        }
    );
    machine.on_outcome(status(2 * PIECE, false));
    assert_eq!(
        machine.next(now()),
        Action::UploadPiece {
            file: big,
            offset: 2 * PIECE
        }
    );
    machine.on_outcome(status(3 * PIECE, true));
    assert_eq!(machine.next(now()), send(2));
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
fn a_file_that_is_gone_from_the_phone_sets_its_record_aside() {
    let record = item(&[file(1, 10)]);
    let mut machine = loaded(std::slice::from_ref(&record));
    machine.on_outcome(status(0, false));
    machine.on_outcome(Outcome::FileLost);
    assert_eq!(
        machine.next(now()),
        aside(&record, Code::AttachmentUnreadable)
    );
}

#[test]
fn a_file_that_arrived_wrong_is_sent_once_more_and_then_its_record_is_set_aside() {
    let record = item(&[file(1, 10)]);
    let mut machine = loaded(std::slice::from_ref(&record));
    let wrong = || Outcome::Failed(Failure::new(Code::AttachmentDigest));
    machine.on_outcome(status(0, false));
    machine.on_outcome(wrong());
    assert_eq!(machine.next(now()), Action::AskUpload { file: file(1, 10) });
    machine.on_outcome(status(0, false));
    machine.on_outcome(wrong());
    assert_eq!(machine.next(now()), aside(&record, Code::AttachmentDigest));
}

#[test]
fn an_upload_that_does_not_move_is_asked_about_once_and_then_left() {
    let stuck = file(1, 10);
    for stands in [0, 10, 11, u64::MAX] {
        let mut machine = loaded(&[item(&[stuck])]);
        for _ in 0..2 {
            machine.on_outcome(status(0, false));
            assert_eq!(
                machine.next(now()),
                Action::UploadPiece {
                    file: stuck,
                    offset: 0
                }
            );
            machine.on_outcome(status(stands, false));
        }
        assert_eq!(machine.next(now()), Action::Finish);
        assert_eq!(
            machine.failure().map(|failure| failure.code),
            Some(Code::BadReply),
            "{stands}"
        );
    }
}

#[test]
fn a_server_that_lost_a_file_gets_it_again() {
    let needed = file(1, 10);
    let record = item(&[needed]);
    let mut machine = loaded(std::slice::from_ref(&record));
    machine.on_outcome(status(10, true));
    machine.on_outcome(Outcome::Answered(vec![refusal(Code::AttachmentMissing)]));
    machine.on_outcome(Outcome::Loaded(vec![record]));
    assert_eq!(machine.next(now()), Action::AskUpload { file: needed });
}

#[test]
fn a_full_upload_quota_ends_the_stream_and_nothing_else() {
    let mut machine = Machine::new(false, None, None);
    machine.on_outcome(Outcome::Done);
    machine.on_outcome(Outcome::Loaded(vec![item(&[file(1, 10)])]));
    machine.on_outcome(Outcome::Failed(Failure::new(Code::AttachmentQuota)));
    assert!(matches!(
        machine.next(now()),
        Action::Load {
            stream: Stream::Records,
            ..
        }
    ));
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

/// A handset and a server in one, whose every decision comes from a tape.
struct World {
    waiting: BTreeMap<&'static str, Vec<Item>>,
    received: Vec<RecordId>,
    quarantined: Vec<RecordId>,
    arrived: BTreeMap<Digest, u64>,
    /// Files that were complete at some time.
    confirmed: HashSet<Digest>,
    loaded: Vec<Item>,
    tape: Vec<u8>,
}

impl World {
    fn whim(&mut self, of: u8) -> u8 {
        self.tape.pop().map_or(of - 1, |byte| byte % of)
    }

    fn complete(&self, file: &AttachmentRef) -> bool {
        self.arrived.get(&file.sha256) == Some(&file.size)
    }

    fn carry_out(&mut self, action: Action) -> Outcome {
        if self.whim(40) == 0 {
            let codes = [
                Code::Unreachable,
                Code::AttachmentOffset,
                Code::AttachmentDigest,
                Code::StoreFailed,
            ];
            return Outcome::Failed(Failure::new(codes[usize::from(self.whim(4))]));
        }
        match action {
            Action::Renew | Action::FetchPolicy | Action::Finish => Outcome::Done,
            Action::Load {
                stream,
                max_records,
                ..
            } => {
                let waiting = &self.waiting[stream.as_str()];
                self.loaded = waiting.iter().take(max_records).cloned().collect();
                Outcome::Loaded(self.loaded.clone())
            }
            Action::AskUpload { file } => {
                let offset = self.arrived.get(&file.sha256).copied().unwrap_or(0);
                status(offset, self.complete(&file))
            }
            Action::UploadPiece { file, offset } => self.upload(file, offset),
            Action::Send { stream, count } => self.answer(stream, count),
            Action::Rearrange {
                stream, refused, ..
            } => self.set_aside(stream, &refused),
            Action::SetAside { stream, refused } => self.set_aside(stream, &[refused]),
        }
    }

    fn set_aside(&mut self, stream: Stream, refused: &[Refused]) -> Outcome {
        let waiting = self.waiting.get_mut(stream.as_str()).unwrap();
        for refused in refused {
            let place = waiting
                .iter()
                .position(|item| item.id == refused.id)
                .expect("it waits");
            waiting.remove(place);
            self.quarantined.push(refused.id);
        }
        Outcome::Done
    }

    fn upload(&mut self, file: AttachmentRef, offset: u64) -> Outcome {
        match self.whim(12) {
            0 => Outcome::FileLost,
            1 => status(offset, false),
            2 => {
                self.arrived.remove(&file.sha256);
                Outcome::Failed(Failure::new(Code::AttachmentDigest))
            }
            _ => {
                let arrived = (offset + PIECE).min(file.size);
                self.arrived.insert(file.sha256, arrived);
                if self.complete(&file) {
                    self.confirmed.insert(file.sha256);
                }
                status(arrived, self.complete(&file))
            }
        }
    }

    fn answer(&mut self, stream: Stream, count: usize) -> Outcome {
        assert!(
            count >= 1 && count <= self.loaded.len(),
            "{count} of {}",
            self.loaded.len()
        );
        if self.whim(12) == 0 {
            return Outcome::TooLarge;
        }
        let sent: Vec<Item> = self.loaded.drain(..count).collect();
        let mut broken = false;
        let answers = sent.iter().map(|item| {
            let whim = if broken { 3 } else { self.whim(12) };
            broken |= whim < 4;
            match whim {
                0 => refusal(Code::RecordMalformed),
                1 => Answer::Refused(Refusal {
                    code: "new_code".into(),
                    detail: None,
                    head: None,
                }),
                2 => {
                    self.arrived.clear();
                    refusal(Code::AttachmentMissing)
                }
                3 => {
                    let mut gap = Refusal::new(Code::SequenceGap);
                    gap.head = (self.whim(8) > 0).then(|| head(7));
                    Answer::Refused(gap)
                }
                _ if !item.files.iter().all(|file| self.complete(file)) => {
                    let told = item
                        .files
                        .iter()
                        .all(|file| self.confirmed.contains(&file.sha256));
                    assert!(told, "a record was sent before its files");
                    broken = true;
                    refusal(Code::AttachmentMissing)
                }
                _ => {
                    let waiting = self.waiting.get_mut(stream.as_str()).unwrap();
                    assert_eq!(
                        waiting.first().map(|first| first.id),
                        Some(item.id),
                        "out of order"
                    );
                    waiting.remove(0);
                    self.received.push(item.id);
                    Answer::Received
                }
            }
        });
        Outcome::Answered(answers.collect())
    }
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let files = prop::collection::vec((0_u64..6, 1_u64..4), 0..3);
    prop::collection::vec(files, 0..90).prop_map(|records| {
        let sized = |(number, pieces): &(u64, u64)| file(number * 8 + pieces, pieces * PIECE - 1);
        records
            .iter()
            .map(|files| item(&files.iter().map(sized).collect::<Vec<_>>()))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_the_server_does_a_sync_ends_and_every_record_is_in_one_place(
        posture in items(),
        records in items(),
        tape in prop::collection::vec(any::<u8>(), 0..600),
        renew in any::<bool>(),
    ) {
        let mut expected: Vec<RecordId> = posture.iter().chain(&records).map(|item| item.id).collect();
        let waiting = BTreeMap::from([("posture", posture), ("records", records)]);
        let untroubled = tape.is_empty();
        let mut world = World {
            waiting,
            received: Vec::new(),
            quarantined: Vec::new(),
            arrived: BTreeMap::new(),
            confirmed: HashSet::new(),
            loaded: Vec::new(),
            tape,
        };
        let mut machine = Machine::new(renew, None, None);
        let mut steps = 0;
        loop {
            let action = machine.next(now());
            prop_assert_eq!(&action, &machine.next(now()));
            if action == Action::Finish {
                break;
            }
            steps += 1;
            prop_assert!(steps < 20_000, "no end");
            let outcome = world.carry_out(action);
            machine.on_outcome(outcome);
        }
        prop_assert!(!machine.cut_short());
        let waiting: Vec<RecordId> = world.waiting.values().flatten().map(|item| item.id).collect();
        prop_assert_eq!(machine.failure().is_none(), waiting.is_empty());
        if untroubled {
            prop_assert!(waiting.is_empty() && world.quarantined.is_empty());
        }
        let mut found = [world.received, world.quarantined, waiting].concat();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}
