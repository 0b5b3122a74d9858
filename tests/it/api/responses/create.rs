//! A response made.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{CHAT, RESPONSES, asking, check_error, ok, respond, respond_with, sent, text, with};

#[tokio::test]
async fn a_text_gets_a_response() {
    let app = TestApp::start().await;
    let reply = app.post(RESPONSES, &asking("hello")).await;
    let mut response = ok(&reply);
    for header in ["turnwise-turn", "turnwise-attempt", "turnwise-model", "turnwise-cost-usd", "x-request-id"] {
        assert_ne!(reply.header(header), "", "{header}");
    }
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    assert!(response["output"][0]["id"].as_str().unwrap().starts_with("msg_"));
    assert!(response["created_at"].as_u64() <= response["completed_at"].as_u64());
    for drawn in ["id", "created_at", "completed_at"] {
        response[drawn] = json!("[drawn]");
    }
    response["output"][0]["id"] = json!("[drawn]");
    insta::assert_json_snapshot!(response, @r#"
    {
      "background": false,
      "completed_at": "[drawn]",
      "conversation": null,
      "created_at": "[drawn]",
      "error": null,
      "frequency_penalty": 0,
      "id": "[drawn]",
      "incomplete_details": null,
      "instructions": null,
      "max_output_tokens": null,
      "max_tool_calls": null,
      "metadata": {},
      "model": "openai/gpt-4o-mini",
      "object": "response",
      "output": [
        {
          "content": [
            {
              "annotations": [],
              "logprobs": [],
              "text": "Hello from the script.",
              "type": "output_text"
            }
          ],
          "id": "[drawn]",
          "role": "assistant",
          "status": "completed",
          "type": "message"
        }
      ],
      "parallel_tool_calls": true,
      "presence_penalty": 0,
      "previous_response_id": null,
      "prompt_cache_key": null,
      "reasoning": {
        "effort": null,
        "summary": null
      },
      "safety_identifier": null,
      "service_tier": "default",
      "status": "completed",
      "store": true,
      "temperature": 1,
      "text": {
        "format": {
          "type": "text"
        }
      },
      "tool_choice": "auto",
      "tools": [],
      "top_logprobs": 0,
      "top_p": 1,
      "truncation": "disabled",
      "usage": {
        "input_tokens": 10,
        "input_tokens_details": {
          "cache_write_tokens": 0,
          "cached_tokens": 0
        },
        "output_tokens": 4,
        "output_tokens_details": {
          "reasoning_tokens": 0
        },
        "total_tokens": 14
      }
    }
    "#);
}

#[tokio::test]
async fn a_response_repeats_its_parameters_and_the_model_gets_them() {
    let app = TestApp::start().await;
    let asked = json!({"model": "gpt-4o-mini", "input": "hello", "temperature": 0.5, "max_output_tokens": 64,
        "metadata": {"a": "b"}, "user": "u", "x_own": {"deep": [1]}, "text": {"format": {"type": "json_object"}},
        "project_id": "p", "delivery": "at-most-once", "on_busy": "reject", "wait_timeout_s": 3});
    let response = respond(&app, &asked).await;
    for repeated in ["temperature", "max_output_tokens", "metadata", "user"] {
        assert_eq!(response[repeated], asked[repeated], "{repeated}");
    }
    let sent = app.provider.requests().remove(0).body;
    let expected = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "temperature": 0.5,
        "max_completion_tokens": 64, "user": "u", "x_own": {"deep": [1]}, "response_format": {"type": "json_object"},
        "stream": false});
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn an_answer_that_was_cut_short_is_incomplete() {
    for (reason, told) in [("length", "max_output_tokens"), ("content_filter", "content_filter")] {
        let app = TestApp::start().await;
        app.provider.otherwise(Script::answer("one two").finish_reason(reason));
        let response = respond(&app, &asking("hello")).await;
        assert_eq!(response["status"], "incomplete");
        assert_eq!(response["incomplete_details"], json!({"reason": told}));
        assert_eq!((&response["output"][0]["status"], text(&response)), (&json!("incomplete"), "one two"));
    }
}

#[tokio::test]
async fn a_response_is_a_turn_of_the_conversation_it_names() {
    let app = TestApp::start().await;
    app.provider.on_text("first", Script::answer("one"));
    app.post(CHAT, &json!({"message": "first", "session_id": "s"})).await;
    for conversation in [json!("s"), json!({"id": "s"})] {
        let response = respond(&app, &with(asking("and?"), "conversation", conversation)).await;
        assert_eq!(response["conversation"], json!({"id": "s"}));
        assert_eq!(response["previous_response_id"], Value::Null);
        assert_eq!(sent(&app)[..3], ["user: first", "assistant: one", "user: and?"]);
    }
    assert_eq!(app.get("/v1/threads/s/turns").await.json()["total"], 3);
    // What it was told and what it said is what the other route remembers.
    app.post(CHAT, &json!({"message": "last", "session_id": "s"})).await;
    assert_eq!(sent(&app).len(), 7);
}

#[tokio::test]
async fn a_conversation_that_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    app.post_with("/v1/chat/completions", &[("idempotency-key", "k")], &super::super::ask("", "hello")).await;
    let calls = app.provider.calls();
    for conversation in ["nobody", "~k", "~"] {
        let reply = app.post(RESPONSES, &with(asking("hello"), "conversation", conversation)).await;
        check_error(&reply, 404, "conversation_not_found", "");
    }
    assert_eq!(app.provider.calls(), calls);
}

#[tokio::test]
async fn instructions_come_first_and_are_not_carried_over() {
    let app = TestApp::start().await;
    let first = respond(&app, &with(asking("hello"), "instructions", "Be brief.")).await;
    assert_eq!(first["instructions"], "Be brief.");
    assert_eq!(sent(&app), ["system: Be brief.", "user: hello"]);
    let second = with(super::after(&first, "and?"), "instructions", "Be long.");
    let second = respond(&app, &second).await;
    assert_eq!(sent(&app), ["system: Be long.", "user: hello", "assistant: Hello from the script.", "user: and?"]);
    let third = respond(&app, &super::after(&second, "more")).await;
    assert_eq!(third["instructions"], Value::Null);
    assert_eq!(sent(&app).iter().filter(|message| message.starts_with("system")).count(), 0);
}

#[tokio::test]
async fn a_turn_must_have_the_number_that_if_match_says() {
    let app = TestApp::start().await;
    app.post(CHAT, &json!({"message": "first", "session_id": "s"})).await;
    let asked = with(asking("hello"), "conversation", "s");
    let reply = app.post_with(RESPONSES, &[("if-match", "1")], &asked).await;
    check_error(&reply, 412, "turn_number_mismatch", "If-Match");
    respond_with(&app, &[("if-match", "2")], &asked).await;
}

#[tokio::test]
async fn a_project_sees_its_own_conversations_only() {
    let app = TestApp::start().await;
    let in_project = |body: Value, project: &str| with(body, "project_id", project);
    let first = respond(&app, &in_project(asking("hello"), "alpha")).await;
    let reply = app.post(RESPONSES, &in_project(super::after(&first, "and?"), "beta")).await;
    check_error(&reply, 404, "thread_not_found", "");
    respond(&app, &in_project(super::after(&first, "and?"), "alpha")).await;
    let threads = app.get("/v1/threads?project_id=alpha").await.json();
    assert_eq!(threads["data"].as_array().map(Vec::len), Some(1), "{threads}");
}

#[tokio::test]
async fn a_providers_failure_is_an_error() {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::refuse(400));
    let reply = app.post(RESPONSES, &asking("hello")).await;
    assert!((400..600).contains(&reply.status) && reply.json()["error"]["code"].is_string(), "{}", reply.text());
}

#[tokio::test]
async fn a_model_that_nobody_serves_is_not_found() {
    let app = TestApp::builder().without_openai().start().await;
    for body in [asking("hello"), with(asking("hello"), "background", true), with(asking("hello"), "store", false)] {
        check_error(&app.post(RESPONSES, &body).await, 404, "model_not_found", "model");
    }
    super::check_untouched(&app).await;
}
