//! Streams whose log is gone: whoever comes new gets the whole of one made from what is kept,
//! who comes back into its middle only what sums up.

use turnwise_tests::app::{Sse, TestApp};

use super::resume::check_tails;
use super::taken_over::prelude;
use super::{Case, Fate, Shape, Stream, Way, check_numbers, echo_cases, forget_logs, numbers, scripted_cases, tail};
use crate::api::responses::stream::check_stream;

/// What a client gets for which the steps are of no use any more.
fn summed_up(rebuilt: &[Sse]) -> Vec<Sse> {
    const ENDS: [&str; 5] = ["error", "response.completed", "response.incomplete", "response.failed", "done"];
    let sums_up = |event: &&Sse| event.event.ends_with(".done") || ENDS.contains(&event.event.as_str());
    rebuilt.iter().filter(|event| sums_up(event) || event.data == "[DONE]").cloned().collect()
}

async fn check(case: &Case, shape: Shape) {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    app.provider.otherwise(case.script());
    let (stream, events) = case.ask(shape, "s:1").begin(&app).await;
    let told = events.rest().await;
    forget_logs(&app).await;

    let rebuilt = stream.read(&app, Way::Get, None).await;
    let first = super::number(&rebuilt[0]).unwrap();
    check_numbers(&rebuilt, 2);
    if shape == Shape::Responses {
        let response = check_stream(&rebuilt);
        assert_eq!(response, check_stream(&told), "{}", case.name);
    }
    check_tails(&stream, [&app, &other], shape.ways(), &rebuilt).await;

    for after in numbers(&told) {
        for way in shape.ways() {
            let seen = after < prelude(shape) as u64;
            match shape {
                // What was seen is the same in both.
                Shape::Chat | Shape::Messages | Shape::Responses if seen => {
                    let rest = tail(&rebuilt, Some(first + after));
                    assert_eq!(stream.read(&other, *way, Some(after)).await, rest, "{after}");
                }
                Shape::Chat | Shape::Responses => {
                    assert_eq!(stream.read(&other, *way, Some(after)).await, summed_up(&rebuilt), "{after}");
                }
                Shape::Completions | Shape::Messages => check_incomplete(&stream, &other, *way, after).await,
            }
        }
    }
    assert!(app.provider.calls() <= 1, "nothing is made again");
}

async fn check_incomplete(stream: &Stream, app: &TestApp, way: Way, after: u64) {
    let ended = stream.again(app, way, Some(after)).await;
    assert_eq!((ended.status, ended.header("content-type")), (200, "text/event-stream"));
    let error = ended.rest_of_text().await;
    assert!(error.contains("\"code\":\"stream_incomplete\"") && error.contains("\"retryable\":true"), "{error}");
}

async fn check_all(shape: Shape) {
    let cases = echo_cases().into_iter().chain(scripted_cases());
    for case in cases.filter(|case| case.fate == Fate::Answered) {
        check(&case, shape).await;
    }
}

#[tokio::test]
async fn a_chat_whose_log_is_gone_ends_with_its_turn() {
    check_all(Shape::Chat).await;
}

#[tokio::test]
async fn a_completion_whose_log_is_gone_is_not_gone_on_with() {
    check_all(Shape::Completions).await;
}

#[tokio::test]
async fn a_message_whose_log_is_gone_is_not_gone_on_with() {
    check_all(Shape::Messages).await;
}

#[tokio::test]
async fn a_response_whose_log_is_gone_is_summed_up() {
    check_all(Shape::Responses).await;
}

/// A turn that failed, without its log: whoever comes new is told what was kept of it, others
/// are told that it failed, behind what they have seen.
async fn check_failed(case: &Case, shape: Shape) {
    let app = TestApp::start().await;
    app.provider.otherwise(case.script());
    let (stream, events) = case.ask(shape, "s:1").begin(&app).await;
    let told = events.rest().await;
    forget_logs(&app).await;

    let whole = stream.read(&app, Way::Get, None).await;
    if shape == Shape::Responses {
        let response = check_stream(&whole);
        assert_eq!((&response["status"], response["error"]["code"].as_str()), (&"failed".into(), Some("server_error")));
        assert_eq!(app.get(&stream.address).await.json(), response);
    }
    // Of a stream that is read from its beginning nothing is lost that was kept.
    for after in (0..prelude(shape) as u64).map(Some) {
        assert_eq!(stream.read(&app, Way::Get, after).await, tail(&whole, after));
    }
    let last = numbers(&told).len() as u64 - 1;
    let ends = if shape == Shape::Responses { 2 } else { 1 };
    for after in prelude(shape) as u64..last {
        let rest = stream.read(&app, Way::Get, Some(after)).await;
        let names = |events: &[Sse]| events.iter().map(|event| event.event.clone()).collect::<Vec<_>>();
        assert_eq!(names(&rest), names(&tail(&told, Some(last - ends))), "{} behind {after}", case.name);
        assert_eq!(numbers(&rest), (after + 1..=after + ends).collect::<Vec<_>>(), "{}", case.name);
    }
}

#[tokio::test]
async fn a_failure_whose_log_is_gone_is_told_all_the_same() {
    let cases = echo_cases().into_iter().chain(scripted_cases());
    for case in cases.filter(|case| case.fate == Fate::Failed) {
        for shape in Shape::ALL {
            check_failed(&case, shape).await;
        }
    }
}
