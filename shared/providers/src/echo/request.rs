//! What a request asks, as far as an echo heeds it.

use serde_json::Value;
use turnwise_core::generation::Generation;
use turnwise_core::json::RawMap;

use super::pieces::count;

/// Tokens of an image, whatever it shows: what GPT-4o counts for one in low detail.
const IMAGE_TOKENS: u64 = 85;

/// What was said last and is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) by: Speaker,
    pub(super) text: String,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// A user, with the very last message.
    User,
    /// A user, and another message came after it that is no tool's.
    EarlierUser,
    /// The tools that were called: the messages after the last other one.
    Tools,
}

/// The messages; none where they cannot be read.
pub(super) fn messages(generation: &Generation) -> Vec<Value> {
    serde_json::from_str(generation.input_text()).unwrap_or_default()
}

/// What is answered: the outputs of tools at the end, else the last user message.
pub(super) fn said(messages: &[Value]) -> Said {
    let outputs = messages.iter().rev().take_while(|message| message["role"] == "tool").count();
    if outputs > 0 {
        let texts: Vec<String> = messages[messages.len() - outputs..].iter().map(text).collect();
        return Said { by: Speaker::Tools, text: texts.join("\n") };
    }
    let last = messages.iter().rposition(|message| message["role"] == "user");
    let by = if last.is_some_and(|last| last + 1 == messages.len()) { Speaker::User } else { Speaker::EarlierUser };
    Said { by, text: last.map(|last| text(&messages[last])).unwrap_or_default() }
}

/// The text of a message: its content, or the text parts of it, one a line.
fn text(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> =
                parts.iter().filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// How many tokens the messages are.
pub(super) fn input_tokens(messages: &[Value]) -> u64 {
    let texts: String = messages.iter().map(text).collect();
    let parts = messages.iter().filter_map(|message| message["content"].as_array()).flatten();
    let images = parts.filter(|part| part["type"] == "image_url").map(|_| IMAGE_TOKENS);
    count(&texts) + images.sum::<u64>()
}

/// The most tokens that the answer may have.
pub(super) fn max_tokens(fields: &RawMap) -> Option<usize> {
    let number = |field| serde_json::from_str(fields.get(field)?.get()).ok();
    number("max_completion_tokens").or_else(|| number("max_tokens"))
}

/// Whether the answer begins with a reasoning.
pub(super) fn reasons(fields: &RawMap) -> bool {
    matches!(field(fields, "reasoning_effort"), Value::String(effort) if effort != "none")
}

/// A field, null where it is absent.
pub(super) fn field(fields: &RawMap, name: &str) -> Value {
    fields.get(name).and_then(|field| serde_json::from_str(field.get()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(content: Value) -> Value {
        json!({"role": "user", "content": content})
    }

    #[test]
    fn the_last_user_or_the_tools_after_it_are_answered() {
        let check = |messages: &[Value], by, text: &str| {
            assert_eq!(said(messages), Said { by, text: text.to_owned() }, "{messages:?}");
        };
        let tool = |output: &str| json!({"role": "tool", "tool_call_id": "c", "content": output});
        let assistant = json!({"role": "assistant", "content": "x"});
        let parts = json!([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]);
        check(&[], Speaker::EarlierUser, "");
        check(&[user(json!("a")), user(json!("b c"))], Speaker::User, "b c");
        check(&[user(json!("a")), assistant.clone()], Speaker::EarlierUser, "a");
        check(&[user(parts.clone())], Speaker::User, "a\nb");
        check(&[json!({"role": "system", "content": "s"})], Speaker::EarlierUser, "");
        check(&[user(json!("a")), assistant.clone(), tool("7")], Speaker::Tools, "7");
        check(&[tool("6"), assistant, tool("7"), tool("8")], Speaker::Tools, "7\n8");
        check(&[json!({"role": "tool", "content": parts})], Speaker::Tools, "a\nb");
        check(&[user(Value::Null), json!(1)], Speaker::EarlierUser, "");
    }

    #[test]
    fn an_image_counts_as_a_fixed_number_of_tokens() {
        let check = |content: Value, tokens: u64| assert_eq!(input_tokens(&[user(content)]), tokens);
        let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
        check(json!([{"type": "text", "text": "abcde"}]), 2);
        check(json!([image]), IMAGE_TOKENS);
        check(json!([image, {"type": "text", "text": "abcde"}, image]), 2 * IMAGE_TOKENS + 2);
        check(json!("image_url"), 3);
    }

    #[test]
    fn an_effort_other_than_none_reasons() {
        let check = |effort: Value, expected| {
            let fields = json!({"reasoning_effort": effort}).to_string();
            assert_eq!(reasons(&turnwise_core::json::raw_fields(fields.as_bytes()).unwrap()), expected, "{effort}");
        };
        check(json!("low"), true);
        check(json!("minimal"), true);
        check(json!("none"), false);
        check(Value::Null, false);
        check(json!(1), false);
        assert!(!reasons(&RawMap::new()));
    }
}
