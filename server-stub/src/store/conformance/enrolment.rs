use candour_wire::chain::Head;
use candour_wire::posture::{Presence, Status};
use candour_wire::record::{Body, Stream};
use candour_wire::{Digest, HandsetId};

use super::phone::{list, new_token};
use super::{Backend, DEPARTMENT, Phone, at};
use crate::store::{
    EnrolError, EnrolRequest, EnrolledKey, Handset, HandsetFilter, IssuedCertificate, NewToken,
    Reason, ReinstateOutcome, Reinstatement, ReportedStatus, Revocation, RevokeOutcome,
};

fn token(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn reason() -> Reason {
    Reason::new(" left in a taxi ").unwrap()
}

pub(in crate::store) async fn a_token_enrols_one_key_and_a_lost_reply_can_be_asked_for_again<
    B: Backend,
>() {
    let backend = B::empty();
    let store = backend.open();
    store
        .put_token(new_token(token("t"), DEPARTMENT))
        .await
        .unwrap();
    let phone = Phone::new("a");
    let enrolled = store.enrol(phone.asks(token("t"))).await.unwrap();
    let expected = Handset {
        id: phone.id.clone(),
        department: DEPARTMENT.parse().unwrap(),
        label: Some("asset 17".into()),
        enrolled: at(0),
    };
    assert_eq!(enrolled, expected);
    drop(store);
    let store = backend.open();
    let later = EnrolRequest {
        now: at(59),
        ..phone.asks(token("t"))
    };
    assert_eq!(store.enrol(later).await.unwrap(), expected);
    let late = EnrolRequest {
        now: at(60),
        ..phone.asks(token("t"))
    };
    assert!(matches!(
        store.enrol(late).await,
        Err(EnrolError::TokenExpired)
    ));
}

pub(in crate::store) async fn unknown_used_and_expired_tokens_are_told_apart<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let (phone, other) = (Phone::new("a"), Phone::new("b"));
    let refused = store.enrol(phone.asks(token("never made"))).await;
    assert!(matches!(refused, Err(EnrolError::TokenUnknown)));
    store
        .put_token(new_token(token("t"), DEPARTMENT))
        .await
        .unwrap();
    let late = EnrolRequest {
        now: at(60),
        ..phone.asks(token("t"))
    };
    assert!(matches!(
        store.enrol(late).await,
        Err(EnrolError::TokenExpired)
    ));
    store.enrol(phone.asks(token("t"))).await.unwrap();
    let refused = store.enrol(other.asks(token("t"))).await;
    assert!(matches!(refused, Err(EnrolError::TokenUsed)));
    let late = EnrolRequest {
        now: at(60),
        ..other.asks(token("t"))
    };
    assert!(matches!(
        store.enrol(late).await,
        Err(EnrolError::TokenUsed)
    ));
    assert_eq!(store.handset(&other.id).await.unwrap(), None);
}

pub(in crate::store) async fn a_token_that_is_put_twice_stays_as_it_was<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    store
        .put_token(new_token(token("t"), DEPARTMENT))
        .await
        .unwrap();
    store.enrol(Phone::new("a").asks(token("t"))).await.unwrap();
    let again = NewToken {
        expires: at(999),
        ..new_token(token("t"), "cabinet-office")
    };
    store.put_token(again).await.unwrap();
    let refused = store.enrol(Phone::new("b").asks(token("t"))).await;
    assert!(matches!(refused, Err(EnrolError::TokenUsed)));
}

pub(in crate::store) async fn two_keys_that_race_for_a_token_do_not_both_get_it<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    store
        .put_token(new_token(token("t"), DEPARTMENT))
        .await
        .unwrap();
    let (a, b) = (Phone::new("a"), Phone::new("b"));
    let (a, b) = tokio::join!(
        store.enrol(a.asks(token("t"))),
        store.enrol(b.asks(token("t")))
    );
    assert_eq!(
        [&a, &b]
            .into_iter()
            .filter(|outcome| outcome.is_ok())
            .count(),
        1
    );
    let refused = if a.is_err() { a } else { b };
    assert!(matches!(refused, Err(EnrolError::TokenUsed)));
}

pub(in crate::store) async fn no_token_brings_a_revoked_key_back<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    let revoke = async |minutes| {
        store
            .revoke(&phone.id, reason(), at(minutes))
            .await
            .unwrap()
    };
    assert_eq!(revoke(5).await, RevokeOutcome::Revoked);
    assert_eq!(revoke(6).await, RevokeOutcome::AlreadyRevoked);
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!(
        row.revoked,
        Some(Revocation {
            at: at(5),
            reason: "left in a taxi".into()
        })
    );
    let again = phone.asks(Digest::of(b"token of a"));
    assert!(matches!(store.enrol(again).await, Err(EnrolError::Revoked)));
    store
        .put_token(new_token(token("fresh"), DEPARTMENT))
        .await
        .unwrap();
    assert!(matches!(
        store.enrol(phone.asks(token("fresh"))).await,
        Err(EnrolError::Revoked)
    ));
    // The fresh token was not used up by that.
    store
        .enrol(Phone::new("b").asks(token("fresh")))
        .await
        .unwrap();
    let stranger = Phone::new("c").id;
    let unknown = store.revoke(&stranger, reason(), at(7)).await.unwrap();
    assert_eq!(unknown, RevokeOutcome::Unknown);
}

pub(in crate::store) async fn a_handset_revoked_by_mistake_is_let_back_in_and_goes_on_where_it_was<
    B: Backend,
>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let list = Body::Inventory(list(&[("signal", Presence::Unknown)]));
    phone.sent(&*store, list.clone()).await;
    let mistaken = Reason::new("the wrong phone").unwrap();
    let reinstate = async |id: &HandsetId, minutes| {
        store
            .reinstate(id, mistaken.clone(), at(minutes))
            .await
            .unwrap()
    };
    assert_eq!(reinstate(&phone.id, 4).await, ReinstateOutcome::NotRevoked);
    store.revoke(&phone.id, reason(), at(5)).await.unwrap();
    let before = store.enrolment_changes(0).await.unwrap().version;
    assert_eq!(reinstate(&phone.id, 6).await, ReinstateOutcome::Reinstated);
    let changes = store.enrolment_changes(before).await.unwrap();
    assert_eq!(
        (changes.enrolled.len(), changes.revoked.len()),
        (1, 0),
        "a running server opens the door"
    );
    drop(store);
    let store = backend.open();
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!((row.revoked, row.posture_head.seq), (None, 1));
    assert_eq!(
        store.reinstatements(&phone.id).await.unwrap(),
        [Reinstatement {
            revocation: Revocation {
                at: at(5),
                reason: "left in a taxi".into()
            },
            at: at(6),
            reason: "the wrong phone".into()
        }]
    );
    phone.sent(&*store, list).await;
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!(row.posture_head.seq, 2);

    let stranger = Phone::new("c").id;
    let unknown = store.reinstate(&stranger, reason(), at(7)).await.unwrap();
    assert_eq!(unknown, ReinstateOutcome::Unknown);
    assert_eq!(store.reinstatements(&stranger).await.unwrap(), []);
}

pub(in crate::store) async fn a_key_stays_in_its_department<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let phone = Phone::enrolled(&*store, "a").await;
    store
        .put_token(new_token(token("theirs"), "cabinet-office"))
        .await
        .unwrap();
    let refused = store.enrol(phone.asks(token("theirs"))).await;
    assert!(matches!(refused, Err(EnrolError::OtherDepartment)));
    store
        .put_token(new_token(token("ours"), DEPARTMENT))
        .await
        .unwrap();
    let enrolled = store.enrol(phone.asks(token("ours"))).await.unwrap();
    assert_eq!(enrolled.id, phone.id);
    let used = store.enrol(Phone::new("b").asks(token("ours"))).await;
    assert!(matches!(used, Err(EnrolError::TokenUsed)));
}

pub(in crate::store) async fn changes_list_what_was_enrolled_and_revoked_since<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let none = store.enrolment_changes(0).await.unwrap();
    assert_eq!((none.enrolled.len(), none.revoked.len()), (0, 0));
    let a = Phone::enrolled(&*store, "a").await;
    let b = Phone::enrolled(&*store, "b").await;
    let first = store.enrolment_changes(none.version).await.unwrap();
    assert_eq!(first.enrolled.len(), 2);
    assert!(first.enrolled.contains(&EnrolledKey {
        spki: Digest::of(&a.spki),
        handset: a.id.clone(),
        department: DEPARTMENT.parse().unwrap(),
    }));
    store.revoke(&a.id, reason(), at(1)).await.unwrap();
    let second = store.enrolment_changes(first.version).await.unwrap();
    assert_eq!(
        (second.enrolled.len(), &second.revoked[..]),
        (0, &[Digest::of(&a.spki)][..])
    );
    let third = store.enrolment_changes(second.version).await.unwrap();
    assert_eq!(
        (third.version, third.enrolled, third.revoked),
        (second.version, vec![], vec![])
    );
    let all = store.enrolment_changes(0).await.unwrap();
    assert_eq!(
        all.enrolled
            .iter()
            .map(|key| &key.handset)
            .collect::<Vec<_>>(),
        [&b.id]
    );
}

pub(in crate::store) async fn handsets_are_listed_in_pages_by_department<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    for name in ["a", "b", "c"] {
        Phone::enrolled(&*store, name).await;
    }
    let theirs = Phone::enrolled_in(&*store, "d", "cabinet-office").await;
    let page = async |department: Option<&str>, after: Option<HandsetId>, limit| {
        let department = department.map(|department| department.parse().unwrap());
        let rows = store
            .handsets(HandsetFilter {
                department,
                after,
                limit,
            })
            .await
            .unwrap();
        rows.into_iter()
            .map(|row| row.handset.id)
            .collect::<Vec<_>>()
    };
    let all = page(None, None, 10).await;
    assert_eq!(all.len(), 4);
    assert!(all.is_sorted());
    assert_eq!(page(None, None, 2).await, all[..2]);
    assert_eq!(page(None, Some(all[1].clone()), 2).await, all[2..]);
    assert_eq!(page(None, Some(all[3].clone()), 2).await, []);
    assert_eq!(page(Some("cabinet-office"), None, 10).await, [theirs.id]);
}

pub(in crate::store) async fn a_handsets_row_says_what_is_known_of_it<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!(row.spki, phone.spki);
    assert_eq!(row.records_head, Head::genesis(&phone.id, Stream::Records));
    assert_eq!(
        (
            row.last_seen,
            row.posture_confirmed,
            row.certificate_not_after
        ),
        (None, None, None)
    );
    assert_eq!(
        (&row.revoked, &row.status, row.anomalies),
        (&None, &None, 0)
    );
    let serial = vec![1, 2, 3];
    let certificate = IssuedCertificate {
        handset: phone.id.clone(),
        serial,
        not_after: at(43_200),
    };
    store.certificate_issued(certificate).await.unwrap();
    let status = Status {
        pending: 3,
        quarantined: 1,
        oldest_pending: Some(at(-5)),
        last_success: None,
        problems: vec!["clock_wrong".into()],
    };
    phone
        .sent(
            &*store,
            Body::Inventory(list(&[("signal", Presence::Unknown)])),
        )
        .await;
    phone.sent(&*store, Body::Status(status.clone())).await;
    let row = store.handset(&phone.id).await.unwrap().unwrap();
    assert_eq!(row.certificate_not_after, Some(at(43_200)));
    assert_eq!(
        (row.last_seen, row.posture_confirmed),
        (Some(at(1)), Some(at(1)))
    );
    assert_eq!(
        row.status,
        Some(ReportedStatus {
            received: at(1),
            status
        })
    );
}
