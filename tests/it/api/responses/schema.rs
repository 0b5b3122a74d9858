//! Responses against the two descriptions of them: Open Responses' and OpenAI's.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{after, asking, cancel, get, ok, respond, with};

static SCHEMAS: LazyLock<BTreeMap<&'static str, Validator>> = LazyLock::new(|| {
    let open_responses = include_str!("../../../fixtures/open-responses.json");
    let openai = include_str!("../../../fixtures/openai-items.json");
    let schemas = [
        ("ResponseResource", open_responses),
        ("ItemField", open_responses),
        ("CompactResource", open_responses),
        ("Response", openai),
        ("ItemResource", openai),
        ("TokenCountsResource", openai),
    ];
    let mut validators: BTreeMap<_, _> =
        schemas.into_iter().map(|(name, description)| (name, validator(name, description))).collect();
    // Both have a schema of this name.
    validators.insert("openai.CompactResource", validator("CompactResource", openai));
    validators
});

pub(super) fn validator(name: &str, description: &str) -> Validator {
    let mut root: Value = serde_json::from_str(description).unwrap();
    root["$ref"] = json!(format!("#/components/schemas/{name}"));
    jsonschema::options().with_draft(Draft::Draft202012).build(&root).unwrap()
}

pub(super) fn check(body: &Value, schema: &str) {
    let faults = SCHEMAS[schema].iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path()));
    assert_eq!(faults.collect::<Vec<_>>(), Vec::<String>::new(), "{schema}: {body}");
}

pub(super) fn check_response(response: &Value) {
    check(response, "ResponseResource");
    let mut response = response.clone();
    // OpenAI leaves a usage that is not known out, where Open Responses wants null.
    if response["usage"].is_null() {
        response.as_object_mut().unwrap().remove("usage");
    }
    check(&response, "Response");
}

#[tokio::test]
async fn responses_are_the_standards_at_every_stage() {
    let app = TestApp::start().await;
    for model in ["local/echo", "gpt-4o-mini"] {
        let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
        let asked = with(with(with(asking("hello"), "model", model), "tools", tools), "metadata", json!({"a": "b"}));
        let first = respond(&app, &asked).await;
        check_response(&first);
        check_response(&respond(&app, &after(&first, "and?")).await);
        check_response(&respond(&app, &with(asked.clone(), "store", false)).await);
        let queued = respond(&app, &with(asked, "background", true)).await;
        check_response(&queued);
        check_response(&get(&app, &queued).await);
        check_response(&ok(&cancel(&app, &queued).await));
    }
    app.provider.otherwise(Script::answer("one two").finish_reason("length"));
    check_response(&respond(&app, &asking("hello")).await);
}

#[tokio::test]
async fn a_failed_response_is_the_standards() {
    for status in [400, 401, 429, 500] {
        let app = TestApp::start().await;
        app.provider.otherwise(Script::refuse(status));
        let failed = app.post(super::RESPONSES, &asking("hello")).await;
        let key = turnwise_core::id::TurnKey::parse("key", failed.header("turnwise-turn")).unwrap().unwrap();
        let id = turnwise_core::items::response_id(&key);
        check_response(&get(&app, &json!({"id": id})).await);
    }
}

#[tokio::test]
async fn input_items_are_the_standards() {
    let app = TestApp::start().await;
    let input = json!([
        {"role": "developer", "content": "a"},
        {"role": "user", "content": [{"type": "input_text", "text": "b"}, {"type": "input_image", "image_url": "data:,c"}]},
        {"role": "assistant", "content": "d"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {"type": "reasoning", "summary": []},
        turnwise_core::items::compaction_item("e"),
    ]);
    let response = respond(&app, &asking(input)).await;
    let items = app.get(&format!("{}/input_items", super::path(&response))).await.json();
    assert_eq!(items["data"].as_array().map(Vec::len), Some(7));
    for item in items["data"].as_array().unwrap() {
        check(item, "ItemField");
        check(item, "ItemResource");
    }
}
