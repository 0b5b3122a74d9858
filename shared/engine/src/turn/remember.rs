//! What a conversation remembers, as the messages an upstream is sent.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use turnwise_core::items::messages_of_items;
use turnwise_core::json::{self, RawMap};
use turnwise_core::usage::count;
use turnwise_core::window::TooLong;
use turnwise_store::{Content, Entry};

use super::request::Input;

/// Fields of an answer's message that a request may contain: upstreams refuse others
/// of their own making.
const KEPT_FIELDS: [&str; 4] = ["role", "content", "tool_calls", "refusal"];

/// What is new, behind what the conversation remembers, as far as it fits into the
/// request's window or a model with `context` tokens, and the instructions before
/// everything.
pub(crate) fn messages(input: &Input, history: &[Entry], context: Option<u64>) -> Box<RawValue> {
    let raw = input.messages();
    let new: Vec<Value> = serde_json::from_str(raw.get()).unwrap_or_default();
    let history = if input.remembers { history } else { &[] };
    let rows: Vec<Vec<Value>> = history.iter().map(messages_of).collect();
    let nothing_else = RawMap::new();
    let newest_first = rows.iter().rev().map(|row| count(row, &nothing_else));
    let fitting = input.window.fitting(context, count(&new, &nothing_else), newest_first);
    let instructions = input.instructions.as_ref();
    let mut messages: Vec<Value> =
        instructions.map(|text| json!({"role": "system", "content": text})).into_iter().collect();
    messages.extend(rows.into_iter().rev().take(fitting).rev().flatten());
    if messages.is_empty() {
        return raw;
    }
    messages.extend(new);
    json::raw(&Value::Array(messages))
}

/// Whether `history`, the newest rows of a conversation, may go along with `input`.
///
/// # Errors
/// [`TooLong`].
pub(crate) fn check(input: &Input, history: &[Entry], context: Option<u64>) -> Result<(), TooLong> {
    let rows = if input.remembers { history.len() } else { 0 };
    input.window.check(context, rows, || tokens(input, history, context))
}

/// About how many tokens a model with `context` tokens is sent.
pub(crate) fn tokens(input: &Input, history: &[Entry], context: Option<u64>) -> u64 {
    let messages = messages(input, history, context);
    let messages: Vec<Value> = serde_json::from_str(messages.get()).unwrap_or_default();
    count(&messages, &input.fields)
}

/// A row of a conversation as the messages it adds.
fn messages_of(entry: &Entry) -> Vec<Value> {
    match entry {
        Entry::Added(added) => messages_of_items(&list(added.items.get())),
        Entry::Turn(turn) => {
            let mut messages = match &turn.input {
                Content::Messages(messages) => list(messages.get()),
                Content::Items(items) => messages_of_items(&list(items.get())),
            };
            let output: Value = serde_json::from_str(turn.output.get()).unwrap_or_default();
            messages.extend(output.pointer("/choices/0/message").and_then(Value::as_object).map(answer));
            messages
        }
    }
}

/// The array's elements but those that were deleted.
fn list(array: &str) -> Vec<Value> {
    let mut elements: Vec<Value> = serde_json::from_str(array).unwrap_or_default();
    elements.retain(|element| !element.is_null());
    elements
}

fn answer(message: &Map<String, Value>) -> Value {
    let kept = message
        .iter()
        .filter(|(name, value)| KEPT_FIELDS.contains(&name.as_str()) && !(value.is_null() && *name != "content"))
        .map(|(name, value)| (name.clone(), value.clone()));
    json!(kept.collect::<Map<_, _>>())
}
