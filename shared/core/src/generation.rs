//! One request for an answer, the events of its stream, and its completion.
//!
//! The inner shape is that of OpenAI's chat completions, which most upstreams
//! speak as it is; other wire formats are translated to and from it. What they say
//! beyond it has these places, each with the name that somebody has given it before:
//!
//! | what | where | whose name |
//! |---|---|---|
//! | thought, as text | `reasoning_content` of a message or delta | DeepSeek |
//! | thought, signed or encrypted | [`REASONING_DETAILS`] of a message or delta: `{type: "reasoning.text", text, signature, format, index}`, `{type: "reasoning.encrypted", data, format, index}` | OpenRouter |
//! | a call's thought signature | `extra_content.google.thought_signature` of a tool call | Gemini |
//! | a breakpoint of the prompt cache | `cache_control` of a content part, a tool or a message | Anthropic, OpenRouter |
//! | the upstream's own reason to stop | `native_finish_reason` of a choice, beside `finish_reason`; `stop_sequence` too | OpenRouter, Anthropic |
//! | tokens written to a cache | `usage.prompt_tokens_details.cache_write_tokens`, `cache_write_1h_tokens` among them | OpenRouter |
//! | a budget for thought | `thinking` of a request: `{type: "enabled", budget_tokens}`, `{type: "adaptive"}` | Anthropic |
//! | other fields of one wire format | `anthropic`, `gemini` or `bedrock` of a request: an object whose fields go out as they are | |
//! | an error result of a tool | `is_error` of a `tool` message | Anthropic |

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::json::{self, RawMap};
use crate::usage::Usage;

/// The field of a message or delta that holds what the model thought, signed or encrypted.
pub const REASONING_DETAILS: &str = "reasoning_details";

/// One request for an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Generation {
    /// The provider's own name of the model.
    pub model: String,
    /// All other fields of a chat completion request, each as the client wrote it;
    /// never `model`, `stream` or `stream_options`. `messages` is always there.
    pub fields: RawMap,
}

impl Generation {
    /// The messages as one text, for estimates of their length.
    #[must_use]
    pub fn input_text(&self) -> &str {
        self.fields.get("messages").map_or("", |messages| messages.get())
    }
}

/// One event of an answer while it is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A `chat.completion.chunk` object, as the upstream sent it.
    Chunk(Box<RawValue>),
    /// The upstream ended in order: the chunks so far are the whole answer.
    Finished,
}

impl Event {
    /// Bytes of the upstream's text in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Chunk(chunk) => chunk.get().len(),
            Self::Finished => 0,
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The `chat.completion` object.
    pub body: Box<RawValue>,
    /// The text of the first choice; empty when it has none (a tool call, say).
    pub text: String,
    /// Digest of the answer's canonical text; see [`answer_digest`].
    pub digest: Digest,
    /// Tokens, reported or estimated.
    pub usage: Usage,
}

impl Completion {
    /// The completion whose `chat.completion` object is `body`; `input_text` serves
    /// an estimate of the tokens where the upstream reported none.
    #[must_use]
    pub fn new(body: Box<RawValue>, input_text: &str) -> Self {
        let value: Value = serde_json::from_str(body.get()).unwrap_or(Value::Null);
        let text = answer_text(&value).to_owned();
        let usage =
            value.get("usage").and_then(Usage::from_openai).unwrap_or_else(|| Usage::estimate(input_text, &text));
        Self { digest: answer_digest(&value), body, text, usage }
    }
}

/// The text of the first choice of a `chat.completion` object.
#[must_use]
pub fn answer_text(body: &Value) -> &str {
    body.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or("")
}

/// SHA-256 of the answer's canonical text: of the text itself where the answer is
/// one text, else of the canonical JSON of its choices' messages.
#[must_use]
pub fn answer_digest(body: &Value) -> Digest {
    let choices = body.get("choices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if let [choice] = choices
        && let Some(text) = choice.pointer("/message/content").and_then(Value::as_str)
        && choice.pointer("/message/tool_calls").is_none_or(Value::is_null)
    {
        return Digest::of(text);
    }
    let messages = choices.iter().map(|choice| choice["message"].clone()).collect();
    Digest::of(json::canonical(&Value::Array(messages)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_answer_is_hashed_as_its_text() {
        let body = json!({"choices": [{"message": {"role": "assistant", "content": "hello"}}]});
        assert_eq!(answer_digest(&body), Digest::of("hello"));
    }

    #[test]
    fn a_tool_call_is_hashed_as_its_message() {
        let body = json!({"choices": [{"message": {"content": null, "tool_calls": [{"id": "a"}]}}]});
        assert_eq!(answer_digest(&body), Digest::of(r#"[{"content":null,"tool_calls":[{"id":"a"}]}]"#));
    }

    #[test]
    fn tokens_are_estimated_where_none_are_reported() {
        let body = json::raw(&json!({"choices": [{"message": {"content": "hello"}}]}));
        let messages = r#"[{"role":"user","content":"abcd"}]"#;
        assert_eq!(Completion::new(body, messages).usage, Usage::estimate(messages, "hello"));
    }
}
