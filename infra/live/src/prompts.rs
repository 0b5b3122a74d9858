//! What is asked: a data file, and the requests made of it. Pure.

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

/// The prompts; see the file's own `about` for its fields.
const PROMPTS_JSON: &str = include_str!("../data/prompts.json");

/// Most tokens of an answer. A sentence takes fifty; a model that reasons may think first.
pub(crate) const MAX_OUTPUT_TOKENS: u64 = 1024;

/// The kind whose prompts are always streamed; of all others every second one is.
const STREAMING: &str = "streaming";

/// One prompt.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prompt {
    /// `facts`, `arithmetic`, `code` ...
    pub(crate) kind: String,
    /// What the user says last.
    prompt: String,
    /// What was said before: texts of user and assistant in turn.
    #[serde(default)]
    before: Vec<String>,
    /// The answer has to be JSON with this schema.
    #[serde(default)]
    schema: Option<Value>,
    /// The answer has to call this function: `name`, `description`, `parameters`.
    #[serde(default)]
    tool: Option<Value>,
    /// So many numbered lines come before the prompt.
    #[serde(default)]
    filler_lines: u32,
}

/// What an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Expected<'a> {
    /// Some text, or a refusal.
    Text,
    /// JSON with this schema.
    Json(&'a Value),
    /// A call of this function.
    Call(&'a Value),
}

/// All prompts of the file.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn shipped() -> anyhow::Result<Vec<Prompt>> {
    #[derive(Deserialize)]
    struct File {
        prompts: Vec<Prompt>,
    }
    let file: File = serde_json::from_str(PROMPTS_JSON).context("the file of prompts cannot be read")?;
    Ok(file.prompts)
}

/// `count` of `prompts` at equal distances, so that every kind has its share.
pub(crate) fn pick(prompts: &[Prompt], count: Option<u16>) -> Vec<&Prompt> {
    let count = count.map_or(prompts.len(), usize::from).min(prompts.len());
    (0..count).map(|at| &prompts[at * prompts.len() / count]).collect()
}

impl Prompt {
    /// Whether the prompt that is asked as number `at` is streamed.
    pub(crate) fn is_streamed(&self, at: usize) -> bool {
        self.kind == STREAMING || at % 2 == 1
    }

    /// What an answer has to be.
    pub(crate) fn expected(&self) -> Expected<'_> {
        match (&self.tool, &self.schema) {
            (Some(tool), _) => Expected::Call(tool),
            (None, Some(schema)) => Expected::Json(schema),
            (None, None) => Expected::Text,
        }
    }

    /// The request for a chat completion.
    pub(crate) fn body(&self, model: &str, streamed: bool) -> Value {
        let before = self.before.iter().enumerate().map(|(at, text)| {
            let role = if at % 2 == 0 { "user" } else { "assistant" };
            json!({"role": role, "content": text})
        });
        let last = json!({"role": "user", "content": self.filler() + &self.prompt});
        let messages: Vec<Value> = before.chain([last]).collect();
        let mut body = json!({"model": model, "messages": messages, "max_completion_tokens": MAX_OUTPUT_TOKENS});
        match self.expected() {
            Expected::Text => {}
            Expected::Json(schema) => {
                let named = json!({"name": "answer", "strict": true, "schema": schema});
                body["response_format"] = json!({"type": "json_schema", "json_schema": named});
            }
            Expected::Call(tool) => body["tools"] = json!([{"type": "function", "function": tool}]),
        }
        if streamed {
            body["stream"] = json!(true);
        }
        body
    }

    fn filler(&self) -> String {
        (1..=self.filler_lines)
            .map(|line| format!("Line {line}: nothing of interest happened at post {line}.\n"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const KINDS: [&str; 11] = [
        "arithmetic",
        "code",
        "facts",
        "json",
        "long_input",
        "multi_turn",
        "refusals",
        "streaming",
        "tools",
        "translation",
        "unicode",
    ];

    #[test]
    fn there_are_a_hundred_different_prompts_of_all_kinds() {
        let prompts = shipped().unwrap();
        assert!(prompts.len() >= 100, "{}", prompts.len());
        let different: BTreeSet<String> = prompts.iter().map(|prompt| prompt.body("m", false).to_string()).collect();
        assert_eq!(different.len(), prompts.len());
        let kinds: BTreeSet<&str> = prompts.iter().map(|prompt| prompt.kind.as_str()).collect();
        assert_eq!(kinds, BTreeSet::from(KINDS));
    }

    #[test]
    fn what_is_asked_is_complete() {
        for prompt in shipped().unwrap() {
            assert!(!prompt.prompt.is_empty() && prompt.before.len() % 2 == 0, "{prompt:?}");
            let required = match prompt.expected() {
                Expected::Text => continue,
                Expected::Json(schema) => &schema["required"],
                Expected::Call(tool) => &tool["parameters"]["required"],
            };
            assert!(required.as_array().is_some_and(|names| !names.is_empty()), "{prompt:?}");
        }
    }

    #[test]
    fn a_part_has_all_kinds() {
        let prompts = shipped().unwrap();
        let kinds: BTreeSet<&str> = pick(&prompts, Some(20)).iter().map(|prompt| prompt.kind.as_str()).collect();
        assert_eq!(kinds.len(), KINDS.len());
        assert_eq!(pick(&prompts, None).len(), prompts.len());
        assert_eq!(pick(&prompts, Some(u16::MAX)).len(), prompts.len());
    }

    #[test]
    fn what_was_said_before_goes_along() {
        let prompts = shipped().unwrap();
        let talk = prompts.iter().find(|prompt| prompt.kind == "multi_turn").unwrap().body("m", true);
        assert_eq!(talk["messages"][1]["role"], "assistant");
        assert_eq!(talk["stream"], true);
        let long = prompts.iter().find(|prompt| prompt.kind == "long_input").unwrap().body("m", false);
        assert!(long["messages"][0]["content"].as_str().unwrap().starts_with("Line 1: "));
        assert_eq!(long.get("stream"), None);
    }
}
