//! Turns that ended without an answer: their streams are played back with what had come, and
//! why they ended.

use serde_json::json;
use turnwise_tests::app::{Sse, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::running::shown;
use super::{Asked, Shape, Way, nameless, number, numbers, scripted, tail, take};
use crate::api::responses::stream::check_stream;

fn kinds(events: &[Sse]) -> Vec<&str> {
    events.iter().map(|event| event.event.as_str()).collect()
}

#[tokio::test]
async fn a_refusal_before_the_first_word_is_a_stream_for_whoever_looks_later() {
    for shape in Shape::ALL {
        let app = TestApp::start().await;
        app.provider.otherwise(Script::refuse(400));
        for streamed in [true, false] {
            let mut asked = Asked::new(shape, &format!("s{streamed}:1"), "hello", &json!({}));
            asked.body["stream"] = json!(streamed);
            let (stream, refused) = asked.whole(&app).await;
            assert_eq!((refused.status, refused.header("content-type")), (400, "application/json"));
            let whole = stream.read(&app, Way::Get, None).await;
            match shape {
                Shape::Responses => {
                    assert_eq!(kinds(&whole)[2..], ["error", "response.failed", ""]);
                    assert_eq!(check_stream(&whole)["output"], json!([]));
                }
                Shape::Chat => assert_eq!(kinds(&whole), ["turn", "error"]),
                Shape::Messages => assert_eq!(kinds(&whole), ["message_start", "error"]),
                Shape::Completions => assert_eq!(whole.len(), 1),
            }
            for after in numbers(&whole).into_iter().map(Some) {
                assert_eq!(stream.read(&app, Way::Get, after).await, tail(&whole, after));
            }
        }
        assert_eq!(app.provider.calls(), 2);
    }
}

#[tokio::test]
async fn an_error_that_stays_is_the_answer_to_the_same_request() {
    for shape in Shape::ALL {
        let app = TestApp::start().await;
        let error = json!({"error": {"code": "insufficient_quota"}});
        app.provider.otherwise(Script::answer("one two three").error_after(2, error));
        let (stream, events) = Asked::new(shape, "s:1", "hello", &json!({})).begin(&app).await;
        let whole = events.rest().await;
        let code = |events: &[Sse]| events.iter().any(|event| event.data.contains("\"insufficient_quota\""));
        assert!(code(&whole), "{whole:?}");
        for process in [&app, &app.second_process().await] {
            for after in numbers(&whole).into_iter().map(Some).chain([None]) {
                let read = stream.read(process, Way::Get, after).await;
                assert_eq!(nameless(read), nameless(tail(&whole, after)));
                let again = stream.again(process, Way::Post, after).await;
                assert_eq!(
                    (again.header("content-type"), again.header("idempotent-replayed")),
                    ("application/json", "true")
                );
                assert!(again.status >= 400 && again.rest_of_text().await.contains("\"insufficient_quota\""));
            }
        }
        assert_eq!(app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn who_asks_again_for_what_failed_asks_for_another_attempt() {
    for shape in [Shape::Chat, Shape::Completions, Shape::Messages] {
        for restartable in [true, false] {
            let app = TestApp::start().await;
            app.provider.enqueue(scripted("broke").script());
            app.provider.enqueue(Script::answer("quite another answer"));
            let (stream, events) = Asked::new(shape, "s:1", "hello", &json!({})).begin(&app).await;
            let seen = events.rest().await;
            let last = numbers(&seen).last().copied();
            let again = match restartable {
                true => stream.restartable(&app, Way::Post, last).await,
                false => stream.again(&app, Way::Post, last).await,
            };
            if restartable {
                let again = again.rest().await;
                let new = stream.read(&app, Way::Get, None).await;
                assert_eq!(again[1..], new, "behind the word that it begins again");
            } else {
                assert!(again.status == 200 && again.rest_of_text().await.contains("\"taken_over\""));
            }
            app.engine.tasks.idle().await;
            assert_eq!(app.provider.calls(), 2);
        }
    }
}

/// A turn that was cancelled in the middle, played back.
#[tokio::test]
async fn a_cancelled_turn_is_told_as_far_as_it_came() {
    for shape in Shape::ALL {
        for deltas in 0..=3 {
            let app = TestApp::start().await;
            let other = app.second_process().await;
            let (case, gate) = (scripted("cancelled"), Gate::closed());
            app.provider.otherwise(case.script().gated_after(deltas, &gate));
            let (stream, mut events) = case.ask(shape, "s:1").begin(&app).await;
            gate.reached().await;
            let mut whole = take(&mut events, shown(shape, &case, deltas)).await;
            assert_eq!(app.post(&format!("{}/cancel", stream.address), &json!({})).await.status, 200);
            whole.extend(events.rest().await);
            if shape == Shape::Responses {
                assert_eq!(check_stream(&whole)["status"], "cancelled");
                assert!(!kinds(&whole).contains(&"error"), "being cancelled is no error");
            }
            // Its producer writes what is left of its log.
            app.engine.tasks.idle().await;
            let numbers = numbers(&whole);
            let (last, before) = numbers.split_last().unwrap();
            for process in [&app, &other] {
                for after in before.iter().copied().map(Some).chain([None]) {
                    let rest = stream.read(process, Way::Get, after).await;
                    assert_eq!(nameless(rest), nameless(tail(&whole, after)), "{shape:?} {deltas} behind {after:?}");
                }
                check_end(&stream.read(process, Way::Get, Some(*last)).await, &whole, *last);
            }
        }
    }
}

/// Whether the log of a cancelled turn is whole, nobody knows: who has seen its end is told how
/// it ended once more, as new events.
fn check_end(told: &[Sse], whole: &[Sse], last: u64) {
    let said = |event: &&Sse| event.data != "[DONE]";
    let told: Vec<&Sse> = told.iter().filter(said).collect();
    let ends: Vec<&Sse> = whole.iter().filter(said).collect();
    let names = |events: &[&Sse]| events.iter().map(|event| event.event.clone()).collect::<Vec<_>>();
    assert_eq!(names(&told), names(&ends[ends.len() - told.len()..]));
    assert!(!told.is_empty() && told.iter().all(|event| number(event) > Some(last)), "{told:?}");
}
