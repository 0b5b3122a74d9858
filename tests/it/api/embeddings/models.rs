//! Which models make embeddings, and how that is told.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;

use super::super::{COMPLETIONS, ROUTES, ask, schema};
use super::{asking, check_error, check_untouched, embed, with};

/// Each listed model's `mode` and `dimensions`.
async fn listed(app: &TestApp, id: &str) -> (Value, Value) {
    let list = app.get("/v1/models").await.json();
    let found = list["data"].as_array().unwrap().iter().find(|model| model["id"] == id);
    let model = found.unwrap_or_else(|| panic!("{id} is not in {list}"));
    assert_eq!(model, &app.get(&format!("/v1/models/{id}")).await.json(), "alone it is the same");
    schema::check(model, "Model");
    (model["mode"].clone(), model["dimensions"].clone())
}

#[tokio::test]
async fn the_list_says_what_a_model_does() {
    let app = TestApp::start().await;
    app.provider.list_models(&["my-own", "text-embedding-3-small"]);
    for (id, mode, dimensions) in [
        ("local/echo", json!("chat"), Value::Null),
        ("local/hash-embedding", json!("embedding"), json!(256)),
        ("openai/gpt-4o-mini", json!("chat"), Value::Null),
        ("openai/text-embedding-3-small", json!("embedding"), json!(1536)),
        ("openai/text-embedding-3-large", json!("embedding"), json!(3072)),
        ("openai/my-own", Value::Null, Value::Null),
    ] {
        assert_eq!(listed(&app, id).await, (mode, dimensions), "{id}");
    }
    assert_eq!(app.get("/v1/models/text-embedding-3-small").await.json()["id"], "openai/text-embedding-3-small");
    insta::assert_json_snapshot!(app.get("/v1/models/text-embedding-3-small").await.json(), @r#"
    {
      "capabilities": [],
      "context_tokens": 8191,
      "created": 0,
      "dimensions": 1536,
      "id": "openai/text-embedding-3-small",
      "input_usd_per_mtok": 0.02,
      "max_output_tokens": null,
      "mode": "embedding",
      "object": "model",
      "output_usd_per_mtok": 0.0,
      "owned_by": "openai"
    }
    "#);
}

#[tokio::test]
async fn a_name_is_resolved_as_for_a_chat() {
    let app = TestApp::start().await;
    for (name, resolved) in [
        ("text-embedding-3-small", "openai/text-embedding-3-small"),
        ("openai/text-embedding-3-small", "openai/text-embedding-3-small"),
        ("openai/nomic/embed", "openai/nomic/embed"),
        ("nomic-embed-text", "openai/nomic-embed-text"),
        ("hash-embedding", "local/hash-embedding"),
    ] {
        let reply = embed(&app, &with(asking("one"), "model", name)).await;
        assert_eq!((reply.status, reply.header("turnwise-model")), (200, resolved), "{name}");
    }
}

#[tokio::test]
async fn a_model_nobody_serves_is_told_why() {
    let app = TestApp::builder().without_openai().start().await;
    let check = async |model: &str, part: &str| {
        let reply = embed(&app, &with(asking("one"), "model", model)).await;
        check_error(&reply, 404, "model_not_found", "model");
        assert!(reply.text().contains(part), "{}", reply.text());
    };
    check("local/hash-embed", "Did you mean local/hash-embedding?").await;
    check("text-embedding-3-small", "set OPENAI_API_KEY").await;
    check("mistral/mistral-embed", "set MISTRAL_API_KEY").await;
    check("zzz", "There is no model \\\"zzz\\\".").await;
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_model_that_does_something_else_is_told_its_route() {
    let app = TestApp::start().await;
    for model in ["gpt-4o-mini", "openai/gpt-4o-mini", "local/echo", "echo"] {
        let reply = embed(&app, &with(asking("one"), "model", model)).await;
        check_error(&reply, 404, "model_not_found", "model");
        assert!(reply.text().contains("it answers messages, at POST /v1/chat/completions"), "{}", reply.text());
    }
    for model in ["text-embedding-3-small", "openai/text-embedding-3-small", "local/hash-embedding"] {
        let responses = ("/v1/responses", json!({"input": "hello"}));
        for (path, body) in ROUTES.map(|path| (path, ask(path, "hello"))).into_iter().chain([responses]) {
            let reply = app.post(path, &with(body, "model", model)).await;
            check_error(&reply, 404, "model_not_found", "model");
            assert!(reply.text().contains("it makes embeddings, at POST /v1/embeddings"), "{}", reply.text());
        }
    }
    check_untouched(&app).await;
    assert_eq!(app.post(COMPLETIONS, &ask(COMPLETIONS, "hello")).await.status, 200);
}
