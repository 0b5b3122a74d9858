//! Streams that do not end well: an error event, never a silent end, and what had
//! arrived is kept.

use serde_json::json;
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, ROUTES, ask_as, names, text_in, text_of};

const KEY: [(&str, &str); 1] = [("idempotency-key", "s:1")];

/// Streams an answer that breaks off after two of three words.
async fn check(script: Script, code: &str, retryable: bool) {
    for path in ROUTES {
        let app = TestApp::start().await;
        app.provider.enqueue(script.clone());
        let events = app.open(path, &KEY, &ask_as(path, "hello", true)).await.rest().await;
        assert_eq!(text_in(&events[..events.len() - 1]), "one two ", "{code}");
        assert_eq!(names(&events).iter().filter(|name| ["error", "done", "[DONE]"].contains(name)).count(), 1);
        assert_eq!(names(&events).last(), Some(&"error"), "{code}");
        let error = events.last().unwrap().json()["error"].clone();
        assert_eq!((&error["code"], &error["retryable"]), (&json!(code), &json!(retryable)), "{error}");
        assert_eq!((&error["partial"], &error["partial_text"]), (&json!(true), &json!("one two ")), "{error}");
        assert!(error["request_id"].as_str().unwrap().starts_with("req_"), "{error}");

        let turn = app.get("/v1/turns/s:1").await.json();
        assert_eq!((&turn["status"], &turn["message"]), (&json!("FAILED"), &json!(null)));
        assert_eq!((&turn["error"]["code"], &turn["error"]["partial_text"]), (&json!(code), &json!("one two ")));

        let retry = app.post_with(path, &KEY, &ask_as(path, "hello", false)).await;
        match retryable {
            true => assert_eq!(text_of(&retry), "Hello from the script."),
            false => assert_eq!((retry.outcome().1.as_str(), retry.is_replay()), (code, true)),
        }
        assert_eq!(app.provider.calls(), 1 + usize::from(retryable));
    }
}

fn answer() -> Script {
    Script::answer("one two three")
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_error() {
    check(answer().cut_after(2), "stream_truncated", true).await;
}

#[tokio::test]
async fn an_end_without_a_finish_is_an_error() {
    check(answer().end_after(2), "stream_truncated", true).await;
}

#[tokio::test]
async fn an_error_among_the_events_is_an_error() {
    check(answer().error_after(2, json!({"error": {"code": "server_error"}})), "upstream_error", true).await;
    check(answer().error_after(2, json!({"error": {"code": 429}})), "rate_limit_exceeded", true).await;
    check(answer().error_after(2, json!({"error": {"code": "insufficient_quota"}})), "insufficient_quota", false).await;
}

#[tokio::test]
async fn a_chunk_that_cannot_be_read_is_an_error() {
    check(answer().malformed_after(2), "malformed_answer", true).await;
}

#[tokio::test]
async fn a_line_without_end_is_an_error() {
    check(answer().endless_line_after(2), "malformed_answer", false).await;
}

#[tokio::test]
async fn without_a_key_there_is_an_error_event_too() {
    for path in ROUTES {
        let app = TestApp::start().await;
        app.provider.enqueue(answer().end_after(2));
        let events = app.sse(path, &ask_as(path, "hello", true)).await;
        assert_eq!(names(&events).last(), Some(&"error"));
        assert_eq!(events.last().unwrap().json()["error"]["partial_text"], "one two ");
    }
}

#[tokio::test]
async fn a_refusal_before_the_first_word_is_an_error_a_client_can_act_on() {
    for path in ROUTES {
        let app = TestApp::start().await;
        app.provider.enqueue(Script::refuse(429).header("retry-after-ms", "1500"));
        let reply = app.post_with(path, &KEY, &ask_as(path, "hello", true)).await;
        assert_eq!((reply.status, reply.header("retry-after-ms")), (429, "1500"), "{}", reply.text());
        assert_eq!((reply.header("content-type"), reply.header("turnwise-turn")), ("application/json", "s:1"));
        let error = reply.json()["error"].clone();
        assert_eq!((&error["code"], &error["retry_after_s"]), (&json!("rate_limit_exceeded"), &json!(1.5)));
        let retry = app.open(path, &KEY, &ask_as(path, "hello", true)).await.rest().await;
        assert_eq!(text_in(&retry), "Hello from the script.");
    }
}

#[tokio::test]
async fn a_refusal_that_takes_its_time_is_an_error_event() {
    for path in ROUTES {
        let app = TestApp::start().await;
        let gate = Gate::closed();
        app.provider.enqueue(Script::refuse(429).gated(&gate));
        let mut events = app.open(path, &KEY, &ask_as(path, "hello", true)).await;
        assert_eq!(events.status, 200);
        gate.open();
        let last = loop {
            let event = events.next().await.unwrap();
            if event.event != "turn" {
                break event;
            }
        };
        assert_eq!(last.json()["error"]["code"], "rate_limit_exceeded");
        assert_eq!(events.next().await, None);
    }
}

#[tokio::test]
async fn a_buffered_answer_that_breaks_off_is_an_error() {
    for script in [answer().cut_after(1), answer().end_after(1), answer().malformed_after(1), Script::hang_up()] {
        for path in ROUTES {
            let app = TestApp::start().await;
            app.provider.enqueue(script.clone());
            let reply = app.post_with(path, &KEY, &ask_as(path, "hello", false)).await;
            assert_eq!(reply.status, 502, "{}", reply.text());
            assert_eq!(reply.json()["error"]["retryable"], true);
            assert_eq!(
                text_of(&app.post_with(path, &KEY, &ask_as(path, "hello", false)).await),
                "Hello from the script."
            );
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_do_not_break_a_stream() {
    let app = TestApp::start().await;
    app.provider.enqueue(answer().bad_utf8_after(2));
    let events = app.sse(CHAT, &ask_as(CHAT, "hello", true)).await;
    assert_eq!(names(&events).last(), Some(&"done"));
    assert_eq!(text_in(&events), "one two \u{fffd}three");
}
