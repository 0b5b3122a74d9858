//! Conversations in which responses are made.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;

use super::{add, create, erase::check_erased, good, ids_of, items_of, list, path, texts_of};

async fn respond(app: &TestApp, body: Value) -> Value {
    let reply = app.post("/v1/responses", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn a_response_and_its_conversation_name_items_alike() {
    let app = TestApp::start().await;
    let id = create(&app, &["I am Ada."]).await;
    add(&app, &id, &["Be short."]).await;
    let response = respond(&app, json!({"model": "gpt-4o-mini", "input": "hello", "conversation": id})).await;
    let items = list(&app, &id, "?order=asc").await;
    assert_eq!(texts_of(&items), ["I am Ada.", "Be short.", "hello", "Hello from the script."]);
    assert_eq!(response["output"][0]["id"], json!(ids_of(&items)[3]));
    let input = app.get(&format!("/v1/responses/{}/input_items", response["id"].as_str().unwrap())).await.json();
    assert_eq!(input["data"][0]["id"], json!(ids_of(&items)[2]));
    let told = app.provider.requests()[0].body["messages"].clone();
    assert_eq!(told.as_array().map(Vec::len), Some(3), "{told}");
}

#[tokio::test]
async fn a_response_goes_with_its_conversation() {
    let app = TestApp::start().await;
    let id = create(&app, &[]).await;
    let body = json!({"model": "gpt-4o-mini", "input": "hello", "conversation": id});
    let key = [("idempotency-key", "k")];
    let response = app.post_with("/v1/responses", &key, &body).await.json();
    let response = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    good(&app.delete(&path(&id)).await, "DeletedConversationResource");
    for reply in [app.get(&response).await, app.get(&format!("{response}/input_items")).await] {
        assert!(matches!(reply.status, 404 | 410), "{}", reply.text());
    }
    assert_eq!(app.post_with("/v1/responses", &key, &body).await.status, 410);
    let more = json!({"model": "gpt-4o-mini", "input": "more", "conversation": id});
    assert_eq!(app.post("/v1/responses", &more).await.outcome(), (410, "conversation_deleted".to_owned()));
    check_erased(&app.table.rows().await, &id);
}

#[tokio::test]
async fn a_fork_is_not_told_what_was_deleted_from_where_it_branched_off() {
    let app = TestApp::start().await;
    let id = create(&app, &["a secret"]).await;
    let first = respond(&app, json!({"model": "gpt-4o-mini", "input": "one", "conversation": id})).await;
    respond(&app, json!({"model": "gpt-4o-mini", "input": "two", "conversation": id})).await;
    let secret = ids_of(&list(&app, &id, "?order=asc").await).remove(0);
    assert_eq!(app.delete(&format!("{}/{secret}", items_of(&id))).await.status, 200);
    let follow = |input: &str| json!({"model": "gpt-4o-mini", "input": input, "previous_response_id": first["id"]});
    respond(&app, follow("aside")).await;
    let told = app.provider.requests()[2].body["messages"].to_string();
    assert!(told.contains("one") && !told.contains("secret") && !told.contains("two"), "{told}");
    good(&app.delete(&path(&id)).await, "DeletedConversationResource");
    let reply = app.post("/v1/responses", &follow("once more")).await;
    assert!(reply.status >= 400, "what it would follow is gone: {}", reply.text());
}
