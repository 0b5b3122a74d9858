//! At most once: a call that may have run is never made again.

use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::Script;

use super::{CHAT, ROUTES, ask, ask_as, check_error, names, text_of, with};

const HEADERS: [(&str, &str); 2] = [("idempotency-key", "s:1"), ("turnwise-delivery", "at-most-once")];

async fn send(app: &TestApp, path: &str) -> Reply {
    app.post_with(path, &HEADERS, &ask(path, "hello")).await
}

/// After a call that may have run: the stored error, and no second call.
async fn check_unknown(script: Script, status: u16) {
    for path in ROUTES {
        let app = TestApp::start().await;
        app.provider.enqueue(script.clone());
        let first = send(&app, path).await;
        check_error(&first, status, "outcome_unknown", "");
        assert_eq!(first.header("x-should-retry"), "false");
        assert_eq!(first.json()["error"]["retryable"], false);
        for process in [&app, &app.second_process().await] {
            let again = send(process, path).await;
            assert_eq!((again.status, &again.body, again.is_replay()), (status, &first.body, true));
            assert_eq!(again.header("x-should-retry"), "false");
        }
        assert_eq!(app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_is_not_repeated() {
    check_unknown(Script::hang_up(), 502).await;
    check_unknown(Script::answer("one two three").cut_after(2), 502).await;
    check_unknown(Script::refuse(500), 502).await;
    check_unknown(Script::refuse(504), 502).await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_not_repeated() {
    for path in ROUTES {
        let app = TestApp::start().await;
        app.provider.enqueue(Script::answer("one two three").cut_after(2));
        let events = app.open(path, &HEADERS, &ask_as(path, "hello", true)).await.rest().await;
        assert_eq!(names(&events).last(), Some(&"error"));
        let error = events.last().unwrap().json()["error"].clone();
        assert_eq!((&error["code"], &error["partial_text"]), (&json!("outcome_unknown"), &json!("one two ")));

        let again = send(&app, path).await;
        check_error(&again, 502, "outcome_unknown", "");
        assert_eq!(again.json()["error"]["partial_text"], "one two ");
        assert_eq!(app.provider.calls(), 1);
    }
}

/// After a call that was refused: another attempt is made.
async fn check_refused(script: Script) {
    for path in ROUTES {
        let app = TestApp::start().await;
        app.provider.enqueue(script.clone());
        let first = send(&app, path).await;
        assert_eq!((first.header("x-should-retry"), &first.json()["error"]["retryable"]), ("", &json!(true)));
        assert_eq!(text_of(&send(&app, path).await), "Hello from the script.");
        assert_eq!(app.provider.calls(), 2);
    }
}

#[tokio::test]
async fn a_refused_call_may_be_repeated() {
    check_refused(Script::refuse(503)).await;
    check_refused(Script::refuse(429)).await;
}

#[tokio::test]
async fn the_mode_of_the_first_request_stays() {
    let app = TestApp::start().await;
    app.provider.enqueue(Script::refuse(503));
    app.provider.enqueue(Script::hang_up());
    let once = with(with(ask(CHAT, "hello"), "session_id", "s"), "turn_id", "1");
    let strict = with(once.clone(), "delivery", "at-most-once");
    let outcomes = [app.post(CHAT, &strict).await, app.post(CHAT, &once).await, app.post(CHAT, &once).await];
    let codes: Vec<Value> = outcomes.iter().map(|reply| reply.json()["error"]["code"].clone()).collect();
    assert_eq!(codes, ["upstream_error", "outcome_unknown", "outcome_unknown"]);
    assert_eq!(app.provider.calls(), 2);
}
