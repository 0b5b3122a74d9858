//! A key whose turn is running: the second request gets what the first one gets.

use futures_util::future::join_all;
use serde_json::{Value, json};
use turnwise_tests::app::{Reply, Sse, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, ROUTES, ask_as, check_error, names, redacted, text_in, text_of, with};

const ANSWER: &str = "one two three four";

/// What a client got.
#[derive(Debug)]
enum Got {
    Whole(Reply),
    Stream(bool, Vec<Sse>),
}

impl Got {
    fn text(&self) -> String {
        match self {
            Self::Whole(reply) => text_of(reply),
            Self::Stream(_, events) => text_in(events),
        }
    }

    fn is_replay(&self) -> bool {
        match self {
            Self::Whole(reply) => reply.is_replay(),
            Self::Stream(is_replay, _) => *is_replay,
        }
    }
}

async fn send(app: &TestApp, path: &str, key: &str, stream: bool) -> Got {
    let body = ask_as(path, key, stream);
    let headers = [("idempotency-key", key)];
    if !stream {
        return Got::Whole(app.post_with(path, &headers, &body).await);
    }
    let events = app.open(path, &headers, &body).await;
    let is_replay = events.header("idempotent-replayed") == "true";
    Got::Stream(is_replay, events.rest().await)
}

/// Begins a turn, holds it in the middle, sends its key again to `second`, lets it go:
/// both get the one answer, of one call.
async fn check(first: &TestApp, second: &TestApp, path: &str, streams: (bool, bool)) {
    let process = if first.address() == second.address() { "same" } else { "other" };
    let key = format!("{process}{}{}{}:1", path.len(), streams.0, streams.1);
    let gate = Gate::closed();
    first.provider.on_text(&key, Script::answer(ANSWER).gated_after(2, &gate));

    let opening = async {
        gate.reached().await;
        let attached = send(second, path, &key, streams.1);
        let opened = async {
            // Whoever attaches does so to a turn that stands still.
            first.turn_in(&key, "PROCESSING").await;
            gate.open();
        };
        tokio::join!(attached, opened).0
    };
    let (began, attached) = tokio::join!(send(first, path, &key, streams.0), opening);

    assert_eq!((began.text(), attached.text()), (ANSWER.to_owned(), ANSWER.to_owned()), "{key}");
    assert!(!began.is_replay() && attached.is_replay(), "{key}");
    match (&began, &attached) {
        (Got::Whole(began), Got::Whole(attached)) => assert_eq!(began.body, attached.body, "{key}"),
        (Got::Stream(_, began), Got::Stream(_, attached)) => assert_eq!(began, attached, "{key}"),
        (Got::Whole(_), Got::Stream(_, events)) | (Got::Stream(_, events), Got::Whole(_)) => {
            let last = if path == CHAT { "done" } else { "[DONE]" };
            assert_eq!(names(events).last(), Some(&last), "{key}");
        }
    }
    assert_eq!(first.provider.calls_with(&key), 1, "{key}");
}

const STREAMS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

#[tokio::test]
async fn a_running_turn_is_shared_within_a_process() {
    let app = TestApp::start().await;
    let rows = ROUTES.iter().flat_map(|path| STREAMS.map(|streams| check(&app, &app, path, streams)));
    join_all(rows).await;
}

#[tokio::test]
async fn a_running_turn_is_shared_between_processes() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let rows = ROUTES.iter().flat_map(|path| STREAMS.map(|streams| check(&app, &other, path, streams)));
    join_all(rows).await;
}

#[tokio::test]
async fn an_attached_stream_sees_each_event_as_it_is_made() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::answer(ANSWER).gated_after(2, &gate));
    let body = ask_as(CHAT, "hello", true);
    let headers = [("idempotency-key", "s:1")];
    let mut began = app.open(CHAT, &headers, &body).await;
    gate.reached().await;

    for process in [&app, &other] {
        let mut attached = process.open(CHAT, &headers, &body).await;
        for expected in ["turn", "delta", "delta"] {
            assert_eq!(attached.next().await.unwrap().event, expected);
        }
    }
    gate.open();
    assert_eq!(began.next().await.unwrap().event, "turn");
    assert_eq!(text_in(&began.rest().await), ANSWER);
}

/// A turn that is held, with a request for it under way.
struct Held {
    app: TestApp,
    other: TestApp,
    gate: Gate,
}

impl Held {
    /// Sends `path` the key `s:1` again, with `headers`, to both processes while it runs.
    async fn ask_again(path: &str, headers: &[(&str, &str)], change: impl Fn(Value) -> Value) -> (Self, [Reply; 2]) {
        let app = TestApp::start().await;
        let held = Self { other: app.second_process().await, app, gate: Gate::closed() };
        held.app.provider.otherwise(Script::answer(ANSWER).gated(&held.gate));
        let body = ask_as(path, "hello", false);
        let key = ("idempotency-key", "s:1");
        // Its client leaves; the turn goes on.
        drop(held.app.open(path, &[key], &with(body.clone(), "stream", true)).await);
        held.gate.reached().await;

        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([key]).collect();
        let body = change(body);
        let replies = join_all([&held.app, &held.other].map(|process| process.post_with(path, &headers, &body))).await;
        (held, replies.try_into().unwrap())
    }

    async fn finish(self) {
        assert_eq!(self.app.turn_in("s:1", "PROCESSING").await["turn_number"], Value::Null);
        self.gate.open();
        assert_eq!(self.app.turn_in("s:1", "COMPLETED").await["message"], ANSWER);
        assert_eq!(self.app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn patience_ends_with_a_conflict_that_says_where_to_look() {
    for path in ROUTES {
        for wait in ["wait=0", "wait=1"] {
            let (held, replies) = Held::ask_again(path, &[("prefer", wait)], |body| body).await;
            for reply in &replies {
                check_error(reply, 409, "turn_in_progress", "");
                assert_eq!(reply.header("location"), "/v1/turns/s:1");
                assert_eq!((reply.header("retry-after"), reply.header("retry-after-ms")), ("2", "2000"));
                assert_eq!(reply.json()["error"]["retryable"], true);
            }
            held.finish().await;
        }
    }
}

#[tokio::test]
async fn whoever_asks_for_it_is_told_that_the_turn_is_running() {
    for path in ROUTES {
        let (held, replies) = Held::ask_again(path, &[("prefer", "respond-async")], |body| body).await;
        for reply in &replies {
            assert_eq!((reply.status, reply.header("location")), (202, "/v1/turns/s:1"));
            assert_eq!(reply.header("preference-applied"), "respond-async");
            assert_eq!(
                reply.json(),
                json!({"object": "turn", "status": "PROCESSING", "key": "s:1", "location": "/v1/turns/s:1"})
            );
        }
        held.finish().await;
    }
}

#[tokio::test]
async fn a_running_turn_is_not_shown_to_another_request() {
    for path in ROUTES {
        let (held, replies) = Held::ask_again(path, &[], |body| with(body, "temperature", 1)).await;
        for reply in &replies {
            check_error(reply, 422, "idempotency_key_reused", "Idempotency-Key");
        }
        held.finish().await;
    }
}

#[tokio::test]
async fn a_running_turn_asserts_its_number() {
    let (held, replies) = Held::ask_again(CHAT, &[("if-match", "2"), ("prefer", "wait=0")], |body| body).await;
    check_error(&replies[0], 412, "turn_number_mismatch", "If-Match");
    // Another process learns the number from the commit.
    check_error(&replies[1], 409, "turn_in_progress", "");
    held.finish().await;
}

#[tokio::test]
async fn a_turn_that_runs_is_read_without_its_answer() {
    let (held, _) = Held::ask_again(CHAT, &[("prefer", "wait=0")], |body| body).await;
    let turn = held.app.get("/v1/turns/s:1").await;
    insta::assert_json_snapshot!(redacted(turn.json()), @r#"
    {
      "completed_at": null,
      "conversation_id": "s",
      "cost_usd": null,
      "input_hash": "0695343d70aa34ac3125bba97423fbb2f0ab99ed528b25738955bd391c37409e",
      "message": null,
      "model": null,
      "object": "turn",
      "project_id": null,
      "response_hash": null,
      "status": "PROCESSING",
      "thread_id": "s",
      "turn_id": "1",
      "turn_number": null,
      "usage": null
    }
    "#);
    held.finish().await;
}
