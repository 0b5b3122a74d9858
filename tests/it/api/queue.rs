//! Turns that wait in the queue of their conversation: durable before they are
//! accepted, run in their order, each once.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, COMPLETIONS, ask, check_error, names, text_in, text_of, with};

const ASYNC: [(&str, &str); 1] = [("prefer", "respond-async")];

/// The turn `name` of the conversation `s`, which goes to the queue where it is busy.
fn enqueued(name: &str) -> Value {
    json!({"message": name, "session_id": "s", "turn_id": name, "on_busy": "enqueue"})
}

fn check_accepted(reply: &Reply, key: &str) {
    let location = format!("/v1/turns/{key}");
    assert_eq!((reply.status, reply.header("location")), (202, location.as_str()), "{}", reply.text());
    assert_eq!(reply.json(), json!({"object": "turn", "status": "QUEUED", "key": key, "location": location}));
    assert_eq!(reply.header("turnwise-turn"), key);
}

/// A conversation whose turn `first` is held, and the gate that holds it.
async fn busy(app: &TestApp) -> Gate {
    let gate = Gate::closed();
    app.provider.on_text("first", Script::answer("first answer").gated(&gate));
    drop(app.open(CHAT, &[], &with(enqueued("first"), "stream", true)).await);
    gate.reached().await;
    gate
}

#[tokio::test]
async fn a_turn_waits_its_turn_and_has_the_one_before_it_in_its_history() {
    let mut app = TestApp::start().await;
    app.work();
    let gate = busy(&app).await;
    check_accepted(&app.post(CHAT, &enqueued("second")).await, "s:second");
    check_accepted(&app.post(CHAT, &enqueued("third")).await, "s:third");
    let waiting = app.turn_in("s:third", "QUEUED").await;
    assert_eq!((&waiting["queue_position"], &waiting["turn_number"]), (&json!(2), &Value::Null));
    assert_eq!(app.provider.calls(), 1);

    gate.open();
    let third = app.turn_in("s:third", "COMPLETED").await;
    assert_eq!((&third["turn_number"], third.get("queue_position")), (&json!(3), None));
    let sent = app.provider.requests()[2].body["messages"].clone();
    let texts: Vec<&str> = sent.as_array().unwrap().iter().filter_map(|message| message["content"].as_str()).collect();
    assert_eq!((texts[0], texts[1], texts[2], texts[4]), ("first", "first answer", "second", "third"));
}

#[tokio::test]
async fn a_free_conversation_answers_at_once() {
    let app = TestApp::start().await;
    let reply = app.post(CHAT, &enqueued("first")).await;
    assert_eq!((reply.status, &reply.json()["turn_number"]), (200, &json!(1)));
}

#[tokio::test]
async fn whoever_comes_back_later_is_accepted_at_once_and_finds_the_answer() {
    for path in [CHAT, COMPLETIONS] {
        let mut app = TestApp::start().await;
        let headers = [("idempotency-key", "s:1"), ASYNC[0]];
        let first = app.post_with(path, &headers, &ask(path, "hello")).await;
        check_accepted(&first, "s:1");
        assert_eq!(first.header("preference-applied"), "respond-async");
        check_accepted(&app.post_with(path, &headers, &ask(path, "hello")).await, "s:1");
        assert_eq!(app.provider.calls(), 0, "nobody works yet");

        app.work();
        app.turn_in("s:1", "COMPLETED").await;
        let last = app.post_with(path, &headers, &ask(path, "hello")).await;
        assert_eq!((last.status, last.is_replay()), (200, true));
        assert!(!text_of(&last).is_empty());
        assert_eq!(app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn a_client_that_waits_gets_the_answer_of_a_queued_turn() {
    let mut app = TestApp::start().await;
    let accepted = app.post_with(CHAT, &[("idempotency-key", "s:1"), ASYNC[0]], &ask(CHAT, "hello")).await;
    check_accepted(&accepted, "s:1");
    app.work();
    let headers = [("idempotency-key", "s:1"), ("prefer", "wait=20")];
    assert_eq!(app.post_with(CHAT, &headers, &ask(CHAT, "hello")).await.status, 200);
}

#[tokio::test]
async fn a_client_that_will_not_wait_longer_is_told_where_to_look() {
    let app = TestApp::start().await;
    app.post_with(CHAT, &[("idempotency-key", "s:1"), ASYNC[0]], &ask(CHAT, "hello")).await;
    let headers = [("idempotency-key", "s:1"), ("prefer", "wait=1")];
    let impatient = app.post_with(CHAT, &headers, &ask(CHAT, "hello")).await;
    check_error(&impatient, 409, "turn_in_progress", "");
    assert_eq!(impatient.header("location"), "/v1/turns/s:1");
}

#[tokio::test]
async fn a_stream_of_a_queued_turn_begins_when_the_turn_does() {
    let mut app = TestApp::start().await;
    app.work();
    let gate = busy(&app).await;
    app.provider.on_text("second", Script::chunks(["second ", "answer"]));
    let stream = app.open(CHAT, &[], &with(enqueued("second"), "stream", true)).await;
    gate.open();
    let events = stream.rest().await;
    assert_eq!(text_in(&events), "second answer");
    assert_eq!(names(&events).last(), Some(&"done"));
}

#[tokio::test]
async fn a_key_in_the_queue_belongs_to_its_input() {
    let app = TestApp::start().await;
    app.post_with(CHAT, &[("idempotency-key", "s:1"), ASYNC[0]], &ask(CHAT, "hello")).await;
    for headers in [&[("idempotency-key", "s:1"), ASYNC[0]][..], &[("idempotency-key", "s:1")]] {
        let other = app.post_with(CHAT, headers, &ask(CHAT, "other")).await;
        check_error(&other, 422, "idempotency_key_reused", "Idempotency-Key");
    }
}

#[tokio::test]
async fn a_model_that_nobody_serves_is_refused_before_it_is_accepted() {
    let app = TestApp::builder().without_openai().start().await;
    let body = with(ask(CHAT, "hello"), "model", "gpt-4o-mini");
    let reply = app.post_with(CHAT, &ASYNC, &body).await;
    check_error(&reply, 404, "model_not_found", "model");
    super::check_untouched(&app).await;
}

#[tokio::test]
async fn a_direct_turn_stands_behind_the_queue() {
    let mut app = TestApp::start().await;
    let gate = busy(&app).await;
    check_accepted(&app.post(CHAT, &enqueued("second")).await, "s:second");
    gate.open();
    app.turn_in("s:first", "COMPLETED").await;
    let direct = json!({"message": "third", "session_id": "s", "turn_id": "third", "on_busy": "reject"});
    check_error(&app.post(CHAT, &direct).await, 409, "conversation_busy", "");

    app.work();
    let waiting = app.post(CHAT, &with(direct, "on_busy", "wait")).await;
    assert_eq!(waiting.json()["turn_number"], 3, "{}", waiting.text());
}

#[tokio::test]
async fn a_turn_that_fails_for_now_keeps_its_place_and_runs_again() {
    let mut app = TestApp::start().await;
    app.provider.on_text("first", Script::refuse(503));
    app.provider.on_text("first", Script::answer("at last"));
    for name in ["first", "second"] {
        let body = json!({"message": name, "session_id": "s", "turn_id": name});
        check_accepted(&app.post_with(CHAT, &ASYNC, &body).await, &format!("s:{name}"));
    }
    app.work();
    let second = app.turn_in("s:second", "COMPLETED").await;
    let first = app.turn_in("s:first", "COMPLETED").await;
    assert_eq!((&first["turn_number"], &second["turn_number"]), (&json!(1), &json!(2)));
    assert_eq!(app.provider.calls(), 3);
}

#[tokio::test]
async fn two_hundred_turns_at_once_get_the_numbers_of_their_places() {
    const TURNS: usize = 200;
    let mut app = TestApp::start().await;
    let mut other = app.second_process().await;
    let processes = [&app, &other];
    let replies = join_all((0..TURNS).map(|n| {
        let body = json!({"message": format!("message {n}"), "session_id": "s", "turn_id": format!("t{n}")});
        async move { processes[n % 2].post_with(CHAT, &ASYNC, &body).await }
    }))
    .await;
    let accepted = replies.iter().filter(|reply| reply.status == 202).count();
    let refused = replies.iter().filter(|reply| reply.status != 202);
    assert_eq!(accepted, TURNS, "{:?}", refused.map(Reply::text).next());
    let places: Vec<(u64, String)> = places(&app).await;
    assert_eq!(places.iter().map(|(place, _)| *place).collect::<Vec<_>>(), (1..=TURNS as u64).collect::<Vec<_>>());

    app.work();
    other.work();
    for (place, turn) in &places {
        let turn = app.turn_in(&format!("s:{turn}"), "COMPLETED").await;
        assert_eq!(turn["turn_number"], *place, "a turn's number is its place's");
    }
    assert_eq!(app.provider.calls(), TURNS, "none ran twice");
    let told: BTreeSet<String> = replies.iter().map(|reply| reply.json()["key"].to_string()).collect();
    assert_eq!(told.len(), TURNS);
}

/// The places of a queue, in order, with their turns.
async fn places(app: &TestApp) -> Vec<(u64, String)> {
    let rows = app.table.rows().await;
    let mut places: Vec<(u64, String)> = rows
        .iter()
        .filter_map(|row| {
            let place = turnwise_tests::table::text(row, "sk").strip_prefix("Q#")?.parse().ok()?;
            Some((place, turnwise_tests::table::text(row, "turn").to_owned()))
        })
        .collect();
    places.sort_unstable();
    places
}

#[tokio::test]
async fn a_queue_without_hints_is_found_by_the_sweep() {
    let app = TestApp::start().await;
    for n in 0..5 {
        let body = json!({"message": "hello", "session_id": "s", "turn_id": format!("t{n}")});
        app.post_with(CHAT, &ASYNC, &body).await;
    }
    // The process that took them in is gone, and its queue with it.
    let mut heir = app.second_process().await;
    drop(app);
    heir.work();
    let swept = heir.engine.sweep().await.unwrap();
    assert_eq!((swept.stuck, swept.due), (0, 1), "one hint for one conversation");
    assert_eq!(heir.turn_in("s:t4", "COMPLETED").await["turn_number"], 5);
    assert_eq!(heir.provider.calls(), 5);
    assert_eq!(heir.engine.sweep().await.unwrap(), turnwise_engine::sweep::Swept::default());
}

#[tokio::test]
async fn a_direct_turn_has_what_a_dead_worker_left_finished_before_it() {
    let mut app = TestApp::start().await;
    let mut other = app.second_process().await;
    app.work();
    let gate = Gate::closed();
    app.provider.on_text("first", Script::answer("never heard").gated(&gate));
    app.provider.on_text("first", Script::answer("first answer"));
    app.post_with(CHAT, &ASYNC, &enqueued("first")).await;
    gate.reached().await;
    // Its process says no more.
    assert_eq!(other.engine.free_dead_turns().await.unwrap(), 1);
    other.work();
    let direct = json!({"message": "second", "session_id": "s", "turn_id": "second"});
    assert_eq!(other.post(CHAT, &direct).await.json()["turn_number"], 2);
    let first = other.turn_in("s:first", "COMPLETED").await;
    assert_eq!((&first["turn_number"], &first["message"]), (&json!(1), &json!("first answer")));
}

#[tokio::test]
async fn a_turn_that_comes_due_before_the_next_sweep_need_not_wait_for_it() {
    let mut app = TestApp::start().await;
    app.provider.on_text("first", Script::refuse(503));
    app.provider.on_text("first", Script::answer("at last"));
    app.work();
    app.post_with(CHAT, &ASYNC, &enqueued("first")).await;
    // It was refused once and waits for its second attempt when its process goes.
    while app.provider.calls() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    app.turn_in("s:first", "QUEUED").await;
    let mut heir = app.second_process().await;
    app.engine.tasks.stop();
    drop(app);
    heir.work();
    assert_eq!(heir.engine.sweep().await.unwrap().due, 1);
    assert_eq!(heir.turn_in("s:first", "COMPLETED").await["message"], "at last");
}
