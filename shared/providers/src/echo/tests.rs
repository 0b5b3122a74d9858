//! Whole answers, buffered and streamed: the two amount to the same.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use turnwise_core::category::Category;
use turnwise_core::fold::Fold;
use turnwise_core::generation::{Event, Generation};
use turnwise_core::json;
use turnwise_core::usage::Source;

use super::pieces::count;
use super::*;
use crate::error::Dispatched;

fn call(fields: &Value) -> Call {
    let fields = json::raw_fields(fields.to_string().as_bytes()).unwrap();
    let generation = Generation { model: "echo".to_owned(), fields };
    Call { generation, id: "chatcmpl-1".to_owned(), created_s: 7, connect_timeout: None }
}

/// A request with the one user message `text` and more `fields`.
fn asked(text: &str, fields: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

async fn chunks(call: &Call) -> Vec<Value> {
    let events: Vec<_> = Echo.stream(call).unwrap().collect().await;
    let (last, chunks) = events.split_last().unwrap();
    assert!(matches!(last, Ok(Event::Finished)));
    chunks.iter().map(|event| parsed(event.as_ref().unwrap())).collect()
}

fn parsed(event: &Event) -> Value {
    match event {
        Event::Chunk(chunk) => serde_json::from_str(chunk.get()).unwrap(),
        Event::Finished => panic!("not a chunk"),
    }
}

/// The deltas that have `key`, of the one choice.
fn deltas(chunks: &[Value], key: &str) -> Vec<Value> {
    chunks.iter().filter_map(|chunk| chunk.pointer(&format!("/choices/0/delta/{key}")).cloned()).collect()
}

/// The buffered answer's only choice and usage, after a check that equal requests get
/// equal answers, and a stream that amounts to them.
async fn answered(fields: &Value) -> (Value, Value) {
    let call = call(fields);
    let completion = Echo.complete(&call).await.unwrap();
    let body: Value = serde_json::from_str(completion.body.get()).unwrap();
    assert_eq!(completion.usage.source, Source::Reported);
    assert_eq!(Echo.complete(&call).await.unwrap().body.get(), completion.body.get());

    let mut fold = Fold::default();
    for chunk in chunks(&call).await {
        fold.push(&chunk);
    }
    assert!(fold.has_finish());
    assert_eq!(fold.complete(), body, "{fields}");
    (body["choices"][0].clone(), body["usage"].clone())
}

/// Checks an answer that is one text.
async fn check(fields: Value, text: &str, finish_reason: &str) {
    let (choice, usage) = answered(&fields).await;
    assert_eq!(choice["message"], json!({"role": "assistant", "content": text, "refusal": null}), "{fields}");
    assert_eq!(choice["finish_reason"], finish_reason, "{fields}");
    assert_eq!(usage["completion_tokens"], count(text), "{fields}");
}

#[tokio::test]
async fn the_last_user_message_is_repeated() {
    let user = |content: Value| json!({"role": "user", "content": content});
    check(json!({"messages": [user(json!("a")), user(json!("b c"))]}), "Echo: b c", "stop").await;
    check(json!({"messages": [user(json!("a")), {"role": "assistant", "content": "b"}]}), "Echo: a", "stop").await;
    let parts = json!([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]);
    check(json!({"messages": [user(parts)]}), "Echo: a\nb", "stop").await;
    check(json!({"messages": [{"role": "system", "content": "s"}]}), "Echo: ", "stop").await;
    check(json!({"messages": []}), "Echo: ", "stop").await;
}

#[tokio::test]
async fn fields_that_mean_nothing_pass_by() {
    for fields in [json!({"x_unknown": 1}), json!({"echo_refusal": false}), json!({"reasoning_effort": null})] {
        check(asked("a", fields), "Echo: a", "stop").await;
    }
    check(json!({"messages": 1}), "Echo: ", "stop").await;
}

#[tokio::test]
async fn the_answer_stops_at_its_most_tokens() {
    let fields = |field: &str, tokens: u64| asked("abcdefgh", json!({ field: tokens }));
    // "Echo: abcdefgh" has 14 characters: 4 tokens.
    check(fields("max_tokens", 4), "Echo: abcdefgh", "stop").await;
    check(fields("max_tokens", 3), "Echo: abcdef", "length").await;
    check(fields("max_completion_tokens", 2), "Echo: ab", "length").await;
    check(fields("max_tokens", 0), "", "length").await;
}

#[tokio::test]
async fn a_format_of_json_is_answered_in_json() {
    let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "o": {}}});
    let json_schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let format = |format: Value| asked("a 😀", json!({"response_format": format, "max_tokens": 1}));
    check(format(json!({"type": "json_object"})), r#"{"echo":"a 😀"}"#, "stop").await;
    check(format(json_schema), r#"{"n":1}"#, "stop").await;
    check(format(json!({"type": "text"})), "Echo", "length").await;

    let chunks = chunks(&call(&format(json!({"type": "json_object"})))).await;
    assert_eq!(deltas(&chunks, "content"), ["", r#"{"ec"#, r#"ho":"#, r#""a 😀"#, r#""}"#]);
}

/// Two functions, `f` with arguments and `g` without.
fn tools() -> Value {
    let parameters = json!({"type": "object", "properties": {"q": {"type": "string"}}});
    json!([{"type": "function", "function": {"name": "f", "parameters": parameters}},
           {"type": "function", "function": {"name": "g"}}])
}

#[tokio::test]
async fn a_user_with_tools_is_answered_with_calls() {
    let fields =
        asked("größe: f, g", json!({"tools": tools(), "max_tokens": 1, "response_format": {"type": "json_object"}}));
    let (choice, usage) = answered(&fields).await;
    let (first, second) = (&choice["message"]["tool_calls"][0], &choice["message"]["tool_calls"][1]);
    let arguments = r#"{"q":"größe: f, g"}"#;
    assert_eq!(
        choice["message"],
        json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [
            {"id": first["id"], "type": "function", "function": {"name": "f", "arguments": arguments}},
            {"id": second["id"], "type": "function", "function": {"name": "g", "arguments": "{}"}}]})
    );
    assert_ne!(first["id"], second["id"]);
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(usage["completion_tokens"], count(&format!("f{arguments}g{{}}")));

    let calls = deltas(&chunks(&call(&fields)).await, "tool_calls/0");
    assert_eq!(
        calls[0],
        json!({"index": 0, "id": first["id"], "type": "function", "function": {"name": "f", "arguments": ""}})
    );
    assert_eq!(calls[1], json!({"index": 0, "function": {"arguments": r#"{"q""#}}));
    assert_eq!(calls.last(), Some(&json!({"index": 1, "function": {"arguments": "{}"}})));
}

#[tokio::test]
async fn what_a_tool_gave_back_is_repeated() {
    let messages =
        |last: Value| json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": null}, last]);
    let after = |last: Value| json!({"messages": messages(last), "tools": tools()});
    check(after(json!({"role": "tool", "tool_call_id": "c", "content": "7 °C"})), "Echo: 7 °C", "stop").await;
    check(after(json!({"role": "assistant", "content": "b"})), "Echo: a", "stop").await;
}

#[tokio::test]
async fn a_reasoning_says_what_comes() {
    let with = |fields: Value| {
        let mut fields = asked("f", fields);
        fields["reasoning_effort"] = json!("high");
        fields
    };
    for (fields, plan) in [
        (json!({}), "repeat it"),
        (json!({"tools": tools()}), "call a function"),
        (json!({"response_format": {"type": "json_object"}}), "answer in JSON"),
        (json!({"echo_refusal": true}), "refuse"),
    ] {
        let (choice, _) = answered(&with(fields)).await;
        assert_eq!(choice["message"]["reasoning_content"], format!("The user said 1 word; I {plan}."));
    }
}

#[tokio::test]
async fn a_stream_is_one_chunk_a_word_and_ends_with_the_usage() {
    let chunks = chunks(&call(&asked("two  words", json!({})))).await;
    assert_eq!(deltas(&chunks, "content"), ["", "Echo: ", "two ", " ", "words"]);
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}));
    assert_eq!(last["id"], "chatcmpl-1");
    assert_eq!(last["created"], 7);
}

#[tokio::test]
async fn each_word_waits_for_its_delay() {
    let call = call(&asked("a", json!({"echo_delay_ms": 20})));
    let start = tokio::time::Instant::now();
    Echo.complete(&call).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(40));
}

#[tokio::test]
async fn a_reasoning_comes_before_the_text_and_is_counted_apart() {
    let fields = asked("two words", json!({"reasoning_effort": "low"}));
    let (choice, usage) = answered(&fields).await;
    let reasoning = "The user said 2 words; I repeat them.";
    assert_eq!(
        choice["message"],
        json!({"role": "assistant", "content": "Echo: two words", "refusal": null, "reasoning_content": reasoning})
    );
    let tokens = count(reasoning);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], tokens);
    assert_eq!(usage["completion_tokens"], tokens + count("Echo: two words"));

    let chunks = chunks(&call(&fields)).await;
    assert_eq!(deltas(&chunks, "reasoning_content").len(), 8);
    let position = |key: &str| chunks.iter().rposition(|chunk| chunk["choices"][0]["delta"].get(key).is_some());
    assert!(position("reasoning_content") < position("content"));
}

#[tokio::test]
async fn a_refusal_is_no_content() {
    let fields = asked("a", json!({"echo_refusal": true, "max_tokens": 1}));
    let (choice, usage) = answered(&fields).await;
    let refusal = "I'm sorry, but I can't repeat that.";
    assert_eq!(choice["message"], json!({"role": "assistant", "content": null, "refusal": refusal}));
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(usage["completion_tokens"], count(refusal));
    assert_eq!(deltas(&chunks(&call(&fields)).await, "refusal").len(), 7);
}

#[tokio::test]
async fn an_answer_fails_where_it_is_asked_to() {
    // "Echo: one two" has three words.
    for (after, words) in [(0, 0), (2, 2), (3, 3), (4, 3)] {
        let call = call(&asked("one two", json!({"echo_fail_after": after})));
        let events: Vec<_> = Echo.stream(&call).unwrap().collect().await;
        let (last, chunks) = events.split_last().unwrap();
        assert_eq!(chunks.len(), 1 + words, "{after}: the opening and the words");
        for error in [last.as_ref().unwrap_err(), &Echo.complete(&call).await.unwrap_err()] {
            assert_eq!((error.category, &*error.code), (Category::ApiError, "upstream_error"));
            assert_eq!((error.retryable, error.dispatched), (true, Dispatched::Maybe));
        }
    }
}

#[tokio::test]
async fn a_bad_wish_is_refused_before_anything_is_said() {
    let call = call(&asked("a", json!({"echo_fail_after": -1})));
    let error = Echo.complete(&call).await.unwrap_err();
    assert_eq!((error.param.as_deref(), error.dispatched), (Some("echo_fail_after"), Dispatched::No));
    assert_eq!(Echo.stream(&call).err().and_then(|error| error.param).as_deref(), Some("echo_fail_after"));
}
