//! Fields of `/v1/chat`.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;

use super::super::{CHAT, ask, check_error, check_untouched, redacted, with};
use super::{check_invalid, check_invalid_with};

#[tokio::test]
async fn a_message_must_be_a_text_that_says_something() {
    let app = TestApp::start().await;
    check_invalid(&app, CHAT, &json!({}), "message").await;
    for message in [json!(null), json!(""), json!(" \n\t\u{a0}"), json!(7), json!(true), json!(["a"]), json!({"a": 1})]
    {
        check_invalid(&app, CHAT, &json!({ "message": message }), "message").await;
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn every_known_field_has_one_type() {
    let app = TestApp::start().await;
    let texts = ["project_id", "thread_id", "session_id", "turn_id", "model", "on_busy", "delivery"];
    for field in texts {
        for wrong in [json!(7), json!(false), json!(["a"]), json!({"a": "b"})] {
            check_invalid(&app, CHAT, &with(ask(CHAT, "hello"), field, wrong), field).await;
        }
    }
    for wrong in [json!("true"), json!(1), json!([])] {
        check_invalid(&app, CHAT, &with(ask(CHAT, "hello"), "stream", wrong), "stream").await;
    }
    for wrong in [json!("1"), json!(-1), json!(1.5), json!(1e30), json!([1])] {
        check_invalid(&app, CHAT, &with(ask(CHAT, "hello"), "wait_timeout_s", wrong), "wait_timeout_s").await;
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn null_is_the_same_as_missing() {
    let app = TestApp::start().await;
    let fields = ["project_id", "thread_id", "session_id", "turn_id", "model", "on_busy", "delivery", "stream"];
    let body = fields.iter().fold(ask(CHAT, "hello"), |body, field| with(body, field, Value::Null));
    assert_eq!(app.post(CHAT, &with(body, "wait_timeout_s", Value::Null)).await.status, 200);
}

#[tokio::test]
async fn choices_are_told_what_there_is_to_choose() {
    let app = TestApp::start().await;
    let body = ask(CHAT, "hello");
    check_invalid(&app, CHAT, &with(body.clone(), "on_busy", "queue"), "on_busy").await;
    check_invalid(&app, CHAT, &with(body.clone(), "on_busy", "WAIT"), "on_busy").await;
    check_invalid(&app, CHAT, &with(body.clone(), "delivery", "exactly-once"), "delivery").await;
    check_invalid(&app, CHAT, &with(body.clone(), "wait_timeout_s", 901), "wait_timeout_s").await;
    check_invalid_with(&app, CHAT, &[("turnwise-on-busy", "queue")], &body, "turnwise-on-busy").await;
    check_invalid_with(&app, CHAT, &[("turnwise-delivery", "")], &body, "turnwise-delivery").await;
    check_untouched(&app).await;
    assert_eq!(app.post(CHAT, &with(body, "wait_timeout_s", 900)).await.status, 200);
}

#[tokio::test]
async fn a_number_to_match_is_a_number_from_one() {
    let app = TestApp::start().await;
    for wrong in ["0", "-1", "1.0", "*", "\"", "\"1", "W/\"1\"", "1,2", "", "99999999999999999999"] {
        check_invalid_with(&app, CHAT, &[("if-match", wrong)], &ask(CHAT, "hello"), "if-match").await;
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn fields_of_other_routes_are_not_ignored() {
    let app = TestApp::start().await;
    let messages = json!([{"role": "user", "content": "hello"}]);
    check_invalid(&app, CHAT, &json!({ "messages": messages }), "message").await;
    check_invalid(&app, CHAT, &with(ask(CHAT, "hello"), "messages", messages), "messages").await;
    check_invalid(&app, CHAT, &with(ask(CHAT, "hello"), "input", "hello"), "input").await;
    check_untouched(&app).await;
}

#[tokio::test]
async fn all_faults_are_told_at_once() {
    let app = TestApp::start().await;
    let body = json!({"message": " ", "model": 7, "session_id": "a#b", "on_busy": "queue", "stream": "yes"});
    let reply = app.post_with(CHAT, &[("if-match", "x")], &body).await;
    check_error(&reply, 400, "invalid_request", "if-match");
    insta::assert_json_snapshot!(redacted(reply.json()), @r#"
    {
      "error": {
        "category": "VALIDATION_ERROR",
        "code": "invalid_request",
        "faults": [
          {
            "field": "if-match",
            "message": "Expected a turn's number from 1, got \"x\"."
          },
          {
            "field": "stream",
            "message": "Expected true or false, got a string."
          },
          {
            "field": "message",
            "message": "The message must not be empty."
          },
          {
            "field": "model",
            "message": "Expected a string, got a number."
          },
          {
            "field": "session_id",
            "message": "An id must not contain #."
          },
          {
            "field": "on_busy",
            "message": "Expected wait, reject, enqueue or interrupt, got \"queue\"."
          }
        ],
        "message": "if-match: Expected a turn's number from 1, got \"x\". stream: Expected true or false, got a string. message: The message must not be empty. model: Expected a string, got a number. session_id: An id must not contain #. on_busy: Expected wait, reject, enqueue or interrupt, got \"queue\".",
        "param": "if-match",
        "request_id": "[request_id]",
        "retry_after_s": null,
        "retryable": false,
        "severity": "LOW",
        "type": "invalid_request_error",
        "user_message": "Something in the request isn't valid: if-match."
      }
    }
    "#);
    check_untouched(&app).await;
}
