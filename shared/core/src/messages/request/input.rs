//! A request's messages as chat messages.

use serde_json::{Map, Value, json};

use super::super::THOUGHT_FORMAT;
use super::content::{cached, content, part};
use crate::fault::Faults;
use crate::generation::REASONING_DETAILS;
use crate::json::RawMap;
use crate::outline::{self, Outline, Segment, TextKind};
use crate::reader::{BOOLEAN, Reader, expected, one_of};

const ROLES: [&str; 2] = ["user", "assistant"];

/// What a message's or a tool's content may be.
const CONTENT: &str = "a string or an array";

/// The blocks of one message as they are written; none where it has no list of them.
type Written = Vec<RawMap>;

/// The system prompt and all messages.
pub(super) fn read(reader: &Reader<'_>, request: &RawMap, faults: &mut Faults) -> Vec<Value> {
    let mut messages: Vec<Value> = system(reader, faults).into_iter().collect();
    reader.require("messages", faults);
    let Some(given) = reader.list("messages", faults) else { return messages };
    if given.is_empty() {
        faults.add("messages", "At least one message is required.");
    }
    let written: Vec<RawMap> =
        request.get("messages").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    for (index, message) in given.iter().enumerate() {
        let Some(message) = Reader::of(format!("messages[{index}]"), message, faults) else { continue };
        let blocks = written.get(index).and_then(|message| message.get("content"));
        let blocks = blocks.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        read_message(&message, &blocks, &mut messages, faults);
    }
    messages
}

fn system(reader: &Reader<'_>, faults: &mut Faults) -> Option<Value> {
    let said = match reader.value("system")? {
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => json!(text),
        Value::Array(blocks) => {
            let parts = read_parts("system", blocks, &["text"], faults);
            if parts.is_empty() {
                return None;
            }
            content(parts)
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            faults.add("system", expected(CONTENT, other));
            return None;
        }
    };
    Some(json!({"role": "system", "content": said}))
}

fn read_message(message: &Reader<'_>, written: &Written, messages: &mut Vec<Value>, faults: &mut Faults) {
    message.require("role", faults);
    let role = message.text("role", faults);
    if let Some(other) = role.filter(|role| !ROLES.contains(role)) {
        let hint = if other == "system" { " What the system is to say stands in the field system." } else { "" };
        faults.add(message.at("role"), one_of(&ROLES, other) + hint);
    }
    message.require("content", faults);
    match message.value("content") {
        Some(Value::String(text)) => messages.push(json!({"role": role, "content": text})),
        Some(Value::Array(blocks)) => {
            let blocks = Reader::list_of(&message.at("content"), blocks, faults);
            match role {
                Some("assistant") => messages.push(assistant(&blocks, written, faults)),
                Some(_) | None => user(message, &blocks, messages, faults),
            }
        }
        Some(other) => faults.add(message.at("content"), expected(CONTENT, other)),
        None => {}
    }
}

/// What a user says, behind the results of tools: those answer the message before.
fn user(message: &Reader<'_>, blocks: &[Reader<'_>], messages: &mut Vec<Value>, faults: &mut Faults) {
    if blocks.is_empty() {
        faults.add(message.at("content"), "Expected at least one block.");
    }
    let mut parts = Vec::new();
    for block in blocks {
        match block.required_name("type", faults) {
            Some("tool_result") => messages.extend(tool_result(block, faults)),
            Some(kind) => parts.extend(part(block, kind, faults)),
            None => {}
        }
    }
    if !parts.is_empty() {
        messages.push(json!({"role": "user", "content": content(parts)}));
    }
}

fn tool_result(block: &Reader<'_>, faults: &mut Faults) -> Option<Value> {
    let id = block.required_name("tool_use_id", faults);
    let said = match block.value("content") {
        None => json!(""),
        Some(Value::String(text)) => json!(text),
        Some(Value::Array(blocks)) => {
            let parts = read_parts(&block.at("content"), blocks, &["text", "image", "document"], faults);
            if parts.is_empty() { json!("") } else { content(parts) }
        }
        Some(other) => {
            faults.add(block.at("content"), expected(CONTENT, other));
            return None;
        }
    };
    let mut message = json!({"role": "tool", "tool_call_id": id?, "content": said});
    if block.typed("is_error", BOOLEAN, Value::as_bool, faults) == Some(true) {
        message["is_error"] = json!(true);
    }
    Some(cached(message, block, faults))
}

/// Parts of which each block is of one of `kinds`.
fn read_parts(path: &str, blocks: &[Value], kinds: &[&str], faults: &mut Faults) -> Vec<Value> {
    let mut parts = Vec::new();
    for block in Reader::list_of(path, blocks, faults) {
        match block.required_name("type", faults) {
            Some(kind) if kinds.contains(&kind) => parts.extend(part(&block, kind, faults)),
            Some(other) => faults.add(block.at("type"), one_of(kinds, other)),
            None => {}
        }
    }
    parts
}

/// What a model said before.
#[derive(Default)]
struct Said {
    /// What it thought and signed, or encrypted.
    details: Vec<Value>,
    /// What it thought and did not sign.
    thought: String,
    texts: Vec<Value>,
    calls: Vec<Value>,
    outline: Outline,
    /// The breakpoint of the prompt cache behind a call, which has no place for one.
    breakpoint: Option<Value>,
}

fn assistant(blocks: &[Reader<'_>], written: &Written, faults: &mut Faults) -> Value {
    let mut said = Said::default();
    for (index, block) in blocks.iter().enumerate() {
        match block.required_name("type", faults) {
            Some("text") => said.text(block, faults),
            Some("thinking") => said.thinking(block, faults),
            Some("redacted_thinking") => said.redacted(block, faults),
            Some("tool_use") => said.call(block, written.get(index), faults),
            Some(other) => {
                let message = format!("Blocks of type {other:?} are not supported in what the assistant says.");
                faults.add(block.at("type"), message);
            }
            None => {}
        }
    }
    said.message()
}

impl Said {
    fn text(&mut self, block: &Reader<'_>, faults: &mut Faults) {
        let Some(part) = part(block, "text", faults) else { return };
        let bytes = part["text"].as_str().map_or(0, str::len);
        self.outline.grow(TextKind::Content, bytes);
        self.texts.push(part);
    }

    /// A signature is what tells an upstream that the thought is its own: one without is only a text.
    fn thinking(&mut self, block: &Reader<'_>, faults: &mut Faults) {
        let text = block.required_text("thinking", faults);
        let signature = block.text("signature", faults).filter(|signature| !signature.is_empty());
        let Some(text) = text else { return };
        self.outline.grow(TextKind::Reasoning, text.len());
        match signature {
            Some(signature) => {
                self.details.push(json!({"type": "reasoning.text", "text": text, "signature": signature,
                "format": THOUGHT_FORMAT, "index": self.details.len()}))
            }
            None => self.thought.push_str(text),
        }
    }

    fn redacted(&mut self, block: &Reader<'_>, faults: &mut Faults) {
        let Some(data) = block.required_text("data", faults) else { return };
        self.details.push(json!({"type": "reasoning.encrypted", "data": data,
            "format": THOUGHT_FORMAT, "index": self.details.len()}));
    }

    fn call(&mut self, block: &Reader<'_>, written: Option<&RawMap>, faults: &mut Faults) {
        let (id, name) = (block.required_name("id", faults), block.required_name("name", faults));
        block.require("input", faults);
        let input = block.object("input", faults).and_then(|_| block.value("input"));
        let breakpoint = cached(Value::Null, block, faults);
        let (Some(id), Some(name), Some(input)) = (id, name, input) else { return };
        let arguments = written.and_then(|block| block.get("input"));
        let arguments = arguments.map_or_else(|| input.to_string(), |raw| raw.get().to_owned());
        let mut call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        if let Some(extra) = block.value("extra_content") {
            call["extra_content"] = extra.clone();
        }
        self.outline.0.push(Segment::Call(u64::try_from(self.calls.len()).unwrap_or(u64::MAX)));
        self.calls.push(call);
        self.breakpoint = breakpoint.get("cache_control").cloned().or(self.breakpoint.take());
    }

    fn message(self) -> Value {
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        message.insert("content".to_owned(), said(self.texts, !self.calls.is_empty()));
        if !self.outline.is_usual() {
            message.insert(outline::FIELD.to_owned(), json!(self.outline));
        }
        if !self.thought.is_empty() {
            message.insert("reasoning_content".to_owned(), json!(self.thought));
        }
        if !self.details.is_empty() {
            message.insert(REASONING_DETAILS.to_owned(), Value::Array(self.details));
        }
        if !self.calls.is_empty() {
            message.insert("tool_calls".to_owned(), Value::Array(self.calls));
        }
        message.extend(self.breakpoint.map(|breakpoint| ("cache_control".to_owned(), breakpoint)));
        Value::Object(message)
    }
}

/// An answer's texts as its one text, as which they came, unless the cache is to tell them
/// apart.
fn said(texts: Vec<Value>, has_calls: bool) -> Value {
    match texts.as_slice() {
        [] if has_calls => Value::Null,
        texts if texts.iter().any(|text| text.get("cache_control").is_some()) => json!(texts),
        texts => json!(texts.iter().filter_map(|text| text["text"].as_str()).collect::<String>()),
    }
}
