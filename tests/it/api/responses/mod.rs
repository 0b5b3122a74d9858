//! `/v1/responses`: turns that come in as items and follow one another by their ids.

mod background;
mod bad_input;
mod compact;
mod create;
mod delete;
mod follow;
mod forks;
mod input_items;
mod input_tokens;
mod items;
mod read;
mod replay;
mod schema;
pub(super) mod stream;
mod tools;
mod truncation;
mod unstored;

use http::Method;
use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::Script;

use super::{CHAT, check_error, check_untouched, with};

const RESPONSES: &str = "/v1/responses";

use self::schema::check_response;

/// A request for a response to `input`.
fn asking(input: impl Into<Value>) -> Value {
    json!({"model": "gpt-4o-mini", "input": input.into()})
}

/// The same, behind the response `previous`.
fn after(previous: &Value, input: impl Into<Value>) -> Value {
    with(asking(input), "previous_response_id", previous["id"].clone())
}

/// Posts a request that gets its response.
async fn respond(app: &TestApp, body: &Value) -> Value {
    respond_with(app, &[], body).await
}

/// Posts a request with more headers that gets its response.
async fn respond_with(app: &TestApp, headers: &[(&str, &str)], body: &Value) -> Value {
    ok(&app.post_with(RESPONSES, headers, body).await)
}

/// The response of a good reply.
fn ok(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let response = reply.json();
    assert_eq!(response["object"], "response", "{response}");
    response
}

fn path(response: &Value) -> String {
    format!("{RESPONSES}/{}", response["id"].as_str().expect("a response has an id"))
}

async fn get(app: &TestApp, response: &Value) -> Value {
    ok(&app.get(&path(response)).await)
}

async fn delete(app: &TestApp, response: &Value) -> Reply {
    Reply::of(app.request(Method::DELETE, &path(response))).await
}

async fn cancel(app: &TestApp, response: &Value) -> Reply {
    app.post(&format!("{}/cancel", path(response)), &json!({})).await
}

/// The response's text.
fn text(response: &Value) -> &str {
    response["output"][0]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {response}"))
}

/// What the provider was sent last: each message as `role: text`.
fn sent(app: &TestApp) -> Vec<String> {
    let request = app.provider.requests().pop().expect("the provider was called").body;
    let messages = request["messages"].as_array().expect("messages").iter();
    messages
        .map(|message| {
            let content = &message["content"];
            let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
            format!("{}: {text}", message["role"].as_str().unwrap_or_default())
        })
        .collect()
}

/// An app whose provider answers every `x` with `re x`, one word each.
async fn parrot(words: &[&str]) -> TestApp {
    let app = TestApp::start().await;
    for word in words {
        app.provider.on_text(word, Script::answer(&format!("re-{word}")));
    }
    app
}
