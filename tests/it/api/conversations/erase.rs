//! Conversations deleted: what is answered, what is left.

use http::Method;
use serde_json::json;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_engine::Message;
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::{Gate, Script};
use turnwise_tests::table::{Row, number, text};

use super::{CHAT, CONVERSATIONS, add, check_error, create, good, items_of, list, path, say, user, with};

/// Checks that of a conversation nothing is left but its lock and its turns' headers.
pub(super) fn check_erased(rows: &[Row], id: &str) {
    for row in rows {
        let (pk, sk) = (text(row, "pk"), text(row, "sk"));
        let ours = pk.split('#').any(|part| part == id) || text(row, "conversation") == id;
        // What it has cost stays on the books.
        if !ours || pk.starts_with("L#") || pk.starts_with("U#") {
            continue;
        }
        let names: Vec<&str> = row.keys().map(String::as_str).collect();
        let kept: &[&str] = match sk {
            "META" => &[
                "pk",
                "sk",
                "fence",
                "head",
                "version",
                "queued",
                "queue_tail",
                "project",
                "created_at",
                "updated_at",
                "erased_at",
            ],
            _ if sk.starts_with("T#") => &[
                "pk",
                "sk",
                "state",
                "input_hash",
                "epoch",
                "attempt",
                "attempts",
                "delivery",
                "place",
                "number",
                "streams",
                "streamed",
                "stream",
                "created_at",
                "updated_at",
                "commit",
                "failure",
            ],
            _ => panic!("{pk} {sk} is left"),
        };
        for name in names {
            assert!(kept.contains(&name), "{name} of {pk} {sk} is left");
        }
        assert!(matches!(text(row, "state"), "" | "COMPLETED" | "FAILED"), "{sk} is {}", text(row, "state"));
    }
    let meta = rows.iter().find(|row| text(row, "pk") == format!("C#default#{id}") && text(row, "sk") == "META");
    assert!(meta.is_some_and(|meta| meta.contains_key("erased_at")), "the lock stays, and says why");
}

/// Whether a row of the table says something about this conversation's content.
fn listed(rows: &[Row], prefix: &str) -> usize {
    rows.iter().filter(|row| text(row, "pk").starts_with(prefix) || text(row, "sk").starts_with(prefix)).count()
}

/// A conversation with everything that one can have, `s`.
pub(super) async fn full(app: &TestApp) {
    let project = |message: &str, turn: &str| json!({"message": message, "session_id": "s", "turn_id": turn, "project_id": "alpha"});
    app.post(CHAT, &project("one", "1")).await;
    app.open(CHAT, &[], &with(project("two", "2"), "stream", true)).await.rest().await;
    app.post(&path("s"), &json!({"metadata": {"a": "secret"}})).await;
    app.post_with(&items_of("s"), &[("idempotency-key", "k")], &json!({"items": [user("three")]})).await;
    app.provider.enqueue(Script::refuse(400));
    app.post(CHAT, &project("four", "failed")).await;
    // Nobody works for this queue.
    for turn in ["q1", "q2"] {
        let queued = with(project("five", turn), "on_busy", "enqueue");
        let reply = app.post_with(CHAT, &[("prefer", "respond-async")], &queued).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
    }
    let rows = app.table.rows().await;
    for prefix in ["M#", "Q#", "I#", "S#", "CL#", "CP#"] {
        assert!(listed(&rows, prefix) > 0, "{prefix}");
    }
}

#[tokio::test]
async fn a_deleted_conversation_leaves_nothing_that_anybody_said() {
    for route in ["/v1/conversations/s", "/v1/threads/s"] {
        let app = TestApp::start().await;
        full(&app).await;
        say(&app, "another", "stays").await;
        let reply = app.delete(route).await;
        let deleted = good(&reply, "DeletedConversationResource");
        assert_eq!(deleted, json!({"id": "s", "object": "conversation.deleted", "deleted": true}));
        assert_eq!(app.engine.memory.stats().conversations, 1, "only the other one is remembered");
        let rows = app.table.rows().await;
        check_erased(&rows, "s");
        let project = |row: &&Row| text(row, "pk").starts_with("CP#");
        assert_eq!(rows.iter().filter(project).count(), 0);
        assert_eq!(rows.iter().filter(|row| row.contains_key("g1pk")).count(), 0, "no index knows it");

        let what = if route.contains("threads") { "thread_not_found" } else { "conversation_not_found" };
        check_error(&app.delete(route).await, 404, what, "");
        assert_eq!(app.table.rows().await.len(), rows.len());
        assert_eq!(app.get("/v1/threads").await.json()["data"][0]["id"], "another");
        assert_eq!(app.get("/v1/threads").await.json()["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(app.get("/v1/threads?project_id=alpha").await.json()["data"], json!([]));
        assert_eq!(app.get("/v1/threads/another/turns").await.json()["total"], 1);
        assert_eq!(app.engine.sweep().await.unwrap(), turnwise_engine::sweep::Swept::default());
    }
}

#[tokio::test]
async fn a_deleted_conversation_is_not_found_and_takes_nothing_more() {
    let app = TestApp::start().await;
    full(&app).await;
    app.delete("/v1/conversations/s").await;
    for read in ["/v1/conversations/s", "/v1/conversations/s/items", "/v1/conversations/s/items/msg_1"] {
        check_error(&app.get(read).await, 404, "conversation_not_found", "");
    }
    for read in ["/v1/threads/s", "/v1/threads/s/turns"] {
        check_error(&app.get(read).await, 404, "thread_not_found", "");
    }
    let gone = (410, "conversation_deleted".to_owned());
    let metadata = json!({"metadata": {}});
    assert_eq!(app.post("/v1/conversations/s", &metadata).await.outcome(), gone);
    assert_eq!(app.post(&items_of("s"), &json!({"items": [user("a")]})).await.outcome(), gone);
    assert_eq!(app.delete(&format!("{}/msg_1", items_of("s"))).await.outcome(), gone);
    for body in [
        json!({"message": "more", "session_id": "s"}),
        json!({"message": "more", "thread_id": "s", "project_id": "alpha"}),
        json!({"message": "more", "session_id": "s", "on_busy": "enqueue"}),
        json!({"message": "more", "session_id": "s", "on_busy": "interrupt", "stream": true}),
    ] {
        assert_eq!(app.post(CHAT, &body).await.outcome(), gone, "{body}");
    }
    let later =
        app.post_with(CHAT, &[("prefer", "respond-async")], &json!({"message": "more", "session_id": "s"})).await;
    assert_eq!(later.outcome(), gone);
    assert_eq!(app.provider.calls(), 3, "nobody was asked again");
}

#[tokio::test]
async fn the_turns_of_a_deleted_conversation_are_known_and_gone() {
    let app = TestApp::start().await;
    full(&app).await;
    let before = app.get("/v1/turns/s:1").await.json();
    app.delete("/v1/conversations/s").await;
    let turn = |message: &str, turn: &str| json!({"message": message, "session_id": "s", "turn_id": turn, "project_id": "alpha"});
    for (message, name) in [("one", "1"), ("two", "2")] {
        check_error(&app.get(&format!("/v1/turns/s:{name}")).await, 410, "turn_gone", "");
        check_error(&app.post(CHAT, &turn(message, name)).await, 410, "turn_gone", "");
        check_error(&app.post(CHAT, &with(turn(message, name), "stream", true)).await, 410, "turn_gone", "");
    }
    check_error(&app.post(CHAT, &turn("another", "1")).await, 422, "idempotency_key_reused", "Idempotency-Key");
    let rows = app.table.rows().await;
    let header = rows.iter().find(|row| text(row, "sk") == "T#1").unwrap();
    assert!(text(header, "commit").contains(before["response_hash"].as_str().unwrap()), "the header is kept");
    for (message, name) in [("four", "failed"), ("five", "q1")] {
        let reply = app.post(CHAT, &turn(message, name)).await;
        assert_eq!(reply.outcome(), (410, "conversation_deleted".to_owned()), "{}", reply.text());
        assert!(reply.is_replay());
        let read = app.get(&format!("/v1/turns/s:{name}")).await.json();
        assert_eq!((&read["status"], &read["error"]["code"]), (&json!("FAILED"), &json!("conversation_deleted")));
        assert!(!read.to_string().contains(message), "{read}");
    }
}

#[tokio::test]
async fn deleting_stops_the_turn_that_runs() {
    for elsewhere in [false, true] {
        let app = TestApp::start().await;
        let other = app.second_process().await;
        let (gate, turn) = (Gate::closed(), json!({"message": "long", "session_id": "s", "turn_id": "1"}));
        app.provider.enqueue(Script::answer("a long secret answer").gated_after(2, &gate));
        let mut events = app.open(CHAT, &[], &with(turn.clone(), "stream", true)).await;
        gate.reached().await;
        let process = if elsewhere { &other } else { &app };
        good(&process.delete("/v1/conversations/s").await, "DeletedConversationResource");
        // The other process notices with its next heartbeat, or when it wants to commit.
        if elsewhere {
            gate.open();
        }
        let mut last = events.next().await;
        while let Some(event) = events.next().await {
            last = Some(event);
        }
        let last = last.unwrap();
        assert_eq!((last.event.as_str(), &last.json()["error"]["code"]), ("error", &json!("conversation_deleted")));
        gate.open();
        app.engine.tasks.idle().await;
        // What the stopped attempt may still have logged goes when it must have noticed.
        let (tenant, conversation) = (Tenant::default_tenant(), ConversationId::parse("c", "s").unwrap());
        app.engine.handle(&Message::Erase { tenant, conversation }, None).await.unwrap();
        check_erased(&app.table.rows().await, "s");
        assert_eq!(app.post(CHAT, &turn).await.outcome(), (410, "conversation_deleted".to_owned()));
    }
}

#[tokio::test]
async fn an_empty_conversation_is_deleted_like_any_other() {
    let app = TestApp::start().await;
    let id = create(&app, &[]).await;
    good(&app.delete(&path(&id)).await, "DeletedConversationResource");
    check_erased(&app.table.rows().await, &id);
    check_error(&app.post(CHAT, &json!({"message": "a", "session_id": id})).await, 410, "conversation_deleted", "");
}

#[tokio::test]
async fn a_long_conversation_goes_as_a_whole() {
    let app = TestApp::start().await;
    let id = create(&app, &["a"]).await;
    for n in 0..60 {
        add(&app, &id, &[&n.to_string()]).await;
    }
    assert_eq!(list(&app, &id, "?limit=100").await["data"].as_array().map(Vec::len), Some(61));
    good(&app.delete(&path(&id)).await, "DeletedConversationResource");
    check_erased(&app.table.rows().await, &id);
}

#[tokio::test]
async fn of_many_that_delete_at_once_at_least_one_is_told_so() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    full(&app).await;
    let replies = futures_util::future::join_all((0..6).map(|n| {
        let process = if n % 2 == 0 { &app } else { &other };
        Reply::of(process.request(Method::DELETE, "/v1/conversations/s"))
    }))
    .await;
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert!(statuses.contains(&200) && statuses.iter().all(|status| [200, 404].contains(status)), "{statuses:?}");
    check_erased(&app.table.rows().await, "s");
}

#[tokio::test]
async fn the_lock_outlives_the_conversation() {
    let app = TestApp::start().await;
    let meta = async || {
        let rows = app.table.rows().await;
        let meta = rows.iter().find(|row| text(row, "sk") == "META").unwrap();
        (number(meta, "fence"), number(meta, "version"), number(meta, "head"))
    };
    say(&app, "s", "hello").await;
    let (fence, version, head) = meta().await;
    app.delete("/v1/conversations/s").await;
    assert_eq!(meta().await, (fence + 1, version + 1, head));
    app.post(CHAT, &json!({"message": "a", "session_id": "s"})).await;
    app.post(CONVERSATIONS, &json!({})).await;
    assert_eq!(app.get("/v1/threads").await.json()["data"], json!([]));
}
