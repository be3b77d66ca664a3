//! Files that go with a declaration, from the holder to the spool.

use super::*;

#[test]
fn a_file_that_turns_out_to_be_above_official_sensitive_does_not_stay_sealed_on_the_phone() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let set_aside = agent
        .declare(agent.preview(&draft()).unwrap(), None)
        .unwrap();
    {
        let refused = crate::outbox::Refused::new(set_aside, Code::RecordMalformed);
        let outbox = &mut lock(&agent.state).outbox;
        outbox
            .set_aside(record::Stream::Records, &[refused])
            .unwrap();
    }
    for refuse in [
        |agent: &Agent, draft: &Draft| agent.save_draft(None, draft).map(drop),
        |agent: &Agent, draft: &Draft| agent.preview(draft).map(drop),
    ] {
        let file = agent.attach("a.jpg", &mut b"secret".as_slice()).unwrap();
        let secret = Draft {
            attachments: vec![file],
            marking: Some("SECRET".into()),
            ..draft()
        };
        let refused = refuse(&agent, &secret).unwrap_err();
        assert_eq!(refused.code(), Code::MarkingTooHigh);
        assert_eq!(phone.home.spooled().unwrap(), []);
    }
}

#[test]
fn an_attached_file_waits_sealed_and_goes_with_its_draft() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let file = agent
        .attach("photo.jpg", &mut b"what the whiteboard said".as_slice())
        .unwrap();
    let spooled = phone
        .home
        .read_spooled(&file.sealed_sha256, 0, 1 << 20)
        .unwrap();
    assert_eq!(spooled.len() as u64, file.sealed_size);
    assert!(
        !spooled
            .windows(10)
            .any(|window| window == b"whiteboard".as_slice())
    );
    let with_file = Draft {
        attachments: vec![file.clone()],
        ..draft()
    };
    let id = agent.save_draft(None, &with_file).unwrap();
    agent
        .declare(agent.preview(&with_file).unwrap(), Some(id))
        .unwrap();
    let records = waiting_records(&agent);
    assert_eq!(
        records[0].body.sealed().unwrap().1[0].sha256,
        file.sealed_sha256
    );

    let other = agent.attach("b.jpg", &mut b"other".as_slice()).unwrap();
    let id = agent
        .save_draft(
            None,
            &Draft {
                attachments: vec![other],
                ..draft()
            },
        )
        .unwrap();
    agent.delete_draft(id).unwrap();
    assert_eq!(
        phone.home.spooled().unwrap(),
        [file.sealed_sha256],
        "the declared file is still there"
    );
    let mut lost = with_file;
    phone.home.remove_spooled(&file.sealed_sha256).unwrap();
    lost.reason = Some("again".into());
    assert!(
        agent.declare(agent.preview(&lost).unwrap(), None).is_err(),
        "a file that is gone"
    );
}

#[test]
fn deleting_a_draft_leaves_the_file_that_a_declaration_made_from_it_needs() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let file = agent
        .attach("photo.jpg", &mut b"the only copy".as_slice())
        .unwrap();
    let with_file = Draft {
        attachments: vec![file.clone()],
        ..draft()
    };
    let draft = agent.save_draft(None, &with_file).unwrap();
    agent
        .declare(agent.preview(&with_file).unwrap(), None)
        .unwrap();
    agent.delete_draft(draft).unwrap();
    assert_eq!(phone.home.spooled().unwrap(), [file.sealed_sha256]);
}

#[test]
fn a_sealed_file_that_nothing_needs_is_removed_when_the_agent_opens() {
    let phone = Phone::enrolled();
    let agent = phone.agent();
    let kept = agent.attach("a.txt", &mut b"kept".as_slice()).unwrap();
    agent
        .save_draft(
            None,
            &Draft {
                attachments: vec![kept.clone()],
                ..draft()
            },
        )
        .unwrap();
    agent
        .attach("b.txt", &mut b"its draft was never saved".as_slice())
        .unwrap();
    assert_eq!(phone.home.spooled().unwrap().len(), 2);
    drop(agent);
    phone.agent();
    assert_eq!(phone.home.spooled().unwrap(), [kept.sealed_sha256]);
}

#[test]
fn files_beyond_the_room_for_them_are_refused_and_what_waits_stays() {
    let mut phone = Phone::enrolled();
    let kept = phone
        .agent()
        .attach("a.jpg", &mut [1; 1000].as_slice())
        .unwrap();
    phone.config.outbox.spool_bytes = 2 * kept.sealed_size;
    let agent = phone.agent();
    let kept = [1, 2].map(|n| agent.attach("b.jpg", &mut [n; 1000].as_slice()).unwrap());
    let refused = agent.attach("c.jpg", &mut [3].as_slice()).unwrap_err();
    assert_eq!(refused.code(), Code::OutboxFull);
    assert!(matches!(refused, AgentError::SpoolFull { .. }));
    let mut names = kept.map(|file| file.sealed_sha256);
    names.sort();
    assert_eq!(phone.home.spooled().unwrap(), names);
}
