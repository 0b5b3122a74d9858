//! A streamed answer of OpenAI's: its events, and when they are whole.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;
use turnwise_core::generation::Event;

use super::response;
use crate::call::Target;
use crate::error::{self, Error};
use crate::sse::Frame;
use crate::stream::{Progress, Reading};

/// What OpenAI sends as its last event.
const DONE: &str = "[DONE]";

/// What was read so far.
#[derive(Debug)]
pub(super) struct Chunks {
    target: Target,
    /// Whether each choice seen has been given a reason to stop.
    finished: BTreeMap<u64, bool>,
}

impl Chunks {
    pub(super) fn new(target: Target) -> Self {
        Self { target, finished: BTreeMap::new() }
    }

    fn check_finish(&self) -> Result<(), Error> {
        let finished = !self.finished.is_empty() && self.finished.values().all(|finished| *finished);
        if finished { Ok(()) } else { Err(error::truncated(&self.target)) }
    }
}

impl Reading for Chunks {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<Progress, Error> {
        let data = frame.data.trim();
        if data == DONE {
            return self.check_finish().map(|()| Progress::Done);
        }
        let not_json = |cause| error::malformed(&self.target, "has an event that is not JSON").with_source(cause);
        let chunk: Value = serde_json::from_str(data).map_err(not_json)?;
        if error::is_error(&chunk) || frame.event == "error" {
            return Err(error::in_body(&self.target, &chunk));
        }
        if !chunk.is_object() {
            return Err(error::malformed(&self.target, "has an event that is no object"));
        }
        for choice in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
            response::check_choice(&self.target, choice)?;
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            let reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or("");
            *self.finished.entry(index).or_default() |= !reason.is_empty();
        }
        let raw = RawValue::from_string(data.to_owned()).map_err(not_json)?;
        events.push(Event::Chunk(raw));
        Ok(Progress::More)
    }

    fn whole(&mut self, body: &[u8], events: &mut Vec<Event>) -> Result<(), Error> {
        events.push(Event::Chunk(response::as_chunk(&self.target, body)?));
        Ok(())
    }

    fn end(&mut self, _events: &mut Vec<Event>) -> Result<(), Error> {
        self.check_finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use turnwise_core::category::Category;
    use turnwise_core::limits::MAX_ANSWER_BYTES;

    use super::*;
    use crate::error::Dispatched;
    use crate::stream::{MAX_STREAM_BYTES, Reader};

    /// The shape of an OpenAI stream with usage, and a comment as OpenRouter sends.
    const RECORDED: &str = concat!(
        ": OPENROUTER PROCESSING\n\n",
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"Grüße 😀"},"finish_reason":null}]}"#,
        "\r\n\r\n",
        r#"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "\n\n",
        r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        "\n\n",
        "data: [DONE]\n\n",
    );

    /// What random streams are made of.
    const PARTS: [&str; 8] = [
        " \r\n",
        ": comment\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"ü\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
        "data: {\"error\":{\"code\":500}}\r\r",
        "data: [DONE]\n\n",
        "{\"choices\":[{\"message\":{},\"finish_reason\":\"stop\"}]}",
        "[{\"error\":{\"code\":429}}]",
    ];

    fn reader() -> Reader<Chunks> {
        let target = Target { provider: "openai".to_owned(), model: "m".to_owned() };
        Reader::new(target.clone(), Chunks::new(target))
    }

    /// What a reader makes of `pieces`: its chunks, and how it ended.
    fn read(pieces: &[&[u8]]) -> (Vec<String>, Result<(), Error>) {
        let mut reader = reader();
        let mut events = Vec::new();
        let mut done = false;
        let mut result = pieces.iter().filter(|piece| !piece.is_empty()).try_for_each(|piece| {
            done = done || reader.push(piece, &mut events)? == Progress::Done;
            Ok(())
        });
        if result.is_ok() && !done {
            result = reader.end(&mut events);
        }
        let chunks = events.into_iter().map(|event| match event {
            Event::Chunk(chunk) => chunk.get().to_owned(),
            Event::Finished => panic!("a reader leaves the last event to its caller"),
        });
        (chunks.collect(), result)
    }

    fn check(text: &str, chunks: usize, code: Option<&str>) {
        let (seen, result) = read(&[text.as_bytes()]);
        assert_eq!(seen.len(), chunks, "{text}");
        assert_eq!(result.err().map(|error| error.code.to_string()).as_deref(), code, "{text}");
    }

    #[test]
    fn a_cut_at_any_byte_changes_nothing() {
        let bytes = RECORDED.as_bytes();
        let (chunks, result) = read(&[bytes]);
        assert_eq!(chunks.len(), 4);
        assert!(result.is_ok());
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let (cut, result) = read(&[head, tail]);
            assert_eq!((cut, result.is_ok()), (chunks.clone(), true), "cut at {at}");
        }
    }

    #[test]
    fn an_end_at_any_byte_before_the_finish_is_an_error() {
        let finish = RECORDED.find(r#""stop"}]}"#).unwrap() + r#""stop"}]}"#.len();
        for at in 0..=RECORDED.len() {
            let (chunks, result) = read(&[&RECORDED.as_bytes()[..at]]);
            match result {
                Ok(()) => assert!(at >= finish, "taken for whole when cut at {at}"),
                Err(error) => {
                    assert_eq!((&*error.code, error.category), ("stream_truncated", Category::NetworkError), "{at}");
                    assert_eq!(error.dispatched, Dispatched::Maybe);
                }
            }
            assert!(chunks.len() <= 4);
        }
    }

    #[test]
    fn every_choice_needs_its_finish() {
        let both = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":1,"delta":{}}]}"#;
        check(&format!("{both}\n\ndata: [DONE]\n\n"), 1, Some("stream_truncated"));
        let second = r#"data: {"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#;
        check(&format!("{both}\n\n{second}\n\ndata: [DONE]\n\n"), 2, None);
    }

    #[test]
    fn done_may_be_missing_but_the_finish_may_not() {
        check("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", 1, None);
        check("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"\"}]}\n\n", 1, Some("stream_truncated"));
        check("data: [DONE]\n\n", 0, Some("stream_truncated"));
        check(" \n", 0, Some("stream_truncated"));
    }

    #[test]
    fn errors_among_the_events_are_errors() {
        let ok = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        check(&format!("{ok}data: {{\"error\":{{\"code\":429}}}}\n\n"), 1, Some("rate_limit_exceeded"));
        check(&format!("{ok}event: error\ndata: {{\"code\":402}}\n\n"), 1, Some("insufficient_quota"));
        check(&format!("{ok}data: {{\"choices\":[{{\"finish_reason\":\"error\"}}]}}\n\n"), 1, Some("upstream_error"));
        check(&format!("{ok}data: {{\"choi\n\n"), 1, Some("malformed_answer"));
        check(&format!("{ok}data: 7\n\n"), 1, Some("malformed_answer"));
        check(&format!("{ok}data: {}", "x".repeat(crate::sse::MAX_EVENT_BYTES)), 1, Some("malformed_answer"));
    }

    #[test]
    fn a_plain_completion_is_one_chunk() {
        let plain = r#" {"object":"chat.completion","choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#;
        check(plain, 1, None);
        for at in 0..plain.len() {
            let (head, tail) = plain.as_bytes().split_at(at);
            let (chunks, result) = read(&[head, tail]);
            assert!(result.is_ok() && chunks[0].contains("delta"));
        }
        check(r#"{"error":{"code":"insufficient_quota"}}"#, 0, Some("insufficient_quota"));
        check(r#"[{"error":{"code":429}}]"#, 0, Some("rate_limit_exceeded"));
        check(&format!(r#"{{"x":"{}"}}"#, "x".repeat(MAX_ANSWER_BYTES)), 0, Some("answer_too_long"));
    }

    #[test]
    fn a_stream_has_a_limit() {
        let mut reader = reader();
        reader.bytes = MAX_STREAM_BYTES - 1;
        assert_eq!(reader.push(b":", &mut Vec::new()).unwrap(), Progress::More);
        assert_eq!(&*reader.push(b":", &mut Vec::new()).unwrap_err().code, "answer_too_long");
    }

    proptest! {
        #[test]
        fn random_streams_cut_at_random_end_alike(
            parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..8),
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
            let code = |result: Result<(), Error>| result.err().map(|error| error.code);
            let (chunks, result) = read(&[&bytes]);
            let (cut_chunks, cut_result) = read(&pieces);
            prop_assert_eq!((cut_chunks, code(cut_result)), (chunks, code(result)));
        }
    }
}
