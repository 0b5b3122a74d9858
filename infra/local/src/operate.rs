//! What an operator does from the terminal: locks, dead letters, turns as they happen.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::banner::print;
use crate::client::{Server, segment};
use crate::settings::{DeadLettersCommand, LocksCommand, Settings, TailOptions};

/// Pause between two looks at what has happened: "as they happen" to a person's eye.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Attempts remembered as shown; more than end within the time that one look covers.
const MAX_SHOWN: usize = 100_000;

/// Shows locks, or takes one away.
///
/// # Errors
/// When there is no key, the server cannot be reached or refuses.
pub(crate) async fn locks(settings: &Settings, command: &LocksCommand) -> anyhow::Result<()> {
    let server = Server::of(settings)?;
    match command {
        LocksCommand::List => {
            let locks = server.json(Method::GET, "/admin/locks", None).await?;
            let locks = locks["data"].as_array().cloned().unwrap_or_default();
            if locks.is_empty() {
                return print("No lock is held.\n");
            }
            print(&format!("{:<40} {:<24} {:>7} {:>9}  {}\n", "CONVERSATION", "TURN", "ATTEMPT", "AGE", "LEASE"))?;
            locks.iter().try_for_each(|lock| print(&lock_row(lock)))
        }
        LocksCommand::Show { conversation } => {
            let path = format!("/admin/locks/{}", segment(conversation));
            print(&format!("{:#}\n", server.json(Method::GET, &path, None).await?))
        }
        LocksCommand::Release { conversation, reason } => {
            let path = format!("/admin/locks/{}/release", segment(conversation));
            let lock = server.json(Method::POST, &path, Some(&json!({ "reason": reason }))).await?;
            print(&format!("Released; the fence is now {}. The turn goes on with its next attempt.\n", lock["fence"]))
        }
        LocksCommand::Health => print(&format!("{:#}\n", server.json(Method::GET, "/admin/health", None).await?)),
    }
}

fn lock_row(lock: &Value) -> String {
    let text = |name: &str| lock[name].as_str().unwrap_or_default();
    let age = lock["age_s"].as_f64().map(|age| format!("{age:.1} s")).unwrap_or_default();
    let lease = if lock["lapsed"] == true { "lapsed" } else { text("lease_until") };
    let attempt = lock["attempts"].as_u64().unwrap_or_default();
    format!("{:<40} {:<24} {attempt:>7} {age:>9}  {lease}\n", text("conversation_id"), text("turn_id"))
}

/// Shows turns of queues that ended without an answer, or puts them back.
///
/// # Errors
/// When there is no key, the server cannot be reached or refuses.
pub(crate) async fn dead_letters(settings: &Settings, command: &DeadLettersCommand) -> anyhow::Result<()> {
    let server = Server::of(settings)?;
    match command {
        DeadLettersCommand::List => {
            let mut after = String::new();
            loop {
                let page = server.json(Method::GET, &format!("/admin/dead-letters?limit=100{after}"), None).await?;
                for letter in page["data"].as_array().into_iter().flatten() {
                    let text = |name: &str| letter[name].as_str().unwrap_or_default();
                    print(&format!(
                        "{}  {:<40} {}: {}\n",
                        text("failed_at"),
                        text("key"),
                        text("code"),
                        text("message")
                    ))?;
                }
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => return Ok(()),
                }
            }
        }
        DeadLettersCommand::Redrive { key } => loop {
            let body = json!({ "key": key });
            let done = server.json(Method::POST, "/admin/dead-letters/redrive", Some(&body)).await?;
            let keys = |name: &str| done[name].as_array().map_or(0, Vec::len);
            let (turns, skipped, messages) = (keys("turns"), keys("skipped"), &done["messages"]);
            print(&format!(
                "{turns} turns wait again, {skipped} could not be put back, {messages} hints sent again\n"
            ))?;
            if done["has_more"] != true || turns == 0 {
                return Ok(());
            }
        },
    }
}

/// Prints turns as they happen, until it is stopped.
///
/// # Errors
/// When there is no key, the server cannot be reached or refuses.
pub(crate) async fn tail(settings: &Settings, options: &TailOptions) -> anyhow::Result<()> {
    let server = Server::of(settings)?;
    let (mut shown, mut running) = (HashSet::new(), HashSet::new());
    let mut since = String::new();
    let mut first = true;
    loop {
        let recent = server.json(Method::GET, &format!("/admin/turns{since}"), None).await?;
        since = format!("?since={}", recent["next"]);
        let begun: HashSet<String> = keys(&recent["running"]);
        for key in begun.difference(&running) {
            print(&format!("{:<24}  {:<9}  {key}\n", "", "running"))?;
        }
        running = begun;
        for ended in recent["data"].as_array().into_iter().flatten() {
            let name = format!("{}{}", ended["attempt"], ended["outcome"]);
            if shown.len() > MAX_SHOWN {
                shown.clear();
            }
            // What had ended before this began is no news.
            if shown.insert(name) && (!first || options.past) {
                print(&ended_row(ended))?;
            }
        }
        first = false;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn keys(list: &Value) -> HashSet<String> {
    list.as_array().into_iter().flatten().filter_map(|entry| entry["key"].as_str().map(str::to_owned)).collect()
}

fn ended_row(ended: &Value) -> String {
    let text = |name: &str| ended[name].as_str().unwrap_or_default();
    let tokens = |name: &str| ended[name].as_u64().unwrap_or_default();
    let outcome = match text("outcome") {
        "settled" | "estimated" => "answered",
        "released" => "failed",
        other => other,
    };
    let cost = ended["cost_usd"].as_f64().map(|cost| format!("  {cost} USD")).unwrap_or_default();
    let (input, output) = (tokens("input_tokens"), tokens("output_tokens"));
    let key = ended["key"].as_str().unwrap_or("(no turn)");
    format!("{:<24}  {outcome:<9}  {key}  {}  {input} + {output} tokens{cost}\n", text("at"), text("model"))
}
