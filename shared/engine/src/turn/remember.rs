//! What a conversation remembers, as the messages an upstream is sent.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use turnwise_core::generation::REASONING_DETAILS;
use turnwise_core::items::messages_of_items;
use turnwise_core::json;
use turnwise_core::tokens::{count, count_part};
use turnwise_core::window::TooLong;
use turnwise_store::{Content, Entry};

use super::request::Input;
use crate::measure::Measure;

/// Fields of an answer's message that a request may contain: upstreams refuse others
/// of their own making.
const KEPT_FIELDS: [&str; 4] = ["role", "content", "tool_calls", "refusal"];

/// What is new, behind what the conversation remembers, as far as it fits into the
/// request's window or the model, and the instructions before everything.
pub(crate) fn messages(input: &Input, history: &[Entry], measure: &Measure) -> Box<RawValue> {
    let raw = input.messages();
    let new: Vec<Value> = serde_json::from_str(raw.get()).unwrap_or_default();
    let history = if input.remembers { history } else { &[] };
    let rows: Vec<Vec<Value>> = history.iter().map(|entry| messages_of(entry, measure.thoughts)).collect();
    let tokens_of = |messages: &[Value]| count_part(messages).scaled(measure.scale);
    let newest_first = rows.iter().rev().map(|row| tokens_of(row));
    let fitting = input.window.fitting(measure.context, tokens_of(&new), newest_first);
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

/// Whether `input` may be sent to the model that is measured, with `history`, the newest
/// rows of its conversation. What can be cut is not looked at.
///
/// # Errors
/// [`TooLong`].
pub(crate) fn check(input: &Input, history: &[Entry], measure: &Measure) -> Result<(), TooLong> {
    let most_output = measure.most_output.zip(input.asked_output());
    if let Some((most, (field, asked))) = most_output.filter(|(most, (_, asked))| asked > most) {
        return Err(TooLong::Output { field, asked, model: measure.model.clone(), most });
    }
    let history = if input.remembers { history } else { &[] };
    let kept = if input.window.whole { history } else { &[] };
    input.window.check(measure.context, history.len(), input.field(), || tokens(input, kept, measure))
}

/// About how many tokens the model is sent.
fn tokens(input: &Input, history: &[Entry], measure: &Measure) -> u64 {
    let messages = messages(input, history, measure);
    let messages: Vec<Value> = serde_json::from_str(messages.get()).unwrap_or_default();
    count(&messages, &input.fields).scaled(measure.scale)
}

/// A row of a conversation as the messages it adds.
fn messages_of(entry: &Entry, thoughts: bool) -> Vec<Value> {
    match entry {
        Entry::Added(added) => messages_of_items(&list(added.items.get())),
        Entry::Turn(turn) => {
            let mut messages = match &turn.input {
                Content::Messages(messages) => list(messages.get()),
                Content::Items(items) => messages_of_items(&list(items.get())),
            };
            let output: Value = serde_json::from_str(turn.output.get()).unwrap_or_default();
            messages.extend(
                output
                    .pointer("/choices/0/message")
                    .and_then(Value::as_object)
                    .map(|message| answer(message, thoughts)),
            );
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

fn answer(message: &Map<String, Value>, thoughts: bool) -> Value {
    let is_kept = |name: &str| KEPT_FIELDS.contains(&name) || (thoughts && name == REASONING_DETAILS);
    let kept = message
        .iter()
        .filter(|(name, value)| is_kept(name) && !(value.is_null() && *name != "content"))
        .map(|(name, value)| (name.clone(), value.clone()));
    let mut kept: Map<_, _> = kept.collect();
    if !thoughts {
        // Of a call: the signature of the thought behind it.
        let calls = kept.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
        calls.filter_map(Value::as_object_mut).for_each(|call| _ = call.remove("extra_content"));
    }
    Value::Object(kept)
}
