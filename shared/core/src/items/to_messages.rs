//! From items to chat messages, for the upstream.

use serde_json::{Value, json};

use super::compaction;
use super::kind::Kind;

/// Between two parts of a text that were said apart.
const BETWEEN_PARTS: &str = "\n";

/// What a tool message says when all a function gave back follows in a message of
/// its own. Upstreams refuse a tool message without content.
const ATTACHED: &str = "(The output is attached to the next message.)";

/// The chat messages that `items`, whole ones, amount to.
///
/// - A content of texts becomes one string: not every upstream takes lists.
/// - `developer` becomes `system`: every upstream knows the one, only OpenAI's newer
///   models know the other, and they take `system` for it.
/// - What a model said and called in one go becomes one assistant message, as the
///   answers to its calls must follow it directly.
/// - Images and files that a function gave back follow its tool message, and those
///   of its neighbours, as a user's: a tool message holds text alone.
/// - Reasoning is left out: chat completions have no place for it.
/// - A compaction becomes a `system` message that says what it is.
#[must_use]
pub fn messages_of_items(items: &[Value]) -> Vec<Value> {
    let mut chat = Chat::default();
    for item in items {
        match Kind::of(item) {
            Kind::Message if item["role"] == "assistant" => chat.answer(item),
            Kind::Message => chat.say(item),
            Kind::FunctionCall => chat.call(item),
            Kind::FunctionCallOutput => chat.give_back(item),
            Kind::Compaction => chat.recall(item),
            Kind::Reasoning | Kind::Other => {}
        }
    }
    chat.attach();
    chat.messages
}

#[derive(Default)]
struct Chat {
    messages: Vec<Value>,
    /// What functions gave back and tool messages cannot hold.
    attached: Vec<Value>,
}

impl Chat {
    fn say(&mut self, item: &Value) {
        self.attach();
        let role = match item["role"].as_str() {
            Some("developer" | "system") => "system",
            Some(_) | None => "user",
        };
        self.messages.push(json!({"role": role, "content": content(&item["content"])}));
    }

    fn recall(&mut self, item: &Value) {
        self.attach();
        let told = compaction::told(item);
        self.messages.extend(told.map(|told| json!({"role": "system", "content": told})));
    }

    fn answer(&mut self, item: &Value) {
        self.attach();
        let (text, refusal) = said(&item["content"]);
        let silent_calls =
            self.last_answer().filter(|answer| answer["content"].is_null() && answer["refusal"].is_null());
        match silent_calls {
            Some(answer) => answer["content"] = text,
            None => self.messages.push(json!({"role": "assistant", "content": text})),
        }
        if let (Some(answer), Some(refusal)) = (self.last_answer(), refusal) {
            answer["refusal"] = refusal.into();
        }
    }

    fn call(&mut self, item: &Value) {
        self.attach();
        let function = json!({"name": item["name"], "arguments": item["arguments"]});
        let call = json!({"id": item["call_id"], "type": "function", "function": function});
        let Some(answer) = self.last_answer() else {
            self.messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
            return;
        };
        match answer["tool_calls"].as_array_mut() {
            Some(calls) => calls.push(call),
            None => answer["tool_calls"] = json!([call]),
        }
    }

    fn give_back(&mut self, item: &Value) {
        let content = match item["output"].as_array() {
            Some(_) => self.text_parts(&item["output"]),
            None => item["output"].clone(),
        };
        self.messages.push(json!({"role": "tool", "tool_call_id": item["call_id"], "content": content}));
    }

    /// The texts of an output; the rest of it is attached later.
    fn text_parts(&mut self, output: &Value) -> Value {
        let (texts, others): (Vec<Value>, Vec<Value>) = parts(output).partition(is_text);
        let silent = texts.is_empty();
        let nothing = silent && others.is_empty();
        self.attached.extend(others);
        match (silent, nothing) {
            (_, true) => json!(""),
            (true, false) => json!(ATTACHED),
            (false, false) => Value::Array(texts),
        }
    }

    fn attach(&mut self) {
        if !self.attached.is_empty() {
            let parts = std::mem::take(&mut self.attached);
            self.messages.push(json!({"role": "user", "content": parts}));
        }
    }

    fn last_answer(&mut self) -> Option<&mut Value> {
        self.messages.last_mut().filter(|message| message["role"] == "assistant")
    }
}

/// The content of what a user or the operator said.
fn content(parts_or_text: &Value) -> Value {
    let parts: Vec<Value> = parts(parts_or_text).collect();
    if parts.iter().all(is_text) { json!(join(&parts, BETWEEN_PARTS)) } else { Value::Array(parts) }
}

/// What a model said: its text, null if it has none beside a refusal, and the refusal.
fn said(content: &Value) -> (Value, Option<String>) {
    let texts: Vec<Value> = parts(content).filter(is_text).collect();
    let refusals = content.as_array().into_iter().flatten().filter_map(|part| part["refusal"].as_str());
    let refusal = refusals.map(str::to_owned).reduce(|all, more| all + &more);
    let refused = texts.is_empty() && refusal.is_some();
    // The parts of one answer are pieces of one text.
    let text = if refused { Value::Null } else { json!(join(&texts, "")) };
    (text, refusal)
}

fn is_text(part: &Value) -> bool {
    part["type"] == "text"
}

fn join(texts: &[Value], between: &str) -> String {
    let texts: Vec<&str> = texts.iter().filter_map(|part| part["text"].as_str()).collect();
    texts.join(between)
}

fn parts(content: &Value) -> impl Iterator<Item = Value> {
    let text = content.as_str().map(|text| json!({"type": "text", "text": text}));
    text.into_iter().chain(content.as_array().into_iter().flatten().filter_map(part))
}

/// A part as chat messages have it; none for a refusal, which is no part there.
fn part(part: &Value) -> Option<Value> {
    match part["type"].as_str()? {
        "input_text" | "output_text" | "text" => Some(json!({"type": "text", "text": part["text"]})),
        "input_image" => Some(image(part)),
        "input_file" => Some(file(part)),
        _ => None,
    }
}

fn image(part: &Value) -> Value {
    let Some(url) = part["image_url"].as_str() else { return file(part) };
    let mut image = json!({"url": url});
    // What is the default anyway is not said: some upstreams do not know the field.
    if let Some(detail) = part["detail"].as_str().filter(|detail| *detail != "auto") {
        image["detail"] = detail.into();
    }
    json!({"type": "image_url", "image_url": image})
}

/// A file, or an image that is one. A URL stands where the data would: upstreams
/// that fetch files take it there, and we fetch nothing for a client.
fn file(part: &Value) -> Value {
    let mut file = json!({});
    for (ours, theirs) in
        [("filename", "filename"), ("file_id", "file_id"), ("file_url", "file_data"), ("file_data", "file_data")]
    {
        if part[ours].is_string() {
            file[theirs] = part[ours].clone();
        }
    }
    json!({"type": "file", "file": file})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::content::{input_text, output_text, refusal};
    use crate::items::parse::message;

    fn check(items: &[Value], messages: &[Value]) {
        assert_eq!(messages_of_items(items), messages);
    }

    fn said(text: &str) -> Value {
        message("assistant", vec![output_text(text, vec![], vec![])])
    }

    fn call(id: &str) -> Value {
        json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}", "status": "completed"})
    }

    fn output(id: &str, output: &Value) -> Value {
        json!({"type": "function_call_output", "call_id": id, "output": output, "status": "completed"})
    }

    fn tool_call(id: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
    }

    #[test]
    fn texts_become_strings() {
        check(
            &[message("user", vec![input_text("a"), input_text("b")]), said("c"), message("user", vec![])],
            &[
                json!({"role": "user", "content": "a\nb"}),
                json!({"role": "assistant", "content": "c"}),
                json!({"role": "user", "content": ""}),
            ],
        );
    }

    #[test]
    fn developers_are_systems() {
        let system = json!({"role": "system", "content": "a"});
        check(&[message("developer", vec![input_text("a")])], std::slice::from_ref(&system));
        check(&[message("system", vec![input_text("a")])], &[system]);
    }

    #[test]
    fn a_compaction_is_what_the_system_says_in_its_place() {
        let item = compaction::compaction_item("Ada asked.");
        let told = json!({"role": "system", "content": compaction::told(&item)});
        let [before, after] = ["a", "b"].map(|text| json!({"role": "user", "content": text}));
        let say = |text: &str| message("user", vec![input_text(text)]);
        check(&[say("a"), item, say("b")], &[before, told, after]);
    }

    #[test]
    fn images_and_files_keep_their_place_among_texts() {
        let image = json!({"type": "input_image", "image_url": "data:,a", "detail": "auto"});
        let detailed = json!({"type": "input_image", "image_url": "data:,b", "detail": "low"});
        let of_file = json!({"type": "input_image", "image_url": null, "file_id": "f1", "detail": "auto"});
        let file = json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:,c"});
        let linked = json!({"type": "input_file", "file_url": "https://example.com/a.pdf"});
        check(
            &[message("user", vec![input_text("see"), image, detailed, of_file, file, linked])],
            &[json!({"role": "user", "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:,a"}},
                {"type": "image_url", "image_url": {"url": "data:,b", "detail": "low"}},
                {"type": "file", "file": {"file_id": "f1"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:,c"}},
                {"type": "file", "file": {"file_data": "https://example.com/a.pdf"}},
            ]})],
        );
    }

    #[test]
    fn what_was_said_and_called_in_one_go_is_one_message() {
        let thought = json!({"type": "reasoning", "summary": []});
        let both = [json!({"role": "assistant", "content": "wait", "tool_calls": [tool_call("a"), tool_call("b")]})];
        check(&[said("wait"), thought, call("a"), call("b")], &both);
        check(&[call("a"), said("wait"), call("b")], &both);
        let silent = [json!({"role": "assistant", "content": null, "tool_calls": [tool_call("a")]})];
        check(&[call("a")], &silent);
    }

    #[test]
    fn two_answers_stay_two_messages() {
        let message = |text: &str| json!({"role": "assistant", "content": text});
        check(&[said("a"), said("b")], &[message("a"), message("b")]);
    }

    #[test]
    fn calls_after_an_output_are_another_go() {
        let calls = |id: &str| json!({"role": "assistant", "content": null, "tool_calls": [tool_call(id)]});
        let tool = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "1"});
        check(
            &[call("a"), output("a", &json!("1")), call("b"), output("b", &json!("1"))],
            &[calls("a"), tool("a"), calls("b"), tool("b")],
        );
    }

    #[test]
    fn a_refusal_is_no_text() {
        check(
            &[message("assistant", vec![refusal("no")])],
            &[json!({"role": "assistant", "content": null, "refusal": "no"})],
        );
    }

    #[test]
    fn what_tool_messages_cannot_hold_follows_all_of_them() {
        let image = json!({"type": "input_image", "image_url": "data:,a", "detail": "auto"});
        check(
            &[
                output("a", &json!([input_text("1"), input_text("2")])),
                output("b", &json!([image])),
                output("c", &json!([])),
                message("user", vec![input_text("go on")]),
            ],
            &[
                json!({"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]}),
                json!({"role": "tool", "tool_call_id": "b", "content": ATTACHED}),
                json!({"role": "tool", "tool_call_id": "c", "content": ""}),
                json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,a"}}]}),
                json!({"role": "user", "content": "go on"}),
            ],
        );
    }
}
