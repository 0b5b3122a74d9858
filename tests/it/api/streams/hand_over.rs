//! A function whose time is nearly up sends its clients away before it ends under them.

use std::time::Duration;

use turnwise_core::limits::HAND_OVER_MARGIN;
use turnwise_tests::app::{Sse, TestApp};
use turnwise_tests::scripted::Gate;

use super::running::shown;
use super::{Shape, Way, number, scripted, tail};
use crate::api::responses::stream::check_event;

/// Time enough for what is there to be told before the clients are sent away.
const LEFT: Duration = Duration::from_secs(2);

/// The events of a body that a function ended; it has said when to come back.
fn events_of(body: &str) -> Vec<Sse> {
    let (before, retry) = body.split_once("retry: 1000").expect("it says when to come back");
    let says = |part: &str| part.contains("stream_handed_over");
    assert!(!says(before) && says(retry), "{body}");
    let blocks = body.split("\n\n").filter(|block| block.contains("data:"));
    blocks.filter_map(Sse::of).collect()
}

async fn check(shape: Shape, way: Way) {
    let app = TestApp::start().await;
    // As a function whose time is nearly up, which follows what is made elsewhere.
    let brief = TestApp::builder().with_time(HAND_OVER_MARGIN + LEFT).start_beside(&app).await;
    let (case, gate) = (scripted("said"), Gate::closed());
    app.provider.otherwise(case.script().gated_after(2, &gate));
    let (stream, events) = case.ask(shape, "s:1").begin(&app).await;
    gate.reached().await;

    let cut = stream.again(&brief, way, None).await;
    assert_eq!(cut.status, 200);
    let cut = events_of(&cut.rest_of_text().await);
    let told = shown(shape, &case, 2);
    let error = cut.iter().position(|event| event.data.contains("stream_handed_over")).unwrap();
    assert_eq!(error, told, "all that was there is told before: {cut:?}");
    let last = number(&cut[error - 1]);
    match shape {
        Shape::Responses => {
            check_event(&cut[error]);
            assert_eq!(number(&cut[error]), last, "the error is no part of the stream");
            assert_eq!(cut[error + 1..].iter().map(|event| event.data.as_str()).collect::<Vec<_>>(), ["[DONE]"]);
        }
        Shape::Chat | Shape::Completions | Shape::Messages => {
            assert_eq!((number(&cut[error]), cut.len()), (None, error + 1))
        }
    }
    assert_eq!(cut[error].json()["error"]["retryable"], true);

    let later = stream.again(&app, way, last).await;
    gate.open();
    let whole = events.rest().await;
    assert_eq!(whole[..told], cut[..told]);
    assert_eq!(later.rest().await, tail(&whole, last));
    assert_eq!(app.provider.calls(), 1);
}

#[tokio::test]
async fn a_client_that_was_sent_away_misses_nothing() {
    let rows = Shape::ALL.into_iter().flat_map(|shape| shape.ways().iter().map(move |way| check(shape, *way)));
    futures_util::future::join_all(rows).await;
}
