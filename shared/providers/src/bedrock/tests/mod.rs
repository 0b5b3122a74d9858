//! Bedrock against its fixtures, and on the wire.

mod answers;
mod requests;
mod streams;
mod wire;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use turnwise_core::generation::Generation;
use turnwise_core::json;

use super::answer::Answer;
use crate::call::{Call, Target};
use crate::chunks::Chunks;

/// The fixtures of `kind` with the ending `ending`, by name.
fn fixtures(kind: &str, ending: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/bedrock").join(kind);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = paths.filter(|path| path.extension().is_some_and(|extension| extension == ending));
    let named =
        wanted.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
    let mut named: Vec<_> = named.collect();
    named.sort();
    assert!(!named.is_empty());
    named
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn generation(model: &str, request: &Value) -> Generation {
    Generation { model: model.to_owned(), fields: json::raw_fields(request.to_string().as_bytes()).unwrap() }
}

fn call(model: &str, request: &Value) -> Call {
    let generation = generation(model, request);
    Call { generation, id: "chatcmpl-1".to_owned(), created_s: 7, connect_timeout: None }
}

fn hello() -> Call {
    call("amazon.nova-micro-v1:0", &serde_json::json!({"messages": [{"role": "user", "content": "hi"}]}))
}

fn target() -> Target {
    Target { provider: "bedrock".to_owned(), model: "m".to_owned() }
}

fn answer(by_tool: bool) -> Answer {
    Answer::new(target(), Chunks::new(&hello()), by_tool)
}
