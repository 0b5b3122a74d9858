//! A key of a response: its answer again, and to nobody else.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, RESPONSES, after, asking, check_error, ok, respond, with};

const KEY: [(&str, &str); 1] = [("idempotency-key", "k")];

#[tokio::test]
async fn a_retry_gets_the_same_bytes_and_so_does_who_reads() {
    let app = TestApp::start().await;
    let asked = with(with(asking("hello"), "temperature", 0.5), "metadata", json!({"z": "1", "a": "2"}));
    let first = app.post_with(RESPONSES, &KEY, &asked).await;
    let response = ok(&first);
    for process in [&app, &app.second_process().await] {
        let again = process.post_with(RESPONSES, &KEY, &asked).await;
        assert_eq!((again.is_replay(), &again.body), (true, &first.body));
        for same in ["content-type", "turnwise-turn", "turnwise-attempt", "turnwise-model", "turnwise-cost-usd"] {
            assert_eq!(again.header(same), first.header(same), "{same}");
        }
        assert_eq!(process.get(&super::path(&response)).await.body, first.body);
    }
    // How it is to be answered, and null for what is not given, makes no other request.
    for same in [with(asked.clone(), "tools", Value::Null), with(asked.clone(), "stream", false)] {
        assert_eq!(app.post_with(RESPONSES, &KEY, &same).await.body, first.body);
    }
    assert_eq!(app.provider.calls(), 1);
}

#[tokio::test]
async fn any_text_is_a_key() {
    let app = TestApp::start().await;
    for key in ["a:b", ":", "Ünïcode", &"k".repeat(255)] {
        let header = [("idempotency-key", key)];
        let first = app.post_with(RESPONSES, &header, &asking("hello")).await;
        let again = app.post_with(RESPONSES, &header, &asking("hello")).await;
        assert_eq!((ok(&first)["status"].as_str(), &again.body), (Some("completed"), &first.body), "{key}");
        // In that conversation the key names the turn that would be followed.
        let reply = app.post_with(RESPONSES, &header, &after(&ok(&first), "and?")).await;
        check_error(&reply, 422, "idempotency_key_reused", "Idempotency-Key");
    }
}

#[tokio::test]
async fn a_key_with_another_request_is_refused() {
    let app = TestApp::start().await;
    app.post(CHAT, &json!({"message": "first", "session_id": "s"})).await;
    for place in [json!({}), json!({"conversation": "s"})] {
        let mut asked = asking("hello");
        asked.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        let calls = app.provider.calls();
        ok(&app.post_with(RESPONSES, &KEY, &asked).await);
        for other in [
            with(asked.clone(), "input", "Hello"),
            with(asked.clone(), "model", "gpt-4o"),
            with(asked.clone(), "instructions", "Be brief."),
            with(asked.clone(), "metadata", json!({"a": "b"})),
            with(asked.clone(), "x_own", json!({"a": [1]})),
        ] {
            let reply = app.post_with(RESPONSES, &KEY, &other).await;
            check_error(&reply, 422, "idempotency_key_reused", "Idempotency-Key");
        }
        assert_eq!(app.provider.calls(), calls + 1);
    }
}

#[tokio::test]
async fn one_key_at_once_is_one_call() {
    let app = TestApp::start().await;
    let second = app.second_process().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::answer("once").gated(&gate));
    let asked = asking("hello");
    let all = futures_util::future::join_all(
        [&app, &second, &app, &second].map(|process| process.post_with(RESPONSES, &KEY, &asked)),
    );
    let opening = async {
        gate.reached().await;
        gate.open();
    };
    let (replies, ()) = tokio::join!(all, opening);
    for reply in &replies {
        assert_eq!((reply.status, &reply.body), (200, &replies[0].body), "{}", reply.text());
    }
    assert_eq!(app.provider.calls(), 1);
}

#[tokio::test]
async fn the_routes_do_not_share_keys() {
    let app = TestApp::start().await;
    for (path, body) in [
        (RESPONSES, asking("hello")),
        (RESPONSES, with(asking("hello"), "store", false)),
        (CHAT, json!({"message": "hello"})),
        ("/v1/chat/completions", super::super::ask("", "hello")),
    ] {
        let reply = app.post_with(path, &KEY, &body).await;
        assert_eq!((reply.status, reply.is_replay()), (200, false), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn without_a_key_every_request_is_a_new_one() {
    let app = TestApp::start().await;
    let (first, second) = (respond(&app, &asking("hello")).await, respond(&app, &asking("hello")).await);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(app.provider.calls(), 2);
}
