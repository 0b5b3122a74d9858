//! Money is reserved before it is spent: who comes at once cannot spend it twice.

use futures_util::future::join_all;
use serde_json::json;
use turnwise_core::access::Budget;
use turnwise_tests::scripted::{Gate, Script};

use super::*;

/// Twenty requests at once, over two processes, of a budget that pays for `pays` of them at
/// their worst.
async fn check_race(path: &str, keyed: bool, pays: i128) {
    let limit = pays * worst("hello") + worst("hello") / 2;
    let app = with_grant(daily(limit)).start().await;
    let other = app.second_process().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::answer("Hello from the script.").gated(&gate));
    let body = match path {
        CHAT => with(ask(CHAT, "hello"), "model", "gpt-4o-mini"),
        _ => asking("hello"),
    };
    let keys: Vec<String> = (0..20).map(|n| format!("s{n}:1")).collect();
    let asking = keys.iter().enumerate().map(|(n, key)| {
        let (process, body) = (if n % 2 == 0 { &app } else { &other }, &body);
        let headers = [("idempotency-key", key.as_str())];
        async move { process.post_with(path, if keyed { &headers } else { &[] }, body).await }
    });
    let opening = async {
        // Those who are let in are all at the provider before the first leaves.
        while (app.provider.calls() as i128) < pays {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        gate.open();
    };
    let (replies, ()) = tokio::join!(join_all(asking), opening);
    let answered = replies.iter().filter(|reply| reply.status == 200).count() as i128;
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        check_budget_refused(reply, "this key's day");
    }
    assert!(answered >= pays && (answered as usize) < 20, "{answered} of {pays}");
    assert_eq!(app.provider.calls() as i128, answered, "who is refused costs no call");
    let spent = check_returned(&app.table).await;
    assert_eq!(spent, answered * USUAL);
    assert!(spent <= limit);
}

#[tokio::test]
async fn requests_at_once_never_overrun_a_budget() {
    check_race(COMPLETIONS, true, 3).await;
    check_race(COMPLETIONS, false, 5).await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_refuses_in_either_standard_and_burns_no_key() {
    let app = with_grant(daily(1)).start().await;
    for headers in [&[][..], &[("idempotency-key", "s:1")]] {
        for stream in [false, true] {
            let reply = app.post_with(COMPLETIONS, headers, &with(asking("hello"), "stream", stream)).await;
            check_budget_refused(&reply, "this key's day");
        }
    }
    let message =
        json!({"model": "gpt-4o-mini", "max_tokens": MOST, "messages": [{"role": "user", "content": "hello"}]});
    let reply = app.post(MESSAGES, &message).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["type"], &body["error"]["type"]), (402, &json!("error"), &json!("billing_error")));
    assert_eq!(body["error"]["code"], "budget_exceeded");
    check_untouched(&app).await;

    let rich = with_grant(daily(10_000_000_000)).start_beside(&app).await;
    assert_eq!(rich.post_with(COMPLETIONS, &[("idempotency-key", "s:1")], &asking("hello")).await.status, 200);
}

#[tokio::test]
async fn a_refusal_is_written_down_once_a_minute() {
    let app = with_grant(daily(1)).start().await;
    for _ in 0..3 {
        check_budget_refused(&app.post(COMPLETIONS, &asking("hello")).await, "this key's day");
    }
    app.engine.tasks.idle().await;
    let told = app.get("/admin/audit?action=budget.refused").await.json();
    assert_eq!(told["data"].as_array().map(Vec::len), Some(1), "{told}");
    let entry = &told["data"][0];
    assert_eq!(entry["detail"]["limit_usd"], "0.000000000001");
    assert!(entry["subject"].as_str().unwrap().starts_with("key "), "{entry}");
}

#[tokio::test]
async fn a_committed_turn_is_replayed_when_its_budget_is_used_up() {
    let app = with_grant(daily(worst("hello"))).start().await;
    let send = |key: &'static str| {
        let app = &app;
        async move { app.post_with(COMPLETIONS, &[("idempotency-key", key)], &asking("hello")).await }
    };
    let first = send("s:1").await;
    assert_eq!(first.status, 200);
    check_budget_refused(&send("s:2").await, "this key's day");
    let again = send("s:1").await;
    assert_eq!((again.status, &again.body, again.is_replay()), (200, &first.body, true));
    assert_eq!(check_returned(&app.table).await, USUAL);
}

#[tokio::test]
async fn a_key_and_its_tenant_are_asked_together() {
    let app = with_grant(Grant { is_operator: true, ..daily(10_000_000_000) }).start().await;
    let settings = json!({"budget": {"monthly_usd": PicoUsd(worst("hello")).to_string()}});
    let set = app.post("/admin/tenants/default", &settings).await;
    assert_eq!(set.status, 200, "{}", set.text());
    // Settings are remembered for a while.
    let fresh = app.second_process().await;
    assert_eq!(fresh.post(COMPLETIONS, &asking("hello")).await.status, 200);
    check_budget_refused(&fresh.post(COMPLETIONS, &asking("hello")).await, "this tenant's month");
    assert_eq!(accounts(&app.table).await.len(), 2);
    assert_eq!(check_returned(&app.table).await, USUAL, "the key has its reservation back");
}

#[tokio::test]
async fn a_model_without_a_price_is_not_asked_under_a_budget() {
    let app = with_grant(daily(10_000_000_000)).start().await;
    let reply = app.post(COMPLETIONS, &with(asking("hello"), "model", "openai/unheard-of")).await;
    check_error(&reply, 402, "model_not_priced", "model");
    assert_eq!(reply.json()["error"]["retryable"], false);
    check_untouched(&app).await;
    assert_eq!(app.post(COMPLETIONS, &with(asking("hello"), "model", "local/echo")).await.status, 200);
    let free = with_grant(Grant::default()).start_beside(&app).await;
    assert_eq!(free.post(COMPLETIONS, &with(asking("hello"), "model", "openai/unheard-of")).await.status, 200);
}

#[tokio::test]
async fn who_has_no_limit_writes_no_account() {
    let app = TestApp::start().await;
    assert_eq!(app.post_with(COMPLETIONS, &[("idempotency-key", "s:1")], &asking("hello")).await.status, 200);
    assert_eq!(accounts(&app.table).await, Vec::<Row>::new());
}

#[tokio::test]
async fn a_month_has_a_budget_of_its_own() {
    let budget = Budget { monthly: Some(PicoUsd(worst("hello"))), ..Budget::default() };
    let app = with_grant(Grant { budget, ..Grant::default() }).start().await;
    assert_eq!(app.post(COMPLETIONS, &asking("hello")).await.status, 200);
    check_budget_refused(&app.post(COMPLETIONS, &asking("hello")).await, "this key's month");
}
