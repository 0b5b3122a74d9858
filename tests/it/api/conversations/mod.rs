//! Conversations as things of their own: OpenAI's Conversations API, and our threads.

mod busy;
mod erase;
mod history;
mod ids;
mod interrupted;
mod items;
mod objects;
mod paging;
mod responses;
mod retention;
mod tenants;
mod threads;

use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};

use super::{CHAT, ask, check_error, redacted, with};

const CONVERSATIONS: &str = "/v1/conversations";

static OPENAI: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../fixtures/openai-items.json")).unwrap());

/// Checks `body` against OpenAI's description of it.
fn check_schema(body: &Value, schema: &str) {
    let mut root = OPENAI.clone();
    root["$ref"] = json!(format!("#/components/schemas/{schema}"));
    let validator: Validator = jsonschema::options().with_draft(Draft::Draft202012).build(&root).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert_eq!(faults, Vec::<String>::new(), "{schema}: {body}");
}

/// A good answer that is what OpenAI describes.
fn good(reply: &Reply, schema: &str) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    check_schema(&reply.json(), schema);
    reply.json()
}

/// What a user says, as clients write it.
fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// Creates a conversation that begins with what users said.
async fn create(app: &TestApp, said: &[&str]) -> String {
    let items: Vec<Value> = said.iter().map(|text| user(text)).collect();
    let reply = app.post(CONVERSATIONS, &json!({ "items": items })).await;
    good(&reply, "ConversationResource")["id"].as_str().unwrap().to_owned()
}

/// Adds what users said, and gives the ids of the items.
async fn add(app: &TestApp, id: &str, said: &[&str]) -> Vec<String> {
    let items: Vec<Value> = said.iter().map(|text| user(text)).collect();
    let reply = app.post(&items_of(id), &json!({ "items": items })).await;
    ids_of(&good(&reply, "ConversationItemList"))
}

/// Takes a turn of a conversation.
async fn say(app: &TestApp, id: &str, message: &str) -> Value {
    let reply = app.post(CHAT, &with(ask(CHAT, message), "session_id", id)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn path(id: &str) -> String {
    format!("{CONVERSATIONS}/{id}")
}

fn items_of(id: &str) -> String {
    format!("{CONVERSATIONS}/{id}/items")
}

/// One page of a conversation's items, in their order.
async fn list(app: &TestApp, id: &str, query: &str) -> Value {
    good(&app.get(&format!("{}{query}", items_of(id))).await, "ConversationItemList")
}

fn ids_of(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// What each item of a page says.
fn texts_of(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(text_of).collect()
}

fn text_of(item: &Value) -> String {
    item["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}
