//! Each route with the ids of another tenant: there is no such thing, and nothing changes.

use http::Method;
use serde_json::{Value, json};
use turnwise_http::routes::ROUTES;
use turnwise_tests::app::TestApp;
use turnwise_tests::table::{Row, text as attribute};

use super::{ask, key_of, question, send};

/// What one tenant has.
struct Theirs {
    conversation: String,
    item: String,
    response: String,
    key: String,
}

async fn theirs(app: &TestApp, key: &str) -> Theirs {
    let post = async |path: &str, body: Value| {
        let made = send(app, key, Method::POST, path, Some(&body)).await;
        assert_eq!(made.status, 200, "{path}: {}", made.text());
        made.json()
    };
    let conversation = post("/v1/conversations", json!({"metadata": {"secret": "canary"}})).await;
    let conversation = conversation["id"].as_str().unwrap().to_owned();
    let asked = json!({"model": "local/echo", "input": "canary", "conversation": conversation});
    let response = post("/v1/responses", asked).await["id"].as_str().unwrap().to_owned();
    let items = send(app, key, Method::GET, &format!("/v1/conversations/{conversation}/items"), None).await.json();
    let item = items["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(ask(app, key, &question("local/echo")).await.status, 200);
    let keys = send(app, key, Method::GET, "/admin/keys", None).await.json();
    Theirs { conversation, item, response, key: keys["data"][0]["id"].as_str().unwrap().to_owned() }
}

/// The rows of tenant `acme`, but for when its key was last used.
async fn rows(app: &TestApp) -> Vec<Row> {
    let mut rows = app.table.rows().await;
    rows.retain(|row| attribute(row, "pk").contains("#acme"));
    rows.sort_by_key(|row| format!("{} {}", attribute(row, "pk"), attribute(row, "sk")));
    rows
}

#[tokio::test]
async fn whatever_a_path_names_of_another_tenant_is_not_there() {
    let app = TestApp::start().await;
    let (acme, globex) = (key_of(&app, "acme").await, key_of(&app, "globex").await);
    let theirs = theirs(&app, &acme).await;
    let before = rows(&app).await;
    let mut tried = 0;
    for route in ROUTES.iter().filter(|route| route.path.contains('{')) {
        let expected = match route.path {
            // What everybody may ask.
            "/v1/models/{id}" => continue,
            // A name, not an id: whoever may look, there is nothing to find out.
            "/admin/tenants/{tenant}" => 403,
            _ => 404,
        };
        let id = match route.path {
            path if path.starts_with("/v1/responses") => &theirs.response,
            path if path.starts_with("/admin/keys") => &theirs.key,
            _ => &theirs.conversation,
        };
        let path = route.path.replace("{id}", id).replace("{item}", &theirs.item).replace("{key}", "s:1");
        let path = path.replace("{conversation}", &theirs.conversation).replace("{tenant}", "acme");
        let body = json!({"reason": "mine now", "metadata": {}, "items": [{"role": "user", "content": "x"}]});
        let body = if route.path.starts_with("/admin/keys") || route.path.starts_with("/admin/tenants") {
            json!({})
        } else {
            body
        };
        let has_body = route.method == "POST" && !route.path.ends_with("/cancel");
        let reply = send(&app, &globex, route.method.parse().unwrap(), &path, has_body.then_some(&body)).await;
        assert_eq!(reply.status, expected, "{} {path}: {}", route.method, reply.text());
        assert!(!reply.text().contains("canary"));
        tried += 1;
    }
    assert!(tried >= 20, "{tried}");
    assert_eq!(rows(&app).await, before);
}

#[tokio::test]
async fn whatever_a_body_or_a_query_names_of_another_tenant_is_not_there() {
    let app = TestApp::start().await;
    let (acme, globex) = (key_of(&app, "acme").await, key_of(&app, "globex").await);
    let theirs = theirs(&app, &acme).await;
    let before = rows(&app).await;
    let asked = |more: Value| {
        let mut body = json!({"model": "local/echo", "input": "hello"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let mention = json!([{"type": "item_reference", "id": theirs.item}]);
    for (path, body) in [
        ("/v1/responses", asked(json!({"conversation": theirs.conversation}))),
        ("/v1/responses", asked(json!({"previous_response_id": theirs.response}))),
        ("/v1/responses/compact", asked(json!({"previous_response_id": theirs.response}))),
        ("/v1/responses/input_tokens", asked(json!({"previous_response_id": theirs.response}))),
    ] {
        let reply = send(&app, &globex, Method::POST, path, Some(&body)).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    let reply = send(&app, &globex, Method::POST, "/v1/responses", Some(&asked(json!({"input": mention})))).await;
    assert!((400..=404).contains(&reply.status) && !reply.text().contains("canary"), "{}", reply.text());

    let admin =
        ["/admin/locks", "/admin/dead-letters", "/admin/turns", "/admin/keys", "/admin/audit", "/admin/audit/export"];
    for path in ["/v1/threads", "/v1/stats"].into_iter().chain(admin) {
        let reply = send(&app, &globex, Method::GET, path, None).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        for theirs in [&theirs.conversation, &theirs.response, &theirs.key, "\"s\"", "s:1"] {
            assert!(!reply.text().contains(theirs), "{path}: {}", reply.text());
        }
    }
    let stats = send(&app, &globex, Method::GET, "/v1/stats", None).await.json();
    assert_eq!(stats["requests"], 0, "{stats}");
    assert_eq!(rows(&app).await, before);
}
