//! Secrets and prompts, looked for in everything that anybody else is told.

use http::Method;
use serde_json::json;
use turnwise_tests::app::{KEY, PEPPER, PROVIDER_KEY, TestApp};
use turnwise_tests::scripted::Script;
use turnwise_tests::table::text as attribute;

use super::{ask, key_of, make, question, send, text};

/// Words that a client says and a model answers.
const PROMPT: &str = "prompt-canary-17";
const ANSWER: &str = "answer-canary-23";
const SYSTEM: &str = "system-canary-29";

#[tokio::test]
async fn nothing_secret_is_told_to_anybody_else() {
    let logs = super::super::logs::Captured::begin();
    let app = TestApp::start().await;
    app.provider.on_text(PROMPT, Script::answer(ANSWER));
    app.provider.on_text("refused", Script::refuse(401));
    let made = make(&app, json!({"name": "canary", "scopes": ["generate", "read", "reports", "admin"]})).await;
    let (key, other) = (text(&made), key_of(&app, "other").await);
    let rotated =
        app.post(&format!("/admin/keys/{}/rotate", made["id"].as_str().unwrap()), &json!({"grace_s": 60})).await;
    let rotated = text(&rotated.json());

    let mut told = String::new();
    let asked = json!({"model": "gpt-4o-mini", "instructions": SYSTEM, "input": PROMPT});
    let answered = send(&app, &key, Method::POST, "/v1/responses", Some(&asked)).await;
    assert!(answered.text().contains(ANSWER) && answered.status == 200, "{}", answered.text());
    for (name, value) in &answered.headers {
        told.push_str(&format!("{name}: {value:?}\n"));
    }
    // What fails, and what is refused.
    let turn = json!({"message": "refused", "model": "gpt-4o-mini", "session_id": "s", "turn_id": "9"});
    for reply in [
        ask(&app, &key, &turn).await,
        ask(&app, &format!("{}x", &key[..key.len() - 1]), &question("local/echo")).await,
        ask(&app, &key, &question("local/nothing")).await,
        send(&app, &key, Method::GET, "/v1/turns/none:1", None).await,
    ] {
        assert!(reply.status >= 400, "{}", reply.text());
        told.push_str(&reply.text());
    }
    // What others read: administrators, other tenants, operators.
    for path in [
        "/admin/keys",
        "/admin/audit?limit=100",
        "/admin/audit/export",
        "/admin/turns",
        "/admin/locks",
        "/admin/dead-letters",
        "/admin/health",
        "/admin/tenants/default",
        "/v1/stats",
        "/v1/providers",
        "/v1/models",
    ] {
        for reply in [app.get(path).await, send(&app, &other, Method::GET, path, None).await] {
            told.push_str(&reply.text());
        }
    }
    app.engine.tasks.idle().await;
    told.push_str(&logs.text());
    // Rows but those of the conversation itself, which are there to keep what was said.
    for row in app.table.rows().await {
        let is_content = ["C#", "S#"].iter().any(|kind| attribute(&row, "pk").starts_with(kind));
        if !is_content {
            told.push_str(&format!("{row:?}"));
        }
    }
    assert!(
        told.contains("key.rotate") && told.contains("\"request"),
        "the audit log and the lines of requests are there"
    );
    let pepper = std::str::from_utf8(PEPPER).unwrap();
    for secret in [PROMPT, ANSWER, SYSTEM, KEY, PROVIDER_KEY, pepper, &key, &rotated, &other] {
        assert!(!told.contains(secret), "{secret} was told");
    }
    // Nor the secret by itself.
    for key in [&key, &rotated, &other] {
        assert!(!told.contains(key.rsplit_once('_').unwrap().1), "a secret was told");
    }
}
