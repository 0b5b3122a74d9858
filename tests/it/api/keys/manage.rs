//! What administrators do.

use http::Method;
use serde_json::{Value, json};
use turnwise_tests::app::TestApp;

use super::super::check_error;
use super::{key_of, make, send, text};

#[tokio::test]
async fn a_key_is_told_once() {
    let app = TestApp::start().await;
    let made = make(&app, json!({"name": "checkout", "owner": "ada", "limits": {"requests_per_minute": 60}})).await;
    let id = made["id"].as_str().unwrap();
    assert!(text(&made).starts_with(&format!("tw_live_{id}_")));
    assert_eq!(
        (&made["status"], &made["tenant"], &made["owner"]),
        (&json!("active"), &json!("default"), &json!("ada"))
    );
    assert_eq!(made["scopes"], json!(["generate", "read"]));
    assert_eq!(made["limits"]["requests_per_minute"], 60);

    let mut shown = app.get(&format!("/admin/keys/{id}")).await.json();
    assert_eq!(shown.as_object_mut().unwrap().remove("usage").unwrap()["requests"], 0);
    assert_eq!(shown.as_object_mut().unwrap().remove("budget_used").unwrap()["day_usd"], "0");
    let mut told = made.clone();
    told.as_object_mut().unwrap().remove("key");
    assert_eq!(shown, told);
    let listed = app.get("/admin/keys").await.json();
    assert_eq!(listed["data"], json!([told]));
    // Nothing that the key could be made from is in the table.
    let secret = text(&made).rsplit_once('_').unwrap().1.to_owned();
    assert!(!format!("{:?}", app.table.rows().await).contains(&secret));
}

#[tokio::test]
async fn a_retry_makes_no_second_key_and_tells_no_text() {
    let app = TestApp::start().await;
    let body = json!({"name": "checkout"});
    let first = app.post_with("/admin/keys", &[("idempotency-key", "one")], &body).await;
    let again = app.post_with("/admin/keys", &[("idempotency-key", "one")], &body).await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.json()["id"], first.json()["id"]);
    assert_eq!(again.json().get("key"), None);
    let other = app.post_with("/admin/keys", &[("idempotency-key", "one")], &json!({"name": "other"})).await;
    check_error(&other, 422, "idempotency_key_reused", "Idempotency-Key");
    assert_eq!(app.get("/admin/keys").await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn keys_are_listed_page_by_page_newest_first() {
    let app = TestApp::start().await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(make(&app, json!({"name": format!("key {number}")})).await["id"].clone());
    }
    made.reverse();
    let (mut seen, mut after): (Vec<Value>, _) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/admin/keys?limit=2{after}")).await.json();
        seen.extend(page["data"].as_array().unwrap().iter().map(|key| key["id"].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    seen.sort_by_key(|id| made.iter().position(|made| made == id));
    assert_eq!(seen, made);
    check_error(&app.get("/admin/keys?after=x").await, 400, "invalid_request", "after");
    check_error(&app.get("/admin/keys?tenant=a%23b").await, 400, "invalid_request", "tenant");
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_told_all_at_once() {
    let app = TestApp::start().await;
    let refused = app.post("/admin/keys", &json!({"tenant": "a b", "scopes": [], "limits": {"rpm": 1}})).await;
    check_error(&refused, 400, "invalid_request", "name");
    let fields: Vec<String> = refused.json()["error"]["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["field"].as_str().unwrap().to_owned())
        .collect();
    for field in ["name", "tenant", "scopes", "limits.rpm"] {
        assert!(fields.iter().any(|known| known == field), "{field}: {fields:?}");
    }
    assert_eq!(app.table.rows().await.len(), 0);
}

#[tokio::test]
async fn a_key_is_changed_field_by_field() {
    let app = TestApp::start().await;
    let made = make(&app, json!({"name": "a", "models": ["local/*"], "budget": {"daily_usd": "0.45"}})).await;
    let path = format!("/admin/keys/{}", made["id"].as_str().unwrap());
    let changed = app.post(&path, &json!({"name": "b", "models": null, "budget": {"monthly_usd": 9}})).await.json();
    assert_eq!((&changed["name"], &changed["models"]), (&json!("b"), &Value::Null));
    assert_eq!((&changed["budget"]["daily_usd"], &changed["budget"]["monthly_usd"]), (&json!("0.45"), &json!("9")));
    check_error(&app.post(&path, &json!({"tenant": "other"})).await, 400, "invalid_request", "tenant");
    check_error(&app.post(&path, &json!({"name": null})).await, 400, "invalid_request", "name");
    check_error(&app.post("/admin/keys/000000000000", &json!({})).await, 404, "key_not_found", "");
    check_error(&app.get("/admin/keys/nonsense").await, 404, "key_not_found", "");
}

#[tokio::test]
async fn another_tenants_keys_are_not_there() {
    let app = TestApp::start().await;
    let (mine, theirs) = (key_of(&app, "acme").await, make(&app, json!({"name": "x", "tenant": "globex"})).await);
    let id = theirs["id"].as_str().unwrap();
    for (method, path) in [
        (Method::GET, format!("/admin/keys/{id}")),
        (Method::POST, format!("/admin/keys/{id}")),
        (Method::POST, format!("/admin/keys/{id}/rotate")),
        (Method::POST, format!("/admin/keys/{id}/revoke")),
    ] {
        check_error(&send(&app, &mine, method, &path, Some(&json!({}))).await, 404, "key_not_found", "");
    }
    let listed = send(&app, &mine, Method::GET, "/admin/keys", None).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let named = json!({"name": "x", "tenant": "globex"});
    for refused in [
        send(&app, &mine, Method::GET, "/admin/keys?tenant=globex", None).await,
        send(&app, &mine, Method::POST, "/admin/keys", Some(&named)).await,
        send(&app, &mine, Method::GET, "/admin/tenants/globex", None).await,
        send(&app, &mine, Method::POST, "/admin/tenants/acme", Some(&json!({}))).await,
    ] {
        check_error(&refused, 403, "operator_key_required", "");
    }
    assert_eq!(send(&app, &mine, Method::GET, "/admin/tenants/acme", None).await.status, 200);
    assert_eq!(app.get("/admin/keys?tenant=globex").await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_tenants_settings_are_changed_field_by_field() {
    let app = TestApp::start().await;
    let path = "/admin/tenants/acme";
    assert_eq!(app.get(path).await.json()["version"], 0);
    let settings = json!({"limits": {"concurrent_turns": 3}, "retention_days": 30});
    assert_eq!(app.post(path, &settings).await.json()["limits"]["concurrent_turns"], 3);
    let changed = app.post(path, &json!({"alert_webhook": "https://example.com/hook"})).await.json();
    assert_eq!((&changed["retention_days"], &changed["version"]), (&json!(30), &json!(2)));
    assert_eq!(app.get(path).await.json(), changed);
    for refused in ["https://127.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/", "ftp://example.com", "x"]
    {
        let refused = app.post(path, &json!({"alert_webhook": refused})).await;
        check_error(&refused, 400, "invalid_request", "alert_webhook");
    }
    check_error(
        &app.post(path, &json!({"alert_webhook": "http://example.com"})).await,
        400,
        "invalid_request",
        "alert_webhook",
    );
    check_error(&app.post(path, &json!({"limit": {}})).await, 400, "invalid_request", "limit");
}

#[tokio::test]
async fn a_key_shows_what_it_was_used_for() {
    let app = TestApp::start().await;
    let (made, other) = (make(&app, json!({"name": "used"})).await, make(&app, json!({"name": "other"})).await);
    let hello = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]});
    for _ in 0..2 {
        send(&app, &text(&made), Method::POST, "/v1/chat/completions", Some(&hello)).await;
    }
    send(&app, &text(&other), Method::POST, "/v1/chat/completions", Some(&hello)).await;
    let usage = app.get(&format!("/admin/keys/{}", made["id"].as_str().unwrap())).await.json()["usage"].clone();
    let stats = app.get("/v1/stats").await.json();
    assert_eq!((&usage["requests"], &stats["requests"]), (&json!(2), &json!(3)));
    assert_eq!(usage["input_tokens"].as_u64().unwrap() * 3, stats["input_tokens"].as_u64().unwrap() * 2);
    assert!(usage["cost_usd"].as_str().unwrap().parse::<f64>().unwrap() > 0.0, "{usage}");
}

#[tokio::test]
async fn a_tenant_keeps_what_is_said_as_long_as_it_says() {
    let app = TestApp::builder().with_retention(std::time::Duration::from_secs(24 * 3600)).start().await;
    let rows_expire = async |tenant: &str, days: Option<u64>| {
        if let Some(days) = days {
            app.post(&format!("/admin/tenants/{tenant}"), &json!({"retention_days": days})).await;
        }
        let key = key_of(&app, tenant).await;
        super::ask(&app, &key, &super::question("local/echo")).await;
        let rows = app.table.rows().await;
        let is_theirs = |row: &&turnwise_tests::table::Row| {
            use turnwise_tests::table::text;
            text(row, "pk") == format!("C#{tenant}#s") && text(row, "sk").starts_with("M#")
        };
        let row = rows.iter().find(is_theirs).unwrap();
        let number = |name: &str| turnwise_tests::table::number(row, name);
        number("ttl").checked_sub(number("completed_at") / 1000)
    };
    assert_eq!(rows_expire("usual", None).await, Some(24 * 3600));
    assert_eq!(rows_expire("longer", Some(30)).await, Some(30 * 24 * 3600));
    assert_eq!(rows_expire("for-ever", Some(0)).await, None);
}

#[tokio::test]
async fn what_is_spent_of_a_budget_is_shown() {
    let app = TestApp::start().await;
    app.post("/admin/tenants/default", &json!({"budget": {"monthly_usd": 5}})).await;
    let made = make(&app, json!({"name": "paying", "budget": {"daily_usd": 1}})).await;
    let hello = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]});
    let reply = send(&app, &text(&made), Method::POST, "/v1/chat/completions", Some(&hello)).await;
    let cost = reply.header("turnwise-cost-usd").to_owned();
    for path in [format!("/admin/keys/{}", made["id"].as_str().unwrap()), "/admin/tenants/default".to_owned()] {
        let used = app.get(&path).await.json()["budget_used"].clone();
        assert_eq!(used, json!({"day_usd": cost, "month_usd": cost, "reserved_usd": "0"}), "{path}");
    }
    assert!(cost.parse::<f64>().unwrap() > 0.0);
}
