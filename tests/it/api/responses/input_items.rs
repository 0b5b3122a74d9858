//! What came in with a response, listed.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;

use super::{CHAT, after, asking, check_error, respond, with};

async fn list(app: &TestApp, response: &Value, query: &str) -> Value {
    let reply = app.get(&format!("{}/input_items{query}", super::path(response))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn texts(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().unwrap();
    items.iter().map(|item| item["content"][0]["text"].as_str().unwrap()).collect()
}

fn said(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[tokio::test]
async fn items_are_listed_page_by_page_in_either_order() {
    let app = TestApp::start().await;
    let response = respond(&app, &asking(json!([said("a"), said("b"), said("c")]))).await;
    let all = list(&app, &response, "").await;
    assert_eq!((texts(&all), &all["has_more"], &all["object"]), (vec!["c", "b", "a"], &json!(false), &json!("list")));
    let first = list(&app, &response, "?order=asc&limit=2").await;
    assert_eq!((texts(&first), &first["has_more"]), (vec!["a", "b"], &json!(true)));
    assert_eq!((&first["first_id"], &first["last_id"]), (&first["data"][0]["id"], &first["data"][1]["id"]));
    let rest = list(&app, &response, &format!("?order=asc&after={}", first["last_id"].as_str().unwrap())).await;
    assert_eq!((texts(&rest), &rest["has_more"]), (vec!["c"], &json!(false)));
    let back = list(&app, &response, &format!("?after={}", first["last_id"].as_str().unwrap())).await;
    assert_eq!(texts(&back), ["a"]);
}

#[tokio::test]
async fn they_are_the_responses_own_and_not_its_conversations() {
    let app = TestApp::start().await;
    let one = respond(&app, &asking("one")).await;
    let two = respond(&app, &with(after(&one, "two"), "instructions", "Be brief.")).await;
    assert_eq!(texts(&list(&app, &two, "").await), ["two"]);
    let ids = |list: Value| list["data"][0]["id"].clone();
    assert_ne!(ids(list(&app, &one, "").await), ids(list(&app, &two, "").await));
    assert_ne!(ids(list(&app, &two, "").await), two["output"][0]["id"]);
}

#[tokio::test]
async fn they_are_listed_before_there_is_an_answer() {
    let app = TestApp::start().await;
    let queued = respond(&app, &with(asking("later"), "background", true)).await;
    assert_eq!(texts(&list(&app, &queued, "").await), ["later"]);
    super::cancel(&app, &queued).await;
    assert_eq!(texts(&list(&app, &queued, "").await), ["later"]);
}

#[tokio::test]
async fn without_items_the_list_is_empty() {
    let app = TestApp::start().await;
    app.post(CHAT, &json!({"message": "one", "session_id": "s"})).await;
    let response = respond(&app, &with(asking(json!([])), "conversation", "s")).await;
    let empty = json!({"object": "list", "data": [], "has_more": false, "first_id": "", "last_id": ""});
    assert_eq!(list(&app, &response, "").await, empty);
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let app = TestApp::start().await;
    let response = respond(&app, &asking("hello")).await;
    for (query, field) in
        [("?limit=0", "limit"), ("?limit=101", "limit"), ("?order=up", "order"), ("?after=msg_1", "after")]
    {
        let reply = app.get(&format!("{}/input_items{query}", super::path(&response))).await;
        check_error(&reply, 400, "invalid_request", field);
    }
}
