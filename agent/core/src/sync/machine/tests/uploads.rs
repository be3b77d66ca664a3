//! Files that must arrive before their records.

use super::*;

fn piece(file: AttachmentRef, offset: u64) -> Action {
    Action::UploadPiece {
        file,
        offset,
        max_bytes: limits::ATTACHMENT_PIECE_MAX_BYTES,
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
    assert_eq!(machine.next(now()), piece(big, PIECE));
    machine.on_outcome(status(2 * PIECE, false));
    assert_eq!(machine.next(now()), piece(big, 2 * PIECE));
    machine.on_outcome(status(3 * PIECE, true));
    assert_eq!(machine.next(now()), send(2));
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
            assert_eq!(machine.next(now()), piece(stuck, 0));
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
fn a_server_that_takes_shorter_pieces_gets_them_until_the_record_is_set_aside() {
    let record = item(&[file(1, PIECE)]);
    let mut machine = loaded(std::slice::from_ref(&record));
    let mut tried = Vec::new();
    loop {
        match machine.next(now()) {
            Action::AskUpload { .. } => machine.on_outcome(status(0, false)),
            Action::UploadPiece {
                offset, max_bytes, ..
            } => {
                tried.push((offset, max_bytes >> 10));
                machine.on_outcome(Outcome::Failed(Failure::new(Code::BodyTooLarge)));
            }
            other => {
                assert_eq!(other, aside(&record, Code::AttachmentTooLarge));
                break;
            }
        }
    }
    assert_eq!(tried, [(0, 1024), (0, 512), (0, 256), (0, 128), (0, 64)]);
    assert_eq!(machine.failure(), None);
}

#[test]
fn a_file_that_the_server_never_takes_holds_up_no_other_record() {
    for code in [Code::BadRequest, Code::UnsupportedMediaType] {
        let record = item(&[file(1, 10)]);
        let mut machine = loaded(&[record.clone(), item(&[])]);
        machine.on_outcome(status(0, false));
        machine.on_outcome(Outcome::Failed(Failure::new(code)));
        assert_eq!(machine.next(now()), Action::AskUpload { file: file(1, 10) });
        machine.on_outcome(status(0, false));
        machine.on_outcome(Outcome::Failed(Failure::new(code)));
        assert_eq!(machine.next(now()), aside(&record, code));
        machine.on_outcome(Outcome::Done);
        assert!(matches!(machine.next(now()), Action::Load { .. }));
    }
}

#[test]
fn a_server_without_uploads_condemns_no_record() {
    for code in [Code::NotFound, Code::MethodNotAllowed] {
        let mut machine = loaded(&[item(&[file(1, 10)])]);
        machine.on_outcome(status(0, false));
        machine.on_outcome(Outcome::Failed(Failure::new(code)));
        assert_eq!(machine.next(now()), Action::Finish);
        assert_eq!(machine.failure().map(|failure| failure.code), Some(code));
    }
}
