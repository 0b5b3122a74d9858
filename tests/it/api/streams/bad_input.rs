//! Requests for streams that cannot be met: errors that OpenAI's clients read.

use http::Method;
use serde_json::{Value, json};
use turnwise_core::id::{Tenant, TurnKey};
use turnwise_core::limits::NUMBERS_PER_STREAM;
use turnwise_engine::Error;
use turnwise_engine::turn::Caller;
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::rig;
use turnwise_tests::scripted::{Gate, Script};

use super::{Asked, Shape, Stream, Way, numbers};
use crate::api::{COMPLETIONS, ask_as, check_error, with};

/// What is no number of an event.
const NO_NUMBERS: [&str; 7] = ["-1", "x", "1.5", "0x1", "1 2", "18446744073709551616", "99999999999999999999999999"];

const LAST_EVENT_ID: &str = "last-event-id";

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Reply {
    let request = app.request(Method::GET, path);
    Reply::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn post(app: &TestApp, stream: &Stream, last: &str) -> Reply {
    let asked = &stream.asked;
    let headers = [("idempotency-key", asked.key.as_str()), (LAST_EVENT_ID, last)];
    app.post_with(asked.shape.path(), &headers, &with(asked.body.clone(), "stream", true)).await
}

/// A stream that has ended, and the number of its last event.
async fn ended(app: &TestApp, shape: Shape) -> (Stream, u64) {
    let (stream, events) = Asked::new(shape, "s:1", "hello", &json!({})).begin(app).await;
    let last = *numbers(&events.rest().await).last().unwrap();
    (stream, last)
}

#[tokio::test]
async fn what_is_no_number_is_told_with_the_fields_name() {
    for shape in Shape::ALL {
        let app = TestApp::start().await;
        let (stream, _) = ended(&app, shape).await;
        let path = format!("{}?stream=true", stream.address);
        for bad in NO_NUMBERS {
            match shape {
                Shape::Responses => {
                    let reply = app.get(&format!("{path}&starting_after={}", bad.replace(' ', "%20"))).await;
                    check_error(&reply, 400, "invalid_request", "starting_after");
                }
                Shape::Chat | Shape::Completions | Shape::Messages => {
                    let reply = get(&app, &path, &[(LAST_EVENT_ID, bad)]).await;
                    check_error(&reply, 400, "invalid_request", LAST_EVENT_ID);
                    check_error(&post(&app, &stream, bad).await, 400, "invalid_request", LAST_EVENT_ID);
                }
            }
        }
        assert_eq!(app.provider.calls(), 1);
    }
}

#[tokio::test]
async fn an_empty_number_is_none() {
    let app = TestApp::start().await;
    let (response, _) = ended(&app, Shape::Responses).await;
    let reply = app.get(&format!("{}?stream=true&starting_after=", response.address)).await;
    check_error(&reply, 400, "invalid_request", "starting_after");
    // Browsers send an empty one where no event had an id.
    let (chat, last) = ended(&app, Shape::Chat).await;
    let whole = get(&app, &format!("{}?stream=true", chat.address), &[(LAST_EVENT_ID, "")]).await;
    assert_eq!((whole.status, whole.text().matches("\nid: ").count() as u64), (200, last + 1), "{}", whole.text());
    assert_eq!(post(&app, &chat, "").await.text(), whole.text());
}

#[tokio::test]
async fn nothing_comes_behind_the_end_and_what_is_beyond_is_refused() {
    for shape in Shape::ALL {
        let app = TestApp::start().await;
        let (stream, last) = ended(&app, shape).await;
        let param = if shape == Shape::Responses { "starting_after" } else { LAST_EVENT_ID };
        for process in [&app, &app.second_process().await] {
            for way in shape.ways() {
                let rest = stream.read(process, *way, Some(last)).await;
                let data: Vec<&str> = rest.iter().map(|event| event.data.as_str()).collect();
                assert_eq!(data, if shape == Shape::Responses { &["[DONE]"][..] } else { &[] });
                for beyond in [last + 1, last + 1000, NUMBERS_PER_STREAM, 7 * NUMBERS_PER_STREAM + 3, u64::MAX] {
                    let refused = stream.again(process, *way, Some(beyond)).await;
                    assert_eq!(refused.status, 400, "{shape:?} {way:?} {beyond}");
                    let error: Value = serde_json::from_str(&refused.rest_of_text().await).unwrap();
                    assert_eq!(
                        (&error["error"]["param"], &error["error"]["code"]),
                        (&json!(param), &json!("invalid_request"))
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_beyond_a_running_turn_is_told_once_that_is_known() {
    for shape in Shape::ALL {
        let app = TestApp::start().await;
        let gate = Gate::closed();
        app.provider.otherwise(Script::answer("one two").gated_after(1, &gate));
        let (stream, events) = Asked::new(shape, "s:1", "hello", &json!({})).begin(&app).await;
        gate.reached().await;
        // No attempt has such numbers.
        let refused = stream.again(&app, Way::Get, Some(NUMBERS_PER_STREAM)).await;
        assert_eq!(refused.status, 400, "{shape:?}");
        // Of this one it may come to have events.
        let waiting = stream.again(&app, Way::Get, Some(1000)).await;
        assert_eq!(waiting.status, 200);
        gate.open();
        let told = waiting.rest().await;
        let error = told[0].json()["error"].clone();
        let param = if shape == Shape::Responses { "starting_after" } else { LAST_EVENT_ID };
        assert_eq!((&error["code"], &error["param"]), (&json!("invalid_request"), &json!(param)), "{told:?}");
        assert_eq!(told.len(), if shape == Shape::Responses { 2 } else { 1 }, "{told:?}");
        drop(events);
    }
}

#[tokio::test]
async fn flags_of_the_query_are_true_or_false() {
    let app = TestApp::start().await;
    let (response, _) = ended(&app, Shape::Responses).await;
    let (chat, _) = ended(&app, Shape::Chat).await;
    for address in [&response.address, &chat.address] {
        for (query, field) in [("stream=maybe", "stream"), ("stream=true&restartable=1", "restartable")] {
            check_error(&app.get(&format!("{address}?{query}")).await, 400, "invalid_request", field);
        }
    }
    let alone = app.get(&format!("{}?starting_after=1", response.address)).await;
    check_error(&alone, 400, "invalid_request", "starting_after");
    let body = with(Asked::new(Shape::Chat, "", "hello", &json!({})).body, "restartable", "yes");
    check_error(&app.post("/v1/chat", &body).await, 400, "invalid_request", "restartable");
}

#[tokio::test]
async fn only_what_has_a_key_can_be_resumed() {
    let app = TestApp::start().await;
    let body = ask_as(COMPLETIONS, "hello", true);
    let reply = app.post_with(COMPLETIONS, &[(LAST_EVENT_ID, "3")], &body).await;
    check_error(&reply, 400, "invalid_request", LAST_EVENT_ID);
    crate::api::check_untouched(&app).await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    for id in ["resp_unknown", "resp_", "msg_1", "resp_Yzp0"] {
        let reply = app.get(&format!("/v1/responses/{id}?stream=true&starting_after=2")).await;
        check_error(&reply, 404, "response_not_found", "");
    }
    let reply = get(&app, "/v1/turns/s:none?stream=true", &[(LAST_EVENT_ID, "2")]).await;
    check_error(&reply, 404, "turn_not_found", "");
    // One that is not stored is there for its own request only.
    let unstored = Asked::new(Shape::Responses, "s:1", "hello", &json!({"store": false}));
    for key in [Some("s:1"), None] {
        let headers: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
        let body = with(unstored.body.clone(), "stream", true);
        let events = app.open("/v1/responses", &headers, &body).await.rest().await;
        let response = crate::api::responses::stream::check_stream(&events);
        let id = response["id"].as_str().unwrap();
        let reply = app.get(&format!("/v1/responses/{id}?stream=true")).await;
        check_error(&reply, 404, "response_not_found", "");
        if key.is_some() {
            assert_eq!(app.open("/v1/responses", &headers, &body).await.rest().await, events);
        }
    }
}

#[tokio::test]
async fn a_deleted_response_has_no_stream() {
    let app = TestApp::start().await;
    let (stream, _) = ended(&app, Shape::Responses).await;
    assert_eq!(app.delete(&stream.address).await.status, 200);
    for query in ["stream=true", "stream=true&starting_after=3"] {
        check_error(&app.get(&format!("{}?{query}", stream.address)).await, 404, "response_not_found", "");
    }
    let again = stream.again(&app, Way::Post, None).await;
    assert_eq!((again.status, again.header("content-type")), (410, "application/json"));
}

#[tokio::test]
async fn a_stranger_finds_no_stream() {
    let app = TestApp::start().await;
    let stranger = Caller { tenant: Tenant::from_stored("other".to_owned()), ..rig::caller() };
    let (response, _) = ended(&app, Shape::Responses).await;
    let id = response.address.trim_start_matches("/v1/responses/");
    let found = app.engine.stream_response(&stranger, id).await;
    assert!(matches!(found, Err(Error::NotFound { what: "response", .. })));
    ended(&app, Shape::Chat).await;
    let key = TurnKey::parse("key", "s:1").unwrap().unwrap();
    assert!(matches!(app.engine.stream_of(&stranger, &key).await, Err(Error::NotFound { what: "turn", .. })));
    assert!(app.engine.stream_of(&rig::caller(), &key).await.is_ok(), "its own tenant finds it");
}

#[tokio::test]
async fn a_streams_request_is_checked_before_it_begins() {
    let app = TestApp::start().await;
    let asked = |body: Value| with(with(body, "model", "gpt-4o-mini"), "stream", true);
    for (body, field) in [
        (json!({"input": "a", "conversation": "c", "previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"input": [{"type": "web_search_call", "id": "x"}]}), "input[0].type"),
        (json!({"input": [{"type": "mystery"}]}), "input[0].type"),
    ] {
        check_error(&app.post("/v1/responses", &asked(body)).await, 400, "invalid_request", field);
    }
    crate::api::check_untouched(&app).await;
}
