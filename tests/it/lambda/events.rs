//! The sample events of the repository, each against the function it is for.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use turnwise_tests::lambda::{Function, Queue, Setup};
use turnwise_tests::table::Table;

use super::replayed;

/// What an event is to bring about.
enum Expected {
    /// This status, with a body that contains this text.
    Status(u16, &'static str),
    /// This status, from storage.
    Replay(u16),
    /// A batch of which these messages come back.
    Failures(&'static [&'static str]),
    /// A sweep that found this many stuck turns and due queues.
    Swept(u64, u64),
}

use Expected::{Failures, Replay, Status, Swept};

/// Event, function, outcome: in this order, as later ones read what earlier ones wrote.
const EVENTS: &[(&str, &str, Expected)] = &[
    ("chat", "stream", Status(200, "Echo: Hello, what can you do?")),
    ("chat-retry", "stream", Replay(200)),
    ("chat-stream", "stream", Status(200, "event: done")),
    ("chat-bad-json", "stream", Status(400, "invalid_request_error")),
    ("chat-no-key", "stream", Status(401, "invalid_api_key")),
    ("completions", "stream", Status(200, "chat.completion")),
    ("completions-stream", "stream", Status(200, "data: [DONE]")),
    ("messages", "stream", Status(200, "\"type\":\"message\"")),
    ("messages-stream", "stream", Status(200, "event: message_stop")),
    ("messages-tokens", "conversations", Status(200, "\"input_tokens\":")),
    ("embeddings", "stream", Status(200, "\"object\":\"embedding\",\"index\":1")),
    ("response", "stream", Status(200, "\"object\":\"response\"")),
    ("response-compact", "stream", Status(200, "\"object\":\"response.compaction\"")),
    ("response-input-tokens", "conversations", Status(200, "\"object\":\"response.input_tokens\"")),
    ("response-get", "stream", Status(200, "Echo: Hello!")),
    ("response-stream", "stream", Status(200, "response.completed")),
    ("response-input-items", "conversations", Status(200, "\"text\":\"Hello!\"")),
    ("response-cancel", "conversations", Status(400, "COMPLETED")),
    ("response-delete", "conversations", Status(200, "\"deleted\":true")),
    ("threads", "conversations", Status(200, "\"events\"")),
    ("thread-turns", "conversations", Status(200, "Echo: ")),
    ("turn", "stream", Status(200, "Echo: ")),
    ("turn-stream", "stream", Status(200, "event: done")),
    ("stats", "conversations", Status(200, "\"object\":\"stats\"")),
    ("usage", "conversations", Status(200, "\"total_cost_usd\":")),
    ("value", "conversations", Status(200, "\"net_savings_usd\":")),
    ("roi", "conversations", Status(200, "\"payback_months\":")),
    ("turn-cancel", "conversations", Status(409, "turn_ended")),
    ("thread", "conversations", Status(200, "\"object\":\"thread\"")),
    ("thread-delete", "conversations", Status(404, "thread_not_found")),
    ("conversation-create", "conversations", Status(200, "\"topic\":\"demo\"")),
    ("conversation", "conversations", Status(200, "\"topic\":\"demo\"")),
    ("conversation-update", "conversations", Status(200, "\"topic\":\"sample\"")),
    ("conversation-items-add", "conversations", Status(200, "Please be brief.")),
    ("conversation-items", "conversations", Status(200, "My name is Ada.")),
    ("conversation-item", "conversations", Status(200, "My name is Ada.")),
    ("conversation-item-delete", "conversations", Status(200, "\"topic\":\"sample\"")),
    ("conversation-delete", "conversations", Status(200, "conversation.deleted")),
    ("models", "models", Status(200, "local/echo")),
    ("model", "models", Status(200, "local/echo")),
    ("providers", "models", Status(200, "slept_ms")),
    ("healthz", "models", Status(200, "ok")),
    ("readyz", "models", Status(200, "ok")),
    ("openapi", "models", Status(200, "/v1/chat")),
    ("admin-key-create", "admin", Status(201, "\"key\":\"tw_live_ba71cb0f9009_")),
    ("admin-keys", "admin", Status(200, "\"name\":\"sample\"")),
    ("admin-key", "admin", Status(200, "\"last_used_at\":null")),
    ("admin-key-update", "admin", Status(200, "\"daily_usd\":\"0.45\"")),
    ("admin-key-rotate", "admin", Status(200, "\"key\":\"tw_live_ba71cb0f9009_")),
    ("admin-key-revoke", "admin", Status(200, "\"status\":\"revoked\"")),
    ("admin-prices", "admin", Status(200, "openai/gpt-4o-mini")),
    ("admin-prices-import", "admin", Status(200, "\"stored\":false")),
    ("admin-usage-check", "admin", Status(200, "\"differences\":[]")),
    ("admin-tenant", "admin", Status(200, "\"version\":0")),
    ("admin-tenant-update", "admin", Status(200, "\"monthly_usd\":\"20\"")),
    ("admin-locks", "admin", Status(200, "\"data\":[]")),
    ("admin-lock", "admin", Status(200, "\"held\":false")),
    ("admin-release", "admin", Status(409, "lock_not_held")),
    ("admin-dead-letters", "admin", Status(200, "\"data\":[]")),
    ("admin-redrive", "admin", Status(200, "\"turns\":[]")),
    ("admin-audit", "admin", Status(200, "\"object\":\"list\"")),
    ("admin-audit-export", "admin", Status(200, "id,at,tenant,action")),
    ("admin-erase-conversation", "admin", Status(404, "conversation_not_found")),
    ("admin-erase", "admin", Status(200, "\"remaining\":0")),
    ("admin-turns", "admin", Status(200, "\"running\":[]")),
    ("admin-health", "admin", Status(200, "\"status\":\"ok\"")),
    ("sqs-turn", "worker", Failures(&[])),
    ("sqs-batch", "worker", Failures(&["19dd0b57-b21e-4ac1-bd88-01bbb068cb03"])),
    ("schedule-timers", "timers", Swept(0, 0)),
];

/// The environment that the sample events come with; no event itself.
const ENVIRONMENT: &str = "env";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra/events")
}

fn read(name: &str) -> Value {
    let path = folder().join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn every_sample_event_is_answered_by_its_function() {
    let (table, queue) = (Table::start().await, Queue::start().await);
    let environment = read(ENVIRONMENT);
    let keys = ["TURNWISE_API_KEYS_SHA256", "TURNWISE_ADMIN_KEYS_SHA256", "TURNWISE_KEY_PEPPERS"];
    let setup = Setup::of(&table).queue(&queue);
    let setup = keys.into_iter().fold(setup, |setup, name| {
        setup.with(name, environment["Parameters"][name].as_str().expect("the sample keys' settings"))
    });

    let mut function: Option<(&str, Function)> = None;
    for (event, name, expected) in EVENTS {
        if function.as_ref().is_none_or(|(running, _)| running != name) {
            function = Some((name, Function::start(name, &setup).await));
        }
        let (_, running) = function.as_ref().expect("it was just started");
        check(event, running, expected).await;
    }
}

async fn check(event: &str, function: &Function, expected: &Expected) {
    let invocation = function.invoke(read(event));
    match expected {
        Status(status, text) => {
            let reply = invocation.reply().await;
            assert_eq!(reply.status, *status, "{event}: {}\n{}", reply.body, function.log());
            assert!(reply.body.contains(text), "{event}: no {text:?} in {}", reply.body);
        }
        Replay(status) => {
            let reply = invocation.reply().await;
            assert_eq!(reply.status, *status, "{event}: {}\n{}", reply.body, function.log());
            assert!(replayed(&reply), "{event}: {:?}", reply.headers);
        }
        Failures(ids) => {
            let response = invocation.value().await;
            let failures = response["batchItemFailures"].as_array().expect("a partial batch response");
            let failed: Vec<&str> = failures.iter().filter_map(|item| item["itemIdentifier"].as_str()).collect();
            assert_eq!(failed, *ids, "{event}: {}", function.log());
        }
        Swept(stuck, due) => {
            let response = invocation.value().await;
            assert_eq!(response, json!({"stuck": stuck, "due": due, "half_erased": 0}), "{event}: {}", function.log());
        }
    }
}

#[test]
fn every_sample_event_has_an_outcome() {
    let entries = std::fs::read_dir(folder()).expect("infra/events is there");
    let paths = entries.map(|entry| entry.expect("a folder can be read").path());
    let json = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let files: BTreeSet<String> =
        json.map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned()).collect();
    let named = EVENTS.iter().map(|(event, _, _)| *event).chain([ENVIRONMENT]);
    assert_eq!(files, named.map(str::to_owned).collect());
}
