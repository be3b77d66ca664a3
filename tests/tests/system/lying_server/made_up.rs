//! Answers of the right form that the department never gave.

use std::sync::Arc;

use candour_core::agent::RecordState;
use candour_tests::handset::{config_through, declare};
use candour_tests::interceptor::{Answer, Asked, Fate};
use candour_tests::raw::batch;
use candour_tests::{Handset, Interceptor, RawHandset};
use candour_wire::record::Stream;
use candour_wire::{Code, Digest};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::Scene;
use crate::department;

/// A lie about a batch that reached the server, and what the phone says of it.
type Lie = (
    &'static str,
    fn(Answer, &serde_json::Value) -> Answer,
    &'static [Code],
);

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_made_up_settle_nothing() {
    // What the department once really said, to somebody else.
    let department = department();
    let raw = RawHandset::enrol(&department).await;
    let mut connection = raw.connect(&department).await;
    let key = connection.policy(&department).await.records_key;
    let records = raw.declarations(raw.genesis(Stream::Records), &key, 1);
    let others = connection
        .post(Stream::Records, batch(&records))
        .await
        .unwrap();
    let others = Arc::new(others.json::<serde_json::Value>());
    let handset = Handset::enrolled(&department).await;
    let mut scene = Scene {
        department,
        handset,
        declared: 0,
        received: 0,
    };

    let lies: [Lie; 6] = [
        (
            "another's reply",
            |answer, others| Answer {
                body: others.to_string().into(),
                ..answer
            },
            &[Code::BadReply],
        ),
        (
            "another's receipt under this id",
            |answer, others| {
                answer.with_json(|reply| {
                    let id = reply["results"][0]["receipt"]["id"].clone();
                    reply["results"][0] = others["results"][0].clone();
                    reply["results"][0]["receipt"]["id"] = id;
                })
            },
            &[Code::ReceiptInvalid],
        ),
        (
            "all receipts twice",
            |answer, _| {
                answer.with_json(|reply| {
                    let again = reply["results"][0].clone();
                    reply["results"].as_array_mut().unwrap().push(again);
                })
            },
            &[Code::BadReply],
        ),
        (
            "no results",
            |answer, _| answer.with_json(|reply| reply["results"] = json!([])),
            &[Code::BadReply],
        ),
        (
            "no checkpoint",
            |answer, _| answer.with_json(|reply| reply["checkpoint"] = json!("")),
            &[Code::CheckpointInvalid],
        ),
        (
            "kept by word of mouth",
            |answer, _| Answer {
                status: StatusCode::NO_CONTENT,
                body: "".into(),
                ..answer
            },
            &[Code::BadReply],
        ),
    ];
    for (lie, alter, codes) in lies {
        let others = Arc::clone(&others);
        let rule = move |asked: &Asked| {
            let others = Arc::clone(&others);
            match asked.path.as_str() {
                "/v1/records" => Fate::Alter(Box::new(move |answer| alter(answer, &others))),
                _ => Fate::Pass,
            }
        };
        let tls = scene.handset.tls(&scene.department);
        let interceptor = Interceptor::start(&scene.department, tls, rule).await;
        let config = config_through(&scene.department, &interceptor);
        let report = scene.sync_in_vain(config, lie).await;
        let code = report.failure.as_ref().map(|failure| failure.code);
        assert!(
            code.is_some_and(|code| codes.contains(&code)),
            "{lie}: {report:?}"
        );
        let agent = scene.handset.open(scene.department.config());
        // An alarm is a person's to clear.
        agent.clear_alarm().unwrap();
    }
    let agent = scene.handset.open(scene.department.config());
    let report = agent.sync().await.unwrap();
    assert_eq!((report.received, report.failure), (scene.declared, None));
    assert_eq!(scene.department.checkpoint().await.size, scene.declared + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_answer_calls_itself_what_its_receipts_prove_counts_and_nothing_else() {
    let mut scene = Scene::set_up().await;
    for media_type in ["text/html", "image/png", "application/problem+json", "/"] {
        for receipts_too in [false, true] {
            let rule = move |asked: &Asked| match asked.path.as_str() {
                "/v1/records" => Fate::Alter(Box::new(move |mut answer: Answer| {
                    let media_type = HeaderValue::from_static(media_type);
                    answer.headers.insert("content-type", media_type);
                    match receipts_too {
                        true => answer,
                        false => Answer {
                            body: "<h1>200 OK</h1>".into(),
                            ..answer
                        },
                    }
                })),
                _ => Fate::Pass,
            };
            let tls = scene.handset.tls(&scene.department);
            let interceptor = Interceptor::start(&scene.department, tls, rule).await;
            let config = config_through(&scene.department, &interceptor);
            if receipts_too {
                let report = scene.handset.open(config).sync().await.unwrap();
                assert_eq!((report.received, report.failure), (1, None), "{media_type}");
                scene.received += 1;
            } else {
                let report = scene.sync_in_vain(config, media_type).await;
                let code = report.failure.map(|failure| failure.code);
                assert_eq!(code, Some(Code::BadReply), "{media_type}");
            }
        }
    }
    scene.tell_the_truth().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_places_in_the_chain_and_refusals_lose_nothing_either() {
    let mut scene = Scene::set_up().await;
    let heads = [
        json!({ "code": "sequence_gap", "head": { "seq": 900, "digest": Digest::of(b"x") } }),
        json!({ "code": "chain_broken", "head": { "seq": 0, "digest": Digest::of(b"y") } }),
        json!({ "code": "sequence_conflict", "head": { "seq": u64::MAX, "digest": Digest::of(b"z") } }),
        json!({ "code": "sequence_gap" }),
        json!({ "code": "storage_full" }),
        json!({ "code": "handset_revoked" }),
    ];
    for refusal in heads {
        let told = refusal.clone();
        let rule = move |asked: &Asked| match asked.path.as_str() {
            "/v1/records" => {
                let results: Vec<_> = asked
                    .batch()
                    .records
                    .iter()
                    .map(|_| json!({ "refusal": told }))
                    .collect();
                Fate::Alter(Box::new(move |answer| {
                    answer.with_json(|reply| reply["results"] = results.into())
                }))
            }
            _ => Fate::Pass,
        };
        let tls = scene.handset.tls(&scene.department);
        let interceptor = Interceptor::start(&scene.department, tls, rule).await;
        let config = config_through(&scene.department, &interceptor);
        let agent = scene.handset.open(config);
        declare(&agent, "refused for no reason");
        scene.declared += 1;
        let report = agent.sync().await.unwrap();
        assert_eq!(report.received, 0, "{refusal}: {report:?}");
        let sent = agent.sent().unwrap();
        assert_eq!(sent.len() as u64, scene.declared, "{refusal}");
        assert!(
            sent.iter().all(|item| item.state != RecordState::Received),
            "{refusal}: {sent:?}"
        );
    }
    let agent = scene.handset.open(scene.department.config());
    // The server has them all: it only said that it had not.
    for _ in 0..3 {
        let report = agent.sync().await.unwrap();
        assert!(report.failure.is_none(), "{report:?}");
    }
    let sent = agent.sent().unwrap();
    assert!(
        sent.iter()
            .all(|item| matches!(item.state, RecordState::Received | RecordState::Quarantined)),
        "{sent:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn entity_tags_and_empty_answers_do_not_stand_for_a_policy() {
    let department = department();
    let handset = Handset::new();
    let tags = ["\"\"", "W/\"x\"", "*", "\"another\""];
    for (number, tag) in tags.into_iter().enumerate() {
        // Says that nothing has changed, to a phone that has nothing, and to one that has.
        let tls = match number {
            0 => department.anonymous_tls(),
            _ => handset.tls(&department),
        };
        let rule = move |asked: &Asked| match asked.path.as_str() {
            "/v1/policy" => {
                let mut answer = Answer::new(StatusCode::NOT_MODIFIED, "application/jose", "");
                answer.headers.insert("etag", HeaderValue::from_static(tag));
                Fate::Answer(answer)
            }
            _ => Fate::Pass,
        };
        let interceptor = Interceptor::start(&department, tls, rule).await;
        let agent = handset.open(config_through(&department, &interceptor));
        if number == 0 {
            let token = candour_wire::Sensitive::new(department.token());
            let enrolment = agent.enrol(token).await.unwrap();
            assert_eq!(enrolment.policy, None, "there is none yet");
            drop(agent);
            let agent = handset.open(department.config());
            assert!(agent.sync().await.unwrap().failure.is_none());
            assert_eq!(agent.policy().unwrap().version, 1);
        } else {
            assert!(agent.sync().await.unwrap().failure.is_none());
            assert_eq!(agent.policy().unwrap().version, 1);
        }
    }
}
