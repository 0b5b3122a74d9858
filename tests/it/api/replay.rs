//! A key whose turn is committed: its answer again, and to nobody else.

use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::Script;

use super::{CHAT, COMPLETIONS, ROUTES, ask, ask_as, check_error, redacted, text_in, text_of, with};

const KEY: [(&str, &str); 1] = [("idempotency-key", "s:1")];
const ANSWER: &str = "one two three";

async fn answered(path: &str, stream: bool) -> (TestApp, Option<Reply>) {
    let app = TestApp::start().await;
    app.provider.enqueue(Script::answer(ANSWER));
    app.provider.otherwise(Script::refuse(500));
    let body = ask_as(path, "hello", stream);
    if stream {
        let events = app.open(path, &KEY, &body).await.rest().await;
        assert_eq!(text_in(&events), ANSWER);
        return (app, None);
    }
    let reply = app.post_with(path, &KEY, &body).await;
    assert_eq!(text_of(&reply), ANSWER);
    (app, Some(reply))
}

#[tokio::test]
async fn a_retry_gets_the_same_bytes() {
    for path in ROUTES {
        let (app, first) = answered(path, false).await;
        let first = first.unwrap();
        assert!(!first.is_replay());
        for process in [&app, &app.second_process().await] {
            let again = process.post_with(path, &KEY, &ask(path, "hello")).await;
            assert_eq!(again.body, first.body);
            assert!(again.is_replay());
            for same in ["content-type", "turnwise-turn", "turnwise-attempt", "turnwise-model", "turnwise-cost-usd"] {
                assert_eq!(again.header(same), first.header(same), "{same}");
                assert_ne!(first.header(same), "", "{same}");
            }
            assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
        }
        assert_eq!(app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn a_streamed_retry_of_a_buffered_turn_adds_up_to_it() {
    for path in ROUTES {
        let (app, first) = answered(path, false).await;
        let mut events = app.open(path, &KEY, &ask_as(path, "hello", true)).await;
        assert_eq!(events.header("idempotent-replayed"), "true");
        if path == CHAT {
            assert_eq!(events.next().await.unwrap().event, "turn");
        }
        let events = events.rest().await;
        assert_eq!(text_in(&events), ANSWER);
        if path == CHAT {
            assert_eq!(events.last().unwrap().data, first.unwrap().text());
        }
        assert_eq!(app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn a_buffered_retry_of_a_streamed_turn_gets_its_answer() {
    for path in ROUTES {
        let (app, _) = answered(path, true).await;
        let once = app.post_with(path, &KEY, &ask(path, "hello")).await;
        let twice = app.post_with(path, &KEY, &ask(path, "hello")).await;
        assert_eq!(text_of(&once), ANSWER);
        assert_eq!(once.body, twice.body);
        assert!(once.is_replay());
        assert_eq!(app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn a_streamed_retry_of_a_streamed_turn_gets_the_same_events() {
    for path in ROUTES {
        let app = TestApp::start().await;
        let body = with(ask_as(path, "hello", true), "stream_options", json!({"include_usage": true}));
        let first = app.open(path, &KEY, &body).await.rest().await;
        for process in [&app, &app.second_process().await] {
            let again = process.open(path, &KEY, &body).await;
            assert_eq!(again.header("idempotent-replayed"), "true");
            assert_eq!(again.rest().await, first);
        }
        assert_eq!(app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn a_replay_of_a_project_that_the_request_does_not_name_is_the_same_bytes() {
    let app = TestApp::start().await;
    let first = with(with(ask(CHAT, "hello"), "session_id", "s"), "project_id", "alpha");
    let project = app.post(CHAT, &first).await.json()["project_id"].clone();
    assert!(project.is_string());

    let second = with(with(ask(CHAT, "again"), "session_id", "s"), "turn_id", "2");
    let reply = app.post(CHAT, &second).await;
    assert_eq!(reply.json()["project_id"], project);
    let other = app.second_process().await;
    for process in [&app, &other] {
        assert_eq!(process.post(CHAT, &second).await.body, reply.body);
        let events = process.sse(CHAT, &with(second.clone(), "stream", true)).await;
        assert_eq!(events[0].json()["project_id"], project);
        assert_eq!(events.last().unwrap().data, reply.text());
    }
}

#[tokio::test]
async fn how_to_answer_is_no_part_of_the_request() {
    for path in ROUTES {
        let (app, first) = answered(path, false).await;
        let headers = [KEY[0], ("prefer", "respond-async, wait=3"), ("turnwise-delivery", "at-most-once")];
        let mut body = ask(path, "hello");
        if path == CHAT {
            body = with(with(body, "on_busy", "reject"), "wait_timeout_s", 3);
        }
        let again = app.post_with(path, &headers, &with(body.clone(), "stream", false)).await;
        assert_eq!(again.body, first.unwrap().body);
        let body = with(with(body, "stream", true), "stream_options", json!({"include_usage": true}));
        assert_eq!(text_in(&app.open(path, &headers, &body).await.rest().await), ANSWER);
    }
}

#[tokio::test]
async fn the_order_of_fields_is_no_part_of_the_request() {
    let app = TestApp::start().await;
    let send = async |body: &'static str| {
        let request = app.request(http::Method::POST, COMPLETIONS).header(KEY[0].0, KEY[0].1).body(body);
        Reply::of(request).await
    };
    let first = send(r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"\u0061"}],"n":1}"#).await;
    let again = send(r#"{ "n": 1, "messages": [{"content": "a", "role": "user"}], "model": "gpt-4o-mini" }"#).await;
    assert_eq!((first.status, &first.body), (200, &again.body));
    assert!(again.is_replay());
}

/// Whatever differs, the answer is the same and tells nothing of the original.
async fn check_reused(app: &TestApp, path: &str, body: &Value) {
    for stream in [false, true] {
        let reply = app.post_with(path, &KEY, &with(body.clone(), "stream", stream)).await;
        check_error(&reply, 422, "idempotency_key_reused", "Idempotency-Key");
        assert!(!reply.is_replay());
        for told in ["turnwise-turn", "turnwise-attempt", "turnwise-model", "turnwise-cost-usd"] {
            assert_eq!(reply.header(told), "", "{told}");
        }
        let redacted = redacted(reply.json());
        insta::allow_duplicates! { insta::assert_json_snapshot!(redacted, @r#"
        {
          "error": {
            "category": "VALIDATION_ERROR",
            "code": "idempotency_key_reused",
            "message": "This idempotency key was used with a different request. Use a new key for a new request.",
            "param": "Idempotency-Key",
            "request_id": "[request_id]",
            "retry_after_s": null,
            "retryable": false,
            "severity": "LOW",
            "type": "invalid_request_error",
            "user_message": "This was sent before with another content. Please send it anew."
          }
        }
        "#) };
    }
}

#[tokio::test]
async fn a_key_with_another_request_is_refused_in_every_state() {
    for path in ROUTES {
        let scripts = [Script::answer(ANSWER), Script::refuse(400), Script::refuse(503)];
        for script in scripts {
            let app = TestApp::start().await;
            app.provider.otherwise(script);
            let original = app.post_with(path, &KEY, &ask(path, "hello")).await;
            check_reused(&app, path, &ask(path, "Hello")).await;
            check_reused(&app, path, &with(ask(path, "hello"), "model", "gpt-4o")).await;
            check_reused(&app, path, &with(ask(path, "hello"), "temperature", 0)).await;
            check_reused(&app, path, &with(ask(path, "hello"), "x_own", json!({"a": [1]}))).await;
            assert_eq!(app.provider.calls(), 1, "{}", original.text());
        }
    }
}

#[tokio::test]
async fn the_two_routes_do_not_share_keys() {
    let app = TestApp::start().await;
    for path in ROUTES {
        let reply = app.post_with(path, &KEY, &ask(path, "hello")).await;
        assert_eq!((reply.status, reply.is_replay()), (200, false));
    }
    assert_eq!(app.provider.calls(), 2);
}

#[tokio::test]
async fn a_key_without_a_conversation_finds_the_one_that_it_began() {
    let app = TestApp::start().await;
    let send = async || app.post_with(CHAT, &[("idempotency-key", "only-a-name")], &ask(CHAT, "hello")).await;
    let (first, again) = (send().await, send().await);
    assert_eq!((again.is_replay(), &again.body), (true, &first.body));
    assert_eq!(first.json()["turn_id"], "only-a-name");
    assert!(first.json()["thread_id"].as_str().unwrap().starts_with("thread-"));
}

#[tokio::test]
async fn without_a_key_every_request_is_a_new_one() {
    let app = TestApp::start().await;
    for path in ROUTES {
        let (first, again) = (app.post(path, &ask(path, "hello")).await, app.post(path, &ask(path, "hello")).await);
        assert!(!first.is_replay() && !again.is_replay());
    }
    assert_eq!(app.provider.calls(), 4);
}
