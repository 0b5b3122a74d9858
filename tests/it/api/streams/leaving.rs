//! Clients that leave at each event, and clients that do not read: the turn is committed all
//! the same, and its stream is there for whoever comes back.

use futures_util::future::join_all;
use serde_json::json;
use turnwise_tests::app::{Sse, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::running::shown;
use super::{Asked, Shape, Way, check_numbers, number, scripted, tail, take};

/// Leaves behind so many events of those that there are once the provider has said it all.
async fn leave(app: &TestApp, shape: Shape, seen: usize) {
    let (case, gate) = (scripted("said"), Gate::closed());
    let key = format!("{seen}-left:1");
    app.provider.on_text(&key, case.script().gated_after(case.deltas.len(), &gate));
    let (stream, mut events) = case.ask(shape, &key).begin(app).await;
    let told = take(&mut events, seen).await;
    drop(events);
    gate.reached().await;
    gate.open();
    let last = told.last().and_then(number);
    let rest = stream.read(app, Way::Get, last).await;
    assert_eq!(tail(&stream.read(app, Way::Get, None).await, last), rest);
    check_numbers(&[told, rest].concat(), 1);
    assert_eq!((app.provider.calls_with(&key), app.provider.abandoned()), (1, 0));
    assert_eq!(app.get(&stream.address).await.json()["status"], committed(shape), "{key}");
}

#[tokio::test]
async fn a_client_may_leave_at_any_event() {
    for shape in Shape::ALL {
        let app = TestApp::start().await;
        let most = shown(shape, &scripted("said"), 3);
        join_all((0..=most).map(|seen| leave(&app, shape, seen))).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_gets_all_of_it_in_order() {
    for shape in Shape::ALL {
        let app = TestApp::start().await;
        let words: Vec<String> = (0..128).map(|word| format!("{word} {}", "a".repeat(16 * 1024))).collect();
        app.provider.otherwise(Script::chunks(words.iter().map(String::as_str)));
        let (stream, events) = Asked::new(shape, "s:1", "hello", &json!({})).begin(&app).await;
        // Nothing of it is read before its turn is committed.
        app.engine.tasks.idle().await;
        assert_eq!(app.get(&stream.address).await.json()["status"], committed(shape), "{shape:?}");
        let read = events.rest().await;
        check_numbers(&read, 1);
        let deltas = read.iter().filter_map(delta).collect::<Vec<_>>();
        assert!(deltas == words, "{shape:?}: {} deltas", deltas.len());
    }
}

/// How a turn that has its answer is called.
const fn committed(shape: Shape) -> &'static str {
    match shape {
        Shape::Responses => "completed",
        Shape::Chat | Shape::Completions | Shape::Messages => "COMPLETED",
    }
}

/// What an event adds to the text.
fn delta(event: &Sse) -> Option<String> {
    let body = serde_json::from_str::<serde_json::Value>(&event.data).ok()?;
    let text = match event.event.as_str() {
        "delta" => &body["text"],
        "response.output_text.delta" => &body["delta"],
        "content_block_delta" => &body["delta"]["text"],
        _ => &body["choices"][0]["delta"]["content"],
    };
    text.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
