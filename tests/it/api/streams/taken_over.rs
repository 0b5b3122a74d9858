//! Another attempt answers, and differently: who has seen nothing of the first one's text goes
//! on, who has is told, and gets the new text if it takes that.

use serde_json::json;
use turnwise_core::limits::NUMBERS_PER_STREAM;
use turnwise_tests::app::{Events, Sse, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::running::shown;
use super::{Asked, Case, Shape, Stream, Way, check_numbers, numbers, scripted, tail, take};
use crate::api::responses::stream::{check_event, check_stream};
use crate::api::with;

const KEY: &str = "s:1";

/// The number of the second stream's first event.
const SECOND: u64 = NUMBERS_PER_STREAM;

/// Events before anything that the model says.
pub(super) const fn prelude(shape: Shape) -> usize {
    match shape {
        Shape::Chat | Shape::Messages => 1,
        Shape::Completions => 0,
        Shape::Responses => 2,
    }
}

/// A turn whose first process stands still behind some of its text.
struct Stalled {
    first: TestApp,
    second: TestApp,
    gate: Gate,
    case: Case,
    deltas: usize,
}

impl Stalled {
    async fn behind(deltas: usize) -> Self {
        let first = TestApp::start().await;
        let (second, gate, case) = (first.second_process().await, Gate::closed(), scripted("said"));
        first.provider.enqueue(case.script().gated_after(deltas, &gate));
        first.provider.enqueue(Script::answer("quite another answer"));
        Self { first, second, gate, case, deltas }
    }

    /// Asks for the turn, and reads what there is of it.
    async fn begin(&self, asked: Asked) -> (Stream, Events, Vec<Sse>) {
        let shown = shown(asked.shape, &self.case, self.deltas);
        let (stream, mut events) = asked.begin(&self.first).await;
        self.gate.reached().await;
        let seen = take(&mut events, shown).await;
        (stream, events, seen)
    }

    /// Has the second process make the turn, and lets the first one go on. What the second
    /// one's stream is.
    async fn take_over(&self, stream: &Stream, streamed: bool) -> Vec<Sse> {
        assert_eq!(self.second.engine.free_dead_turns().await.unwrap(), 1);
        let asked = stream.asked.clone();
        match streamed {
            true => drop(asked.begin(&self.second).await.1.rest().await),
            false => assert_eq!(asked.whole(&self.second).await.1.status, 200),
        }
        self.gate.open();
        let whole = stream.read(&self.second, Way::Get, None).await;
        check_numbers(&whole, 2);
        if stream.asked.shape == Shape::Responses {
            check_stream(&whole);
        }
        assert_eq!(self.first.provider.calls(), 2);
        whole
    }
}

/// What comes of the first attempt's stream, which goes on to its end before it learns that it
/// lost, and what comes then. Only completions have chunks that say nothing.
fn split(shape: Shape, events: &[Sse]) -> (&[Sse], &[Sse]) {
    let is_first = |event: &&Sse| super::number(event).is_some_and(|number| number < SECOND);
    events.split_at(events.iter().take_while(|event| shape == Shape::Completions && is_first(event)).count())
}

/// Checks the events that end a stream which was taken over: an error that is no part of it.
fn check_taken_over(shape: Shape, seen: &[Sse], rest: &[Sse]) {
    let (error, over) = rest.split_first().expect("an error");
    match shape {
        Shape::Responses => {
            check_event(error);
            assert_eq!(super::number(error), seen.last().and_then(super::number), "{error:?}");
            assert_eq!(over.iter().map(|event| event.data.as_str()).collect::<Vec<_>>(), ["[DONE]"]);
        }
        Shape::Chat | Shape::Completions | Shape::Messages => {
            assert_eq!((error.id.as_str(), over), ("", &[][..]), "{error:?}")
        }
    }
    let error = error.json()["error"].clone();
    assert_eq!((&error["code"], &error["retryable"]), (&json!("taken_over"), &json!(true)), "{error}");
}

/// What of the new stream a client gets that takes it: with a word that it does, but for the
/// standard's own events, which say so themselves.
fn check_restarted(shape: Shape, rest: &[Sse], new: &[Sse]) {
    match shape {
        Shape::Responses => assert_eq!(rest, new),
        Shape::Chat | Shape::Messages => {
            assert_eq!((rest[0].event.as_str(), rest[0].id.as_str()), ("restarted", ""));
            assert_eq!(&rest[1..], new);
        }
        Shape::Completions => {
            assert_eq!((&rest[0].json()["turnwise"]["restarted"], rest[0].id.as_str()), (&json!(true), ""));
            assert_eq!(rest[0].json()["choices"], json!([]));
            assert_eq!(&rest[1..], new);
        }
    }
}

async fn check(shape: Shape, streamed: bool, restartable: bool) {
    let stalled = Stalled::behind(3).await;
    let mut asked = Asked::new(shape, KEY, "hello", &json!({}));
    if restartable {
        asked.body = with(asked.body, "restartable", true);
    }
    let (mut stream, events, seen) = stalled.begin(asked).await;
    if let Some(fields) = stream.asked.body.as_object_mut() {
        fields.remove("restartable");
    }
    // Somebody who looks on elsewhere.
    let mut observer = match restartable {
        true => stream.restartable(&stalled.second, Way::Get, None).await,
        false => stream.again(&stalled.second, Way::Get, None).await,
    };
    assert_eq!(take(&mut observer, seen.len()).await, seen);

    let new = stalled.take_over(&stream, streamed).await;
    let rest = events.rest().await;
    let observed = observer.rest().await;
    let ((own, rest), (own_observed, observed)) = (split(shape, &rest), split(shape, &observed));
    let (seen_here, seen_there) = ([&seen, own].concat(), [&seen, own_observed].concat());
    // Which turn it is was said already.
    let goes_on = if shape == Shape::Chat { tail(&new, Some(SECOND)) } else { new.clone() };
    match restartable {
        true => {
            check_restarted(shape, rest, &goes_on);
            check_restarted(shape, observed, &goes_on);
        }
        false => {
            check_taken_over(shape, &seen_here, rest);
            check_taken_over(shape, &seen_there, observed);
        }
    }
    check_later(&stalled, &stream, &seen, &new).await;
}

/// Who comes back with a number of the first stream.
async fn check_later(stalled: &Stalled, stream: &Stream, seen: &[Sse], new: &[Sse]) {
    let shape = stream.asked.shape;
    let prelude = prelude(shape) as u64;
    for after in numbers(seen) {
        for process in [&stalled.first, &stalled.second] {
            for way in shape.ways() {
                if after < prelude {
                    let rest = tail(new, Some(SECOND + after));
                    assert_eq!(stream.read(process, *way, Some(after)).await, rest, "{shape:?} {after}");
                    continue;
                }
                let refused = stream.again(process, *way, Some(after)).await;
                assert_eq!(refused.header("content-type"), "text/event-stream", "{shape:?} {after}");
                assert!(refused.status == 200 && refused.rest_of_text().await.contains("\"taken_over\""));
                let taken = stream.restartable(process, *way, Some(after)).await;
                assert_eq!(taken.status, 200);
                check_restarted(shape, &taken.rest().await, new);
            }
        }
    }
}

#[tokio::test]
async fn who_has_seen_text_is_told_that_another_attempt_answers() {
    for shape in Shape::ALL {
        for streamed in [true, false] {
            check(shape, streamed, false).await;
        }
    }
}

#[tokio::test]
async fn who_takes_another_text_gets_it_with_larger_numbers() {
    for shape in Shape::ALL {
        for streamed in [true, false] {
            check(shape, streamed, true).await;
        }
    }
}

/// Takes the lock away from the process that has it, which lets go of the turn then.
async fn release(app: &TestApp) {
    let caller = turnwise_tests::rig::caller();
    let held = app.engine.held_locks(&caller.tenant).await.unwrap().remove(0);
    app.engine.release_lock(&caller, &held.conversation, "a test").await.unwrap();
}

#[tokio::test]
async fn who_has_seen_no_text_goes_on_with_the_other_attempts() {
    for shape in Shape::ALL {
        let stalled = Stalled::behind(0).await;
        let asked = Asked::new(shape, KEY, "hello", &json!({}));
        let (stream, events) = asked.begin(&stalled.first).await;
        let mut events = events;
        stalled.gate.reached().await;
        let seen = take(&mut events, prelude(shape)).await;
        let mut observer = stream.again(&stalled.second, Way::Get, None).await;
        assert_eq!(take(&mut observer, seen.len()).await, seen);

        release(&stalled.first).await;
        let (rest, observed) = (events.rest().await, observer.rest().await);
        let new = stream.read(&stalled.second, Way::Get, None).await;
        check_numbers(&new, 2);
        let expected = tail(&new, (SECOND + seen.len() as u64).checked_sub(1));
        assert_eq!((&rest, &observed), (&expected, &expected), "{shape:?}");
        assert_eq!(stalled.first.provider.calls(), 2);
    }
}
