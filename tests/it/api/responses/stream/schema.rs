//! Streams of every kind of answer are what the standard says.

use serde_json::{Value, json};
use turnwise_tests::app::{Sse, TestApp};

use super::check_stream;
use crate::api::streams::{Case, Fate, Shape, Way, echo_cases, scripted_cases};

fn kinds(events: &[Sse]) -> Vec<&str> {
    events.iter().map(|event| event.event.as_str()).filter(|kind| !kind.is_empty()).collect()
}

/// What a case's response ends as.
fn status(case: &Case) -> &'static str {
    match (case.fate, case.name) {
        (Fate::Failed, _) => "failed",
        (Fate::Cancelled, _) => "cancelled",
        (Fate::Answered, "cut" | "cut-short" | "filtered") => "incomplete",
        (Fate::Answered, _) => "completed",
    }
}

#[tokio::test]
async fn every_kind_of_answer_is_a_stream_of_the_standard() {
    let app = TestApp::start().await;
    let cases = echo_cases().into_iter().chain(scripted_cases());
    for case in cases.filter(|case| case.fate != Fate::Cancelled) {
        let key = format!("{}:1", case.name);
        app.provider.on_text(&key, case.script());
        let (stream, events) = case.ask(Shape::Responses, &key).begin(&app).await;
        let response = check_stream(&events.rest().await);
        assert_eq!(response["status"], status(&case), "{key}");
        // What the stream ends with is what is read back; of what failed, the text alone is kept.
        let mut read = app.get(&stream.address).await.json();
        if case.fate == Fate::Failed {
            read["output"] = response["output"].clone();
        }
        assert_eq!(read, response, "{key}");
    }
}

/// The events of a scripted answer, without `response.`.
async fn check_events(name: &str, expected: &[&str]) {
    let app = TestApp::start().await;
    let case = scripted_cases().into_iter().find(|case| case.name == name).expect("a case");
    app.provider.otherwise(case.script());
    let (_, events) = case.ask(Shape::Responses, "s:1").begin(&app).await;
    let events = events.rest().await;
    check_stream(&events);
    let kinds: Vec<&str> = kinds(&events).into_iter().map(|kind| kind.trim_start_matches("response.")).collect();
    assert_eq!(kinds, expected, "{name}");
}

#[tokio::test]
async fn a_text_is_told_word_by_word() {
    check_events(
        "said",
        &[
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ],
    )
    .await;
}

#[tokio::test]
async fn calls_are_told_one_behind_the_other() {
    check_events(
        "called",
        &[
            "created",
            "in_progress",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_broke_off_is_told_as_incomplete_before_the_error() {
    check_events(
        "broke-in-a-call",
        &[
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "error",
            "failed",
        ],
    )
    .await;
}

#[tokio::test]
async fn an_answer_in_the_background_is_queued_first() {
    for (streamed, name) in [(true, "streamed"), (false, "read")] {
        let mut app = TestApp::start().await;
        let mut asked = echo_cases()[0].ask(Shape::Responses, name);
        asked.body["background"] = json!(true);
        let (stream, mut events) = match streamed {
            true => asked.begin(&app).await,
            false => {
                let (stream, queued) = asked.whole(&app).await;
                assert_eq!(queued.json()["status"], "queued");
                let events = stream.again(&app, Way::Get, None).await;
                (stream, events)
            }
        };
        let mut told: Vec<Sse> = Vec::new();
        while told.len() < 2 {
            told.push(events.next().await.expect("it waits"));
        }
        assert_eq!(kinds(&told), ["response.created", "response.queued"]);
        app.work();
        told.extend(events.rest().await);
        let response = check_stream(&told);
        assert_eq!((&response["status"], &response["background"]), (&json!("completed"), &json!(true)));
        for process in [&app, &app.second_process().await] {
            assert_eq!(stream.read(process, Way::Get, None).await, told);
        }
    }
}

#[tokio::test]
async fn the_error_of_a_stream_is_both_standards() {
    let app = TestApp::start().await;
    let case = scripted_cases().into_iter().find(|case| case.fate == Fate::Failed).expect("a case");
    app.provider.otherwise(case.script());
    let (_, events) = case.ask(Shape::Responses, "s:1").begin(&app).await;
    let events = events.rest().await;
    let error = events.iter().find(|event| event.event == "error").expect("an error").json();
    for field in ["code", "message", "param"] {
        assert_eq!(error[field], error["error"][field], "{field}: {error}");
    }
    assert_eq!((&error["code"], &error["param"]), (&json!("stream_truncated"), &Value::Null));
}
