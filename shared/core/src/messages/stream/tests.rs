use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::answer::message_object;
use super::*;
use crate::fold::Fold;
use crate::generation::Event;
use crate::json::raw;
use crate::rebuild;
use crate::usage::Usage;

fn head() -> MessageHead {
    MessageHead { id: "msg_1".to_owned(), model: "local/echo".to_owned() }
}

fn chunk(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta}]})
}

fn call(index: u64, name: &str, arguments: &str) -> Value {
    json!({"tool_calls": [{"index": index, "id": format!("call_{index}"), "type": "function",
                           "function": {"name": name, "arguments": arguments}}]})
}

fn more(index: u64, arguments: &str) -> Value {
    json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
}

fn detail(detail: Value) -> Value {
    json!({"reasoning_details": [detail]})
}

/// The whole stream of `deltas`, and the completion that they amount to.
fn told(deltas: &[Value]) -> (Vec<MessageEvent>, Value) {
    let mut chunks: Vec<Value> = deltas.iter().cloned().map(chunk).collect();
    chunks.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
    let mut fold = Fold::default();
    for chunk in &chunks {
        fold.push(chunk);
    }
    let completion = fold.complete();
    (tell(&chunks, &completion), completion)
}

fn tell(chunks: &[Value], completion: &Value) -> Vec<MessageEvent> {
    let mut stream = MessageStream::new(head());
    let mut events = vec![stream.begin(1)];
    events.extend(chunks.iter().flat_map(|chunk| stream.chunk(chunk)));
    events.extend(stream.done(&MessageAnswer { completion, usage: Usage::estimate("abcd", "abcd") }));
    events
}

/// Puts a stream together as the official clients do, and checks what they rely on.
fn put_together(events: &[MessageEvent]) -> Value {
    let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (0..).take(events.len()).collect::<Vec<u64>>());
    let mut message = events[0].body["message"].clone();
    let (mut open, mut arguments) = (None, String::new());
    for event in &events[1..] {
        let body = &event.body;
        assert_eq!(body["type"], event.name);
        let content = message["content"].as_array_mut().unwrap();
        match event.name.as_str() {
            "content_block_start" => {
                assert_eq!((open, &body["index"]), (None, &json!(content.len())));
                open = Some(body["index"].clone());
                content.push(body["content_block"].clone());
            }
            "content_block_delta" => {
                assert_eq!(open, Some(body["index"].clone()), "only the open block grows");
                let (block, delta) = (content.last_mut().unwrap(), &body["delta"]);
                let mut append = |name: &str| {
                    let text = block[name].as_str().unwrap().to_owned() + delta[name].as_str().unwrap();
                    block[name] = json!(text);
                };
                match delta["type"].as_str().unwrap() {
                    "text_delta" => append("text"),
                    "thinking_delta" => append("thinking"),
                    "signature_delta" => append("signature"),
                    "input_json_delta" => arguments.push_str(delta["partial_json"].as_str().unwrap()),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" => {
                assert_eq!(open.take(), Some(body["index"].clone()));
                let read = std::mem::take(&mut arguments);
                if !read.is_empty() {
                    let object: Result<serde_json::Map<String, Value>, _> = serde_json::from_str(&read);
                    let invalid = |_| json!({"invalid_arguments": read});
                    content.last_mut().unwrap()["input"] = object.map_or_else(invalid, Value::Object);
                }
            }
            "message_delta" => {
                assert_eq!(open, None, "all blocks are stopped");
                message["stop_reason"] = body["delta"]["stop_reason"].clone();
                message["stop_sequence"] = body["delta"]["stop_sequence"].clone();
                message["usage"] = body["usage"].clone();
            }
            "message_stop" => assert_eq!(event, events.last().unwrap()),
            other => panic!("{other}"),
        }
    }
    message
}

fn check(deltas: &[Value], content: &Value) {
    let (events, completion) = told(deltas);
    let message = put_together(&events);
    assert_eq!(&message["content"], content, "{events:#?}");
    let answer = MessageAnswer { completion: &completion, usage: Usage::estimate("abcd", "abcd") };
    assert_eq!(message, message_object(&head(), &answer), "{completion}");
}

#[test]
fn a_text_is_one_block() {
    check(&[], &json!([]));
    check(
        &[json!({"role": "assistant", "content": ""}), json!({"content": "Hel"}), json!({"content": "lo"})],
        &json!([{"type": "text", "text": "Hello"}]),
    );
}

#[test]
fn a_thought_without_a_signature_has_an_empty_one() {
    check(
        &[json!({"reasoning_content": "hm "}), json!({"reasoning_content": "so"}), json!({"content": "a"})],
        &json!([{"type": "thinking", "thinking": "hm so", "signature": ""}, {"type": "text", "text": "a"}]),
    );
}

#[test]
fn a_signed_thought_is_told_once_though_it_came_twice() {
    let piece = |text: &str| {
        json!({"reasoning_content": text, "reasoning_details": [
        {"type": "reasoning.text", "text": text, "index": 0, "format": "anthropic-claude-v1"}]})
    };
    let signature = detail(json!({"type": "reasoning.text", "signature": "sig", "index": 0}));
    let redacted = detail(json!({"type": "reasoning.encrypted", "data": "xyz", "index": 1}));
    let content = json!([{"type": "thinking", "thinking": "hm so", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"}, {"type": "text", "text": "a"}]);
    check(&[piece("hm "), piece("so"), signature.clone(), redacted.clone(), json!({"content": "a"})], &content);
    // The signature alone belongs to the thought before it.
    let plain = json!({"reasoning_content": "hm so"});
    check(&[plain, signature, redacted, json!({"content": "a"})], &content);
}

#[test]
fn what_others_signed_is_no_signature() {
    let piece =
        json!({"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0, "format": "google-gemini-v1"});
    let secret = json!({"type": "reasoning.encrypted", "data": "x", "index": 1, "format": "openai-responses-v1"});
    check(&[detail(piece), detail(secret)], &json!([{"type": "thinking", "thinking": "hm", "signature": ""}]));
}

#[test]
fn thoughts_between_texts_keep_their_places() {
    let piece = |index: u64, text: &str| {
        detail(json!({"type": "reasoning.text", "text": text, "signature": "s", "index": index}))
    };
    check(
        &[
            piece(0, "one"),
            json!({"content": "a"}),
            piece(1, "two"),
            json!({"content": "b"}),
            call(0, "f", "{}"),
            json!({"content": "c"}),
        ],
        &json!([
            {"type": "thinking", "thinking": "one", "signature": "s"}, {"type": "text", "text": "a"},
            {"type": "thinking", "thinking": "two", "signature": "s"}, {"type": "text", "text": "b"},
            {"type": "tool_use", "id": "call_0", "name": "f", "input": {}}, {"type": "text", "text": "c"},
        ]),
    );
}

#[test]
fn calls_that_come_side_by_side_are_told_one_behind_the_other() {
    check(
        &[
            call(0, "f", "{\"a\""),
            call(1, "g", "{"),
            more(1, "}"),
            json!({"content": "x"}),
            more(0, ":1}"),
            json!({"content": "y"}),
        ],
        &json!([
            {"type": "tool_use", "id": "call_0", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "call_1", "name": "g", "input": {}},
            {"type": "text", "text": "xy"},
        ]),
    );
}

#[test]
fn what_comes_behind_a_call_that_is_stopped_begins_no_other() {
    check(
        &[call(0, "f", "{}"), json!({"content": "x"}), more(0, " "), json!({"content": "y"})],
        &json!([{"type": "tool_use", "id": "call_0", "name": "f", "input": {}}, {"type": "text", "text": "xy"}]),
    );
}

#[test]
fn arguments_that_are_no_object_are_told_as_they_are() {
    check(
        &[call(0, "f", "{\"a\": [1"), call(1, "g", ""), call(2, "h", "[1]")],
        &json!([
            {"type": "tool_use", "id": "call_0", "name": "f", "input": {"invalid_arguments": "{\"a\": [1"}},
            {"type": "tool_use", "id": "call_1", "name": "g", "input": {}},
            {"type": "tool_use", "id": "call_2", "name": "h", "input": {"invalid_arguments": "[1]"}},
        ]),
    );
}

#[test]
fn a_call_begins_with_its_name_and_keeps_what_its_upstream_wants_back() {
    let mut named = call(0, "f", "1}");
    named["tool_calls"][0]["id"] = Value::Null;
    named["tool_calls"][0]["extra_content"] = json!({"google": {"thought_signature": "t"}});
    check(
        &[more(0, "{\"a\":"), json!({"content": "x"}), named],
        &json!([
            {"type": "text", "text": "x"},
            {"type": "tool_use", "id": "call_0", "name": "f", "input": {"a": 1},
             "extra_content": {"google": {"thought_signature": "t"}}},
        ]),
    );
}

#[test]
fn a_refusal_is_a_text() {
    let (events, _) = told(&[json!({"refusal": "I "}), json!({"refusal": "won't"})]);
    let message = put_together(&events);
    assert_eq!(message["content"], json!([{"type": "text", "text": "I won't"}]));
    assert_eq!(message["stop_reason"], "refusal");
}

#[test]
fn an_end_without_an_answer_comes_behind_what_was_seen() {
    let error = json!({"type": "error", "error": {}});
    let failed = |seen: Option<u64>| {
        let mut stream = MessageStream::new(head());
        stream.begin(1);
        stream.chunk(&chunk(json!({"content": "a"})));
        stream.failed(error.clone(), seen).number
    };
    assert_eq!((failed(None), failed(Some(1)), failed(Some(2)), failed(Some(7))), (3, 3, 3, 8));
}

/// Pieces of one part of an answer; calls begin at the index that is given.
#[derive(Debug, Clone)]
enum Part {
    Thought(Vec<String>, bool),
    Redacted,
    Text(Vec<String>),
    Refusal(Vec<String>),
    Call(Vec<String>),
    Calls(Vec<String>, Vec<String>),
}

/// How thoughts are told.
#[derive(Debug, Clone, Copy)]
enum Telling {
    Plain,
    Detailed,
    Both,
}

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-zäü ]{1,6}", 1..4)
}

/// Arguments in pieces: of an object, of something else, of nothing.
fn arguments() -> impl Strategy<Value = Vec<String>> {
    let object = words().prop_map(|words| json!({"a": words, "b": {}}).to_string());
    prop_oneof![4 => object, 1 => Just("{\"a\": ".to_owned()), 1 => Just(String::new())].prop_map(|text| {
        let characters: Vec<char> = text.chars().collect();
        characters.chunks(5).map(|piece| piece.iter().collect()).collect()
    })
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        (words(), any::<bool>()).prop_map(|(words, redacted)| Part::Thought(words, redacted)),
        words().prop_map(Part::Text),
        words().prop_map(Part::Refusal),
        arguments().prop_map(Part::Call),
        (arguments(), arguments()).prop_map(|(one, other)| Part::Calls(one, other)),
    ]
}

/// The deltas of an answer's parts. What is encrypted stands beside a thought: where it does not,
/// its place is not kept.
fn deltas(parts: &[Part], telling: Telling) -> Vec<Value> {
    let (mut deltas, mut index, mut calls) = (Vec::new(), 0, 0);
    for part in parts {
        match part {
            Part::Thought(words, redacted) => {
                for word in words {
                    let detailed = json!([{"type": "reasoning.text", "text": word, "index": index}]);
                    deltas.push(match telling {
                        Telling::Plain => json!({ "reasoning_content": word }),
                        Telling::Detailed => json!({ "reasoning_details": detailed }),
                        Telling::Both => json!({"reasoning_content": word, "reasoning_details": detailed}),
                    });
                }
                if !matches!(telling, Telling::Plain) {
                    deltas.push(detail(json!({"type": "reasoning.text", "signature": "s", "index": index})));
                    index += 1;
                    if *redacted {
                        deltas.push(detail(json!({"type": "reasoning.encrypted", "data": "d", "index": index})));
                        index += 1;
                    }
                }
            }
            Part::Redacted => {
                deltas.push(detail(json!({"type": "reasoning.encrypted", "data": "d", "index": index})));
                index += 1;
            }
            Part::Text(words) => deltas.extend(words.iter().map(|word| json!({ "content": word }))),
            Part::Refusal(words) => deltas.extend(words.iter().map(|word| json!({ "refusal": word }))),
            Part::Call(pieces) => {
                deltas.push(call(calls, "f", ""));
                deltas.extend(pieces.iter().map(|piece| more(calls, piece)));
                calls += 1;
            }
            Part::Calls(one, other) => {
                deltas.extend([call(calls, "f", ""), call(calls + 1, "g", "")]);
                for at in 0..one.len().max(other.len()) {
                    deltas.extend(one.get(at).map(|piece| more(calls, piece)));
                    deltas.extend(other.get(at).map(|piece| more(calls + 1, piece)));
                }
                calls += 2;
            }
        }
    }
    deltas
}

proptest! {
    /// However an answer came: its events put together are its message, and so are those that are made of it.
    #[test]
    fn events_put_together_are_the_message(
        redacted in any::<bool>(),
        parts in prop::collection::vec(part(), 0..6),
        telling in prop_oneof![Just(Telling::Plain), Just(Telling::Detailed), Just(Telling::Both)],
    ) {
        let thinks_first = matches!(parts.first(), Some(Part::Thought(..)));
        let first = (redacted && thinks_first && !matches!(telling, Telling::Plain)).then_some(Part::Redacted);
        let parts: Vec<Part> = first.into_iter().chain(parts).collect();
        let (events, completion) = told(&deltas(&parts, telling));
        let answer = MessageAnswer { completion: &completion, usage: Usage::estimate("abcd", "abcd") };
        let message = message_object(&head(), &answer);
        prop_assert_eq!(&put_together(&events), &message);

        let rebuilt = rebuild::events(&raw(&completion)).into_iter().filter_map(|event| match event {
            Event::Chunk(chunk) => serde_json::from_str(chunk.get()).ok(),
            Event::Finished => None,
        });
        let rebuilt: Vec<Value> = rebuilt.collect();
        prop_assert_eq!(&put_together(&tell(&rebuilt, &completion)), &message);
    }

    /// Nothing that an upstream sends breaks the order of a stream.
    #[test]
    fn any_deltas_make_a_stream(pieces in prop::collection::vec((0_u64..3, "[{}\" a]{0,3}", any::<bool>(), any::<bool>()), 0..12)) {
        let deltas = pieces.iter().map(|(index, text, named, says)| match (named, says) {
            (true, _) => call(*index, "f", text),
            (false, true) => json!({"content": text, "reasoning_details": [{"type": "reasoning.text", "text": text, "index": index}, 1, {}]}),
            (false, false) => more(*index, text),
        });
        let (events, _) = told(&deltas.collect::<Vec<_>>());
        put_together(&events);
    }
}
