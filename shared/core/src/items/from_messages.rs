//! From chat messages and from a `chat.completion` to items.

use serde_json::{Value, json};

use super::content::{Parts, output_text, refusal};
use super::parse::message;
use crate::outline::{Outline, Segment, is_named_call, reasoning, unnamed_call};

/// The items that `messages`, chat messages, amount to, without ids.
///
/// What no item can hold (audio, calls and answers of the function API that tools
/// replaced) is left out.
#[must_use]
pub fn items_of_messages(messages: &[Value]) -> Vec<Value> {
    messages.iter().flat_map(items_of_message).collect()
}

/// The output of a `chat.completion` object as items, without ids: what the model
/// thought, what the first choice says, what it calls, or all that in the order in which
/// it came. There is always an item that is no thought.
#[must_use]
pub fn output_items(completion: &Value) -> Vec<Value> {
    let choice = &completion["choices"][0];
    let mut items = in_order(&choice["message"]);
    if items.iter().all(|item| item["type"] == "reasoning") {
        items.push(message("assistant", vec![Parts::Output.text("")]));
    }
    let parts = items.iter_mut().filter(|item| item["type"] == "message");
    let mut parts = parts.flat_map(|item| item["content"].as_array_mut().into_iter().flatten());
    // Where there is one text, it is the one the probabilities are of.
    if let Some(text) = parts.find(|part| part["type"] == "output_text") {
        text["logprobs"] = logprobs(&choice["logprobs"]["content"]);
        text["annotations"] = annotations(&choice["message"]["annotations"]);
    }
    let cut_short = matches!(choice["finish_reason"].as_str(), Some("length" | "content_filter"));
    // The last is the one that was being made when the answer was cut short.
    if let Some(last) = items.last_mut().filter(|_| cut_short) {
        last["status"] = json!("incomplete");
    }
    items
}

fn in_order(message: &Value) -> Vec<Value> {
    let calls = calls(message);
    let outline = Outline::of(message).filter(|outline| outline.calls().len() == calls.len());
    match outline {
        Some(outline) => pieces(&outline, message, calls),
        None => thought(reasoning(message)).into_iter().chain(answer(said(message), calls)).collect(),
    }
}

/// The items of a message whose pieces came in an order of their own.
fn pieces(outline: &Outline, chat: &Value, calls: Vec<Value>) -> Vec<Value> {
    let text = |name: &str| chat[name].as_str().unwrap_or_default();
    let (mut thoughts, mut content, mut refused) = (reasoning(chat), text("content"), text("refusal"));
    let order = outline.calls();
    let mut items: Vec<Value> = Vec::new();
    let say = |items: &mut Vec<Value>, part: Value| match items.last_mut() {
        Some(last) if last["type"] == "message" => {
            if let Some(parts) = last["content"].as_array_mut() {
                parts.push(part);
            }
        }
        Some(_) | None => items.push(message("assistant", vec![part])),
    };
    for segment in &outline.0 {
        match *segment {
            Segment::Reasoning(bytes) => items.extend(thought(take(&mut thoughts, bytes))),
            Segment::Content(bytes) => say(&mut items, output_text(take(&mut content, bytes), Vec::new(), Vec::new())),
            Segment::Refusal(bytes) => say(&mut items, refusal(take(&mut refused, bytes))),
            Segment::Call(index) => {
                let rank = order.iter().position(|known| *known == index);
                items.extend(rank.and_then(|rank| calls.get(rank)).cloned());
            }
        }
    }
    items
}

/// The next `bytes` of `text`, or what is left of it.
fn take<'a>(text: &mut &'a str, bytes: usize) -> &'a str {
    let (taken, rest) = text.split_at(text.floor_char_boundary(bytes.min(text.len())));
    *text = rest;
    taken
}

/// What a model thought, if it told.
fn thought(text: &str) -> Option<Value> {
    let content = || json!([{"type": "reasoning_text", "text": text}]);
    (!text.is_empty()).then(|| json!({"type": "reasoning", "summary": [], "content": content()}))
}

fn items_of_message(chat: &Value) -> Vec<Value> {
    match chat["role"].as_str() {
        Some("assistant") => {
            let (mut said, calls) = (said(chat), calls(chat));
            if said.is_empty() && calls.is_empty() {
                said.push(Parts::Output.text(""));
            }
            answer(said, calls)
        }
        Some("tool") => vec![json!({
            "type": "function_call_output", "status": "completed",
            "call_id": chat["tool_call_id"].as_str().unwrap_or_default(),
            "output": output(&chat["content"]),
        })],
        Some(role @ ("system" | "developer" | "user")) => vec![message(role, input(&chat["content"]))],
        Some(_) | None => Vec::new(),
    }
}

/// What a model said, if anything, then what it called.
fn answer(said: Vec<Value>, calls: Vec<Value>) -> Vec<Value> {
    let said = (!said.is_empty()).then(|| message("assistant", said));
    said.into_iter().chain(calls).collect()
}

/// The parts of what a model said.
fn said(message: &Value) -> Vec<Value> {
    let mut parts = match &message["content"] {
        Value::String(text) if !text.is_empty() => vec![Parts::Output.text(text)],
        Value::Array(parts) => parts.iter().filter_map(output_part).collect(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    if let Some(text) = message["refusal"].as_str().filter(|text| !text.is_empty()) {
        parts.push(refusal(text));
    }
    parts
}

fn output_part(part: &Value) -> Option<Value> {
    match part["type"].as_str()? {
        "text" => Some(output_text(part["text"].as_str()?, Vec::new(), Vec::new())),
        "refusal" => Some(refusal(part["refusal"].as_str()?)),
        _ => None,
    }
}

/// The function calls of a message. One that never got a name calls nothing.
fn calls(message: &Value) -> Vec<Value> {
    let calls = message["tool_calls"].as_array().into_iter().flatten().enumerate();
    calls.filter(|(_, call)| is_named_call(call)).map(|(index, call)| function_call(index, call)).collect()
}

fn function_call(index: usize, call: &Value) -> Value {
    let id = call["id"].as_str().filter(|id| !id.is_empty()).map_or_else(|| unnamed_call(index), str::to_owned);
    // A string by OpenAI's description, empty or an object by the habit of others.
    let arguments = match &call["function"]["arguments"] {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::String(_) | Value::Null => "{}".to_owned(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
    };
    let name = call["function"]["name"].as_str().unwrap_or_default();
    json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments, "status": "completed"})
}

/// The parts of what a user or the operator said.
fn input(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![Parts::Input.text(text)],
        Value::Array(parts) => parts.iter().filter_map(input_part).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

fn input_part(part: &Value) -> Option<Value> {
    match part["type"].as_str()? {
        "text" => Some(Parts::Input.text(part["text"].as_str()?)),
        "image_url" => {
            let image = &part["image_url"];
            let detail = image["detail"].as_str().unwrap_or("auto");
            Some(json!({"type": "input_image", "image_url": image["url"].as_str()?, "detail": detail}))
        }
        "file" => {
            let mut file = part["file"].as_object()?.clone();
            file.retain(|_, value| !value.is_null());
            file.insert("type".to_owned(), json!("input_file"));
            Some(Value::Object(file))
        }
        _ => None,
    }
}

fn output(content: &Value) -> Value {
    match content {
        Value::String(text) => json!(text),
        Value::Array(parts) => parts.iter().filter_map(input_part).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => json!(""),
    }
}

/// Probabilities of tokens; where a token has no bytes of its own, chat says null
/// and items an empty list.
pub(super) fn logprobs(tokens: &Value) -> Value {
    let mut tokens = tokens.clone();
    for token in tokens.as_array_mut().into_iter().flatten() {
        with_bytes(token);
        for other in token["top_logprobs"].as_array_mut().into_iter().flatten() {
            with_bytes(other);
        }
    }
    if tokens.is_array() { tokens } else { json!([]) }
}

fn with_bytes(token: &mut Value) {
    if let Some(bytes) = token.get_mut("bytes").filter(|bytes| bytes.is_null()) {
        *bytes = json!([]);
    }
}

/// Citations: one level deeper in a chat message than in an item.
fn annotations(cited: &Value) -> Value {
    let cited = cited.as_array().into_iter().flatten();
    let flat = cited.filter_map(|citation| {
        let mut flat = citation["url_citation"].as_object()?.clone();
        let whole = ["url", "title", "start_index", "end_index"].iter().all(|name| flat.contains_key(*name));
        flat.insert("type".to_owned(), json!("url_citation"));
        whole.then_some(Value::Object(flat))
    });
    flat.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::items::messages_of_items;

    fn completion(message: &Value, finish_reason: &str) -> Value {
        json!({"object": "chat.completion", "choices": [
            {"index": 0, "finish_reason": finish_reason, "logprobs": null, "message": message}]})
    }

    fn text_item(text: &str, status: &str) -> Value {
        json!({"type": "message", "role": "assistant", "status": status,
               "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]})
    }

    fn call_item(id: &str, arguments: &str) -> Value {
        json!({"type": "function_call", "call_id": id, "name": "f", "arguments": arguments, "status": "completed"})
    }

    #[test]
    fn an_answer_is_a_message_then_its_calls() {
        let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}});
        let both = json!({"role": "assistant", "content": "wait", "tool_calls": [call]});
        let expected = [text_item("wait", "completed"), call_item("a", "{\"x\":1}")];
        assert_eq!(output_items(&completion(&both, "tool_calls")), expected);
        let silent = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        assert_eq!(output_items(&completion(&silent, "tool_calls")), expected[1..]);
    }

    #[test]
    fn an_answer_that_was_cut_short_is_incomplete() {
        let message = json!({"role": "assistant", "content": "so"});
        for (reason, status) in [("stop", "completed"), ("length", "incomplete"), ("content_filter", "incomplete")] {
            assert_eq!(output_items(&completion(&message, reason)), [text_item("so", status)], "{reason}");
        }
    }

    #[test]
    fn an_empty_answer_is_an_empty_text() {
        assert_eq!(output_items(&completion(&json!({"content": ""}), "stop")), [text_item("", "completed")]);
        assert_eq!(output_items(&json!({"choices": []})), [text_item("", "completed")]);
        assert_eq!(output_items(&json!(null)), [text_item("", "completed")]);
    }

    #[test]
    fn a_refusal_is_a_part() {
        let refused = json!({"role": "assistant", "content": null, "refusal": "no"});
        let parts = json!([{"type": "refusal", "refusal": "no"}]);
        assert_eq!(output_items(&completion(&refused, "stop"))[0]["content"], parts);
    }

    #[test]
    fn calls_as_other_upstreams_write_them_are_made_openais() {
        let call = |id: Value, arguments: Value| json!({"id": id, "function": {"name": "f", "arguments": arguments}});
        let calls = [call(json!("a"), json!("")), call(json!(""), json!({"x": 1})), call(json!(null), json!(null))];
        assert_eq!(
            output_items(&completion(&json!({"content": null, "tool_calls": calls}), "tool_calls")),
            [call_item("a", "{}"), call_item("call_1", "{\"x\":1}"), call_item("call_2", "{}")],
        );
    }

    #[test]
    fn probabilities_and_citations_stay_with_the_text() {
        let citation = json!({"url": "https://example.com", "title": "t", "start_index": 0, "end_index": 1});
        let message = json!({"content": "a", "annotations": [
            {"type": "url_citation", "url_citation": citation}, {"type": "url_citation"}]});
        let mut body = completion(&message, "stop");
        body["choices"][0]["logprobs"] = json!({"content": [{"token": "a", "logprob": -0.5, "bytes": null,
            "top_logprobs": [{"token": "b", "logprob": -1, "bytes": [98]}]}]});
        let part = &output_items(&body)[0]["content"][0];
        assert_eq!(part["logprobs"][0]["bytes"], json!([]));
        assert_eq!(part["logprobs"][0]["top_logprobs"][0]["bytes"], json!([98]));
        let flat = json!({"type": "url_citation", "url": "https://example.com", "title": "t", "start_index": 0, "end_index": 1});
        assert_eq!(part["annotations"], json!([flat]));
    }

    #[test]
    fn what_no_item_can_hold_is_left_out() {
        let audio = json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}});
        let messages = [
            json!({"role": "user", "content": [audio, {"type": "text", "text": "a"}]}),
            json!({"role": "function", "name": "f", "content": "1"}),
        ];
        let items = items_of_messages(&messages);
        assert_eq!(items.len(), 1);
        assert_eq!(items[0]["content"], json!([{"type": "input_text", "text": "a"}]));
    }

    /// One exchange, as chat messages: a user's question first, so that two answers
    /// never meet.
    fn exchange() -> impl Strategy<Value = Vec<Value>> {
        let text = "[a-z\\n]{1,8}";
        let asked = prop_oneof![
            text.prop_map(|text| json!(text)),
            (text, text).prop_map(|(text, url)| json!([
                {"type": "text", "text": text},
                {"type": "image_url", "image_url": {"url": url, "detail": "high"}},
                {"type": "file", "file": {"filename": "a", "file_data": url}}])),
        ];
        let output = prop_oneof![
            text.prop_map(|text| json!(text)),
            text.prop_map(|text| json!([{"type": "text", "text": text}, {"type": "text", "text": "more"}])),
        ];
        let called = (proptest::option::of(text), proptest::collection::vec(output, 1..3));
        (asked, proptest::collection::vec(called, 0..3), proptest::option::of(text)).prop_map(
            |(asked, called, answered)| {
                let mut messages = vec![json!({"role": "user", "content": asked})];
                for (said, outputs) in called {
                    let calls: Vec<Value> = (0..outputs.len())
                        .map(|id| json!({"id": format!("c{id}"), "type": "function", "function": {"name": "f", "arguments": "{}"}}))
                        .collect();
                    messages.push(json!({"role": "assistant", "content": said, "tool_calls": calls}));
                    messages.extend(outputs.iter().enumerate().map(
                        |(id, output)| json!({"role": "tool", "tool_call_id": format!("c{id}"), "content": output}),
                    ));
                }
                messages.extend(answered.map(|text| json!({"role": "assistant", "content": text})));
                messages
            },
        )
    }

    proptest! {
        #[test]
        fn messages_survive_the_way_to_items_and_back(system in proptest::option::of("[a-z]{0,8}"),
                                                      exchanges in proptest::collection::vec(exchange(), 0..4)) {
            let system = system.map(|text| json!({"role": "system", "content": text}));
            let messages: Vec<Value> = system.into_iter().chain(exchanges.into_iter().flatten()).collect();
            let items = items_of_messages(&messages);
            prop_assert_eq!(&messages_of_items(&items), &messages);
            prop_assert_eq!(items_of_messages(&messages_of_items(&items)), items);
        }

        #[test]
        fn items_of_messages_are_whole(exchanges in proptest::collection::vec(exchange(), 1..4)) {
            let items = items_of_messages(&exchanges.concat());
            let parsed = crate::items::parse_input("input", &json!(items)).unwrap();
            prop_assert_eq!(crate::items::resolve(parsed, |_| None).unwrap(), items);
        }
    }
}
