//! A request's parameters as fields of a chat completion request.
//!
//! `input` reads its messages, `content` what they hold, `tools` what may be called.

mod content;
mod input;
mod tools;

#[cfg(test)]
mod tests;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::fault::Faults;
use crate::json::{self, RawMap};
use crate::limits::MIN_THINKING_TOKENS;
use crate::raw;
use crate::reader::{OBJECT, Reader, expected, one_of};

/// What a request is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is answered: the standard wants to be told how long an answer may be.
    Answer,
    /// Its tokens are counted.
    Count,
}

/// Fields that are translated here or are the caller's: model and stream.
const KNOWN: [&str; 16] = [
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// What the fields that only `local/echo` knows begin with: they go out by their own names.
const ECHO_PREFIX: &str = "echo_";

const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];
const TIERS: [&str; 2] = ["auto", "standard_only"];
const THOUGHTS: [&str; 3] = ["enabled", "disabled", "adaptive"];

/// What an answer's schema is called, as chat completions want a name and messages have none.
const SCHEMA_NAME: &str = "answer";

/// The fields of a chat completion request that ask for what `request`, the body of
/// `POST /v1/messages`, asks for, its messages included.
///
/// Fields that nobody here knows are put into the object `anthropic`, from which an
/// upstream of that format gets them as they are. Schemas and the inputs of calls keep the
/// order in which they are written.
///
/// # Errors
/// All faults of the request, each with the path of its field.
pub fn chat_fields(request: &RawMap, purpose: Purpose) -> Result<RawMap, Faults> {
    let mut faults = Faults::default();
    let parsed: Map<String, Value> =
        request.iter().filter_map(|(name, raw)| Some((name.clone(), serde_json::from_str(raw.get()).ok()?))).collect();
    let reader = Reader::new("", &parsed);
    let mut chat = beside(request);
    put_limits(&reader, purpose, &mut chat, &mut faults);
    let messages = input::read(&reader, request, &mut faults);
    chat.insert("messages".to_owned(), json::raw(&Value::Array(messages)));
    put_numbers(&reader, request, &mut chat, &mut faults);
    put_words(&reader, &mut chat, &mut faults);
    put_thinking(&reader, request, &mut chat, &mut faults);
    put_format(&reader, request, &mut chat, &mut faults);
    tools::put(&reader, request, &mut chat, &mut faults);
    faults.into_result().map(|()| chat)
}

/// What is not translated: unknown fields, together, and those of `local/echo`.
fn beside(request: &RawMap) -> RawMap {
    let unknown = request.iter().filter(|(name, raw)| raw.get() != "null" && !KNOWN.contains(&name.as_str()));
    let (mut chat, other): (RawMap, RawMap) =
        unknown.map(|(name, raw)| (name.clone(), raw.clone())).partition(|(name, _)| name.starts_with(ECHO_PREFIX));
    if !other.is_empty() {
        chat.insert("anthropic".to_owned(), object_of(&other));
    }
    chat
}

fn put_limits(reader: &Reader<'_>, purpose: Purpose, chat: &mut RawMap, faults: &mut Faults) {
    match purpose {
        Purpose::Answer => reader.require("max_tokens", faults),
        Purpose::Count => {}
    }
    if let Some(most) = reader.count("max_tokens", 1, u64::MAX, faults) {
        chat.insert("max_completion_tokens".to_owned(), json::raw(&json!(most)));
    }
    let Some(sequences) = reader.list("stop_sequences", faults) else { return };
    for (index, sequence) in sequences.iter().enumerate().filter(|(_, sequence)| !sequence.is_string()) {
        faults.add(format!("stop_sequences[{index}]"), expected("a string", sequence));
    }
    if !sequences.is_empty() {
        chat.insert("stop".to_owned(), json::raw(&json!(sequences)));
    }
}

/// Numbers go out as they are written.
fn put_numbers(reader: &Reader<'_>, request: &RawMap, chat: &mut RawMap, faults: &mut Faults) {
    let known = [
        ("temperature", reader.number("temperature", 0.0, 1.0, faults).is_some()),
        ("top_p", reader.number("top_p", 0.0, 1.0, faults).is_some()),
        ("top_k", reader.count("top_k", 0, u64::MAX, faults).is_some()),
    ];
    let given = known.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
    chat.extend(given.filter_map(|name| Some((name.to_owned(), request.get(name)?.clone()))));
}

fn put_words(reader: &Reader<'_>, chat: &mut RawMap, faults: &mut Faults) {
    // OpenAI's name for what is neither faster nor slower than usual.
    match reader.word("service_tier", &TIERS, faults) {
        Some("standard_only") => _ = chat.insert("service_tier".to_owned(), json::raw(&json!("default"))),
        Some(other) => _ = chat.insert("service_tier".to_owned(), json::raw(&json!(other))),
        None => {}
    }
    let Some(metadata) = reader.object("metadata", faults) else { return };
    if let Some(user) = metadata.text("user_id", faults) {
        chat.insert("user".to_owned(), json::raw(&json!(user)));
    }
}

fn put_thinking(reader: &Reader<'_>, request: &RawMap, chat: &mut RawMap, faults: &mut Faults) {
    let Some(thinking) = reader.object("thinking", faults) else { return };
    thinking.require("type", faults);
    if thinking.word("type", &THOUGHTS, faults) == Some("enabled") {
        thinking.require("budget_tokens", faults);
    }
    let _ = thinking.count("budget_tokens", MIN_THINKING_TOKENS, u64::MAX, faults);
    chat.extend(request.get("thinking").map(|raw| ("thinking".to_owned(), raw.clone())));
}

/// The form of the answer, by its old name and by its new one; and how hard to try.
fn put_format(reader: &Reader<'_>, request: &RawMap, chat: &mut RawMap, faults: &mut Faults) {
    if let Some(format) = reader.object("output_format", faults) {
        chat.extend(response_format(&format, request.get("output_format").map(AsRef::as_ref), faults));
    }
    let Some(config) = reader.object("output_config", faults) else { return };
    let mut written = request.get("output_config").and_then(|raw| raw::fields(raw)).unwrap_or_default();
    let (format, _) = (written.remove("format"), written.remove("effort"));
    if let Some(effort) = config.word("effort", &EFFORTS, faults) {
        chat.insert("reasoning_effort".to_owned(), json::raw(&json!(effort)));
    }
    if let Some(read) = config.object("format", faults) {
        if reader.has("output_format") {
            faults.add(read.path(), "The form of the answer is given twice: output_format is its old name.");
        }
        chat.extend(response_format(&read, format.as_deref(), faults));
    }
    if !written.is_empty() {
        let other = chat.get("anthropic").and_then(|raw| raw::fields(raw)).unwrap_or_default();
        let rest = ("output_config".to_owned(), object_of(&written));
        chat.insert("anthropic".to_owned(), object_of(&other.into_iter().chain([rest]).collect()));
    }
}

fn response_format(
    format: &Reader<'_>,
    written: Option<&RawValue>,
    faults: &mut Faults,
) -> Option<(String, Box<RawValue>)> {
    format.require("type", faults);
    let kind = format.text("type", faults)?;
    if kind != "json_schema" {
        faults.add(format.at("type"), one_of(&["json_schema"], kind));
        return None;
    }
    format.require("schema", faults);
    let _ = format.typed("schema", OBJECT, Value::as_object, faults)?;
    let schema = written.and_then(raw::fields)?.remove("schema")?;
    let named = raw::object([
        ("name", json::raw(&json!(SCHEMA_NAME))),
        ("schema", schema),
        // What the standard promises of every schema.
        ("strict", json::raw(&json!(true))),
    ]);
    let format = raw::object([("json_schema", named), ("type", json::raw(&json!("json_schema")))]);
    Some(("response_format".to_owned(), format))
}

fn object_of(fields: &RawMap) -> Box<RawValue> {
    raw::object(fields.iter().map(|(name, raw)| (name.as_str(), raw.clone())))
}
