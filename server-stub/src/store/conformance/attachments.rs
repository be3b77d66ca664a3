use candour_wire::Digest;
use candour_wire::api::UploadStatus;
use candour_wire::attachment::ciphertext_len;
use candour_wire::limits::{ATTACHMENT_MAX_BYTES, ATTACHMENT_PIECE_MAX_BYTES, ATTACHMENTS_MAX};
use candour_wire::record::AttachmentRef;

use super::phone::declaration_with;
use super::{Backend, Phone, at};
use crate::store::{Piece, Reason, UploadError};

/// A file as one piece.
pub(super) fn whole(phone: &Phone, bytes: &[u8]) -> Piece {
    Piece {
        handset: phone.id.clone(),
        sha256: Digest::of(bytes),
        total: bytes.len() as u64,
        offset: 0,
        bytes: bytes.to_vec(),
        now: at(1),
    }
}

/// `bytes[from..to]` of a file.
fn part(phone: &Phone, bytes: &[u8], from: usize, to: usize) -> Piece {
    Piece {
        offset: from as u64,
        bytes: bytes[from..to].to_vec(),
        ..whole(phone, bytes)
    }
}

const fn partial(offset: u64) -> UploadStatus {
    UploadStatus {
        offset,
        complete: false,
    }
}

const FILE: &[u8] = b"0123456789";
const COMPLETE: UploadStatus = UploadStatus {
    offset: 10,
    complete: true,
};

pub(in crate::store) async fn a_file_arrives_in_pieces_and_goes_on_after_a_crash<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    let sha256 = Digest::of(FILE);
    assert_eq!(store.upload_status(&phone.id, &sha256).await.unwrap(), None);
    let status = store.upload_piece(part(&phone, FILE, 0, 4)).await.unwrap();
    assert_eq!(status, partial(4));
    drop(store);
    let store = backend.open();
    assert_eq!(
        store.upload_status(&phone.id, &sha256).await.unwrap(),
        Some(partial(4))
    );
    assert_eq!(
        store
            .read_attachment(&phone.id, &sha256, 0, 100)
            .await
            .unwrap(),
        None
    );
    let status = store.upload_piece(part(&phone, FILE, 4, 10)).await.unwrap();
    assert_eq!(status, COMPLETE);
    let read = async |offset, max| {
        store
            .read_attachment(&phone.id, &sha256, offset, max)
            .await
            .unwrap()
            .unwrap()
    };
    assert_eq!(read(0, 100).await, FILE);
    assert_eq!(read(3, 4).await, b"3456");
    assert_eq!(read(10, 100).await, b"");
}

pub(in crate::store) async fn a_piece_at_the_wrong_place_is_told_the_right_one<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    store.upload_piece(part(&phone, FILE, 0, 4)).await.unwrap();
    let beyond = Piece {
        bytes: vec![0; 7],
        ..part(&phone, FILE, 4, 4)
    };
    let absurd = Piece {
        offset: u64::MAX,
        ..part(&phone, FILE, 0, 4)
    };
    for piece in [
        part(&phone, FILE, 0, 4),
        part(&phone, FILE, 5, 10),
        beyond,
        absurd,
    ] {
        let refused = store.upload_piece(piece).await;
        assert!(
            matches!(refused, Err(UploadError::Offset { expected: 4 })),
            "{refused:?}"
        );
    }
    assert_eq!(
        store.upload_piece(part(&phone, FILE, 4, 10)).await.unwrap(),
        COMPLETE
    );
}

pub(in crate::store) async fn a_file_with_another_digest_is_discarded<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    let bad = Piece {
        bytes: b"9876543210".to_vec(),
        ..whole(&phone, FILE)
    };
    assert!(matches!(
        store.upload_piece(bad).await,
        Err(UploadError::Digest)
    ));
    assert_eq!(
        store
            .upload_status(&phone.id, &Digest::of(FILE))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store.upload_piece(whole(&phone, FILE)).await.unwrap(),
        COMPLETE
    );
}

pub(in crate::store) async fn a_piece_of_a_complete_file_changes_nothing<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    store.upload_piece(whole(&phone, FILE)).await.unwrap();
    let other_bytes = Piece {
        bytes: vec![0; 10],
        ..whole(&phone, FILE)
    };
    let other_size = Piece {
        total: 99,
        ..whole(&phone, FILE)
    };
    for piece in [whole(&phone, FILE), other_bytes, other_size] {
        assert_eq!(store.upload_piece(piece).await.unwrap(), COMPLETE);
    }
    let kept = store
        .read_attachment(&phone.id, &Digest::of(FILE), 0, 100)
        .await
        .unwrap();
    assert_eq!(kept.unwrap(), FILE);
}

pub(in crate::store) async fn sizes_over_the_limit_are_refused<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    let largest = ciphertext_len(ATTACHMENT_MAX_BYTES);
    let file = Piece {
        total: largest + 1,
        ..part(&phone, FILE, 0, 4)
    };
    let long = vec![0; ATTACHMENT_PIECE_MAX_BYTES + 1];
    let piece = Piece {
        total: largest,
        bytes: long,
        ..part(&phone, FILE, 0, 0)
    };
    for piece in [file, piece] {
        assert!(matches!(
            store.upload_piece(piece).await,
            Err(UploadError::TooLarge)
        ));
    }
    let allowed = Piece {
        total: largest,
        ..part(&phone, FILE, 0, 4)
    };
    assert_eq!(store.upload_piece(allowed).await.unwrap(), partial(4));
}

pub(in crate::store) async fn another_announced_size_starts_again<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    let wrong = Piece {
        total: 99,
        ..part(&phone, FILE, 0, 4)
    };
    store.upload_piece(wrong).await.unwrap();
    let refused = store.upload_piece(part(&phone, FILE, 4, 10)).await;
    assert!(matches!(refused, Err(UploadError::Offset { expected: 0 })));
    assert_eq!(
        store.upload_piece(whole(&phone, FILE)).await.unwrap(),
        COMPLETE
    );
}

pub(in crate::store) async fn more_files_than_a_handset_may_leave_about_are_refused<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let largest = ciphertext_len(ATTACHMENT_MAX_BYTES);
    // Each announces the largest size; only the first byte comes.
    let begin = |phone: &Phone, n: usize| Piece {
        total: largest,
        bytes: vec![0],
        ..whole(phone, &n.to_be_bytes())
    };
    store.upload_piece(whole(&phone, FILE)).await.unwrap();
    for n in 1..ATTACHMENTS_MAX {
        store.upload_piece(begin(&phone, n)).await.unwrap();
    }
    let refused = store.upload_piece(begin(&phone, 0)).await;
    assert!(matches!(refused, Err(UploadError::Quota)), "{refused:?}");
    // A begun file goes on, and another handset is not concerned.
    let goes_on = Piece {
        offset: 1,
        ..begin(&phone, 1)
    };
    store.upload_piece(goes_on).await.unwrap();
    let other = Phone::enrolled(&*store, "b").await;
    store.upload_piece(begin(&other, 0)).await.unwrap();
    // What a record refers to does not count.
    let file = AttachmentRef {
        sha256: Digest::of(FILE),
        size: 10,
    };
    phone.sent(&*store, declaration_with(vec![file])).await;
    store.upload_piece(begin(&phone, 0)).await.unwrap();
}

pub(in crate::store) async fn a_revoked_handset_uploads_nothing<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    store.upload_piece(part(&phone, FILE, 0, 4)).await.unwrap();
    store
        .revoke(&phone.id, Reason::new("lost").unwrap(), at(2))
        .await
        .unwrap();
    let refused = store.upload_piece(part(&phone, FILE, 4, 10)).await;
    assert!(matches!(refused, Err(UploadError::Revoked)));
    let stranger = Phone::new("stranger");
    let refused = store.upload_piece(whole(&stranger, FILE)).await;
    assert!(matches!(refused, Err(UploadError::NotEnrolled)));
}

pub(in crate::store) async fn a_handset_sees_only_its_own_files<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    let other = Phone::enrolled(&*store, "b").await;
    store.upload_piece(whole(&phone, FILE)).await.unwrap();
    let sha256 = Digest::of(FILE);
    assert_eq!(store.upload_status(&other.id, &sha256).await.unwrap(), None);
    assert_eq!(
        store
            .read_attachment(&other.id, &sha256, 0, 10)
            .await
            .unwrap(),
        None
    );
}

pub(in crate::store) async fn stale_uploads_are_discarded_unless_a_record_refers_to_them<
    B: Backend,
>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let (begun, unused, fresh) = (
        b"begun".as_slice(),
        b"unused".as_slice(),
        b"fresh".as_slice(),
    );
    store.upload_piece(whole(&phone, FILE)).await.unwrap();
    store.upload_piece(part(&phone, begun, 0, 2)).await.unwrap();
    store.upload_piece(whole(&phone, unused)).await.unwrap();
    store
        .upload_piece(Piece {
            now: at(9),
            ..part(&phone, fresh, 0, 2)
        })
        .await
        .unwrap();
    let file = AttachmentRef {
        sha256: Digest::of(FILE),
        size: 10,
    };
    phone.sent(&*store, declaration_with(vec![file])).await;
    assert_eq!(store.discard_stale_uploads(at(5)).await.unwrap(), 2);
    let status = async |file: &[u8]| {
        store
            .upload_status(&phone.id, &Digest::of(file))
            .await
            .unwrap()
    };
    assert_eq!((status(begun).await, status(unused).await), (None, None));
    assert_eq!(
        (status(FILE).await, status(fresh).await),
        (Some(COMPLETE), Some(partial(2)))
    );
    assert_eq!(
        store
            .upload_piece(whole(&phone, begun))
            .await
            .unwrap()
            .offset,
        5
    );
}
