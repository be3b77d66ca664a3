//! What is damaged, lost or locked.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_enrolment_cannot_be_read_enrols_again_and_keeps_what_waits() {
    let phone = Phone::enrolled();
    let sound = phone.home.read(Document::Identity).unwrap().unwrap();
    let id = {
        let agent = phone.agent();
        agent
            .declare(agent.preview(&draft()).unwrap(), None)
            .unwrap()
    };
    phone
        .home
        .write(Document::Identity, b"{\"handset\":")
        .unwrap();
    let agent = phone.agent();
    let status = agent.status().unwrap();
    assert_eq!(
        (status.problems[0].code.as_str(), status.pending_records),
        ("not_enrolled", 1)
    );
    // The test has no network, so this is as far as it gets.
    let refused = agent.enrol(Sensitive::from("token")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unreachable);
    phone.home.write(Document::Identity, &sound).unwrap();
    assert_eq!(phone.agent().sent().unwrap()[0].id, id);
}

#[test]
fn a_store_that_was_set_aside_is_named_until_the_holder_has_dealt_with_it() {
    let phone = Phone::new();
    let told = || phone.agent().status().unwrap().set_aside_stores;
    // As after a crash: the process that set it aside never got to say so, nor was it enrolled.
    phone.home.set_store_aside("agent.db.damaged-1");
    assert_eq!(told(), ["agent.db.damaged-1"]);
    assert_eq!(
        phone.agent().acknowledge_set_aside().unwrap_err().code(),
        Code::NotEnrolled,
        "there is no key yet to remember it by"
    );
    phone.keys.create().unwrap();
    assert_eq!(told(), ["agent.db.damaged-1"]);
    phone.agent().acknowledge_set_aside().unwrap();
    assert_eq!(told(), [""; 0]);
    phone.home.set_store_aside("agent.db.damaged-0");
    let status = phone.agent().status().unwrap();
    assert_eq!(status.set_aside_stores, ["agent.db.damaged-0"]);
    assert!(status.problems.iter().any(|p| p.code == "store_damaged"));
}
