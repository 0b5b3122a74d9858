//! What some days came to: by groups, against a baseline, and against the ledger.

use reqwest::Method;
use serde_json::{Value, json};
use turnwise_core::access::Grant;
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;
use turnwise_tests::table::{number, text};

use super::{CHAT, COMPLETIONS, ask, check_error, with};

const USAGE: &str = "/v1/usage";
const CHECK: &str = "/admin/usage/check";

/// Some answers: two of the cheap model, one of another, one of a model without a price.
async fn some_work(app: &TestApp) {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010,
        "prompt_tokens_details": {"cached_tokens": 800}});
    app.provider.otherwise(Script::answer("yes").usage(usage));
    for (model, task) in
        [("openai/gpt-4o-mini", "a"), ("openai/gpt-4o-mini", "b"), ("openai/gpt-4.1", "a"), ("openai/of-our-own", "a")]
    {
        let body = with(with(ask(CHAT, "hello"), "model", model), "task", task);
        assert_eq!(app.post(CHAT, &body).await.status, 200);
    }
}

#[tokio::test]
async fn usage_is_summed_up_by_what_is_asked_for() {
    let app = TestApp::start().await;
    some_work(&app).await;
    let all = app.get(USAGE).await.json();
    // 2 x 0.000096, and 200 x 2 + 800 x 0.5 + 10 x 8 millionths.
    assert_eq!((&all["total_cost_usd"], &all["totals"]["cost_usd"]), (&json!("0.001072"), &json!(0.001072)));
    assert_eq!((&all["totals"]["requests"], &all["totals"]["unpriced"]), (&json!(4), &json!(1)));
    assert_eq!((&all["totals"]["input_tokens"], &all["totals"]["cache_read_tokens"]), (&json!(4000), &json!(3200)));
    assert_eq!(all["groups"], json!([]));

    let by_model = app.get("/v1/usage?group_by=model,task").await.json();
    let told: Vec<Value> = by_model["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| json!([group["model"], group["task"], group["requests"], group["total_cost_usd"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["openai/gpt-4.1", "a", 1, "0.00088"]),
            json!(["openai/gpt-4o-mini", "a", 1, "0.000096"]),
            json!(["openai/gpt-4o-mini", "b", 1, "0.000096"]),
            json!(["openai/of-our-own", "a", 1, "0"]),
        ]
    );
    let by_project = app.get("/v1/usage?group_by=day,provider,project,key,tenant").await.json();
    let group = &by_project["groups"][0];
    assert_eq!(
        (&group["provider"], &group["project"], &group["tenant"]),
        (&json!("openai"), &Value::Null, &json!("default"))
    );
    assert_eq!(group["requests"], 4);
}

#[tokio::test]
async fn usage_is_a_table_too() {
    let app = TestApp::start().await;
    some_work(&app).await;
    let reply = app.get("/v1/usage?group_by=model&format=csv").await;
    assert_eq!(reply.header("content-type"), "text/csv; charset=utf-8");
    let table = reply.text();
    let lines: Vec<&str> = table.split("\r\n").collect();
    assert!(
        lines[0].starts_with("model,cost_usd,requests,") && lines[1].starts_with("openai/gpt-4.1,0.00088,1,"),
        "{table}"
    );
    assert_eq!(lines.len(), 1 + 3 + 1);
}

#[tokio::test]
async fn periods_that_cannot_be_and_what_is_unknown_are_refused() {
    let app = TestApp::start().await;
    for path in [USAGE, "/v1/value"] {
        for (query, field) in
            [("from=2099-01-01", "from"), ("to=2099-01-01", "to"), ("from=1999-01-01", "from"), ("from=soon", "from")]
        {
            check_error(&app.get(&format!("{path}?{query}")).await, 400, "invalid_request", field);
        }
    }
    check_error(&app.get("/v1/usage?group_by=colour").await, 400, "invalid_request", "group_by");
    check_error(&app.get("/v1/usage?format=pdf").await, 400, "invalid_request", "format");
    check_error(&app.get("/v1/usage?tenant=a%23b").await, 400, "invalid_request", "tenant");
}

#[tokio::test]
async fn another_tenants_usage_is_the_operators_to_see() {
    let app = TestApp::builder().with_key("user", Grant::of_user()).start().await;
    let own = app.request_without_key(Method::GET, USAGE).bearer_auth("user").send().await.unwrap();
    assert_eq!(own.status(), 200);
    let other = app.request_without_key(Method::GET, "/v1/usage?tenant=acme").bearer_auth("user").send().await.unwrap();
    assert_eq!(other.status(), 403);
    let operator = app.get("/v1/usage?tenant=acme,default&group_by=tenant").await.json();
    assert_eq!(operator["totals"]["requests"], 0);
}

#[tokio::test]
async fn value_is_told_against_the_baseline() {
    let app = TestApp::start().await;
    some_work(&app).await;
    app.provider.enqueue(Script::embeddings());
    let embedding = json!({"model": "text-embedding-3-small", "input": "a"});
    assert_eq!(app.post("/v1/embeddings", &embedding).await.status, 200);
    let value = app.get("/v1/value").await.json();
    assert_eq!(value["baseline"]["model"], "openai/gpt-4.1");
    // Three answers with a price, each 1000 x 2 + 10 x 8 millionths with the baseline.
    assert_eq!((&value["compared"], &value["unpriced"]), (&json!(3), &json!(1)));
    assert_eq!(value["baseline_cost_usd"], json!(0.00624));
    assert_eq!(value["actual_cost_usd"], json!(0.001072));
    let savings = &value["savings_usd"];
    // The cheap model twice: 2080 - 156 millionths; the baseline's own model saves nothing.
    assert_eq!((&savings["routing"], &savings["response_cache"]), (&json!(0.003848), &json!(0.0)));
    // 2 x (156 - 96), and 2080 - 880.
    assert_eq!(savings["provider_cache"], json!(0.00132));
    let embeddings = value["subtracted_usd"]["embeddings"].as_f64().unwrap();
    assert!(embeddings > 0.0);
    let net = value["net_savings_usd"].as_f64().unwrap();
    assert!((net - (0.005168 - embeddings)).abs() < 1e-12, "{value}");
    assert!(value["method"].as_array().is_some_and(|method| method.len() > 3));
}

#[tokio::test]
async fn a_tenant_names_its_baseline_and_its_price_stands_still() {
    let app = TestApp::start().await;
    let set = app.post("/admin/tenants/default", &json!({"baseline_model": "claude-opus-4-8"})).await.json();
    assert_eq!(set["baseline"]["model"], "anthropic/claude-opus-4-8");
    check_error(
        &app.post("/admin/tenants/default", &json!({"baseline_model": "gpt-9"})).await,
        400,
        "invalid_request",
        "baseline_model",
    );
    check_error(
        &app.post("/admin/tenants/default", &json!({"baseline_model": 9})).await,
        400,
        "invalid_request",
        "baseline_model",
    );
    let taken = app.post("/admin/tenants/default", &json!({"baseline_model": null})).await.json();
    assert_eq!(taken["baseline"], Value::Null);
}

#[tokio::test]
async fn a_return_is_reckoned_and_every_assumption_told() {
    let app = TestApp::start().await;
    let body = json!({"requests_per_month": 1_000_000, "input_tokens": 1000, "output_tokens": 500,
        "mix": [{"model": "gpt-4o-mini", "share": 0.8}, {"model": "openai/gpt-4.1", "share": 0.2}],
        "cache_hit_rate": 0.1, "retry_rate": 0.05, "infrastructure_usd_per_month": 100, "setup_hours": 40,
        "hourly_rate_usd": 100});
    let roi = app.post("/v1/roi", &body).await.json();
    assert_eq!((&roi["baseline_usd"], &roi["models_usd"]), (&json!(6000.0), &json!(1474.2)));
    assert_eq!((&roi["net_savings_usd"], &roi["payback_months"]), (&json!(4425.8), &json!(0.91)));
    assert_eq!(roi["break_even_requests"], json!(22096));
    assert_eq!(roi["assumptions"]["baseline_model"], "openai/gpt-4.1");
    assert_eq!(roi["assumptions"]["mix"][0], json!({"model": "openai/gpt-4o-mini", "share": 0.8}));

    let bad = json!({"requests_per_month": -1, "input_tokens": "many", "mix": [{"model": "gpt-9", "share": 2}],
        "cache_hit_rate": -0.1, "colour": "red"});
    let reply = app.post("/v1/roi", &bad).await;
    assert_eq!(reply.status, 400);
    for field in ["requests_per_month", "input_tokens", "output_tokens", "mix[0].model", "cache_hit_rate", "colour"] {
        assert!(reply.text().contains(field), "{field}: {}", reply.text());
    }
    check_error(
        &app.post("/v1/roi", &with(body, "cache_hit_rate", 1.5)).await,
        400,
        "invalid_request",
        "cache_hit_rate",
    );
}

#[tokio::test]
async fn counters_are_checked_against_the_ledger_and_repaired() {
    let app = TestApp::start().await;
    some_work(&app).await;
    app.post(COMPLETIONS, &ask(COMPLETIONS, "no turn")).await;
    let check = app.post(CHECK, &json!({})).await.json();
    assert_eq!((&check["lines"], &check["differences"], &check["untold"]), (&json!(5), &json!([]), &json!(0)));

    // Somebody loses a counter.
    let rows = app.table.rows().await;
    let lost =
        rows.iter().find(|row| text(row, "pk").starts_with("U#") && text(row, "sk").contains("gpt-4.1")).unwrap();
    let mut delete = app.table.client().delete_item().table_name("turnwise");
    for name in ["pk", "sk"] {
        delete = delete.key(name, lost[name].clone());
    }
    delete.send().await.unwrap();
    let check = app.post(CHECK, &json!({})).await.json();
    let difference = &check["differences"][0];
    assert_eq!(
        (&difference["model"], &difference["task"], &check["repaired"]),
        (&json!("openai/gpt-4.1"), &json!("a"), &json!(0))
    );
    let requests =
        difference["numbers"].as_array().unwrap().iter().find(|number| number["name"] == "requests").unwrap();
    assert_eq!((&requests["counted"], &requests["in_ledger"]), (&json!("0"), &json!("1")));

    let repaired = app.post(CHECK, &json!({"repair": true})).await.json();
    assert_eq!(repaired["repaired"], 1);
    assert_eq!(app.post(CHECK, &json!({})).await.json()["differences"], json!([]));
    let rows = app.table.rows().await;
    let counted: u64 =
        rows.iter().filter(|row| text(row, "pk").starts_with("U#")).map(|row| number(row, "requests")).sum();
    assert_eq!(counted, 5);
    assert!(rows.iter().any(|row| text(row, "action") == "usage.repair"));
    check_error(
        &app.post(CHECK, &json!({"from": "2026-01-01", "to": "2026-02-01"})).await,
        400,
        "invalid_request",
        "from",
    );
    check_error(&app.post(CHECK, &json!({"mend": true})).await, 400, "invalid_request", "mend");
}
