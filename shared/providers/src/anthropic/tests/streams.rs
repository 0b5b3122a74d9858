//! Streams that are cut, and streams that mean harm.

use proptest::prelude::*;
use serde_json::json;
use turnwise_core::category::Category;

use super::{ANSWERS, chunks, fixture, read, reader};
use crate::sse::MAX_EVENT_BYTES;
use crate::stream::{MAX_STREAM_BYTES, Progress};

/// What random streams are made of.
const PARTS: [&str; 14] = [
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    ": comment\r\n\r\n",
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"ü\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"😀\"}}\r\n\r\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{}}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"partial_json\":\"{}\",\"thinking\":\"t\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"new\"}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\r\r",
    "data: [DONE]\n\n",
    "{\"content\":[],\"stop_reason\":\"end_turn\"}",
];

/// How many chunks come of `text`, and how it ends: as it should, or with which code.
fn check(text: &str, expected_chunks: usize, code: Option<&str>) {
    let (events, result) = read(&[text.as_bytes()]);
    let start: String = text.chars().take(300).collect();
    assert_eq!(events.len(), expected_chunks, "{start}");
    assert_eq!(result.err().map(|error| error.code.to_string()).as_deref(), code, "{start}");
}

fn event(value: &serde_json::Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
}

fn start(index: u64, kind: &str) -> String {
    event(&json!({"type": "content_block_start", "index": index, "content_block": {"type": kind}}))
}

fn text(index: u64, text: &str) -> String {
    event(&json!({"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}))
}

fn stopped(reason: &str) -> String {
    event(&json!({"type": "message_delta", "delta": {"stop_reason": reason}}))
}

const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    for name in ANSWERS {
        let stream = fixture(&format!("answers/{name}.sse"));
        let (whole, result) = read(&[stream.as_bytes()]);
        assert!(result.is_ok(), "{name}");
        let whole = chunks(&whole);
        for at in 0..=stream.len() {
            let (head, tail) = stream.as_bytes().split_at(at);
            let (cut, result) = read(&[head, tail]);
            assert_eq!((chunks(&cut), result.is_ok()), (whole.clone(), true), "{name}, cut at {at}");
        }
    }
}

#[test]
fn an_end_at_any_byte_before_the_reason_to_stop_is_an_error() {
    for name in ANSWERS {
        let stream = fixture(&format!("answers/{name}.sse"));
        let last = stream.find("event: message_delta").unwrap();
        let reason = last + stream[last..].find("\n\n").unwrap();
        for at in 0..=stream.len() {
            match read(&[&stream.as_bytes()[..at]]).1 {
                Ok(()) => assert!(at >= reason, "{name} was taken for whole when it ended at {at}"),
                Err(error) => {
                    assert_eq!(
                        (&*error.code, error.category),
                        ("stream_truncated", Category::NetworkError),
                        "{name} {at}"
                    );
                }
            }
        }
    }
}

#[test]
fn message_stop_may_be_missing_but_the_reason_may_not() {
    let said = format!("{}{}", start(0, "text"), text(0, "a"));
    check(&format!("{said}{}", stopped("end_turn")), 2, None);
    check(&format!("{said}{STOP}"), 1, Some("stream_truncated"));
    check(&said, 1, Some("stream_truncated"));
    check(" \n", 0, Some("stream_truncated"));
    check(&format!("{said}{}data: [DONE]\n\n", stopped("end_turn")), 2, None);
}

#[test]
fn a_reason_that_nobody_knows_needs_its_message_stop() {
    check(&format!("{}{STOP}", stopped("a_new_reason")), 1, None);
    check(&stopped("a_new_reason"), 0, Some("stream_truncated"));
}

#[test]
fn errors_among_the_events_are_errors() {
    let said = format!("{}{}", start(0, "text"), text(0, "a"));
    let error = |kind: &str| event(&json!({"type": "error", "error": {"type": kind, "message": "m"}}));
    check(&format!("{said}{}", error("overloaded_error")), 1, Some("upstream_error"));
    check(&format!("{said}{}", error("rate_limit_error")), 1, Some("rate_limit_exceeded"));
    check(&format!("{said}{}", error("timeout_error")), 1, Some("timeout"));
    check(&format!("{said}event: error\ndata: {{}}\n\n"), 1, Some("upstream_error"));
    check(&format!("{said}data: {{\"ty\n\n"), 1, Some("malformed_answer"));
    check(&format!("{said}data: 7\n\n"), 1, Some("malformed_answer"));
}

#[test]
fn a_call_that_never_ends_has_its_arguments() {
    let (events, result) = read(&[format!("{}{}", start(3, "tool_use"), stopped("tool_use")).as_bytes()]);
    assert!(result.is_ok());
    let arguments = &chunks(&events)[1]["choices"][0]["delta"]["tool_calls"][0];
    assert_eq!(arguments, &json!({"index": 0, "function": {"arguments": "{}"}}));
}

#[test]
fn what_adds_to_no_block_is_an_error() {
    check(&text(0, "a"), 0, Some("malformed_answer"));
    check(&format!("{}{}", start(0, "text"), text(1, "a")), 0, Some("malformed_answer"));
    let ended = event(&json!({"type": "content_block_stop", "index": 0}));
    check(&format!("{}{ended}{}", start(0, "text"), text(0, "a")), 0, Some("malformed_answer"));
    // An end of what never began, and a delta of another kind than its block, say nothing.
    check(&format!("{ended}{}{STOP}", stopped("end_turn")), 1, None);
    check(&format!("{}{}{}{STOP}", start(0, "thinking"), text(0, "a"), stopped("end_turn")), 1, None);
}

#[test]
fn blocks_that_never_end_have_a_limit() {
    let open = |blocks: u64| (0..blocks).map(|index| start(index, "text")).collect::<String>();
    check(&format!("{}{}", open(64), stopped("end_turn")), 1, None);
    check(&open(65), 0, Some("malformed_answer"));
    // The same place again ends what was there.
    check(&format!("{}{}", start(0, "text").repeat(1_000), stopped("end_turn")), 1, None);
}

#[test]
fn a_hostile_stream_comes_to_an_end() {
    check(&format!("data: {}", "x".repeat(MAX_EVENT_BYTES)), 0, Some("malformed_answer"));
    check(&format!("data: {}\n\n", "[".repeat(100_000)), 0, Some("malformed_answer"));
    let nested = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    check(&format!("data: {{\"type\":\"message_start\",\"message\":{nested}}}\n\n"), 0, Some("malformed_answer"));
    check(
        "data: {\"type\":\"content_block_start\",\"index\":-1}\n\ndata: {\"type\":7}\n\n",
        0,
        Some("stream_truncated"),
    );
    let rubbish: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    assert!(read(&[&rubbish]).1.is_err());
}

#[test]
fn endless_events_have_a_limit() {
    let mut reader = reader();
    reader.bytes = MAX_STREAM_BYTES - 1;
    assert_eq!(reader.push(b":", &mut Vec::new()).unwrap(), Progress::More);
    assert_eq!(&*reader.push(b":", &mut Vec::new()).unwrap_err().code, "answer_too_long");
}

proptest! {
    #[test]
    fn random_streams_cut_at_random_end_alike(
        parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        noise in prop::option::of(any::<(prop::sample::Index, u8)>()),
    ) {
        let mut bytes = parts.concat().into_bytes();
        if let Some((at, byte)) = noise.filter(|_| !bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let (events, result) = read(&[&bytes]);
        let (cut_events, cut_result) = read(&pieces);
        prop_assert_eq!(chunks(&cut_events), chunks(&events));
        prop_assert_eq!(cut_result.err().map(|error| error.code), result.err().map(|error| error.code));
    }
}
