//! A response behind one that is not the newest: a conversation of its own that goes on
//! from there.

use serde_json::Value;
use turnwise_core::limits::HISTORY_TURNS;
use turnwise_core::turn::{Lineage, OnBusy};
use turnwise_engine::Error;
use turnwise_engine::turn::TurnRequest;
use turnwise_tests::app::TestApp;
use turnwise_tests::rig;
use turnwise_tests::scripted::Script;
use turnwise_tests::table::text as attribute;

use super::{RESPONSES, after, asking, ok, parrot, respond, respond_with, sent};

const KEY: [(&str, &str); 1] = [("idempotency-key", "k")];

async fn conversations(app: &TestApp) -> usize {
    let rows = app.table.rows().await;
    rows.iter().filter(|row| attribute(row, "sk") == "META").count()
}

#[tokio::test]
async fn an_older_response_is_forked_and_the_first_line_stays() {
    let app = parrot(&["one", "two", "other", "end"]).await;
    let one = respond(&app, &asking("one")).await;
    let two = respond(&app, &after(&one, "two")).await;
    let other = respond(&app, &after(&one, "other")).await;
    assert_eq!(sent(&app), ["user: one", "assistant: re-one", "user: other"]);
    assert_eq!(conversations(&app).await, 2);
    respond(&app, &after(&two, "end")).await;
    assert_eq!(sent(&app), ["user: one", "assistant: re-one", "user: two", "assistant: re-two", "user: end"]);
    respond(&app, &after(&other, "end")).await;
    assert_eq!(sent(&app), ["user: one", "assistant: re-one", "user: other", "assistant: re-other", "user: end"]);
    assert_eq!(conversations(&app).await, 2);
}

#[tokio::test]
async fn a_fork_of_a_fork_remembers_all_that_came_before_it() {
    let app = parrot(&["a1", "a2", "b1", "b2", "c1", "c2"]).await;
    let a1 = respond(&app, &asking("a1")).await;
    let a2 = respond(&app, &after(&a1, "a2")).await;
    respond(&app, &after(&a2, "end")).await;
    let b1 = respond(&app, &after(&a2, "b1")).await;
    respond(&app, &after(&b1, "b2")).await;
    let c1 = respond(&app, &after(&b1, "c1")).await;
    respond(&app, &after(&c1, "c2")).await;
    let asked: Vec<String> = sent(&app).into_iter().filter(|message| message.starts_with("user")).collect();
    assert_eq!(asked, ["user: a1", "user: a2", "user: b1", "user: c1", "user: c2"]);
    assert_eq!(sent(&app).len(), 9);
    assert_eq!(conversations(&app).await, 3);
}

#[tokio::test]
async fn a_long_chain_of_forks_is_sent_whole() {
    let app = TestApp::start().await;
    let mut line: Vec<Value> = vec![respond(&app, &asking("turn 0")).await];
    for number in 1..=HISTORY_TURNS + 2 {
        let last = line.last().unwrap().clone();
        let next = respond(&app, &after(&last, format!("turn {number}"))).await;
        // Another one takes the place behind it, so that the next one forks.
        respond(&app, &after(&next, "aside")).await;
        line.push(next);
    }
    let asked: Vec<String> = app.provider.requests()[app.provider.calls() - 2].body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "user")
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (0..=HISTORY_TURNS + 2).map(|number| format!("turn {number}")).collect();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_retry_of_a_fork_finds_the_fork() {
    let app = parrot(&["one", "two", "other"]).await;
    let one = respond(&app, &asking("one")).await;
    respond(&app, &after(&one, "two")).await;
    let other = after(&one, "other");
    let first = app.post_with(RESPONSES, &KEY, &other).await;
    ok(&first);
    for process in [&app, &app.second_process().await] {
        let again = process.post_with(RESPONSES, &KEY, &other).await;
        assert_eq!((again.is_replay(), &again.body), (true, &first.body));
    }
    assert_eq!((app.provider.calls(), conversations(&app).await), (3, 2));
}

#[tokio::test]
async fn a_retry_of_a_continued_turn_finds_it_when_the_conversation_has_moved_on() {
    let app = parrot(&["one", "two", "three"]).await;
    let one = respond(&app, &asking("one")).await;
    let request = after(&one, "two");
    let first = app.post_with(RESPONSES, &KEY, &request).await;
    respond(&app, &after(&ok(&first), "three")).await;
    let again = app.post_with(RESPONSES, &KEY, &request).await;
    assert_eq!((again.is_replay(), &again.body), (true, &first.body));
    assert_eq!((app.provider.calls(), conversations(&app).await), (3, 1));
}

#[tokio::test]
async fn a_turn_that_failed_forks_when_its_place_is_taken() {
    let app = parrot(&["one", "other"]).await;
    let one = respond(&app, &asking("one")).await;
    app.provider.on_text("two", Script::refuse(503));
    app.provider.on_text("two", Script::answer("re-two"));
    let request = after(&one, "two");
    let failed = app.post_with(RESPONSES, &KEY, &request).await;
    assert_eq!(failed.status, 502, "{}", failed.text());
    respond(&app, &after(&one, "other")).await;
    let second = respond_with(&app, &KEY, &request).await;
    assert_eq!(sent(&app), ["user: one", "assistant: re-one", "user: two"]);
    assert_eq!(respond_with(&app, &KEY, &request).await, second);
    assert_eq!(conversations(&app).await, 2);
}

#[tokio::test]
async fn one_key_at_once_is_one_turn_whichever_place_it_takes() {
    let app = parrot(&["one", "two"]).await;
    let one = respond(&app, &asking("one")).await;
    let second = app.second_process().await;
    for (round, places) in [("k1", 1), ("k2", 2)] {
        let (key, request) = ([("idempotency-key", round)], after(&one, "two"));
        let before = app.provider.calls();
        let replies = futures_util::future::join_all(
            [&app, &second, &app, &second].map(|process| process.post_with(RESPONSES, &key, &request)),
        );
        let replies = replies.await;
        for reply in &replies {
            assert_eq!((reply.status, &reply.body), (200, &replies[0].body), "{}", reply.text());
        }
        assert_eq!((app.provider.calls() - before, conversations(&app).await), (1, places));
    }
}

/// Whichever of its two places a request sees free, it begins in one of them only: the
/// other is a condition of the write itself.
#[tokio::test]
async fn a_turn_does_not_begin_beside_itself() {
    let app = TestApp::start().await;
    let running = rig::request("conversation", "k", "hello", "gpt-4o-mini");
    let queued = TurnRequest { background: true, ..rig::request("other", "k", "hello", "gpt-4o-mini") };
    let beside = |rival: &TurnRequest, background| {
        let lineage = Lineage { parent: None, rival: Some(rival.key.clone()) };
        let request = rig::request("fork", "k", "hello", "gpt-4o-mini");
        TurnRequest { lineage, on_busy: OnBusy::Reject, background, ..request }
    };
    app.engine.answer(running.clone()).await.unwrap();
    assert!(matches!(app.engine.answer(queued.clone()).await, Err(Error::Queued { .. })));
    for rival in [&running, &queued] {
        for background in [false, true] {
            let result = app.engine.answer(beside(rival, background)).await;
            assert!(matches!(result, Err(Error::ConversationBusy { .. })), "{result:?}");
        }
    }
    // One that failed gives its place up.
    app.engine.cancel(&rig::caller(), &queued.key).await.unwrap();
    app.engine.answer(beside(&queued, false)).await.unwrap();
    assert_eq!((app.provider.calls(), conversations(&app).await), (2, 3));
}
