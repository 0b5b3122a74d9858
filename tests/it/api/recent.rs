//! Turns as they happen, as an operator's `tail` sees them.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, COMPLETIONS, ask, check_error, with};

async fn recent(app: &TestApp, since: Option<&Value>) -> Value {
    let query = since.map(|since| format!("?since={since}")).unwrap_or_default();
    let reply = app.get(&format!("/admin/turns{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn outcomes(recent: &Value) -> Vec<(&str, &str)> {
    let lines = recent["data"].as_array().unwrap().iter();
    lines.map(|line| (line["key"].as_str().unwrap_or("-"), line["outcome"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn every_attempt_that_ends_is_told_whatever_its_end() {
    let app = TestApp::start().await;
    app.provider.on_text("bad", Script::refuse(400));
    for name in ["good", "bad"] {
        app.post(CHAT, &json!({"message": name, "session_id": "s", "turn_id": name})).await;
    }
    app.post(COMPLETIONS, &ask(COMPLETIONS, "no turn")).await;
    let recent = recent(&app, None).await;
    assert_eq!(outcomes(&recent), [("s:good", "settled"), ("s:bad", "released"), ("-", "settled")]);
    assert_eq!((&recent["data"][1]["cost_usd"], &recent["data"][1]["input_tokens"]), (&Value::Null, &json!(0)));
    assert_eq!(recent["running"], json!([]));
}

#[tokio::test]
async fn who_goes_on_from_where_they_were_misses_nothing() {
    let app = TestApp::start().await;
    let gate = Gate::closed();
    app.provider.on_text("long", Script::answer("late").gated(&gate));
    let body = json!({"message": "long", "session_id": "s", "turn_id": "long"});
    drop(app.open(CHAT, &[], &with(body, "stream", true)).await);
    gate.reached().await;
    let first = recent(&app, None).await;
    assert_eq!(first["running"][0]["key"], "s:long");

    gate.open();
    app.turn_in("s:long", "COMPLETED").await;
    let second = recent(&app, Some(&first["next"])).await;
    assert_eq!(outcomes(&second), [("s:long", "settled")]);
    assert!(second["next"].as_u64() >= first["next"].as_u64());
}

#[tokio::test]
async fn an_instant_that_was_made_up_is_refused() {
    let app = TestApp::start().await;
    check_error(&app.get("/admin/turns?since=yesterday").await, 400, "invalid_request", "since");
}
