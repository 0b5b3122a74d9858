//! Tables of prices: imported, guarded, and charged by.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use turnwise_core::access::{Budget, Grant};
use turnwise_core::catalogue::Catalogue;
use turnwise_core::money::PicoUsd;
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::Script;
use turnwise_tests::table::{number, text};

use super::{COMPLETIONS, ask, check_error, with};

const PRICES: &str = "/admin/prices";

fn table(version: &str, models: &Value) -> Value {
    json!({"version": version, "effective_from": "2026-01-01", "partial": true, "models": models})
}

fn model(id: &str, input: i64, output: i64) -> Value {
    json!({"provider": "openai", "id": id, "price": {"input": input, "output": output}})
}

async fn import(app: &TestApp, table: &Value, more: &[(&str, Value)]) -> Reply {
    let body = more.iter().fold(json!({"table": table}), |body, (name, value)| with(body, name, value.clone()));
    app.post(PRICES, &body).await
}

/// What an answer of 1,000 tokens in and 10 out by `model` costs, as its header says.
async fn cost(app: &TestApp, model: &str) -> Option<String> {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010});
    app.provider.enqueue(Script::answer("yes").usage(usage));
    let reply = app.post(COMPLETIONS, &with(ask(COMPLETIONS, "a"), "model", model)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    Some(reply.header("turnwise-cost-usd").to_owned()).filter(|cost| !cost.is_empty())
}

#[tokio::test]
async fn a_model_that_nobody_knows_is_charged_once_a_table_says_what_for() {
    let app = TestApp::start().await;
    assert_eq!(cost(&app, "openai/of-our-own").await, None);
    let told = import(&app, &table("ours", &json!([model("of-our-own", 100_000, 200_000)])), &[]).await.json();
    assert_eq!(
        (&told["stored"], &told["added"], &told["removed"]),
        (&json!(true), &json!(["openai/of-our-own"]), &json!([]))
    );
    assert_eq!(cost(&app, "openai/of-our-own").await.as_deref(), Some("0.000102"));
    // What a partial table does not have keeps its price.
    assert_eq!(cost(&app, "openai/gpt-4o-mini").await.as_deref(), Some("0.000156"));
    let rows = app.table.rows().await;
    let lines = rows.iter().filter(|row| text(row, "pk").starts_with("L#"));
    let lines: BTreeSet<_> = lines.map(|row| (text(row, "model"), text(row, "price_version"))).collect();
    let expected =
        [("openai/gpt-4o-mini", "2026-11-20"), ("openai/of-our-own", "2026-11-20"), ("openai/of-our-own", "ours")];
    assert_eq!(lines, BTreeSet::from(expected));
    let counted: u64 =
        rows.iter().filter(|row| text(row, "pk").starts_with("U#")).map(|row| number(row, "unpriced")).sum();
    assert_eq!(counted, 1);
}

#[tokio::test]
async fn a_price_of_nothing_is_a_price() {
    let app = TestApp::start().await;
    import(&app, &table("free", &json!([model("of-our-own", 0, 0)])), &[]).await;
    assert_eq!(cost(&app, "openai/of-our-own").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn a_table_of_tomorrow_changes_nothing_today() {
    let app = TestApp::start().await;
    let mut later = table("later", &json!([model("gpt-4o-mini", 300_000, 600_000)]));
    later["effective_from"] = json!("2099-01-01");
    let told = import(&app, &later, &[]).await.json();
    assert_eq!((&told["stored"], told["changed"].as_array().map(Vec::len)), (&json!(true), Some(2)));
    assert_eq!(cost(&app, "gpt-4o-mini").await.as_deref(), Some("0.000156"));
    let sooner = with(later, "version", "sooner");
    import(&app, &with(sooner, "effective_from", "2026-01-01"), &[]).await;
    assert_eq!(cost(&app, "gpt-4o-mini").await.as_deref(), Some("0.000306"));
}

#[tokio::test]
async fn a_tenants_table_lies_over_the_deployments() {
    let app = TestApp::start().await;
    import(&app, &table("all", &json!([model("gpt-4o-mini", 200_000, 600_000)])), &[]).await;
    let own = [("tenant", json!("default"))];
    import(&app, &table("mine", &json!([model("gpt-4o-mini", 100_000, 600_000)])), &own).await;
    assert_eq!(cost(&app, "gpt-4o-mini").await.as_deref(), Some("0.000106"));
    let list = app.get(PRICES).await.json();
    let found = list["data"].as_array().unwrap().iter().find(|price| price["model"] == "openai/gpt-4o-mini").unwrap();
    assert_eq!((&found["layer"], &found["version"]), (&json!("tenant"), &json!("mine")));
    let layers: Vec<&Value> = list["tables"].as_array().unwrap().iter().map(|table| &table["layer"]).collect();
    assert_eq!(layers, ["deployment", "tenant"]);
    let other = app.get("/admin/prices?tenant=acme").await.json();
    let found = other["data"].as_array().unwrap().iter().find(|price| price["model"] == "openai/gpt-4o-mini").unwrap();
    assert_eq!(found["layer"], "deployment");
    let models = app.get("/v1/models").await.json();
    let listed = models["data"].as_array().unwrap().iter().find(|model| model["id"] == "openai/gpt-4o-mini").unwrap();
    assert_eq!(listed["input_usd_per_mtok"], json!(0.1));
}

#[tokio::test]
async fn a_table_that_shrinks_or_jumps_has_to_be_confirmed() {
    let app = TestApp::start().await;
    let shipped = &Catalogue::shipped().models;
    let most = |kept: usize| -> Value {
        shipped
            .iter()
            .take(kept)
            .map(|model| json!({"provider": model.provider, "id": model.id, "price": model.price}))
            .collect()
    };
    // Of 47 models 9 are a fifth, and 10 are more.
    let whole = |version: &str, kept: usize| with(table(version, &most(kept)), "partial", false);
    check_error(&import(&app, &whole("short", shipped.len() - 10), &[]).await, 400, "invalid_request", "table.models");
    let dry = import(&app, &whole("short", shipped.len() - 10), &[("dry_run", json!(true))]).await.json();
    assert_eq!(
        (&dry["stored"], dry["removed"].as_array().map(Vec::len), dry["doubts"].as_array().map(Vec::len)),
        (&json!(false), Some(10), Some(1))
    );
    assert_eq!(import(&app, &whole("enough", shipped.len() - 9), &[]).await.status, 200);

    let dear = table("dear", &json!([model("gpt-4o-mini", 750_001, 600_000)]));
    let refused = import(&app, &dear, &[]).await;
    check_error(&refused, 400, "invalid_request", "table.models");
    assert!(refused.text().contains("input of openai/gpt-4o-mini"), "{}", refused.text());
    assert_eq!(import(&app, &table("dearer", &json!([model("gpt-4o-mini", 750_000, 600_000)])), &[]).await.status, 200);
    assert_eq!(import(&app, &dear, &[("confirm", json!(true))]).await.status, 200);
    // Nothing was stored of what was refused, and the audit log knows of what was.
    let rows = app.table.rows().await;
    let stored = rows.iter().filter(|row| text(row, "sk").starts_with("PRICES#")).count();
    let audited = rows.iter().filter(|row| text(row, "action") == "prices.import").count();
    assert_eq!((stored, audited), (3, 3));
}

#[tokio::test]
async fn the_same_table_once_more_changes_nothing_and_its_version_is_its_own() {
    let app = TestApp::start().await;
    let first = table("v", &json!([model("of-our-own", 1, 1)]));
    for _ in 0..2 {
        assert_eq!(import(&app, &first, &[]).await.json()["stored"], true);
    }
    assert_eq!(app.get(PRICES).await.json()["tables"].as_array().map(Vec::len), Some(1));
    let other = table("v", &json!([model("of-our-own", 2, 1)]));
    check_error(&import(&app, &other, &[]).await, 400, "invalid_request", "table.version");
}

#[tokio::test]
async fn what_is_wrong_with_a_table_is_told_all_at_once() {
    let app = TestApp::start().await;
    let bad = table("v", &json!([model("a", -1, 1), model("b", 1_000_000_000_001, 1), model("b", 1, 1)]));
    let reply = import(&app, &bad, &[("colour", json!("red"))]).await;
    assert_eq!(reply.status, 400);
    for field in ["colour", "table.models[0].price.input", "table.models[1].price.input", "table.models[2]"] {
        assert!(reply.text().contains(field), "{field}: {}", reply.text());
    }
    check_error(&app.post(PRICES, &json!({})).await, 400, "invalid_request", "table");
    check_error(&app.get("/admin/prices?tenant=a%23b").await, 400, "invalid_request", "tenant");
}

#[tokio::test]
async fn a_budget_reckons_with_the_prices_that_hold() {
    let budget = Budget { daily: Some(PicoUsd(1_000_000_000)), ..Budget::default() };
    let app = TestApp::builder().with_key("poor", Grant { budget, ..Grant::of_user() }).start().await;
    let ask = with(with(ask(COMPLETIONS, "a"), "model", "openai/of-our-own"), "max_tokens", 10);
    let send = || async {
        let request = app.request_without_key(reqwest::Method::POST, COMPLETIONS).bearer_auth("poor");
        request.header("content-type", "application/json").body(ask.to_string()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(send().await, 402, "a model without a price cannot be asked within a budget");
    import(&app, &table("dear", &json!([model("of-our-own", 1_000_000, 1_000_000_000)])), &[]).await;
    assert_eq!(send().await, 402, "ten tokens cost more than a thousandth of a USD");
    import(&app, &table("cheap", &json!([model("of-our-own", 200_000, 200_000_000)])), &[]).await;
    app.provider.otherwise(Script::answer("yes"));
    assert_eq!(send().await, 402, "ten tokens still cost more");
    import(&app, &table("cheaper", &json!([model("of-our-own", 40_000, 40_000_000)])), &[]).await;
    assert_eq!(send().await, 200);
}
