//! Conversations and turns read back.

use serde_json::{Value, json};
use turnwise_core::limits::{HISTORY_TURNS, PAGE_SIZE};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{CHAT, COMPLETIONS, ask, ask_as, check_error, redacted, with};

async fn say(app: &TestApp, session: &str, message: &str) -> Value {
    let reply = app.post(CHAT, &with(ask(CHAT, message), "session_id", session)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn list<'a>(page: &'a Value, field: &str) -> Vec<&'a Value> {
    page["data"].as_array().unwrap().iter().map(|row| &row[field]).collect()
}

#[tokio::test]
async fn a_turn_reads_as_it_was_answered() {
    let app = TestApp::start().await;
    let body = json!({"message": "hello", "session_id": "s", "turn_id": "1"});
    let reply = app.post(CHAT, &body).await.json();
    insta::assert_json_snapshot!(redacted(reply.clone()), @r#"
    {
      "completed_at": "[completed_at]",
      "conversation_id": "s",
      "cost_usd": 0.0000039,
      "message": "Hello from the script.",
      "model": "openai/gpt-4o-mini",
      "object": "turn",
      "project_id": null,
      "response_hash": "50c38945b6796735a0eb35bbc5094372ded2d224e1f0cfad21c70fc2ef857a73",
      "status": "COMPLETED",
      "thread_id": "s",
      "turn_id": "1",
      "turn_number": 1,
      "usage": {
        "cached_tokens": 0,
        "estimated": false,
        "input_tokens": 10,
        "output_tokens": 4,
        "total_tokens": 14
      }
    }
    "#);

    let mut read = app.get("/v1/turns/s:1").await.json();
    let hash = read.as_object_mut().unwrap().remove("input_hash").unwrap();
    assert_eq!(hash.as_str().map(str::len), Some(64));
    assert_eq!(read, reply);
    insta::assert_json_snapshot!(redacted(app.get("/v1/threads/s/turns").await.json()), @r#"
    {
      "data": [
        {
          "completed_at": "[completed_at]",
          "input": [
            {
              "content": "hello",
              "role": "user"
            }
          ],
          "message": "Hello from the script.",
          "object": "turn",
          "turn_id": "1",
          "turn_number": 1
        }
      ],
      "has_more": false,
      "next": null,
      "object": "list",
      "project_id": null,
      "thread_id": "s",
      "total": 1
    }
    "#);
    insta::assert_json_snapshot!(redacted(app.get("/v1/threads").await.json()), @r#"
    {
      "data": [
        {
          "created_at": "[created_at]",
          "id": "s",
          "object": "thread",
          "project_id": null
        }
      ],
      "has_more": false,
      "next": null,
      "object": "list"
    }
    "#);
}

#[tokio::test]
async fn turns_come_in_order_page_by_page() {
    let app = TestApp::start().await;
    for number in 1..=5 {
        assert_eq!(say(&app, "s", &format!("message {number}")).await["turn_number"], number);
    }
    let check = async |query: &str, numbers: &[u64], next: Option<u64>| {
        let page = app.get(&format!("/v1/threads/s/turns{query}")).await.json();
        let expected: Vec<Value> = numbers.iter().map(|number| json!(number)).collect();
        assert_eq!(list(&page, "turn_number"), expected.iter().collect::<Vec<_>>(), "{query}");
        assert_eq!((&page["next"], &page["has_more"]), (&json!(next), &json!(next.is_some())), "{query}");
        assert_eq!((&page["total"], &page["thread_id"]), (&json!(5), &json!("s")));
    };
    check("", &[1, 2, 3, 4, 5], None).await;
    check("?limit=2", &[1, 2], Some(2)).await;
    check("?limit=2&after=2", &[3, 4], Some(4)).await;
    check("?limit=2&after=4", &[5], None).await;
    check("?limit=5", &[1, 2, 3, 4, 5], None).await;
    check("?limit=1&after=3", &[4], Some(4)).await;
    check("?after=5", &[], None).await;
    check("?after=0", &[1, 2, 3, 4, 5], None).await;
}

#[tokio::test]
async fn conversations_come_newest_first_page_by_page() {
    let app = TestApp::start().await;
    let names: Vec<String> = (0..PAGE_SIZE + 2).map(|number| format!("s{number}")).collect();
    for name in &names {
        say(&app, name, "hello").await;
        say(&app, name, "hello again").await;
    }
    let newest: Vec<Value> = names.iter().rev().map(|name| json!(name)).collect();

    let first = app.get("/v1/threads").await.json();
    assert_eq!(list(&first, "id").len(), PAGE_SIZE);
    assert_eq!(first["has_more"], true);
    let mut seen: Vec<Value> = Vec::new();
    let mut query = "?limit=9".to_owned();
    loop {
        let page = app.get(&format!("/v1/threads{query}")).await.json();
        seen.extend(list(&page, "id").into_iter().cloned());
        assert_eq!(page["has_more"], json!(page["next"].is_string()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=9&after={}", next.replace('#', "%23"));
    }
    assert_eq!(seen, newest);
}

#[tokio::test]
async fn a_conversation_is_listed_once_it_has_a_turn() {
    let app = TestApp::start().await;
    app.provider.enqueue(Script::refuse(400));
    app.post(CHAT, &with(ask(CHAT, "hello"), "session_id", "s")).await;
    assert_eq!(app.get("/v1/threads").await.json()["data"], json!([]));
    assert_eq!(app.get("/v1/threads/s/turns").await.json()["total"], 0);
}

#[tokio::test]
async fn a_stateless_request_is_in_no_list() {
    let app = TestApp::start().await;
    app.post_with(COMPLETIONS, &[("idempotency-key", "k")], &ask(COMPLETIONS, "hello")).await;
    app.post(COMPLETIONS, &ask(COMPLETIONS, "hello")).await;
    assert_eq!(app.get("/v1/threads").await.json()["data"], json!([]));
    check_error(&app.get("/v1/threads/k/turns").await, 404, "thread_not_found", "");
    assert_eq!(app.get("/v1/turns/k").await.json()["status"], "COMPLETED");
}

#[tokio::test]
async fn a_conversation_remembers() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    app.provider.enqueue(Script::answer("Hello Ada."));
    say(&app, "s", "I am Ada.").await;
    // A streamed turn is remembered like any other.
    app.provider.enqueue(Script::answer("You are Ada."));
    other.sse(CHAT, &with(ask_as(CHAT, "Who am I?", true), "session_id", "s")).await;
    say(&app, "s", "Really?").await;
    say(&app, "another", "Who am I?").await;

    let sent: Vec<Value> = app.provider.requests().iter().map(|request| request.body["messages"].clone()).collect();
    let user = |text: &str| json!({"role": "user", "content": text});
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    assert_eq!(sent[1], json!([user("I am Ada."), assistant("Hello Ada."), user("Who am I?")]));
    assert_eq!(
        sent[2],
        json!([
            user("I am Ada."),
            assistant("Hello Ada."),
            user("Who am I?"),
            assistant("You are Ada."),
            user("Really?")
        ])
    );
    assert_eq!(sent[3], json!([user("Who am I?")]));
}

#[tokio::test]
async fn a_conversation_remembers_its_newest_turns_only() {
    let app = TestApp::start().await;
    for number in 1..=HISTORY_TURNS + 2 {
        say(&app, "s", &format!("message {number}")).await;
    }
    let last = app.provider.requests().pop().unwrap();
    let messages = last.body["messages"].as_array().unwrap().clone();
    assert_eq!(messages.len(), 2 * HISTORY_TURNS + 1);
    assert_eq!(messages[0]["content"], "message 2");
}
