//! A stream that has ended is read again behind each of its events: what comes is the rest of
//! it, byte for byte, in the process that made it and in another, whether its client saw it
//! made or only its whole answer.

use futures_util::future::join_all;
use turnwise_tests::app::{Reply, Sse, TestApp};

use super::{Asked, Case, Fate, Shape, Stream, Way, check_numbers, echo_cases, numbers, scripted_cases, tail};
use crate::api::messages::put_together;
use crate::api::responses::stream::check_stream;

/// What is read behind each event is the rest of `whole`.
pub(super) async fn check_tails(stream: &Stream, processes: [&TestApp; 2], ways: &[Way], whole: &[Sse]) {
    let places = numbers(whole).into_iter().map(Some).chain([None]);
    let reading = places.flat_map(|after| {
        let each = processes.into_iter().flat_map(move |process| ways.iter().map(move |way| (process, *way)));
        each.map(move |(process, way)| async move {
            let read = stream.read(process, way, after).await;
            assert_eq!(read, tail(whole, after), "{way:?} behind {after:?}: {stream:?}");
        })
    });
    join_all(reading).await;
}

fn check_whole(shape: Shape, whole: &[Sse]) {
    check_numbers(whole, 1);
    match shape {
        Shape::Responses => drop(check_stream(whole)),
        Shape::Messages => assert_eq!(whole[0].event, "message_start"),
        Shape::Chat | Shape::Completions => assert!(!whole.is_empty(), "{shape:?}"),
    }
}

async fn check(case: &Case, shape: Shape) {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let key = |how: &str| format!("{how}-{}:1", case.name);
    for how in ["streamed", "whole"] {
        app.provider.on_text(&key(how), case.script());
    }
    // Asking again for what has failed is asking for another attempt.
    let ways = if case.fate == Fate::Answered { shape.ways() } else { &[Way::Get] };

    let (stream, events) = case.ask(shape, &key("streamed")).begin(&app).await;
    let whole = events.rest().await;
    check_whole(shape, &whole);
    check_tails(&stream, [&app, &other], ways, &whole).await;
    if case.fate == Fate::Answered {
        assert_eq!(stream.read(&other, Way::Post, None).await, whole, "{stream:?}");
    }

    let (stream, reply) = case.ask(shape, &key("whole")).whole(&app).await;
    assert_eq!(reply.status == 200, case.fate == Fate::Answered, "{}", reply.text());
    let whole = stream.read(&app, Way::Get, None).await;
    check_whole(shape, &whole);
    check_end(shape, &whole, &reply);
    check_tails(&stream, [&app, &other], ways, &whole).await;
}

/// A stream made of a whole answer ends with that.
fn check_end(shape: Shape, whole: &[Sse], reply: &Reply) {
    match (shape, reply.status) {
        (Shape::Chat, 200) => assert_eq!(whole.last().unwrap().data, reply.text()),
        (Shape::Responses, 200) => assert_eq!(whole[whole.len() - 2].json()["response"], reply.json()),
        (Shape::Completions, 200) => assert_eq!(whole.last().unwrap().data, "[DONE]"),
        (Shape::Messages, 200) => assert_eq!(put_together(whole), reply.json()),
        (Shape::Chat | Shape::Completions | Shape::Messages, _) => {
            assert_eq!(whole.last().unwrap().json(), reply.json())
        }
        (Shape::Responses, _) => {
            let error = whole[whole.len() - 3].json()["error"].clone();
            assert_eq!(error["code"], reply.json()["error"]["code"]);
            assert_eq!(error["message"], reply.json()["error"]["message"]);
        }
    }
}

async fn check_all(shape: Shape) {
    let cases = echo_cases().into_iter().chain(scripted_cases());
    for case in cases.filter(|case| case.fate != Fate::Cancelled) {
        check(&case, shape).await;
    }
}

#[tokio::test]
async fn a_chat_goes_on_behind_each_of_its_events() {
    check_all(Shape::Chat).await;
}

#[tokio::test]
async fn a_completion_goes_on_behind_each_of_its_chunks() {
    check_all(Shape::Completions).await;
}

#[tokio::test]
async fn a_message_goes_on_behind_each_of_its_events() {
    check_all(Shape::Messages).await;
}

#[tokio::test]
async fn a_response_goes_on_behind_each_of_its_events() {
    check_all(Shape::Responses).await;
}

#[tokio::test]
async fn chunks_that_are_not_shown_leave_their_places_free() {
    let app = TestApp::start().await;
    let mut asked = Asked::new(Shape::Completions, "k", "hello", &serde_json::json!({}));
    asked.body.as_object_mut().unwrap().remove("stream_options");
    let (stream, events) = asked.begin(&app).await;
    let whole = events.rest().await;
    assert_eq!(numbers(&whole), [0, 1, 2, 3, 4, 5, 7], "the usage is the seventh");
    check_tails(&stream, [&app, &app.second_process().await], &[Way::Post], &whole).await;
}

#[tokio::test]
async fn a_browser_asks_for_a_stream_by_what_it_accepts() {
    let app = TestApp::start().await;
    for (shape, key) in [(Shape::Chat, "s:1"), (Shape::Completions, "k")] {
        let (stream, events) = Asked::new(shape, key, "hello", &serde_json::json!({})).begin(&app).await;
        let whole = events.rest().await;
        for after in numbers(&whole) {
            let last = after.to_string();
            let headers = [("accept", "text/event-stream"), ("last-event-id", last.as_str())];
            let read = app.follow(&stream.address, &headers).await.rest().await;
            assert_eq!(read, tail(&whole, Some(after)), "{shape:?} behind {after}");
        }
    }
}
