//! `GET /v1/providers`: who is configured, how they are, what calling them took.

use std::time::Duration;

use serde_json::{Value, json};
use turnwise_core::upstream::RetryPolicy;
use turnwise_engine::upstream::policy::CallPolicy;
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{CHAT, ask};

async fn provider(app: &TestApp, name: &str) -> Value {
    let list = app.get("/v1/providers").await;
    assert_eq!(list.status, 200, "{}", list.text());
    let data = list.json()["data"].as_array().cloned().unwrap();
    data.into_iter().find(|provider| provider["id"] == name).unwrap_or_default()
}

fn model(provider: &Value, name: &str) -> Value {
    let models = provider["models"].as_array().unwrap();
    models.iter().find(|model| model["id"] == name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn providers_show_models_prices_and_timeouts() {
    let app = TestApp::start().await;
    let openai = provider(&app, "openai").await;
    assert_eq!((&openai["object"], &openai["status"]), (&json!("provider"), &json!("ok")));
    let mini = model(&openai, "openai/gpt-4o-mini");
    assert_eq!(mini["input_usd_per_mtok"], 0.15);
    assert_eq!(mini["breaker"], json!({"state": "closed", "until": null, "times": 0}));
    assert_eq!(
        mini["timeouts"],
        json!({"connect_ms": 5000, "first_token_ms": 120_000, "between_tokens_ms": 60_000, "total_ms": 600_000})
    );
    assert!(provider(&app, "local").await.is_object());
    assert_eq!(provider(&app, "anthropic").await, Value::Null, "what is not configured is absent");
}

#[tokio::test]
async fn what_calling_took_is_counted_for_the_whole_fleet() {
    let retry = RetryPolicy { initial: Duration::from_millis(4), ..RetryPolicy::default() };
    let calls = CallPolicy { retry, ..CallPolicy::default() };
    let app = TestApp::builder().with_calls(calls).start().await;
    app.provider.enqueue(Script::refuse(503).header("retry-after-ms", "5"));
    app.post(CHAT, &ask(CHAT, "recovers")).await;
    app.post(CHAT, &ask(CHAT, "goes well")).await;
    app.provider.enqueue(Script::refuse(400));
    app.post(CHAT, &ask(CHAT, "gives up")).await;
    app.engine.tasks.idle().await;
    let expected = json!({"calls": 4, "failures": 2, "retries": 1, "recovered": 1, "given_up": 1, "slept_ms": 5});
    for process in [&app, &app.second_process().await] {
        assert_eq!(provider(process, "openai").await["today"], expected);
    }
}

#[tokio::test]
async fn an_open_breaker_is_shown_by_every_process() {
    let app = TestApp::start().await;
    app.provider.enqueue(Script::refuse(401));
    let mut body = ask(CHAT, "hello");
    body["model"] = json!("openai/of-my-own");
    app.post(CHAT, &body).await;
    app.engine.tasks.idle().await;
    for process in [&app, &app.second_process().await] {
        let openai = provider(process, "openai").await;
        assert_eq!(openai["status"], "degraded");
        let breaker = &model(&openai, "openai/of-my-own")["breaker"];
        assert_eq!((&breaker["state"], &breaker["times"]), (&json!("open"), &json!(1)), "{openai}");
        assert!(breaker["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{breaker}");
    }
}
