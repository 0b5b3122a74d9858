//! A turn whose attempt is taken for dead: somebody else goes on, and only one of the
//! two commits.

use http::Method;
use serde_json::Value;
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, ROUTES, ask, ask_as, check_error, names, text_in, text_of};

const KEY: (&str, &str) = ("idempotency-key", "s:1");

/// A first process that stands still in the middle of a turn whose lease is over, and
/// a second one that is asked for the same turn.
struct Stalled {
    first: TestApp,
    second: TestApp,
    gate: Gate,
}

impl Stalled {
    async fn start() -> Self {
        let first = TestApp::start().await;
        let stalled = Self { second: first.second_process().await, first, gate: Gate::closed() };
        stalled.first.provider.enqueue(Script::answer("the first answer").gated(&stalled.gate));
        stalled.first.provider.enqueue(Script::answer("the second answer"));
        stalled
    }

    /// Ends the lease of the first process as time would.
    async fn lapse(&self) {
        self.gate.reached().await;
        assert_eq!(self.second.engine.free_dead_turns().await.unwrap(), 1);
    }

    /// What the client of each process gets.
    async fn run(&self, path: &str, headers: &[(&str, &str)]) -> [Reply; 2] {
        let body = ask(path, "hello");
        let second = async {
            self.lapse().await;
            let reply = self.second.post_with(path, headers, &body).await;
            self.gate.open();
            reply
        };
        let (first, second) = tokio::join!(self.first.post_with(path, headers, &body), second);
        [first, second]
    }
}

#[tokio::test]
async fn the_late_attempt_gives_the_answer_of_the_one_that_took_over() {
    for path in ROUTES {
        let stalled = Stalled::start().await;
        let [first, second] = stalled.run(path, &[KEY]).await;
        assert_eq!(text_of(&second), "the second answer");
        assert_eq!((second.header("turnwise-attempt"), second.is_replay()), ("2", false));
        assert_eq!((&first.body, first.is_replay()), (&second.body, true));
        assert_eq!(stalled.first.provider.calls(), 2);
        let wasted = stalled.first.table.rows().await;
        let wasted = wasted.iter().filter(|row| turnwise_tests::table::text(row, "sk").ends_with("#wasted"));
        assert_eq!(wasted.count(), 1, "what the late answer cost is in the ledger");
    }
}

#[tokio::test]
async fn at_most_once_ends_with_the_outcome_unknown() {
    for path in ROUTES {
        let stalled = Stalled::start().await;
        let [first, second] = stalled.run(path, &[KEY, ("turnwise-delivery", "at-most-once")]).await;
        check_error(&second, 502, "outcome_unknown", "");
        assert_eq!(second.header("x-should-retry"), "false");
        assert_eq!((first.status, &first.body), (502, &second.body));
        assert_eq!(stalled.first.provider.calls(), 1);
    }
}

#[tokio::test]
async fn who_comes_back_to_a_stream_that_was_taken_over_is_told_so() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let gate = Gate::closed();
    app.provider.enqueue(Script::answer("the first answer").gated_after(1, &gate));
    app.provider.enqueue(Script::answer("the second answer"));

    let began = app.open(CHAT, &[KEY], &ask_as(CHAT, "hello", true)).await;
    gate.reached().await;
    assert_eq!(other.engine.free_dead_turns().await.unwrap(), 1);
    let events = other.open(CHAT, &[KEY], &ask_as(CHAT, "hello", true)).await.rest().await;
    assert_eq!(text_in(&events), "the second answer");
    gate.open();
    began.rest().await;

    let back = |query: &str| app.request(Method::GET, &format!("/v1/turns/s:1?{query}")).header("last-event-id", "1");
    let told = Reply::of(back("stream=true")).await;
    assert_eq!(told.status, 200);
    assert!(told.text().starts_with("event: error") && told.text().contains("\"taken_over\""), "{}", told.text());
    let not_streamed = Reply::of(back("stream=false").header("accept", "text/event-stream")).await;
    assert_eq!(not_streamed.json()["status"], "COMPLETED");
    let anew = Reply::of(back("restartable=true").header("accept", "text/event-stream")).await;
    assert_eq!(anew.status, 200);
    assert!(anew.text().starts_with("event: restarted"), "{}", anew.text());
}

#[tokio::test]
async fn a_stream_that_has_begun_is_told_that_its_turn_was_taken_over() {
    for path in ROUTES {
        let app = TestApp::start().await;
        let other = app.second_process().await;
        let gate = Gate::closed();
        app.provider.enqueue(Script::answer("the first answer").gated_after(1, &gate));
        app.provider.enqueue(Script::answer("the second answer"));

        let began = app.open(path, &[KEY], &ask_as(path, "hello", true)).await;
        gate.reached().await;
        assert_eq!(other.engine.free_dead_turns().await.unwrap(), 1);
        assert_eq!(text_of(&other.post_with(path, &[KEY], &ask(path, "hello")).await), "the second answer");
        gate.open();

        let events = began.rest().await;
        assert_eq!(text_in(&events[..events.len() - 1]), "the first answer");
        assert_eq!(names(&events).last(), Some(&"error"));
        let error = events.last().unwrap().json()["error"].clone();
        assert_eq!((&error["code"], &error["retryable"]), (&Value::from("taken_over"), &Value::from(true)));
        assert_eq!(text_of(&app.post_with(path, &[KEY], &ask(path, "hello")).await), "the second answer");
    }
}

#[tokio::test]
async fn a_turn_that_is_handed_over_runs_again_at_once() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let gate = Gate::closed();
    app.provider.enqueue(Script::answer("never seen").gated(&gate));
    let handing = async {
        gate.reached().await;
        app.engine.tasks.hand_over();
    };
    let body = ask(CHAT, "hello");
    let (reply, ()) = tokio::join!(app.post_with(CHAT, &[KEY], &body), handing);
    check_error(&reply, 503, "handed_over", "");
    assert_eq!(reply.json()["error"]["retryable"], true);
    assert_eq!(text_of(&other.post_with(CHAT, &[KEY], &body).await), "Hello from the script.");
}
