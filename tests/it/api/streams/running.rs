//! Clients that come back while their turn runs: to its own process and to another, at each
//! event of it, wherever it stands at the time.

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use turnwise_core::id::TurnKey;
use turnwise_core::items::{ResponseHead, ResponseStream};
use turnwise_core::json::RawMap;
use turnwise_core::messages::{MessageHead, MessageStream};
use turnwise_core::time::Timestamp;
use turnwise_tests::app::{Events, TestApp};
use turnwise_tests::scripted::Gate;

use super::{Case, Fate, Shape, Stream, Way, numbers, scripted_cases, tail, take};
use crate::api::responses::stream::check_stream;

/// Turns that run at once: most of the time they wait.
const AT_ONCE: usize = 16;

/// How many events there are once the provider has sent so many of its deltas.
pub(super) fn shown(shape: Shape, case: &Case, deltas: usize) -> usize {
    let sent = &case.deltas[..deltas];
    match shape {
        Shape::Chat => 1 + sent.iter().filter(|delta| delta["content"].is_string()).count(),
        // The chunk that says who speaks comes with the first that says something.
        Shape::Completions => deltas + usize::from(deltas > 0),
        Shape::Messages => {
            let mut stream = MessageStream::new(MessageHead { id: String::new(), model: String::new() });
            let prelude = usize::from(stream.begin(1).number == 0);
            let chunks = sent.iter().map(|delta| json!({"choices": [{"index": 0, "delta": delta}]}));
            prelude + chunks.map(|chunk| stream.chunk(&chunk).len()).sum::<usize>()
        }
        Shape::Responses => {
            let head = ResponseHead {
                key: TurnKey::parse("key", "s:1").unwrap().unwrap(),
                created_at: Timestamp(0),
                model: String::new(),
                echo: RawMap::new(),
                number: 1,
                inputs: 1,
                queued: false,
            };
            let mut stream = ResponseStream::new(head);
            let prelude = stream.begin(1, 1).len();
            let chunks = sent.iter().map(|delta| json!({"choices": [{"index": 0, "delta": delta}]}));
            prelude + chunks.map(|chunk| stream.chunk(&chunk).len()).sum::<usize>()
        }
    }
}

async fn cancel(app: &TestApp, stream: &Stream) {
    let cancelled = app.post(&format!("{}/cancel", stream.address), &json!({})).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text());
}

/// Stops the provider behind `deltas` of its deltas; everybody comes back then.
async fn check(app: &TestApp, other: &TestApp, case: &Case, shape: Shape, deltas: usize) {
    let key = format!("{deltas}-{}:1", case.name);
    let gate = Gate::closed();
    app.provider.on_text(&key, case.script().gated_after(deltas, &gate));
    let (stream, mut events) = case.ask(shape, &key).begin(app).await;
    gate.reached().await;
    let mut whole = take(&mut events, shown(shape, case, deltas)).await;

    // What came of the last delta, and the event before: others were the newest ones earlier.
    let earlier = deltas.checked_sub(1).map_or(0, |earlier| shown(shape, case, earlier).saturating_sub(1));
    let places = numbers(&whole).split_off(earlier).into_iter().map(Some).chain([None]).flat_map(|after| {
        let ways = |process| shape.ways().iter().map(move |way| (after, process, *way));
        ways(app).chain(ways(other)).collect::<Vec<_>>()
    });
    // Who asks again in another process for a turn that has failed asks for another attempt.
    let is_here = |process: &TestApp| process.address() == app.address();
    let waits = |process, way| case.fate == Fate::Answered || way == Way::Get || is_here(process);
    let places: Vec<_> = places.filter(|(_, process, way)| waits(process, *way)).collect();
    let opening = places.iter().map(|(after, process, way)| stream.again(process, *way, *after));
    let opened = join_all(opening).await;

    match case.fate {
        Fate::Answered | Fate::Failed => gate.open(),
        Fate::Cancelled => cancel(app, &stream).await,
    }
    whole.extend(events.rest().await);
    if shape == Shape::Responses {
        check_stream(&whole);
    }
    let read = join_all(opened.into_iter().map(Events::rest)).await;
    for ((after, process, way), read) in places.into_iter().zip(read) {
        assert_eq!(read, tail(&whole, after), "{way:?} behind {after:?}, here: {}, {stream:?}", is_here(process));
    }
    assert_eq!(app.provider.calls_with(&key), 1, "{key}");
}

async fn check_all(shape: Shape) {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let cases = scripted_cases();
    let rows = cases.iter().flat_map(|case| (0..=case.deltas.len()).map(move |deltas| (case, deltas)));
    let rows = rows.map(|(case, deltas)| check(&app, &other, case, shape, deltas));
    stream::iter(rows).buffer_unordered(AT_ONCE).collect::<()>().await;
}

#[tokio::test]
async fn a_running_chat_goes_on_behind_each_of_its_events() {
    check_all(Shape::Chat).await;
}

#[tokio::test]
async fn a_running_completion_goes_on_behind_each_of_its_chunks() {
    check_all(Shape::Completions).await;
}

#[tokio::test]
async fn a_running_message_goes_on_behind_each_of_its_events() {
    check_all(Shape::Messages).await;
}

#[tokio::test]
async fn a_running_response_goes_on_behind_each_of_its_events() {
    check_all(Shape::Responses).await;
}
