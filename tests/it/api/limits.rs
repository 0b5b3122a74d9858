//! What is too long for its model is refused before the model is called.

use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::Script;

use super::{CHAT, COMPLETIONS, ask, check_error, check_untouched, with};

const RESPONSES: &str = "/v1/responses";

/// With a key, without, and to be answered later.
const MANNERS: [&[(&str, &str)]; 3] =
    [&[], &[("idempotency-key", "k")], &[("idempotency-key", "k"), ("prefer", "respond-async")]];

/// What `gpt-4o-mini` gives at most, as the catalogue says.
const MOST_OUTPUT: u64 = 16_384;

/// About `tokens` tokens that take as few bytes as may be.
fn dense(tokens: usize) -> String {
    // A digit and a blank are two tokens.
    "1 ".repeat(tokens / 2)
}

/// A text that is estimated at one and a quarter of the context of `gpt-4o-mini`, and one
/// that is estimated at more than one and a half.
fn texts() -> (String, String) {
    (dense(160_000), dense(200_000))
}

fn check_output(reply: &Reply, field: &str, asked: u64) {
    check_error(reply, 400, "max_tokens_exceeded", field);
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, format!("{field} is {asked}, and openai/gpt-4o-mini gives at most 16384 tokens."));
}

#[tokio::test]
async fn a_longer_answer_than_the_model_gives_is_refused_before_the_call() {
    for (path, field, body) in [
        (COMPLETIONS, "max_tokens", ask(COMPLETIONS, "hello")),
        (COMPLETIONS, "max_completion_tokens", ask(COMPLETIONS, "hello")),
        (RESPONSES, "max_output_tokens", json!({"model": "gpt-4o-mini", "input": "hello"})),
    ] {
        let app = TestApp::start().await;
        let asking = |tokens: u64| with(body.clone(), field, tokens);
        for headers in MANNERS {
            for stream in [false, true] {
                let body = with(asking(MOST_OUTPUT + 1), "stream", stream);
                check_output(&app.post_with(path, headers, &body).await, field, MOST_OUTPUT + 1);
            }
        }
        check_untouched(&app).await;
        // The key is as good as new, for as much as the model gives.
        let reply = app.post_with(path, MANNERS[1], &asking(MOST_OUTPUT)).await;
        assert_eq!((reply.status, app.provider.calls()), (200, 1), "{}", reply.text());
    }
}

#[tokio::test]
async fn an_answer_of_a_model_that_nobody_knows_may_be_of_any_length() {
    let app = TestApp::start().await;
    for model in ["openai/unheard-of", "local/echo"] {
        let body = with(with(ask(COMPLETIONS, "hello"), "model", model), "max_tokens", 10_000_000);
        assert_eq!(app.post(COMPLETIONS, &body).await.status, 200, "{model}");
    }
}

#[tokio::test]
async fn a_completion_that_is_surely_too_long_is_refused_before_the_call() {
    let app = TestApp::start().await;
    let (uncertain, too_long) = texts();
    for headers in MANNERS {
        for stream in [false, true] {
            let body = with(ask(COMPLETIONS, &too_long), "stream", stream);
            let reply = app.post_with(COMPLETIONS, headers, &body).await;
            check_error(&reply, 400, "context_length_exceeded", "messages");
            assert!(reply.text().contains("the model takes 128000"), "{}", reply.text());
        }
    }
    // All that the model reads counts.
    let tools = json!([{"type": "function", "function": {"name": "f", "description": dense(100_000)}}]);
    let with_tools = with(ask(COMPLETIONS, &dense(100_000)), "tools", tools);
    check_error(&app.post(COMPLETIONS, &with_tools).await, 400, "context_length_exceeded", "messages");
    check_untouched(&app).await;

    // What an error of the estimate may explain is the provider's to refuse.
    app.provider.enqueue(Script::refuse_with(
        400,
        &json!({"error": {"code": "context_length_exceeded", "message": "too long", "param": "messages"}}),
    ));
    let reply = app.post(COMPLETIONS, &ask(COMPLETIONS, &uncertain)).await;
    check_error(&reply, 400, "context_length_exceeded", "messages");
    assert_eq!(app.provider.calls(), 1);
}

#[tokio::test]
async fn only_the_new_message_makes_a_chat_too_long() {
    let app = TestApp::start().await;
    let (uncertain, too_long) = texts();
    let chat = |text: &str| with(with(ask(CHAT, text), "session_id", "s"), "model", "gpt-4o-mini");
    let reply = app.post(CHAT, &chat(&too_long)).await;
    check_error(&reply, 400, "context_length_exceeded", "message");
    check_untouched(&app).await;
    for text in [uncertain.as_str(), &uncertain, "short"] {
        let reply = app.post(CHAT, &chat(text)).await;
        assert_eq!(reply.status, 200, "what was said before is left out: {}", reply.text());
    }
    let last: Value = app.provider.requests().pop().unwrap().body;
    assert_eq!(last["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_provider_reports_moves_the_estimate() {
    let app = TestApp::start().await;
    let (uncertain, _) = texts();
    let body = ask(COMPLETIONS, &uncertain);
    assert_eq!(app.post(COMPLETIONS, &body).await.status, 200, "10 tokens of 160,000 teach nothing");
    assert_eq!(app.post(COMPLETIONS, &body).await.status, 200);

    // A model that makes twice as many tokens of everything.
    let usage = json!({"prompt_tokens": 2_000, "completion_tokens": 1, "total_tokens": 2_001});
    app.provider.otherwise(Script::answer("a").usage(usage));
    for _ in 0..20 {
        assert_eq!(app.post(COMPLETIONS, &ask(COMPLETIONS, &dense(1_000))).await.status, 200);
    }
    check_error(&app.post(COMPLETIONS, &body).await, 400, "context_length_exceeded", "messages");
    // Another model is another matter, and so is another process.
    assert_eq!(app.post(COMPLETIONS, &with(body.clone(), "model", "gpt-4.1-mini")).await.status, 200);
    assert_eq!(app.second_process().await.post(COMPLETIONS, &body).await.status, 200);
}
