//! A key whose turn failed: the same error again, or another attempt.

use serde_json::json;
use turnwise_core::limits::MAX_ATTEMPTS;
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::Script;

use super::{CHAT, ROUTES, ask, ask_as, check_error, redacted, text_of};

const KEY: [(&str, &str); 1] = [("idempotency-key", "s:1")];

async fn send(app: &TestApp, path: &str) -> Reply {
    app.post_with(path, &KEY, &ask(path, "hello")).await
}

#[tokio::test]
async fn a_final_error_is_the_turns_result() {
    for path in ROUTES {
        let app = TestApp::start().await;
        app.provider.enqueue(Script::refuse_with(
            400,
            &json!({"error": {"message": "no such tool", "type": "invalid_request_error", "param": "tools", "code": "bad_tool"}}),
        ));
        let first = send(&app, path).await;
        check_error(&first, 400, "bad_tool", "tools");
        assert!(!first.is_replay());
        for process in [&app, &app.second_process().await] {
            let again = send(process, path).await;
            assert_eq!((again.status, &again.body), (400, &first.body));
            assert!(again.is_replay());
            assert_eq!(again.header("turnwise-turn"), first.header("turnwise-turn"));
            // A stream that cannot begin is an ordinary error reply.
            let streamed = process.post_with(path, &KEY, &ask_as(path, "hello", true)).await;
            assert_eq!((streamed.status, &streamed.body), (400, &first.body));
        }
        assert_eq!(app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn a_passing_error_allows_another_attempt() {
    for path in ROUTES {
        let app = TestApp::start().await;
        app.provider.enqueue(Script::refuse(503));
        let first = send(&app, path).await;
        check_error(&first, 502, "upstream_error", "");
        assert_eq!((first.header("x-should-retry"), first.header("turnwise-attempt")), ("", "1"));
        assert_eq!(first.json()["error"]["retryable"], true);

        let second = send(&app, path).await;
        assert_eq!(text_of(&second), "Hello from the script.");
        assert_eq!((second.header("turnwise-attempt"), second.is_replay()), ("2", false));
        let third = send(&app, path).await;
        assert_eq!((third.is_replay(), third.body), (true, second.body));
        assert_eq!(app.provider.calls(), 2);
    }
}

#[tokio::test]
async fn a_turn_has_three_attempts_and_then_its_last_error() {
    for path in ROUTES {
        let app = TestApp::start().await;
        app.provider.otherwise(Script::refuse(503));
        let mut replies = Vec::new();
        for attempt in 1..=MAX_ATTEMPTS {
            let reply = send(&app, path).await;
            check_error(&reply, 502, "upstream_error", "");
            assert_eq!(reply.header("turnwise-attempt"), attempt.to_string());
            assert!(!reply.is_replay());
            replies.push(reply);
        }
        let last = replies.pop().unwrap();
        assert_eq!(last.header("x-should-retry"), "false", "no fourth attempt is made of it");
        assert_eq!(last.json()["error"]["retryable"], false);
        for process in [&app, &app.second_process().await] {
            let again = send(process, path).await;
            assert_eq!((again.status, &again.body), (502, &last.body));
            assert!(again.is_replay());
            assert_eq!(again.header("x-should-retry"), "false");
        }
        assert_eq!(app.provider.calls(), 3);
    }
}

#[tokio::test]
async fn a_failed_turn_is_read_with_its_error() {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::refuse(400));
    send(&app, CHAT).await;
    let turn = app.get("/v1/turns/s:1").await;
    assert_eq!(turn.status, 200);
    insta::assert_json_snapshot!(redacted(turn.json()), @r#"
    {
      "completed_at": null,
      "conversation_id": "s",
      "cost_usd": null,
      "error": {
        "category": "VALIDATION_ERROR",
        "code": "invalid_request",
        "message": "openai/gpt-4o-mini answered with HTTP 400: it refused the request as invalid. It says: scripted refusal",
        "param": null,
        "partial": false,
        "request_id": "[request_id]",
        "retry_after_s": null,
        "retryable": false,
        "severity": "LOW",
        "type": "invalid_request_error",
        "user_message": "Something in the request isn't valid."
      },
      "input_hash": "0695343d70aa34ac3125bba97423fbb2f0ab99ed528b25738955bd391c37409e",
      "message": null,
      "model": null,
      "object": "turn",
      "project_id": null,
      "response_hash": null,
      "status": "FAILED",
      "thread_id": "s",
      "turn_id": "1",
      "turn_number": null,
      "usage": null
    }
    "#);
}

#[tokio::test]
async fn a_failed_turn_takes_no_number_and_leaves_no_message() {
    let app = TestApp::start().await;
    app.provider.enqueue(Script::refuse(400));
    send(&app, CHAT).await;
    let body = json!({"message": "second", "session_id": "s", "turn_id": "2"});
    assert_eq!(app.post(CHAT, &body).await.json()["turn_number"], 1);
    let sent = app.provider.requests()[1].body["messages"].clone();
    assert_eq!(sent, json!([{"role": "user", "content": "second"}]));
}
