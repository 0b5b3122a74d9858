//! What all tests of this format share. The fixtures are in `fixtures/anthropic`: requests
//! with the body they amount to, and answers as a stream, as a whole message and as the
//! completion that both amount to.

mod answers;
mod http;
mod requests;
mod streams;

use std::path::PathBuf;

use serde_json::Value;
use turnwise_core::generation::{Event, Generation};
use turnwise_core::json::raw_fields;

use super::stream::Messages;
use crate::call::{Call, Target};
use crate::error::Error;
use crate::stream::{Progress, Reader};

/// The recorded answers, by the name of their files.
const ANSWERS: [&str; 6] = ["text", "thought", "tools", "refusal", "search", "stop"];

fn fixture(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/anthropic").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&fixture(path)).unwrap()
}

fn generation(model: &str, fields: &Value) -> Generation {
    Generation { model: model.to_owned(), fields: raw_fields(fields.to_string().as_bytes()).unwrap() }
}

fn call() -> Call {
    let fields = serde_json::json!({"messages": [{"role": "user", "content": "hi"}]});
    Call { generation: generation("m", &fields), id: "chatcmpl-1".to_owned(), created_s: 7, connect_timeout: None }
}

fn target() -> Target {
    Target { provider: "anthropic".to_owned(), model: "m".to_owned() }
}

fn reader() -> Reader<Messages> {
    Reader::new(target(), Messages::new(target(), &call()))
}

/// What a reader makes of `pieces`: its events, and how it ended.
fn read(pieces: &[&[u8]]) -> (Vec<Event>, Result<(), Error>) {
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
    (events, result)
}

fn chunks(events: &[Event]) -> Vec<Value> {
    let chunks = events.iter().map(|event| match event {
        Event::Chunk(chunk) => serde_json::from_str(chunk.get()).unwrap(),
        Event::Finished => panic!("a reader leaves the last event to its caller"),
    });
    chunks.collect()
}
