//! A stream made from a whole answer, for a client that asks for one where none
//! was made or its log is gone.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::generation::Event;
use crate::json;

/// The events that amount to the `chat.completion` object `body`: a chunk with all
/// a choice says, one with its reason to stop, one with the usage, the finish.
/// [`crate::fold::Fold`] over them gives `body` back, fields that are null aside.
#[must_use]
pub fn events(body: &RawValue) -> Vec<Event> {
    let body: Map<String, Value> = serde_json::from_str(body.get()).unwrap_or_default();
    let choices = body.get("choices").and_then(Value::as_array).cloned().unwrap_or_default();
    let usage = body.get("usage").filter(|usage| !usage.is_null()).cloned();

    let mut top = body;
    top.remove("usage");
    top.insert("object".to_owned(), json!("chat.completion.chunk"));

    let mut events: Vec<Event> = choices
        .iter()
        .flat_map(|choice| [said(choice), stopped(choice)])
        .map(|choice| chunk(&top, vec![choice], None))
        .collect();
    if let Some(usage) = usage {
        events.push(chunk(&top, Vec::new(), Some(usage)));
    }
    events.push(Event::Finished);
    events
}

fn said(choice: &Value) -> Value {
    let mut delta = choice.get("message").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(calls) = delta.get_mut("tool_calls").and_then(Value::as_array_mut) {
        for (index, call) in calls.iter_mut().enumerate() {
            if let Some(call) = call.as_object_mut() {
                call.insert("index".to_owned(), json!(index));
            }
        }
    }
    with(choice, &json!(delta), &Value::Null)
}

fn stopped(choice: &Value) -> Value {
    let mut stopped = with(choice, &json!({}), &choice["finish_reason"]);
    stopped["logprobs"] = Value::Null;
    stopped
}

/// The choice as a chunk has it.
fn with(choice: &Value, delta: &Value, finish_reason: &Value) -> Value {
    let mut choice = choice.as_object().cloned().unwrap_or_default();
    choice.remove("message");
    choice.insert("delta".to_owned(), delta.clone());
    choice.insert("finish_reason".to_owned(), finish_reason.clone());
    Value::Object(choice)
}

fn chunk(top: &Map<String, Value>, choices: Vec<Value>, usage: Option<Value>) -> Event {
    let mut chunk = top.clone();
    chunk.insert("choices".to_owned(), Value::Array(choices));
    if let Some(usage) = usage {
        chunk.insert("usage".to_owned(), usage);
    }
    Event::Chunk(json::raw(&Value::Object(chunk)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::Fold;

    fn check(body: &Value) {
        let mut fold = Fold::default();
        for event in events(&json::raw(body)) {
            if let Event::Chunk(chunk) = event {
                fold.push(&serde_json::from_str(chunk.get()).unwrap());
            }
        }
        assert!(fold.has_finish());
        assert_eq!(&fold.complete(), body);
    }

    #[test]
    fn a_rebuilt_stream_folds_back_to_its_answer() {
        check(&json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": "f",
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": {"content": [1]},
                         "message": {"role": "assistant", "content": "hello", "refusal": null}}]}));
        check(&json!({"id": "c", "object": "chat.completion", "choices": [
            {"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {"role": "assistant", "content": null, "refusal": null,
             "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}},
            {"index": 1, "finish_reason": "length", "logprobs": null, "message": {"role": "assistant", "content": "x", "refusal": null}}]}));
    }
}
