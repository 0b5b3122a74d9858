//! Chunks of a stream put together into the completion they amount to.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::generation::{Event, REASONING_DETAILS};
use crate::outline::{self, Delta, Outline};

/// A stream read so far.
///
/// Unknown fields are kept: of a chunk's top level the last value, of a delta the
/// concatenation of texts and the last value of anything else.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    top: Map<String, Value>,
    choices: BTreeMap<u64, Choice>,
    /// Of the first choice.
    outline: Outline,
}

#[derive(Debug, Clone, Default)]
struct Choice {
    message: Map<String, Value>,
    tool_calls: BTreeMap<u64, Map<String, Value>>,
    logprobs: Map<String, Value>,
    finish_reason: Option<Value>,
    rest: Map<String, Value>,
}

impl Fold {
    /// A stream's events put together.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let mut fold = Self::default();
        for event in events {
            match event {
                Event::Chunk(chunk) => {
                    fold.push(&serde_json::from_str(chunk.get()).unwrap_or_default());
                }
                Event::Finished => {}
            }
        }
        fold
    }

    /// Takes in one `chat.completion.chunk` and returns the text it adds to the
    /// first choice, empty if none.
    pub fn push(&mut self, chunk: &Value) -> String {
        self.outline.push(&Delta::of_chunk(chunk));
        let Some(chunk) = chunk.as_object() else { return String::new() };
        for (key, value) in chunk {
            let absent = value.is_null() && self.top.contains_key(key);
            if key != "choices" && !absent {
                self.top.insert(key.clone(), value.clone());
            }
        }
        let mut added = String::new();
        for choice in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            self.choices.entry(index).or_default().push(choice);
            if index == 0 {
                added.push_str(choice.pointer("/delta/content").and_then(Value::as_str).unwrap_or(""));
            }
        }
        added
    }

    /// Whether the upstream gave every choice a reason to stop.
    #[must_use]
    pub fn has_finish(&self) -> bool {
        !self.choices.is_empty() && self.choices.values().all(|choice| choice.finish_reason.is_some())
    }

    /// The text of the first choice so far.
    #[must_use]
    pub fn text(&self) -> &str {
        self.choices.get(&0).and_then(|choice| choice.message.get("content")).and_then(Value::as_str).unwrap_or("")
    }

    /// The `chat.completion` object the chunks amount to.
    #[must_use]
    pub fn complete(mut self) -> Value {
        if let Some(first) = self.choices.get_mut(&0).filter(|_| !self.outline.is_usual()) {
            first.message.insert(outline::FIELD.to_owned(), json!(self.outline));
        }
        let mut body = self.top;
        body.insert("object".to_owned(), json!("chat.completion"));
        let choices = self.choices.into_iter().map(|(index, choice)| choice.complete(index)).collect();
        body.insert("choices".to_owned(), Value::Array(choices));
        Value::Object(body)
    }
}

impl Choice {
    fn push(&mut self, choice: &Value) {
        for (key, value) in choice.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                ("index", _) | (_, Value::Null) => {}
                ("delta", delta) => self.push_delta(delta),
                ("finish_reason", reason) => self.finish_reason = Some(reason.clone()),
                ("logprobs", logprobs) => append_lists(&mut self.logprobs, logprobs),
                (_, value) => {
                    self.rest.insert(key.clone(), value.clone());
                }
            }
        }
    }

    fn push_delta(&mut self, delta: &Value) {
        for (key, value) in delta.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                ("role", role) => {
                    self.message.insert("role".to_owned(), role.clone());
                }
                ("tool_calls", calls) => self.push_tool_calls(calls),
                (REASONING_DETAILS, details) => push_details(&mut self.message, details),
                ("annotations", annotations) => append_list(&mut self.message, key, annotations),
                (key, value) => append_text(&mut self.message, key, value),
            }
        }
    }

    fn push_tool_calls(&mut self, calls: &Value) {
        for (position, call) in calls.as_array().into_iter().flatten().enumerate() {
            let position = u64::try_from(position).unwrap_or(0);
            let index = call.get("index").and_then(Value::as_u64).unwrap_or(position);
            let whole = self.tool_calls.entry(index).or_default();
            for (key, value) in call.as_object().into_iter().flatten() {
                match (key.as_str(), value) {
                    ("index", _) | (_, Value::Null) => {}
                    ("function", part) => {
                        let function = whole.entry("function").or_insert_with(|| json!({}));
                        for (key, value) in part.as_object().into_iter().flatten() {
                            if let Some(function) = function.as_object_mut() {
                                append_text(function, key, value);
                            }
                        }
                    }
                    (key, value) => {
                        whole.insert(key.to_owned(), value.clone());
                    }
                }
            }
        }
    }

    fn complete(self, index: u64) -> Value {
        let mut message = self.message;
        message.entry("role").or_insert_with(|| json!("assistant"));
        // OpenAI's description of a message requires both, also where they are null.
        for required in ["content", "refusal"] {
            message.entry(required).or_insert(Value::Null);
        }
        if !self.tool_calls.is_empty() {
            let calls = self.tool_calls.into_values().map(Value::Object).collect();
            message.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        let mut choice = self.rest;
        choice.insert("index".to_owned(), json!(index));
        choice.insert("message".to_owned(), Value::Object(message));
        choice.insert("finish_reason".to_owned(), self.finish_reason.unwrap_or(Value::Null));
        let logprobs = if self.logprobs.is_empty() { Value::Null } else { Value::Object(self.logprobs) };
        choice.insert("logprobs".to_owned(), logprobs);
        Value::Object(choice)
    }
}

/// Appends a text to the text under `key`; any other value replaces what is there.
fn append_text(target: &mut Map<String, Value>, key: &str, value: &Value) {
    match (target.get_mut(key), value) {
        (_, Value::Null) => {}
        (Some(Value::String(text)), Value::String(more)) => text.push_str(more),
        (Some(_) | None, value) => {
            target.insert(key.to_owned(), value.clone());
        }
    }
}

fn append_lists(target: &mut Map<String, Value>, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        append_list(target, key, value);
    }
}

fn append_list(target: &mut Map<String, Value>, key: &str, value: &Value) {
    match (target.get_mut(key), value) {
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more.iter().cloned()),
        (Some(_) | None, Value::Null) => {}
        (Some(_) | None, value) => {
            target.insert(key.to_owned(), value.clone());
        }
    }
}

/// Pieces of what the model thought, in OpenRouter's form: those of one `index` belong
/// together, their texts one behind the other.
fn push_details(message: &mut Map<String, Value>, more: &Value) {
    let details = message.entry(REASONING_DETAILS).or_insert_with(|| json!([]));
    let Some(details) = details.as_array_mut() else { return };
    for piece in more.as_array().into_iter().flatten() {
        let index = piece.get("index").filter(|index| index.is_u64());
        let begun = details.iter_mut().find(|known| index.is_some() && known.get("index") == index);
        match (begun.and_then(Value::as_object_mut), piece.as_object()) {
            (Some(begun), Some(piece)) => {
                for (key, value) in piece {
                    match key.as_str() {
                        "text" | "summary" | "data" | "signature" => append_text(begun, key, value),
                        _ => _ = begun.insert(key.clone(), value.clone()),
                    }
                }
            }
            (Some(_) | None, Some(_) | None) => details.push(piece.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[Value], expected: &Value) {
        let mut fold = Fold::default();
        for chunk in chunks {
            fold.push(chunk);
        }
        assert_eq!(&fold.complete(), expected);
    }

    #[test]
    fn deltas_become_one_message() {
        check(
            &[
                json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": null,
                       "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}),
                json!({"id": "c1", "choices": [{"index": 0, "delta": {"content": "Hel"}}]}),
                json!({"id": "c1", "choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": null}]}),
                json!({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
                json!({"id": "c1", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
            ],
            &json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
                    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
                    "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
                                 "message": {"role": "assistant", "content": "Hello", "refusal": null}}]}),
        );
    }

    #[test]
    fn tool_call_arguments_are_joined_by_index() {
        check(
            &[
                json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": null, "tool_calls": [
                    {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}}]}),
                json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\":"}}]}}]}),
                json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}}]}),
                json!({"choices": [{"index": 0, "delta": {"tool_calls": [
                    {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}, "finish_reason": "tool_calls"}]}),
            ],
            &json!({"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null,
                "message": {"role": "assistant", "content": null, "refusal": null, "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}}]}),
        );
    }

    #[test]
    fn unknown_fields_are_kept() {
        check(
            &[
                json!({"system_fingerprint": "fp", "x_custom": 7,
                       "choices": [{"index": 0, "delta": {"reasoning_content": "a"}, "logprobs": {"content": [1]}}]}),
                json!({"choices": [{"index": 0, "delta": {"reasoning_content": "b"}, "logprobs": {"content": [2]}}]}),
            ],
            &json!({"object": "chat.completion", "system_fingerprint": "fp", "x_custom": 7,
                    "choices": [{"index": 0, "finish_reason": null, "logprobs": {"content": [1, 2]},
                                 "message": {"role": "assistant", "content": null, "refusal": null, "reasoning_content": "ab"}}]}),
        );
    }

    #[test]
    fn pieces_of_thought_are_joined_by_index() {
        let piece = |detail: Value| json!({"choices": [{"index": 0, "delta": {"reasoning_details": [detail]}}]});
        check(
            &[
                piece(json!({"type": "reasoning.text", "index": 0, "text": "a"})),
                piece(json!({"type": "reasoning.text", "index": 0, "text": "b"})),
                piece(json!({"type": "reasoning.text", "index": 0, "signature": "s"})),
                piece(json!({"type": "reasoning.encrypted", "index": 1, "data": "d"})),
                piece(json!({"type": "reasoning.encrypted", "data": "e"})),
            ],
            &json!({"object": "chat.completion", "choices": [{"index": 0, "finish_reason": null, "logprobs": null,
                "message": {"role": "assistant", "content": null, "refusal": null, "reasoning_details": [
                    {"type": "reasoning.text", "index": 0, "text": "ab", "signature": "s"},
                    {"type": "reasoning.encrypted", "index": 1, "data": "d"},
                    {"type": "reasoning.encrypted", "data": "e"}]}}]}),
        );
    }

    #[test]
    fn a_stream_has_its_finish_when_every_choice_has() {
        let mut fold = Fold::default();
        assert!(!fold.has_finish());
        fold.push(&json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}, {"index": 1, "delta": {}}]}));
        assert!(!fold.has_finish());
        fold.push(&json!({"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]}));
        assert!(fold.has_finish());
        assert_eq!(fold.text(), "a");
    }
}
