//! Several turns of one conversation: one at a time, numbered without gaps.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, check_error, text_of, with};

fn turn(name: &str) -> Value {
    json!({"message": name, "session_id": "s", "turn_id": name})
}

/// A conversation whose turn `first` is held.
struct Busy {
    app: TestApp,
    other: TestApp,
    gate: Gate,
}

impl Busy {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let busy = Self { other: app.second_process().await, app, gate: Gate::closed() };
        busy.app.provider.on_text("first", Script::answer("first answer").gated(&busy.gate));
        drop(busy.app.open(CHAT, &[], &with(turn("first"), "stream", true)).await);
        busy.gate.reached().await;
        busy
    }

    /// Sends `body` to both processes while the conversation is busy.
    async fn check_refused(&self, headers: &[(&str, &str)], body: &Value, least: Duration) {
        let began = std::time::Instant::now();
        let replies = join_all([&self.app, &self.other].map(|process| process.post_with(CHAT, headers, body))).await;
        for reply in replies {
            check_error(&reply, 409, "conversation_busy", "");
            assert_eq!((reply.header("retry-after"), reply.header("retry-after-ms")), ("2", "2000"));
            assert_eq!(reply.json()["error"]["retryable"], true);
        }
        assert!(began.elapsed() >= least, "{:?}", began.elapsed());
        assert_eq!(self.app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn a_turn_waits_for_the_one_before_it() {
    for elsewhere in [false, true] {
        let busy = Busy::start().await;
        let process = if elsewhere { &busy.other } else { &busy.app };
        let body = turn("second");
        let opened = async {
            busy.app.turn_in("s:first", "PROCESSING").await;
            busy.gate.open();
        };
        let (second, ()) = tokio::join!(process.post(CHAT, &body), opened);
        assert_eq!(second.json()["turn_number"], 2);
        assert_eq!(busy.app.turn_in("s:first", "COMPLETED").await["turn_number"], 1);
        let sent = busy.app.provider.requests()[1].body["messages"].clone();
        assert_eq!(sent[1]["content"], "first answer", "it was asked after the first had its answer");
    }
}

#[tokio::test]
async fn a_turn_that_will_not_wait_is_refused_at_once() {
    let busy = Busy::start().await;
    busy.check_refused(&[], &with(turn("second"), "on_busy", "reject"), Duration::ZERO).await;
    busy.check_refused(&[("turnwise-on-busy", "reject")], &turn("second"), Duration::ZERO).await;
    busy.check_refused(&[], &with(turn("second"), "wait_timeout_s", 0), Duration::ZERO).await;
    // The header goes before the field.
    let waits = with(turn("second"), "on_busy", "wait");
    busy.check_refused(&[("turnwise-on-busy", "reject")], &waits, Duration::ZERO).await;

    let streamed = with(with(turn("second"), "on_busy", "reject"), "stream", true);
    check_error(&busy.app.post(CHAT, &streamed).await, 409, "conversation_busy", "");
    busy.gate.open();
    busy.app.turn_in("s:first", "COMPLETED").await;
    let reply = busy.app.post(CHAT, &with(turn("second"), "on_busy", "reject")).await;
    assert_eq!(reply.json()["turn_number"], 2, "a refusal burns no key");
}

#[tokio::test]
async fn waiting_ends_after_its_time() {
    let busy = Busy::start().await;
    let second = with(turn("second"), "wait_timeout_s", 1);
    busy.check_refused(&[], &second, Duration::from_secs(1)).await;
    busy.gate.open();
}

#[tokio::test]
async fn other_conversations_do_not_wait() {
    let busy = Busy::start().await;
    let other = json!({"message": "hello", "session_id": "another", "on_busy": "reject"});
    assert_eq!(busy.app.post(CHAT, &other).await.json()["turn_number"], 1);
    busy.gate.open();
}

/// The number and the text that each reply gives.
fn numbered(replies: &[Reply]) -> Vec<(u64, String)> {
    let mut numbered: Vec<(u64, String)> =
        replies.iter().map(|reply| (reply.json()["turn_number"].as_u64().unwrap(), text_of(reply))).collect();
    numbered.sort();
    numbered
}

#[tokio::test]
async fn twenty_turns_at_once_are_numbered_one_to_twenty() {
    const TURNS: usize = 20;
    let app = TestApp::start().await;
    let other = app.second_process().await;
    for number in 0..TURNS {
        app.provider.on_text(&format!("<{number}>"), Script::answer(&format!("answer <{number}>")));
    }
    let requests = (0..TURNS).map(|number| {
        let process = if number % 2 == 0 { &app } else { &other };
        let body = turn(&format!("<{number}>"));
        async move { process.post(CHAT, &body).await }
    });
    let replies = join_all(requests).await;

    let numbered = numbered(&replies);
    assert!(numbered.iter().map(|(number, _)| *number).eq(1..=TURNS as u64), "{numbered:?}");
    let turns = app.get("/v1/threads/s/turns?limit=100").await.json();
    let stored: Vec<(u64, String)> = turns["data"].as_array().unwrap().iter().map(stored).collect();
    assert_eq!(stored, numbered);
    assert_eq!(app.provider.calls(), TURNS);
}

fn stored(turn: &Value) -> (u64, String) {
    let answer = turn["message"].as_str().unwrap();
    assert_eq!(answer, format!("answer {}", turn["turn_id"].as_str().unwrap()), "each turn has its own answer");
    (turn["turn_number"].as_u64().unwrap(), answer.to_owned())
}

#[tokio::test]
async fn a_turn_may_insist_on_its_number() {
    let app = TestApp::start().await;
    let send = async |name: &str, number: &str| app.post_with(CHAT, &[("if-match", number)], &turn(name)).await;
    check_error(&send("first", "2").await, 412, "turn_number_mismatch", "If-Match");
    super::check_untouched(&app).await;

    assert_eq!(send("first", "1").await.json()["turn_number"], 1);
    check_error(&send("second", "1").await, 412, "turn_number_mismatch", "If-Match");
    check_error(&send("second", "3").await, 412, "turn_number_mismatch", "If-Match");
    assert_eq!(send("second", "\"2\"").await.json()["turn_number"], 2);

    let again = send("first", "1").await;
    assert_eq!((again.is_replay(), &again.json()["turn_number"]), (true, &json!(1)));
    check_error(&send("first", "2").await, 412, "turn_number_mismatch", "If-Match");
    assert_eq!(app.provider.calls(), 2);
}

#[tokio::test]
async fn of_two_turns_that_insist_on_one_number_one_gets_it() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let headers = [("if-match", "1")];
    let (a, b) = (turn("a"), turn("b"));
    let (a, b) = tokio::join!(app.post_with(CHAT, &headers, &a), other.post_with(CHAT, &headers, &b));
    let mut outcomes = [a.outcome(), b.outcome()];
    outcomes.sort();
    assert_eq!(outcomes, [(200, "completed".to_owned()), (412, "turn_number_mismatch".to_owned())]);
}

#[tokio::test]
async fn a_thousand_equal_requests_make_one_call() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let body = turn("one");
    let requests = (0..1000).map(|number| [&app, &other][number % 2].post(CHAT, &body));
    let replies = join_all(requests).await;
    assert!(replies.iter().all(|reply| reply.status == 200 && reply.body == replies[0].body));
    assert_eq!(replies.iter().filter(|reply| !reply.is_replay()).count(), 1);
    assert_eq!(app.provider.calls(), 1);
    assert_eq!(app.get("/v1/threads/s/turns").await.json()["total"], 1);
}
