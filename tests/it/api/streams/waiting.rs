//! Streams of turns that wait in a queue before they are made.

use futures_util::future::join_all;
use serde_json::json;
use turnwise_tests::app::{Events, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::resume::check_tails;
use super::{Asked, Shape, Way, numbers, tail, take};
use crate::api::responses::stream::check_stream;
use crate::api::{CHAT, named_turn, with};

#[tokio::test]
async fn a_response_in_the_background_is_gone_on_with_from_the_queue_on() {
    let mut app = TestApp::start().await;
    let other = app.second_process().await;
    let mut asked = Asked::new(Shape::Responses, "s:1", "hello", &json!({"background": true}));
    asked.body["metadata"] = json!({"a": "b"});
    let (stream, mut events) = asked.begin(&app).await;
    let mut whole = take(&mut events, 2).await;
    let places = [None, Some(0), Some(1)];
    let opening = places.iter().flat_map(|after| [&app, &other].map(|process| (process, *after)));
    let places: Vec<_> = opening.collect();
    let opened = join_all(places.iter().map(|(process, after)| stream.again(process, Way::Get, *after))).await;
    let places: Vec<_> = places.into_iter().map(|(_, after)| after).collect();

    app.work();
    whole.extend(events.rest().await);
    check_stream(&whole);
    for (after, read) in places.into_iter().zip(join_all(opened.into_iter().map(Events::rest)).await) {
        assert_eq!(read, tail(&whole, after), "behind {after:?}");
    }
    check_tails(&stream, [&app, &other], &[Way::Get], &whole).await;
}

#[tokio::test]
async fn a_turn_behind_another_is_gone_on_with_from_the_queue_on() {
    for shape in [Shape::Chat, Shape::Responses] {
        let mut app = TestApp::start().await;
        let other = app.second_process().await;
        let gate = Gate::closed();
        app.provider.on_text("first", Script::answer("one").gated(&gate));
        let first = app.open(CHAT, &[], &with(named_turn("first"), "stream", true)).await;
        gate.reached().await;
        let place = if shape == Shape::Chat { "session_id" } else { "conversation" };
        let fields = json!({place: "s", "on_busy": "enqueue"});
        let (stream, mut events) = Asked::new(shape, "s:next", "next", &fields).begin(&app).await;
        let waits = if shape == Shape::Chat { 1 } else { 2 };
        let mut whole = take(&mut events, waits).await;
        let later = stream.again(&other, Way::Get, numbers(&whole).last().copied()).await;
        app.work();
        gate.open();
        drop(first.rest().await);
        let rest = events.rest().await;
        assert_eq!(later.rest().await, rest, "{shape:?}");
        whole.extend(rest);
        if shape == Shape::Responses {
            check_stream(&whole);
        }
        check_tails(&stream, [&app, &other], &[Way::Get], &whole).await;
    }
}

/// A queued turn whose first attempt was refused waits again: its client is not told twice that
/// it was created.
#[tokio::test]
async fn an_attempt_that_said_nothing_is_not_noticed() {
    for shape in [Shape::Chat, Shape::Responses] {
        let mut app = TestApp::start().await;
        let gate = Gate::closed();
        app.provider.enqueue(Script::refuse(503).gated(&gate));
        app.provider.enqueue(Script::answer("at last"));
        let (fields, waits) = match shape {
            Shape::Responses => (json!({"background": true}), 3),
            Shape::Chat | Shape::Completions | Shape::Messages => (json!({}), 1),
        };
        let asked = Asked::new(shape, "s:1", "hello", &fields);
        let (stream, mut events) = match shape {
            Shape::Responses => asked.begin(&app).await,
            Shape::Chat | Shape::Completions | Shape::Messages => {
                let headers = [("idempotency-key", "s:1"), ("prefer", "respond-async")];
                assert_eq!(app.post_with(shape.path(), &headers, &asked.body).await.status, 202);
                asked.begin(&app).await
            }
        };
        app.work();
        gate.reached().await;
        let seen = take(&mut events, waits).await;
        let later = stream.again(&app, Way::Get, numbers(&seen).last().copied()).await;
        gate.open();
        let rest = events.rest().await;
        assert_eq!(later.rest().await, rest, "{shape:?}");
        let kinds: Vec<&str> = seen.iter().chain(&rest).map(|event| event.event.as_str()).collect();
        for once in ["turn", "response.created", "response.queued", "response.in_progress"] {
            assert!(kinds.iter().filter(|kind| **kind == once).count() <= 1, "{kinds:?}");
        }
        assert!(!kinds.contains(&"error"), "{kinds:?}");
        assert_eq!(app.provider.calls(), 2);
    }
}
