//! A response's events, over chunks of any shape.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use turnwise_core::category::Category;
use turnwise_core::fold::Fold;
use turnwise_core::generation::Event;
use turnwise_core::id::{ConversationId, TurnId, TurnKey};
use turnwise_core::items::{Answered, ResponseEvent, ResponseHead, ResponseStream};
use turnwise_core::json::{RawMap, raw};
use turnwise_core::position::Position;
use turnwise_core::rebuild;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Failure, Outcome};
use turnwise_core::usage::Usage;

fn head(queued: bool) -> ResponseHead {
    let conversation = ConversationId::parse("c", "c").unwrap();
    let key = TurnKey::new("key", conversation, TurnId::parse("t", "t").unwrap()).unwrap();
    let (model, echo) = ("local/echo".to_owned(), RawMap::new());
    ResponseHead { key, created_at: Timestamp(1_000), model, echo, number: 3, inputs: 1, queued }
}

fn answered(completion: &Value) -> Answered<'_> {
    Answered { completion, usage: Usage::estimate("a", "b"), completed_at: Timestamp(2_000) }
}

fn folded(chunks: &[Value]) -> Value {
    let mut fold = Fold::default();
    for chunk in chunks {
        fold.push(chunk);
    }
    fold.complete()
}

/// All events of a response that was streamed as `chunks`.
fn told(chunks: &[Value]) -> Vec<ResponseEvent> {
    let mut stream = ResponseStream::new(head(false));
    let mut events = stream.begin(1, 3);
    events.extend(chunks.iter().flat_map(|chunk| stream.chunk(chunk)));
    events.extend(stream.done(&answered(&folded(chunks))));
    events
}

fn names(events: &[ResponseEvent]) -> Vec<&str> {
    events.iter().map(|event| event.name.strip_prefix("response.").unwrap_or(&event.name)).collect()
}

fn chunk(delta: Value) -> Value {
    json!({"id": "c", "choices": [{"index": 0, "delta": delta}]})
}

fn call(index: u64, name: &str, arguments: &str) -> Value {
    json!({"tool_calls": [{"index": index, "id": if name.is_empty() { Value::Null } else { json!(format!("id{index}")) },
                           "function": {"name": name, "arguments": arguments}}]})
}

#[test]
fn a_text_is_added_grows_and_is_done() {
    let chunks = [json!({"role": "assistant", "content": ""}), json!({"content": "Hel"}), json!({"content": "lo"})];
    let events = told(&chunks.map(chunk));
    assert_eq!(
        names(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
    );
    let deltas: Vec<&Value> =
        events.iter().map(|event| &event.body["delta"]).filter(|delta| !delta.is_null()).collect();
    assert_eq!(deltas, ["Hel", "lo"]);
    assert_eq!(events[2].body["item"]["status"], "in_progress");
    assert_eq!(events[8].body["item"]["content"][0]["text"], "Hello");
    assert_eq!(events[9].body["response"]["output"], json!([events[8].body["item"]]));
}

#[test]
fn an_item_is_done_when_the_next_begins() {
    let chunks = [
        json!({"reasoning_content": "hm"}),
        json!({"content": "wait"}),
        call(0, "f", ""),
        call(0, "", "{}"),
        call(1, "g", "{\"a\""),
        call(1, "", ":1}"),
    ];
    assert_eq!(
        names(&told(&chunks.map(chunk)))[2..],
        [
            "output_item.added",
            "content_part.added",
            "reasoning.delta",
            "reasoning.done",
            "content_part.done",
            "output_item.done",
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
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
}

#[test]
fn an_answer_that_says_nothing_has_an_empty_text() {
    let events = told(&[chunk(json!({"role": "assistant"}))]);
    assert_eq!(
        names(&events)[2..],
        [
            "output_item.added",
            "content_part.added",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
}

#[test]
fn an_answer_cut_short_ends_as_incomplete() {
    let mut last = chunk(json!({}));
    last["choices"][0]["finish_reason"] = json!("length");
    let events = told(&[chunk(json!({"content": "so"})), last]);
    let [.., item, end] = events.as_slice() else { panic!("too few events") };
    assert_eq!((end.name.as_str(), &item.body["item"]["status"]), ("response.incomplete", &json!("incomplete")));
    assert_eq!(end.body["response"]["incomplete_details"], json!({"reason": "max_output_tokens"}));
}

#[test]
fn a_queued_response_says_so_first_and_once() {
    let mut stream = ResponseStream::new(head(true));
    let mut events = stream.waiting(1);
    events.extend(stream.waiting(1));
    events.extend(stream.begin(2, 3));
    assert_eq!(names(&events), ["created", "queued", "in_progress"]);
    let numbers: Vec<Position> = events.iter().map(|event| Position::of(event.number)).collect();
    assert_eq!(numbers, [(1, 0), (1, 1), (2, 2)].map(|(stream, position)| Position { stream, index: position }));
    let at_once = ResponseStream::new(head(true)).begin(1, 3);
    assert_eq!(names(&at_once), ["created", "queued", "in_progress"]);
}

#[test]
fn a_response_that_has_said_nothing_begins_once() {
    let mut stream = ResponseStream::new(head(false));
    let mut events = stream.begin(1, 3);
    events.extend(stream.begin(2, 3));
    events.extend(stream.chunk(&chunk(json!({"content": "a"}))));
    assert_eq!(names(&events)[..3], ["created", "in_progress", "output_item.added"]);
    assert_eq!(Position::of(events[2].number), Position { stream: 2, index: 2 });
}

#[test]
fn another_attempt_begins_again_with_larger_numbers() {
    let mut stream = ResponseStream::new(head(false));
    let mut events = stream.begin(1, 3);
    events.extend(stream.chunk(&chunk(json!({"content": "a"}))));
    events.extend(stream.begin(2, 3));
    events.extend(stream.chunk(&chunk(json!({"content": "b"}))));
    let names = names(&events);
    assert_eq!(names[..5], names[5..]);
    assert!(events.windows(2).all(|pair| pair[0].number < pair[1].number));
    assert_eq!(Position::of(events[5].number), Position { stream: 2, index: 0 });
}

fn failure(outcome: Outcome) -> Failure {
    Failure {
        outcome,
        category: Category::ApiError,
        code: "upstream_error".to_owned(),
        message: "It broke.".to_owned(),
        param: None,
        retry_after_ms: None,
        is_spent: false,
        asked: None,
        request_id: String::new(),
        partial: "kept".to_owned(),
    }
}

fn failed(chunks: &[Value], outcome: Outcome, seen: Option<u64>) -> Vec<ResponseEvent> {
    let mut stream = ResponseStream::new(head(false));
    stream.begin(1, 3);
    for chunk in chunks {
        stream.chunk(chunk);
    }
    let error = json!({"type": "server_error", "code": "upstream_error", "message": "It broke.", "param": null});
    stream.failed(&failure(outcome), &error, seen)
}

#[test]
fn what_had_come_of_a_failed_response_is_incomplete() {
    let events = failed(&[chunk(json!({"content": "so"}))], Outcome::Final, None);
    assert_eq!(names(&events), ["output_text.done", "content_part.done", "output_item.done", "error", "failed"]);
    assert_eq!(events[2].body["item"]["status"], "incomplete");
    assert_eq!(events[3].body["error"]["code"], "upstream_error");
    assert_eq!(events[4].body["response"]["output"], json!([events[2].body["item"]]));
    assert_eq!(events[4].body["response"]["status"], "failed");
}

#[test]
fn what_was_kept_is_told_where_the_steps_are_gone() {
    for seen in [None, Some(1)] {
        let events = failed(&[], Outcome::Final, seen);
        let (item, ends) = events.split_at(6);
        assert_eq!(names(item)[..3], ["output_item.added", "content_part.added", "output_text.delta"]);
        assert_eq!((&item[2].body["delta"], &item[5].body["item"]["status"]), (&json!("kept"), &json!("incomplete")));
        assert_eq!(names(ends), ["error", "failed"]);
        assert_eq!(ends[1].body["response"]["output"], json!([item[5].body["item"]]));
    }
    let events = failed(&[], Outcome::Final, Some(9));
    assert_eq!(names(&events), ["error", "failed"], "who has seen steps needs none of them again");
    assert_eq!(events[1].body["response"]["output"][0]["content"][0]["text"], "kept");
}

#[test]
fn a_cancelled_response_ends_without_an_error() {
    let events = failed(&[], Outcome::Cancelled, None);
    assert_eq!(names(&events)[5..], ["output_item.done", "failed"]);
    assert_eq!(events[6].body["response"]["status"], "cancelled");
    assert_eq!(events[6].body["response"]["error"], Value::Null);
}

#[test]
fn a_client_that_saw_more_than_was_kept_is_told_the_end() {
    assert_eq!(failed(&[], Outcome::Final, Some(9))[0].number, 10);
    assert_eq!(failed(&[], Outcome::Final, Some(1))[0].number, 2);
    let of_another = Position { stream: 2, index: 9 }.number();
    assert_eq!(failed(&[], Outcome::Final, Some(of_another))[0].number, 2);
}

#[test]
fn a_client_that_saw_a_part_of_the_end_is_told_the_rest_of_it() {
    let chunks = [chunk(json!({"content": "so"}))];
    let whole = failed(&chunks, Outcome::Final, None);
    let last = whole[4].number;
    for seen in 0..last {
        assert_eq!(failed(&chunks, Outcome::Final, Some(seen)), whole, "{seen}");
    }
    // It may have been this end, or more of the text.
    assert_eq!(failed(&chunks, Outcome::Final, Some(last))[0].number, last + 1);
}

/// What upstreams send next.
#[derive(Debug, Clone)]
enum Next {
    Delta(Value),
    /// More of the call with this index: its name first, then its arguments in pieces.
    Call(u64),
}

fn next() -> impl Strategy<Value = Next> {
    let text = "[a-zü]{0,3}";
    let delta = prop_oneof![
        4 => text.prop_map(|text| json!({"content": text})),
        2 => text.prop_map(|text| json!({"reasoning_content": text})),
        1 => text.prop_map(|text| json!({"refusal": text})),
        1 => (text, text).prop_map(|(thought, text)| json!({"reasoning_content": thought, "reasoning": thought, "content": text})),
    ];
    prop_oneof![3 => delta.prop_map(Next::Delta), 4 => (0..3u64).prop_map(Next::Call)]
}

fn streams() -> impl Strategy<Value = Vec<Value>> {
    const PIECES: [(&str, &str); 4] = [("f", ""), ("", "{\"a\":"), ("", "1"), ("", "}")];
    prop::collection::vec(next(), 0..16).prop_map(|nexts| {
        let mut told = [0; 3];
        let deltas = nexts.into_iter().filter_map(|next| match next {
            Next::Delta(delta) => Some(delta),
            Next::Call(index) => {
                let told = &mut told[usize::try_from(index).unwrap()];
                let (name, arguments) = PIECES.get(*told)?;
                *told += 1;
                Some(call(index, name, arguments))
            }
        });
        deltas.map(chunk).collect()
    })
}

/// Checks that every item goes through its states in order, and gives what it was then.
fn items_told(events: &[ResponseEvent]) -> Result<Vec<Value>, TestCaseError> {
    let mut items: BTreeMap<u64, Value> = BTreeMap::new();
    let mut parts: BTreeMap<(u64, u64), (String, bool)> = BTreeMap::new();
    let mut added = 0;
    for event in events {
        let body = &event.body;
        let index = body["output_index"].as_u64().unwrap_or(u64::MAX);
        let part = (index, body["content_index"].as_u64().unwrap_or(0));
        prop_assert!(!items.contains_key(&index), "{} after its item was done", event.name);
        match event.name.as_str() {
            "response.output_item.added" => {
                prop_assert_eq!(index, added);
                added += 1;
                if body["item"]["type"] == "function_call" {
                    parts.insert((index, 0), (String::new(), false));
                }
            }
            "response.content_part.added" => {
                prop_assert!(index < added);
                prop_assert!(parts.insert(part, (String::new(), false)).is_none());
            }
            name if name.ends_with(".delta") => {
                let (text, done) = parts.get_mut(&part).expect("a delta of a part that is there");
                prop_assert!(!*done);
                text.push_str(body["delta"].as_str().unwrap());
            }
            "response.content_part.done" => {
                let (text, done) = parts.get_mut(&part).expect("the end of a part that is there");
                let whole = body["part"]["text"].as_str().or_else(|| body["part"]["refusal"].as_str()).unwrap();
                prop_assert_eq!((text.as_str(), *done), (whole, false));
                *done = true;
            }
            "response.function_call_arguments.done" => {
                let (text, done) = parts.get_mut(&part).expect("the end of a call that is there");
                prop_assert!(!*done);
                if !text.is_empty() {
                    prop_assert_eq!(text.as_str(), body["arguments"].as_str().unwrap());
                }
                *done = true;
            }
            "response.output_item.done" => {
                prop_assert!(index < added);
                prop_assert!(parts.range((index, 0)..=(index, u64::MAX)).all(|(_, (_, done))| *done));
                items.insert(index, body["item"].clone());
            }
            _ => {}
        }
    }
    prop_assert_eq!(u64::try_from(items.len()).unwrap(), added);
    Ok(items.into_values().collect())
}

proptest! {
    #[test]
    fn the_items_told_are_the_items_of_the_answer(chunks in streams()) {
        let events = told(&chunks);
        let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
        prop_assert_eq!(&numbers, &(0..u64::try_from(events.len()).unwrap()).collect::<Vec<_>>());
        prop_assert!(events.iter().all(|event| event.body["sequence_number"] == event.number));

        let items = items_told(&events)?;
        let end = events.last().unwrap();
        prop_assert_eq!(&end.name, "response.completed");
        prop_assert_eq!(&json!(items), &end.body["response"]["output"]);
        prop_assert_eq!(&items, &head(false).output(&folded(&chunks)));
    }

    #[test]
    fn a_rebuilt_stream_tells_the_same_items(chunks in streams()) {
        let rebuilt: Vec<Value> = rebuild::events(&raw(&folded(&chunks))).iter().filter_map(|event| match event {
            Event::Chunk(chunk) => Some(serde_json::from_str(chunk.get()).unwrap()),
            Event::Finished => None,
        }).collect();
        let mut stream = ResponseStream::new(head(false));
        let mut events = stream.begin(1, 3);
        events.extend(rebuilt.iter().flat_map(|chunk| stream.chunk(chunk)));
        events.extend(stream.done(&answered(&folded(&chunks))));
        prop_assert_eq!(items_told(&events)?, head(false).output(&folded(&chunks)));
    }

    #[test]
    fn a_stream_made_again_is_the_same(chunks in streams()) {
        prop_assert_eq!(told(&chunks), told(&chunks));
    }

    #[test]
    fn a_broken_stream_ends_all_its_items(chunks in streams()) {
        let mut stream = ResponseStream::new(head(false));
        let mut events = stream.begin(1, 3);
        events.extend(chunks.iter().flat_map(|chunk| stream.chunk(chunk)));
        events.extend(stream.failed(&failure(Outcome::Final), &json!({}), None));
        let items = items_told(&events)?;
        if !items.is_empty() {
            prop_assert_eq!(&json!(items), &events.last().unwrap().body["response"]["output"]);
        }
    }
}
