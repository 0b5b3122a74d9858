//! Budgets, tokens a minute and answers at once: what is let in, and what comes back.

mod admission;
mod alerts;
mod embeddings;
mod ends;
mod length;
mod queue;
mod soft;
mod tokens;

use std::time::Duration;

use serde_json::{Value, json};
use turnwise_core::access::{Budget, Grant, Limits};
use turnwise_core::admission::{most_input, worst_cost};
use turnwise_core::catalogue::Catalogue;
use turnwise_core::money::PicoUsd;
use turnwise_core::tokens::Scale;
use turnwise_tests::app::{Builder, KEY, PATIENCE, Reply, TestApp};
use turnwise_tests::table::{Row, Table, number, text};

use super::{CHAT, COMPLETIONS, MESSAGES, ask, check_error, check_untouched, with};

/// Output tokens that the requests here ask for.
const MOST: u64 = 10;

/// What the provider's usual answer to any question costs with `gpt-4o-mini`.
const USUAL: i128 = 10 * 150_000 + 4 * 600_000;

/// A completion that says how long its answer may be.
fn asking(text: &str) -> Value {
    with(ask(COMPLETIONS, text), "max_tokens", MOST)
}

/// What [`asking`] costs at most with `model`.
fn worst_of(model: &str, text: &str) -> i128 {
    let price = Catalogue::shipped().get("openai", model).unwrap().price;
    let messages = [json!({"role": "user", "content": text})];
    let input = most_input(&messages, &turnwise_core::json::RawMap::new(), Scale::ONE, None);
    worst_cost(&price, input, MOST).0
}

fn worst(text: &str) -> i128 {
    worst_of("gpt-4o-mini", text)
}

fn daily(limit: i128) -> Grant {
    Grant { budget: Budget { daily: Some(PicoUsd(limit)), ..Budget::default() }, ..Grant::default() }
}

fn limited(limits: Limits) -> Grant {
    Grant { limits, ..Grant::default() }
}

fn with_grant(grant: Grant) -> Builder {
    TestApp::builder().with_key(KEY, grant)
}

/// Numbers of a row that may be more than a `u64`'s.
fn amount(row: &Row, name: &str) -> i128 {
    row.get(name).and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

async fn accounts(table: &Table) -> Vec<Row> {
    let mut rows = table.rows().await;
    rows.retain(|row| text(row, "sk") == "ACCOUNT");
    rows
}

/// What all lines of the ledger come to.
async fn ledger(table: &Table) -> i128 {
    let rows = table.rows().await;
    rows.iter().filter(|row| text(row, "pk").starts_with("L#")).map(|row| amount(row, "cost_pico_usd")).sum()
}

fn is_empty(account: &Row) -> bool {
    let is_reservation = |name: &String| name.starts_with('r') && name.contains('_');
    number(account, "turns") == 0
        && amount(account, "day_held") == amount(account, "day_spent")
        && amount(account, "month_held") == amount(account, "month_spent")
        && !account.keys().any(is_reservation)
}

/// Waits until nothing is reserved, and checks that every account has spent what the ledger
/// says. Gives that.
async fn check_returned(table: &Table) -> i128 {
    let returned = async {
        while !accounts(table).await.iter().all(is_empty) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE / 4, returned).await;
    let accounts = accounts(table).await;
    assert!(in_time.is_ok(), "something stays reserved: {accounts:?}");
    assert!(!accounts.is_empty());
    let ledger = ledger(table).await;
    for account in &accounts {
        assert_eq!(amount(account, "day_spent"), ledger, "{account:?}");
    }
    ledger
}

fn check_budget_refused(reply: &Reply, scope: &str) {
    check_error(reply, 402, "budget_exceeded", "");
    let error = &reply.json()["error"];
    assert_eq!((&error["category"], &error["retryable"]), (&json!("COST_LIMIT_ERROR"), &json!(false)));
    let told = error["user_message"].as_str().unwrap();
    assert!(told.starts_with(&format!("The spending limit for {scope} is reached; it resets on 20")), "{told}");
}
