//! Whatever a server does, a sync ends and no record is lost.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

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
                Code::BodyTooLarge,
                Code::BadRequest,
            ];
            return Outcome::Failed(Failure::new(codes[usize::from(self.whim(6))]));
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
            Action::UploadPiece {
                file,
                offset,
                max_bytes,
            } => self.upload(file, offset, max_bytes),
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

    fn upload(&mut self, file: AttachmentRef, offset: u64, max_bytes: usize) -> Outcome {
        match self.whim(12) {
            0 => Outcome::FileLost,
            1 => status(offset, false),
            2 => {
                self.arrived.remove(&file.sha256);
                Outcome::Failed(Failure::new(Code::AttachmentDigest))
            }
            _ => {
                let arrived = (offset + max_bytes as u64).min(file.size);
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
        holds_policy in any::<bool>(),
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
        if holds_policy {
            machine = machine.with_policy_after_batch();
        }
        let mut asked = 0;
        let mut steps = 0;
        loop {
            let action = machine.next(now());
            prop_assert_eq!(&action, &machine.next(now()));
            if action == Action::Finish {
                break;
            }
            steps += 1;
            prop_assert!(steps < 40_000, "no end");
            asked += usize::from(action == Action::FetchPolicy);
            let outcome = world.carry_out(action);
            machine.on_outcome(outcome);
        }
        prop_assert!(!machine.cut_short());
        let unreachable = machine.failure().is_some_and(|f| f.code == Code::Unreachable);
        prop_assert!(asked == 1 || (asked == 0 && machine.failure().is_some()));
        prop_assert!(asked == 1 || unreachable || !holds_policy);
        let waiting: Vec<RecordId> = world.waiting.values().flatten().map(|item| item.id).collect();
        // What fails may also be the asking whether there is more, when there is not.
        prop_assert!(machine.failure().is_some() || waiting.is_empty());
        if untroubled {
            prop_assert!(waiting.is_empty() && world.quarantined.is_empty());
        }
        let mut found = [world.received, world.quarantined, waiting].concat();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}
