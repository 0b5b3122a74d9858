//! Streamed answers, whole, cut and hostile.

use serde_json::{Value, json};
use turnwise_core::category::Category;
use turnwise_core::fold::Fold;
use turnwise_core::generation::Event;

use super::{answer, fixtures, parsed, target};
use crate::bedrock::frames::MAX_FRAME_BYTES;
use crate::bedrock::frames::tests::encoded;
use crate::bedrock::stream::Stream;
use crate::error::{Dispatched, Error};
use crate::stream::{Intake, MAX_STREAM_BYTES, Progress};

/// A frame as one line of a fixture has it.
fn frame(line: &Value) -> Vec<u8> {
    let (kind, name) = match (line["event"].as_str(), line["exception"].as_str()) {
        (Some(name), _) => (("event", ":event-type"), name),
        (None, Some(name)) => (("exception", ":exception-type"), name),
        (None, None) => panic!("{line} is no frame"),
    };
    let headers = [(":message-type", kind.0), (kind.1, name), (":content-type", "application/json")];
    encoded(&headers, &line["payload"].to_string())
}

/// The frames of a fixture.
fn frames(text: &str) -> Vec<Vec<u8>> {
    text.lines().map(|line| frame(&parsed(line))).collect()
}

fn recorded() -> Vec<(String, Vec<Vec<u8>>)> {
    fixtures("streams", "jsonl").into_iter().map(|(name, text)| (name, frames(&text))).collect()
}

/// What comes of `pieces`, each as one arrives, and how it ended.
fn read_as(by_tool: bool, pieces: &[&[u8]]) -> (Vec<Event>, Result<(), Error>) {
    let mut stream = Stream::new(target(), answer(by_tool));
    let mut events = Vec::new();
    for piece in pieces {
        match stream.push(piece, &mut events) {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => return (events, Ok(())),
            Err(error) => return (events, Err(error)),
        }
    }
    let result = stream.end(&mut events);
    (events, result)
}

fn read(pieces: &[&[u8]]) -> (Vec<Event>, Result<(), Error>) {
    read_as(false, pieces)
}

fn texts(events: &[Event]) -> Vec<String> {
    let chunks = events.iter().map(|event| match event {
        Event::Chunk(chunk) => chunk.get().to_owned(),
        Event::Finished => panic!("a stream leaves the last event to its caller"),
    });
    chunks.collect()
}

fn check(lines: &[Value], code: Option<&str>) -> Vec<String> {
    let bytes: Vec<u8> = lines.iter().flat_map(frame).collect();
    let (events, result) = read(&[&bytes]);
    assert_eq!(result.err().map(|error| error.code.to_string()).as_deref(), code, "{lines:?}");
    texts(&events)
}

fn words(text: &str) -> Value {
    json!({"event": "contentBlockDelta", "payload": {"contentBlockIndex": 0, "delta": {"text": text}}})
}

fn stop(reason: &str) -> Value {
    json!({"event": "messageStop", "payload": {"stopReason": reason}})
}

#[test]
fn streams_amount_to_what_their_fixtures_say() {
    for (name, text) in fixtures("streams", "json") {
        let fixture = parsed(&text);
        let (_, frames) = recorded().into_iter().find(|(recorded, _)| *recorded == name).unwrap();
        let (events, result) = read(&[&frames.concat()]);
        result.unwrap();
        let mut completion = Fold::of(&events).complete();
        if let Some(message) = completion["choices"][0]["message"].as_object_mut() {
            message.remove("turnwise_order");
        }
        assert_eq!(json!({"usage": completion["usage"], "choice": completion["choices"][0]}), fixture, "{name}");
    }
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    for (name, frames) in recorded() {
        let bytes = frames.concat();
        let whole = texts(&read(&[&bytes]).0);
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let (events, result) = read(&[head, tail]);
            assert_eq!((texts(&events), result.is_ok()), (whole.clone(), true), "{name} cut at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(texts(&read(&single).0), whole, "{name} byte by byte");
    }
}

#[test]
fn an_end_at_any_byte_before_the_stop_is_an_error() {
    for (name, text) in fixtures("streams", "jsonl") {
        let frames = frames(&text);
        let stop = text.lines().position(|line| line.contains("messageStop")).unwrap();
        let whole_from: usize = frames[..=stop].iter().map(Vec::len).sum();
        let bytes = frames.concat();
        for at in 0..=bytes.len() {
            match read(&[&bytes[..at]]).1 {
                // What is missing behind the stop is the usage, which is estimated then.
                Ok(()) => assert!(at >= whole_from, "{name}: taken for whole when cut at {at}"),
                Err(error) => {
                    assert!(at < whole_from, "{name}: {error} when cut at {at}");
                    assert_eq!((&*error.code, error.category), ("stream_truncated", Category::NetworkError), "{at}");
                    assert_eq!(error.dispatched, Dispatched::Maybe);
                }
            }
        }
    }
}

#[test]
fn the_calls_of_a_stream_are_numbered_from_nothing_and_named_once() {
    let (_, frames) = recorded().into_iter().find(|(name, _)| name == "thoughts_and_calls").unwrap();
    let (events, _) = read(&[&frames.concat()]);
    let chunks: Vec<Value> = texts(&events).iter().map(|text| parsed(text)).collect();
    let calls: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0")).collect();
    let seen: Vec<_> = calls.iter().map(|call| (call["index"].as_u64().unwrap(), call["id"].as_str())).collect();
    assert_eq!(seen, [(0, Some("tooluse_A")), (0, None), (0, None), (1, Some("tooluse_B")), (1, None)]);
}

#[test]
fn the_input_of_the_answering_tool_is_the_answer() {
    let lines = [
        words("Here:"),
        json!({"event": "contentBlockStart", "payload": {"contentBlockIndex": 1, "start": {"toolUse": {"name": "turnwise_json_answer", "toolUseId": "t"}}}}),
        json!({"event": "contentBlockDelta", "payload": {"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{\"a\""}}}}),
        json!({"event": "contentBlockDelta", "payload": {"contentBlockIndex": 1, "delta": {"toolUse": {"input": ":1}"}}}}),
        json!({"event": "contentBlockStop", "payload": {"contentBlockIndex": 1}}),
        stop("tool_use"),
    ];
    let bytes: Vec<u8> = lines.iter().flat_map(frame).collect();
    let (events, result) = read_as(true, &[&bytes]);
    result.unwrap();
    let completion = Fold::of(&events).complete();
    assert_eq!(completion["choices"][0]["message"]["content"], "{\"a\":1}");
    assert_eq!(completion["choices"][0]["finish_reason"], "stop");
    assert!(completion["choices"][0]["message"].get("tool_calls").is_none());
}

#[test]
fn exceptions_among_the_events_are_errors() {
    let exception = |name: &str| json!({"exception": name, "payload": {"message": "my diary"}});
    assert_eq!(check(&[words("a"), exception("throttlingException")], Some("rate_limit_exceeded")).len(), 1);
    check(&[words("a"), exception("modelStreamErrorException")], Some("upstream_error"));
    check(&[exception("validationException")], Some("invalid_request"));
    check(&[words("a"), stop("end_turn"), exception("internalServerException")], Some("upstream_error"));
    let unmodelled =
        encoded(&[(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "x")], "");
    assert_eq!(&*read(&[&unmodelled]).1.unwrap_err().code, "upstream_error");
}

#[test]
fn malformed_output_is_an_error_and_never_a_stop() {
    check(&[words("a"), stop("malformed_tool_use")], Some("malformed_answer"));
    check(&[words("a"), stop("malformed_model_output")], Some("malformed_answer"));
    check(&[words("a"), json!({"event": "messageStop", "payload": {}})], Some("malformed_answer"));
}

#[test]
fn usage_without_a_stop_is_no_end() {
    let usage =
        json!({"event": "metadata", "payload": {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}});
    check(&[words("a"), usage], Some("stream_truncated"));
}

#[test]
fn input_for_a_call_that_never_began_is_malformed() {
    let input = json!({"event": "contentBlockDelta", "payload": {"contentBlockIndex": 9, "delta": {"toolUse": {"input": "{}"}}}});
    check(&[input], Some("malformed_answer"));
    let no_json = encoded(&[(":message-type", "event"), (":event-type", "messageStop")], "{");
    assert_eq!(&*read(&[&no_json]).1.unwrap_err().code, "malformed_answer");
}

#[test]
fn a_damaged_frame_is_malformed() {
    let mut bytes: Vec<u8> = [words("a"), words("b"), stop("end_turn")].iter().flat_map(frame).collect();
    let in_the_second = frame(&words("a")).len() + 60;
    bytes[in_the_second] ^= 0x20;
    let (events, result) = read(&[&bytes]);
    assert_eq!((events.len(), &*result.unwrap_err().code), (1, "malformed_answer"));
}

#[test]
fn a_hostile_stream_is_refused_before_it_fills_the_memory() {
    assert_eq!(&*read(&[&[0xff; 64]]).1.unwrap_err().code, "malformed_answer");
    assert_eq!(&*read(&[b"{\"message\":\"not a stream\"}"]).1.unwrap_err().code, "malformed_answer");

    // One frame that never ends: the length it announces is the most that is waited for.
    let mut stream = Stream::new(target(), answer(false));
    let announced = u32::try_from(MAX_FRAME_BYTES).unwrap().to_be_bytes();
    stream.push(&announced, &mut Vec::new()).unwrap();
    let piece = vec![0; 64 * 1024];
    let pushed = (0..).map(|_| stream.push(&piece, &mut Vec::new())).take_while(Result::is_ok).count();
    assert!(pushed <= MAX_FRAME_BYTES / piece.len());

    // Frames without end: there is a limit to all of them.
    let mut stream = Stream::new(target(), answer(false));
    let padding = "x".repeat(MAX_FRAME_BYTES / 2);
    let event = frame(&json!({"event": "new", "payload": {"p": padding}}));
    let mut events = Vec::new();
    let result = (0..).map(|_| stream.push(&event, &mut events)).find(Result::is_err).unwrap();
    assert_eq!(&*result.unwrap_err().code, "answer_too_long");
    assert!(events.is_empty() && event.len() * 300 > MAX_STREAM_BYTES);
}
