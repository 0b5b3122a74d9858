//! Tokens of requests that are not made.

use serde_json::{Value, json};
use turnwise_core::generation::Generation;
use turnwise_core::json::raw_fields;
use turnwise_core::limits::MAX_HISTORY_TURNS;
use turnwise_providers::count::{Count, with_tokenizers};
use turnwise_tests::app::{Reply, TestApp};

use super::schema::check;
use super::{CHAT, RESPONSES, after, asking, check_error, check_untouched, respond, with};

const INPUT_TOKENS: &str = "/v1/responses/input_tokens";

fn counted(reply: &Reply) -> u64 {
    assert_eq!(reply.status, 200, "{}", reply.text());
    check(&reply.json(), "TokenCountsResource");
    reply.json()["input_tokens"].as_u64().unwrap()
}

async fn count(app: &TestApp, body: &Value) -> u64 {
    counted(&app.post(INPUT_TOKENS, body).await)
}

/// What the provider was sent last, in the tokens of its model's own tokenizer.
fn sent(app: &TestApp) -> u64 {
    let request = app.provider.requests().pop().unwrap();
    let model = request.body["model"].as_str().unwrap().to_owned();
    let fields = raw_fields(request.body.to_string().as_bytes()).unwrap();
    with_tokenizers("openai", &model, &Generation { model: model.clone(), fields }).unwrap().tokens
}

#[tokio::test]
async fn it_is_exact_for_models_whose_tokenizer_is_public() {
    let app = TestApp::start().await;
    // One token each: the role and the word; three around the message, three before the answer.
    assert_eq!(count(&app, &asking("hello")).await, 8);
    let newer = "Привет, как дела?";
    assert_eq!(count(&app, &asking(newer)).await, 7 + 6);
    // An older tokenizer makes more of the same.
    assert_eq!(count(&app, &with(asking(newer), "model", "openai/gpt-4")).await, 7 + 8);
    // The echo's token is four characters, and it counts as it answers.
    let echo = with(asking("hello"), "model", "local/echo");
    let answered = respond(&app, &with(echo.clone(), "store", false)).await;
    assert_eq!(count(&app, &echo).await, answered["usage"]["input_tokens"]);
}

#[tokio::test]
async fn another_models_tokens_are_estimated_on_the_side_of_too_many() {
    let app = TestApp::start().await;
    let text = include_str!("../../../fixtures/texts/english.txt");
    let known = count(&app, &asking(text)).await;
    let unknown = count(&app, &with(asking(text), "model", "openai/unheard-of")).await;
    assert!((known..known * 3 / 2).contains(&unknown), "{known} {unknown}");
}

#[tokio::test]
async fn the_engine_says_whether_a_count_is_exact() {
    let app = TestApp::start().await;
    let of = async |model: &str, fields: Value| {
        let fields = raw_fields(fields.to_string().as_bytes()).unwrap();
        app.engine.count_tokens(Some(model), &fields).await.unwrap()
    };
    let messages = json!([{"role": "user", "content": "hello"}]);
    let plain = json!({"messages": messages});
    assert_eq!(of("gpt-4o-mini", plain.clone()).await, Count { tokens: 8, is_exact: true });
    assert!(!of("gpt-4o-mini", json!({"messages": messages, "tools": [{"type": "function"}]})).await.is_exact);
    assert!(!of("openai/unheard-of", plain).await.is_exact);
}

#[tokio::test]
async fn it_counts_what_a_response_would_send() {
    let app = TestApp::start().await;
    app.post(CHAT, &json!({"message": "first", "session_id": "s"})).await;
    let previous = respond(&app, &with(asking("second"), "conversation", "s")).await;
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
    let format = json!({"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}});
    let call = json!([{"role": "user", "content": "a"}, {"type": "item_reference", "id": previous["output"][0]["id"]}]);
    let mut smallest = 0;
    for body in [
        asking("hello"),
        with(asking("hello"), "instructions", "Be brief."),
        with(asking("hello"), "tools", tools.clone()),
        with(asking("hello"), "text", format.clone()),
        after(&previous, "hello"),
        after(&previous, call),
        with(with(after(&previous, "hello"), "tools", tools), "text", format),
        with(asking("hello"), "conversation", "s"),
        with(with(asking("hello"), "conversation", "s"), "truncation", "auto"),
    ] {
        let before = (app.provider.calls(), app.table.rows().await.len());
        let tokens = count(&app, &body).await;
        assert_eq!((app.provider.calls(), app.table.rows().await.len()), before, "nothing is called or written");
        respond(&app, &body).await;
        assert_eq!(tokens, sent(&app), "{body}");
        smallest = if smallest == 0 { tokens } else { smallest };
        assert!(tokens >= smallest && tokens > 0);
    }
}

#[tokio::test]
async fn nothing_is_needed_and_how_to_answer_does_not_matter() {
    let app = TestApp::start().await;
    assert_eq!(count(&app, &json!({})).await, 0);
    assert_eq!(count(&app, &json!({"input": null, "model": null})).await, 0);
    let plain = count(&app, &json!({"input": "hello"})).await;
    for (field, value) in [("stream", true), ("background", true), ("store", false)] {
        assert_eq!(count(&app, &with(json!({"input": "hello"}), field, value)).await, plain, "{field}");
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn more_than_a_model_takes_is_counted_all_the_same() {
    let app = TestApp::start().await;
    let body = with(asking("x ".repeat(300_000)), "store", false);
    assert!(count(&app, &body).await > 300_000);
    check_error(&app.post(RESPONSES, &body).await, 400, "context_length_exceeded", "input");
}

#[tokio::test]
async fn more_turns_than_one_request_takes_are_refused_as_there() {
    let app = TestApp::start().await;
    for _ in 0..=MAX_HISTORY_TURNS {
        app.post(CHAT, &json!({"message": "a", "session_id": "s", "history_turns": 0})).await;
    }
    let body = with(asking("hello"), "conversation", "s");
    check_error(&app.post(INPUT_TOKENS, &body).await, 400, "context_length_exceeded", "input");
    let auto = with(body, "truncation", "auto");
    let tokens = count(&app, &auto).await;
    respond(&app, &auto).await;
    assert_eq!(tokens, sent(&app));
}

#[tokio::test]
async fn faults_are_told_as_there() {
    let app = TestApp::start().await;
    let everything = json!({"model": " ", "input": [{"role": "user"}, {"type": "compaction", "encrypted_content": "x"}],
        "tools": [{"type": "web_search"}], "truncation": "sometimes", "conversation": 7});
    let reply = app.post(INPUT_TOKENS, &everything).await;
    let faults = reply.json()["error"]["faults"].as_array().unwrap().clone();
    let found: Vec<&str> = faults.iter().map(|fault| fault["field"].as_str().unwrap()).collect();
    for field in
        ["input[0].content", "input[1].encrypted_content", "model", "tools[0].type", "truncation", "conversation"]
    {
        assert_eq!(found.iter().filter(|found| **found == field).count(), 1, "{field}: {found:?}");
    }
    for (body, code, param) in [
        (with(asking("a"), "conversation", "nobody"), "conversation_not_found", ""),
        (with(asking("a"), "previous_response_id", "resp_Yzp0"), "previous_response_not_found", "previous_response_id"),
    ] {
        check_error(&app.post(INPUT_TOKENS, &body).await, 404, code, param);
    }
    let alone = TestApp::builder().without_openai().start().await;
    check_error(&alone.post(INPUT_TOKENS, &asking("a")).await, 404, "model_not_found", "model");
    check_untouched(&app).await;
}
