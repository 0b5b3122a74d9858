//! What a model says, as a message: whole and streamed the same.

use http::Method;
use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::Script;

use super::{MESSAGES, answered, echo, kept, ok, say, with};

#[tokio::test]
async fn a_message_is_in_anthropics_shape() {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::answer("hello you"));
    let message = with(answered(&app, &say("hello")).await, "id", "[id]");
    insta::assert_json_snapshot!(message, @r#"
    {
      "content": [
        {
          "text": "hello you",
          "type": "text"
        }
      ],
      "id": "[id]",
      "model": "openai/gpt-4o-mini",
      "role": "assistant",
      "stop_reason": "end_turn",
      "stop_sequence": null,
      "type": "message",
      "usage": {
        "cache_creation": {
          "ephemeral_1h_input_tokens": 0,
          "ephemeral_5m_input_tokens": 0
        },
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "input_tokens": 10,
        "output_tokens": 2
      }
    }
    "#);
}

#[tokio::test]
async fn every_kind_of_answer_has_its_blocks_and_its_reason_to_stop() {
    let app = TestApp::start().await;
    let call = |index: u64, arguments: &str| {
        json!({"tool_calls": [{"index": index, "id": format!("call_{index}"), "type": "function",
               "function": {"name": "f", "arguments": arguments}}]})
    };
    let more =
        |index: u64, arguments: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]});
    let tool_use = |index: u64, input: Value| json!({"type": "tool_use", "id": format!("call_{index}"), "name": "f", "input": input});
    let text = |text: &str| json!({"type": "text", "text": text});
    let words = [json!({"content": "one "}), json!({"content": "two"})];
    let thought = |detail: Value| json!({"reasoning_details": [detail]});
    let signed = [
        json!({"reasoning_content": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]}),
        thought(json!({"type": "reasoning.text", "signature": "sig", "index": 0})),
        thought(json!({"type": "reasoning.encrypted", "data": "xyz", "index": 1})),
    ];
    let thinking = |signature: &str| json!({"type": "thinking", "thinking": "hm", "signature": signature});
    let cases: Vec<(Vec<Value>, &str, Vec<Value>, &str)> = vec![
        (words.to_vec(), "stop", vec![text("one two")], "end_turn"),
        (words.to_vec(), "length", vec![text("one two")], "max_tokens"),
        (words.to_vec(), "content_filter", vec![text("one two")], "refusal"),
        (vec![json!({"refusal": "I won't"})], "stop", vec![text("I won't")], "refusal"),
        (vec![json!({"content": ""})], "stop", vec![], "end_turn"),
        (
            vec![json!({"reasoning_content": "hm"}), words[1].clone()],
            "stop",
            vec![thinking(""), text("two")],
            "end_turn",
        ),
        (
            [&signed[..], &words[..]].concat(),
            "stop",
            vec![thinking("sig"), json!({"type": "redacted_thinking", "data": "xyz"}), text("one two")],
            "end_turn",
        ),
        (
            vec![words[0].clone(), call(0, "{\"a\":"), more(0, "1}"), call(1, "{}")],
            "tool_calls",
            vec![text("one "), tool_use(0, json!({"a": 1})), tool_use(1, json!({}))],
            "tool_use",
        ),
        // Side by side, behind each other, and with a text in between.
        (
            vec![call(0, "{"), call(1, "{"), words[0].clone(), more(1, "}"), more(0, "}"), words[1].clone()],
            "tool_calls",
            vec![tool_use(0, json!({})), tool_use(1, json!({})), text("one two")],
            "tool_use",
        ),
    ];
    for (number, (deltas, finish, content, reason)) in cases.into_iter().enumerate() {
        app.provider.otherwise(Script::deltas(&deltas).finish_reason(finish));
        let message = kept(&app, &number.to_string(), &say("hello")).await;
        assert_eq!((&message["content"], &message["stop_reason"]), (&json!(content), &json!(reason)), "{deltas:?}");
    }
}

#[tokio::test]
async fn arguments_that_are_no_object_are_an_input_that_says_so() {
    let app = TestApp::start().await;
    let call = json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a"}}]});
    app.provider.otherwise(Script::deltas(&[call]).finish_reason("length"));
    let message = ok(&app.post(MESSAGES, &say("hello")).await);
    assert_eq!(message["content"][0]["input"], json!({"invalid_arguments": "{\"a"}));
    assert_eq!(message["stop_reason"], "max_tokens");
}

#[tokio::test]
async fn what_the_upstream_says_in_anthropics_words_is_kept() {
    let app = TestApp::start().await;
    let answer = |choice: Value| {
        let mut choice = choice;
        (choice["index"], choice["message"]) = (json!(0), json!({"role": "assistant", "content": "a"}));
        json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
               "usage": {"prompt_tokens": 100, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 3},
                         "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 30, "cache_write_1h_tokens": 10}}})
    };
    for (choice, reason, sequence) in [
        (json!({"finish_reason": "stop", "stop_sequence": "END"}), "stop_sequence", json!("END")),
        (json!({"finish_reason": "length", "native_finish_reason": "pause_turn"}), "pause_turn", Value::Null),
        (
            json!({"finish_reason": "length", "native_finish_reason": "model_context_window_exceeded"}),
            "model_context_window_exceeded",
            Value::Null,
        ),
    ] {
        app.provider.otherwise(Script::pieces(&[answer(choice).to_string().as_bytes()]));
        let message = ok(&app.post(MESSAGES, &say("hello")).await);
        assert_eq!((&message["stop_reason"], &message["stop_sequence"]), (&json!(reason), &sequence));
        assert_eq!(
            message["usage"],
            json!({"input_tokens": 30, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 30, "output_tokens": 7,
                   "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10}})
        );
    }
}

#[tokio::test]
async fn echo_says_everything_as_messages() {
    let app = TestApp::builder().without_openai().start().await;
    let text =
        |message: &Value| message["content"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap().to_owned();

    assert_eq!(text(&answered(&app, &echo("hello", &json!({}))).await), "Echo: hello");
    let thought = answered(&app, &echo("hello", &json!({"output_config": {"effort": "low"}}))).await;
    assert_eq!((&thought["content"][0]["type"], &thought["content"][0]["signature"]), (&json!("thinking"), &json!("")));
    let refused = answered(&app, &echo("hello", &json!({"echo_refusal": true}))).await;
    assert_eq!(refused["stop_reason"], "refusal");
    let cut = answered(&app, &echo("one two three four", &json!({"max_tokens": 1}))).await;
    assert_eq!(cut["stop_reason"], "max_tokens");
    // As text: an object of serde_json's sorts its fields.
    let format = format!("{{\"type\":\"json_schema\",\"schema\":{SCHEMA}}}");
    for fields in [format!("\"output_format\":{format}"), format!("\"output_config\":{{\"format\":{format}}}")] {
        let body = echo("hello", &json!({})).to_string().replacen('{', &format!("{{{fields},"), 1);
        let reply = Reply::of(app.request(Method::POST, MESSAGES).body(body)).await;
        let answer = text(&ok(&reply));
        assert!(answer.starts_with("{\"b\":"), "in the order of the schema: {answer}");
    }
}

/// A schema whose properties are in no order of the alphabet.
const SCHEMA: &str =
    r#"{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["b","a"]}"#;
