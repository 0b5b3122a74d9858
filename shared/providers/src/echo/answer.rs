//! The answer to a request, as one message and as the deltas that amount to it.

use serde_json::{Value, json};
use turnwise_core::generation::Generation;
use turnwise_core::usage::{Source, Usage};

use super::pieces::{CHARS_PER_TOKEN, count, tokens, words};
use super::request::{self, Said, Speaker};
use super::structured::structured;
use super::tools::{self, FunctionCall};
use crate::call::Call;
use crate::error::Error;

/// Longest JSON made from schemas, in bytes: far more than anybody looks at, and even
/// in chunks of a token each well within
/// [`MAX_ANSWER_BYTES`](turnwise_core::limits::MAX_ANSWER_BYTES).
const MAX_SAMPLE_BYTES: usize = 32 * 1024;

/// All that a refusal says.
const REFUSAL: &str = "I'm sorry, but I can't repeat that.";

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// What is thought before anything is said.
    reasoning: Option<String>,
    content: Content,
    pub(super) finish_reason: &'static str,
    pub(super) usage: Usage,
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    /// A text that is one JSON value.
    Json(String),
    Calls(Vec<FunctionCall>),
    Refusal(&'static str),
}

impl Answer {
    /// The answer to `call`.
    ///
    /// # Errors
    /// When a function is forced that is not among the tools.
    pub(super) fn to(call: &Call, refuses: bool) -> Result<Self, Error> {
        let generation = &call.generation;
        let messages = request::messages(generation);
        let said = request::said(&messages);
        let (content, finish_reason) = content(&said, call, refuses)?;
        let reasoning = request::reasons(&generation.fields).then(|| reasoning(&said, &content));
        let usage = Usage {
            input: request::input_tokens(&messages),
            cache_read: 0,
            cache_write: 0,
            cache_write_1h: 0,
            output: content.tokens(),
            reasoning: reasoning.as_deref().map_or(0, count),
            source: Source::Reported,
        };
        Ok(Self { reasoning, content, finish_reason, usage })
    }

    /// The whole message.
    pub(super) fn message(&self) -> Value {
        let mut message = json!({"role": "assistant", "content": null, "refusal": null});
        if let Some(reasoning) = &self.reasoning {
            message["reasoning_content"] = json!(reasoning);
        }
        match &self.content {
            Content::Text(text) | Content::Json(text) => message["content"] = json!(text),
            Content::Calls(calls) => message["tool_calls"] = calls.iter().map(whole).collect(),
            Content::Refusal(text) => message["refusal"] = json!(text),
        }
        message
    }

    /// The delta before the first piece.
    pub(super) fn opening(&self) -> Value {
        match &self.content {
            Content::Text(_) | Content::Json(_) => json!({"role": "assistant", "content": ""}),
            Content::Calls(_) | Content::Refusal(_) => json!({"role": "assistant", "content": null}),
        }
    }

    /// The deltas after the opening, each a piece: a word, a token of JSON,
    /// or what is called.
    pub(super) fn deltas(&self) -> Vec<Value> {
        let reasoning = self.reasoning.as_deref().map(words).unwrap_or_default();
        let reasoning = reasoning.into_iter().map(|word| json!({"reasoning_content": word}));
        let content: Vec<Value> = match &self.content {
            Content::Text(text) => words(text).into_iter().map(|word| json!({"content": word})).collect(),
            Content::Json(text) => tokens(text).into_iter().map(|token| json!({"content": token})).collect(),
            Content::Calls(calls) => calls.iter().enumerate().flat_map(|(index, call)| pieces(index, call)).collect(),
            Content::Refusal(text) => words(text).into_iter().map(|word| json!({"refusal": word})).collect(),
        };
        reasoning.chain(content).collect()
    }
}

impl Content {
    fn tokens(&self) -> u64 {
        match self {
            Self::Text(text) | Self::Json(text) => count(text),
            Self::Calls(calls) => {
                count(&calls.iter().flat_map(|call| [&*call.name, &*call.arguments]).collect::<String>())
            }
            Self::Refusal(text) => count(text),
        }
    }
}

/// What is answered, and why it ends.
fn content(said: &Said, call: &Call, refuses: bool) -> Result<(Content, &'static str), Error> {
    let fields = &call.generation.fields;
    if refuses {
        return Ok((Content::Refusal(REFUSAL), "stop"));
    }
    if said.by == Speaker::User {
        let calls = tools::calls(fields, &said.text, &call.id, MAX_SAMPLE_BYTES)?;
        if !calls.is_empty() {
            return Ok((Content::Calls(calls), "tool_calls"));
        }
    }
    Ok(match structured(fields, &said.text, MAX_SAMPLE_BYTES) {
        Some(json) => (Content::Json(json), "stop"),
        None => echo(said, &call.generation),
    })
}

/// A call as the whole message has it.
fn whole(call: &FunctionCall) -> Value {
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}

/// A call as a stream has it: what is called, then the arguments bit by bit.
fn pieces(index: usize, call: &FunctionCall) -> Vec<Value> {
    let begun = whole(&FunctionCall { arguments: String::new(), ..call.clone() });
    let mut deltas = vec![begun];
    deltas.extend(tokens(&call.arguments).into_iter().map(|token| json!({"function": {"arguments": token}})));
    for delta in &mut deltas {
        delta["index"] = json!(index);
    }
    deltas.into_iter().map(|delta| json!({"tool_calls": [delta]})).collect()
}

/// What was said, repeated as far as the request's limit allows.
fn echo(said: &Said, generation: &Generation) -> (Content, &'static str) {
    let whole = format!("Echo: {}", said.text);
    let most_chars = request::max_tokens(&generation.fields).map(|tokens| tokens.saturating_mul(CHARS_PER_TOKEN));
    let kept: String = whole.chars().take(most_chars.unwrap_or(usize::MAX)).collect();
    let finish_reason = if kept.len() < whole.len() { "length" } else { "stop" };
    (Content::Text(kept), finish_reason)
}

fn reasoning(said: &Said, content: &Content) -> String {
    let who = match said.by {
        Speaker::User | Speaker::EarlierUser => "user",
        Speaker::Tools => "tools",
    };
    let said_words = said.text.split_whitespace().count();
    let (noun, pronoun) = if said_words == 1 { ("word", "it") } else { ("words", "them") };
    let plan = match content {
        Content::Text(_) => format!("repeat {pronoun}"),
        Content::Json(_) => "answer in JSON".to_owned(),
        Content::Calls(calls) if calls.len() == 1 => "call a function".to_owned(),
        Content::Calls(calls) => format!("call {} functions", calls.len()),
        Content::Refusal(_) => "refuse".to_owned(),
    };
    format!("The {who} said {said_words} {noun}; I {plan}.")
}
