//! What counts in a request: the one place that decides it, for the estimate and for every
//! tokenizer.

use serde_json::Value;

use super::calibration::Scale;
use super::text::estimate_tokens;
use crate::json::RawMap;

/// Tokens that an image, a sound or a file stands for: what OpenAI counts for an image of
/// 1,024 by 1,024 pixels. Its characters say nothing about it.
const ATTACHMENT_TOKENS: u64 = 765;

/// Tokens around every message, and around the answer that is begun behind the last: OpenAI,
/// "How to count tokens with tiktoken". Others' formats differ by a token or two.
const MESSAGE_TOKENS: u64 = 3;

/// Tokens that a message's `name` takes beside its text; same source.
const NAME_TOKENS: u64 = 1;

/// Tokens around a tool call, about: nobody says how many there are.
const CALL_TOKENS: u64 = 3;

/// Fields beside the messages that a model reads, as JSON.
const FIELDS: [&str; 2] = ["tools", "response_format"];

/// A request's tokens by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Of text, and of what stands around it.
    pub text: u64,
    /// Images, sounds and files, which nobody can tell by their text.
    pub attachments: u64,
    /// Whether everything in it is counted as its tokenizer's makers document it: messages of
    /// text and their names are, tools and formats are not.
    pub is_documented: bool,
}

impl Counted {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.scaled(Scale::ONE)
    }

    /// All of them where a text token counts `scale`.
    #[must_use]
    pub const fn scaled(&self, scale: Scale) -> u64 {
        scale.of(self.text).saturating_add(self.attachments.saturating_mul(ATTACHMENT_TOKENS))
    }
}

/// About how many tokens a chat completion request is whose messages are `messages` and
/// whose other fields are `fields`.
#[must_use]
pub fn count(messages: &[Value], fields: &RawMap) -> Counted {
    count_with(messages, fields, estimate_tokens)
}

/// About how many tokens `messages` add to a request.
#[must_use]
pub fn count_part(messages: &[Value]) -> Counted {
    let mut sum = Sum::new(estimate_tokens);
    messages.iter().for_each(|message| sum.message(message));
    sum.counted
}

/// As [`count`], where a text has `tokens_of` it.
#[must_use]
pub fn count_with(messages: &[Value], fields: &RawMap, tokens_of: impl FnMut(&str) -> u64) -> Counted {
    let mut sum = Sum::new(tokens_of);
    messages.iter().for_each(|message| sum.message(message));
    if !messages.is_empty() {
        sum.counted.text += MESSAGE_TOKENS;
    }
    for raw in FIELDS.iter().filter_map(|name| fields.get(*name)).filter(|raw| raw.get() != "null") {
        sum.undocumented(raw.get());
    }
    sum.counted
}

struct Sum<F> {
    tokens_of: F,
    counted: Counted,
}

impl<F: FnMut(&str) -> u64> Sum<F> {
    fn new(tokens_of: F) -> Self {
        Self { tokens_of, counted: Counted { is_documented: true, ..Counted::default() } }
    }

    fn text(&mut self, text: &str) {
        self.counted.text += (self.tokens_of)(text);
    }

    fn undocumented(&mut self, text: &str) {
        self.text(text);
        self.counted.is_documented = false;
    }

    fn message(&mut self, message: &Value) {
        self.counted.text += MESSAGE_TOKENS;
        for (field, value) in message.as_object().into_iter().flatten() {
            match (field.as_str(), value) {
                (_, Value::Null) => {}
                ("role", Value::String(role)) => self.text(role),
                ("content", Value::String(text)) => self.text(text),
                ("content", Value::Array(parts)) => parts.iter().for_each(|part| self.part(part)),
                ("name", Value::String(name)) => {
                    self.text(name);
                    self.counted.text += NAME_TOKENS;
                }
                ("tool_calls", Value::Array(calls)) => calls.iter().for_each(|call| self.call(&call["function"])),
                ("function_call", call) => self.call(call),
                // Names that tie a result to its call, which models are not shown.
                ("tool_call_id", _) => self.counted.is_documented = false,
                (_, Value::String(text)) => self.undocumented(text),
                (_, other) => self.undocumented(&other.to_string()),
            }
        }
    }

    fn part(&mut self, part: &Value) {
        match (part["type"].as_str(), part["text"].as_str().or_else(|| part["refusal"].as_str())) {
            (Some("text" | "refusal"), Some(text)) => self.text(text),
            (Some(_) | None, Some(_) | None) => {
                self.counted.attachments += 1;
                self.counted.is_documented = false;
            }
        }
    }

    fn call(&mut self, function: &Value) {
        self.counted.text += CALL_TOKENS;
        for field in ["name", "arguments"] {
            self.undocumented(function[field].as_str().unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(text: &str) -> RawMap {
        crate::json::raw_fields(text.as_bytes()).unwrap()
    }

    fn of(message: Value) -> Counted {
        count_part(&[message])
    }

    #[test]
    fn messages_tools_and_formats_are_counted() {
        let none = RawMap::new();
        let message = json!({"role": "user", "content": "hello"});
        let alone = count_part(std::slice::from_ref(&message)).total();
        assert_eq!(alone, MESSAGE_TOKENS + estimate_tokens("user") + estimate_tokens("hello"));
        assert_eq!(count(&[], &none).total(), 0);
        assert_eq!(count(&[message.clone(), message.clone()], &none).total(), 2 * alone + MESSAGE_TOKENS);
        let with = |text: &str| count(std::slice::from_ref(&message), &fields(text));
        let whole = alone + MESSAGE_TOKENS;
        assert_eq!(with(r#"{"tools":[1,2],"temperature":1}"#).total(), whole + estimate_tokens("[1,2]"));
        assert_eq!(with(r#"{"response_format":{"a":1}}"#).total(), whole + estimate_tokens(r#"{"a":1}"#));
        assert_eq!(with(r#"{"tools":null,"response_format":null}"#), count(std::slice::from_ref(&message), &none));
    }

    #[test]
    fn the_text_of_a_message_counts_and_not_its_json() {
        let plain = of(json!({"role": "user", "content": "say \"this\"\n"}));
        assert_eq!(of(json!({"role": "user", "content": [{"type": "text", "text": "say \"this\"\n"}]})), plain);
        assert_eq!(of(json!({"role": "user", "content": "say \"this\"\n", "refusal": null})), plain);
        let named = of(json!({"role": "user", "content": "say \"this\"\n", "name": "ann"}));
        assert_eq!(named.total(), plain.total() + NAME_TOKENS + estimate_tokens("ann"));
        let called = of(json!({"role": "assistant", "content": null, "tool_calls":
            [{"id": "call_x", "type": "function", "function": {"name": "find", "arguments": "{\"q\":1}"}}]}));
        let call = CALL_TOKENS + estimate_tokens("find") + estimate_tokens("{\"q\":1}");
        assert_eq!(called.total(), MESSAGE_TOKENS + estimate_tokens("assistant") + call);
        assert_eq!(of(json!(7)).total(), MESSAGE_TOKENS, "what is no message has no text");
    }

    #[test]
    fn an_attachment_counts_the_same_however_long_it_is() {
        let text = json!({"type": "text", "text": "see"});
        let image = |bytes: usize| json!({"type": "image_url", "image_url": {"url": "a".repeat(bytes)}});
        let of = |parts: Value| of(json!({"role": "user", "content": parts})).total();
        let alone = of(json!([text]));
        assert_eq!(of(json!([text, image(10)])), alone + ATTACHMENT_TOKENS);
        assert_eq!(of(json!([image(1_000_000), text, image(1)])), alone + 2 * ATTACHMENT_TOKENS);
    }

    #[test]
    fn only_text_is_scaled() {
        let counted = Counted { text: 100, attachments: 2, is_documented: false };
        assert_eq!(counted.scaled(Scale::percent(150)), 150 + 2 * ATTACHMENT_TOKENS);
    }

    #[test]
    fn what_its_makers_do_not_document_is_marked() {
        let check =
            |message: Value, expected: bool| assert_eq!(of(message.clone()).is_documented, expected, "{message}");
        check(json!({"role": "user", "content": "a", "name": "b"}), true);
        check(json!({"role": "user", "content": [{"type": "text", "text": "a"}]}), true);
        check(json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}), false);
        check(json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}), false);
        check(json!({"role": "tool", "tool_call_id": "c", "content": "a"}), false);
        check(json!({"role": "assistant", "content": "a", "reasoning_content": "b"}), false);
        assert!(!count(&[], &fields(r#"{"tools":[]}"#)).is_documented);
        assert!(count(&[], &fields(r#"{"temperature":1}"#)).is_documented);
    }
}
