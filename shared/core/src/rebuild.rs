//! A stream made from a whole answer, for a client that asks for one where none
//! was made or its log is gone.

use std::collections::{BTreeMap, VecDeque};

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::generation::{Event, REASONING_DETAILS};
use crate::json;
use crate::outline::{self, Outline, Segment, detailed_text, is_named_call, reasoning};

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

    let pieces = choices.iter().flat_map(|choice| said(choice).into_iter().chain([stopped(choice)]));
    let mut events: Vec<Event> = pieces.map(|choice| chunk(&top, vec![choice], None)).collect();
    if let Some(usage) = usage {
        events.push(chunk(&top, Vec::new(), Some(usage)));
    }
    events.push(Event::Finished);
    events
}

/// What a choice says: in one chunk, or in as many as its pieces, where those came in an
/// order of their own.
fn said(choice: &Value) -> Vec<Value> {
    let mut delta = choice.get("message").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(calls) = delta.get_mut("tool_calls").and_then(Value::as_array_mut) {
        for (index, call) in calls.iter_mut().enumerate() {
            if let Some(call) = call.as_object_mut() {
                call.insert("index".to_owned(), json!(index));
            }
        }
    }
    let outline = Outline::of(&choice["message"]);
    delta.remove(outline::FIELD);
    let mut deltas = outline.map_or_else(Vec::new, |outline| pieces(&outline, &mut delta));
    if deltas.is_empty() {
        deltas.push(Value::Object(delta));
    } else if let Some(first) = deltas[0].as_object_mut() {
        first.extend(delta);
    }
    let mut said: Vec<Value> = deltas.iter().map(|delta| with(choice, delta, &Value::Null)).collect();
    for later in said.iter_mut().skip(1) {
        later["logprobs"] = Value::Null;
    }
    said
}

/// Takes the texts and calls out of a message, piece by piece.
fn pieces(outline: &Outline, message: &mut Map<String, Value>) -> Vec<Value> {
    let whole = Value::Object(message.clone());
    let thoughts = ["reasoning_content", "reasoning"]
        .into_iter()
        .find(|name| whole[*name].as_str().is_some_and(|text| !text.is_empty()));
    let order = outline.calls();
    let calls = whole["tool_calls"].as_array().into_iter().flatten().filter(|call| is_named_call(call));
    let calls: Vec<&Value> = calls.collect();
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    let mut cut = |name: &'static str, text: &str, bytes: usize| {
        let from = taken.entry(name).or_default();
        let until = (*from + bytes).min(text.len());
        let piece = json!({ name: text.get(*from..until).unwrap_or_default() });
        *from = until;
        piece
    };
    let text = |name: &str| whole[name].as_str().unwrap_or_default();
    let mut details = details_of(outline, message).into_iter();
    let deltas = outline.0.iter().map(|segment| match *segment {
        Segment::Reasoning(bytes) => {
            let mut delta = thoughts.map_or_else(|| json!({}), |name| cut(name, reasoning(&whole), bytes));
            if let Some(details) = details.next().filter(|details| !details.is_empty()) {
                delta[REASONING_DETAILS] = Value::Array(details);
            }
            delta
        }
        Segment::Content(bytes) => cut("content", text("content"), bytes),
        Segment::Refusal(bytes) => cut("refusal", text("refusal"), bytes),
        Segment::Call(index) => {
            let rank = order.iter().position(|known| *known == index).unwrap_or_default();
            json!({"tool_calls": [calls.get(rank)]})
        }
    });
    let deltas = deltas.collect();
    for name in ["content", "refusal", "tool_calls", "reasoning_content", "reasoning"] {
        message.remove(name);
    }
    deltas
}

/// Takes out of a message the details of what was thought, those of each of its thoughts:
/// as many bytes of text as the thought has, and with a text what comes behind it and has
/// none. A detail that is cut ends with its last piece.
fn details_of(outline: &Outline, message: &mut Map<String, Value>) -> Vec<Vec<Value>> {
    let lengths = outline.0.iter().filter_map(|segment| match segment {
        Segment::Reasoning(bytes) => Some(*bytes),
        Segment::Content(_) | Segment::Refusal(_) | Segment::Call(_) => None,
    });
    let mut lengths: Vec<usize> = lengths.collect();
    let Some(last) = lengths.last_mut() else { return Vec::new() };
    *last = usize::MAX;
    let details = message.remove(REASONING_DETAILS);
    let mut details: VecDeque<Value> =
        details.iter().flat_map(|details| details.as_array()).flatten().cloned().collect();
    lengths.into_iter().map(|bytes| take_details(&mut details, bytes)).collect()
}

fn take_details(details: &mut VecDeque<Value>, mut bytes: usize) -> Vec<Value> {
    let mut taken = Vec::new();
    while let Some(detail) = details.front_mut() {
        let text = detailed_text(detail);
        if text.len() <= bytes {
            bytes -= text.len();
            taken.extend(details.pop_front());
            continue;
        }
        let (piece, rest) = text.split_at(text.floor_char_boundary(bytes));
        let (piece, rest) = (json!(piece), json!(rest));
        if bytes > 0 {
            let mut begun = detail.clone();
            begun["text"] = piece;
            if let Some(begun) = begun.as_object_mut() {
                begun.remove("signature");
            }
            detail["text"] = rest;
            taken.push(begun);
        }
        break;
    }
    taken
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

    #[test]
    fn pieces_come_back_in_the_order_in_which_they_came() {
        let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
        check(&json!({"id": "c", "object": "chat.completion", "choices": [
            {"index": 0, "finish_reason": "tool_calls", "logprobs": {"content": [1]}, "message": {
                "role": "assistant", "content": "so far", "refusal": null, "reasoning": "hm", "tool_calls": [call("a"), call("b")],
                "turnwise_order": [{"call": 0}, {"content": 3}, {"reasoning": 2}, {"call": 1}, {"content": 3}]}}]}));
    }

    #[test]
    fn details_come_back_with_the_thoughts_that_they_are_of() {
        let text =
            |index: u64, text: &str| json!({"type": "reasoning.text", "text": text, "signature": "s", "index": index});
        let message = |thought: Value| {
            let mut message = json!({"role": "assistant", "content": "abc", "refusal": null,
                "reasoning_details": [text(0, "one"), {"type": "reasoning.encrypted", "data": "x", "index": 1}, text(2, "two")],
                "turnwise_order": [{"reasoning": 3}, {"content": 1}, {"reasoning": 1}, {"content": 2}, {"reasoning": 2}]});
            if !thought.is_null() {
                message["reasoning_content"] = thought;
            }
            json!({"id": "c", "object": "chat.completion", "choices": [
                {"index": 0, "finish_reason": "stop", "logprobs": null, "message": message}]})
        };
        for thought in [json!("onetwo"), Value::Null] {
            let body = message(thought);
            check(&body);
            let chunks = events(&json::raw(&body)).into_iter().filter_map(|event| match event {
                Event::Chunk(chunk) => serde_json::from_str::<Value>(chunk.get()).ok(),
                Event::Finished => None,
            });
            let details =
                chunks.map(|chunk| chunk["choices"][0]["delta"]["reasoning_details"].as_array().map_or(0, Vec::len));
            assert_eq!(details.collect::<Vec<_>>(), [2, 0, 1, 0, 1, 0]);
        }
    }
}
