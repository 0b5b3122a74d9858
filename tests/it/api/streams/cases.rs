//! Every kind of answer that a stream may tell.

use serde_json::{Value, json};
use turnwise_tests::scripted::Script;

use super::{Asked, Shape};

/// How a turn ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Fate {
    Answered,
    Failed,
    Cancelled,
}

/// A kind of answer.
#[derive(Debug, Clone)]
pub(in crate::api) struct Case {
    pub(in crate::api) name: &'static str,
    pub(in crate::api) fate: Fate,
    /// What the model is asked for besides.
    fields: fn(Shape) -> Value,
    /// What the scripted provider says; nothing where `local/echo` answers.
    pub(in crate::api) deltas: Vec<Value>,
    finish_reason: &'static str,
}

impl Case {
    /// A request for an answer of this kind.
    pub(in crate::api) fn ask(&self, shape: Shape, key: &str) -> Asked {
        let mut fields = (self.fields)(shape);
        if self.is_echo() {
            fields["model"] = json!("local/echo");
            let message = if self.name == "cut" { LONG } else { SHORT };
            return Asked::new(shape, key, message, &fields);
        }
        Asked::new(shape, key, key, &fields)
    }

    /// How the provider answers it.
    pub(in crate::api) fn script(&self) -> Script {
        let script = Script::deltas(&self.deltas).finish_reason(self.finish_reason);
        match self.fate {
            Fate::Answered | Fate::Cancelled => script,
            Fate::Failed => script.end_after(self.deltas.len()),
        }
    }

    pub(in crate::api) const fn is_echo(&self) -> bool {
        self.deltas.is_empty()
    }
}

/// The two functions that may be called, by their names.
const SHORT: &str = "get_weather and get_time";

/// More words than the least number of tokens to which an answer may be cut.
const LONG: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
                    seventeen eighteen";

/// What `local/echo` shows.
pub(in crate::api) fn echo_cases() -> Vec<Case> {
    let case = |name, fate, fields| Case { name, fate, fields, deltas: Vec::new(), finish_reason: "" };
    vec![
        case("text", Fate::Answered, |_| json!({})),
        case("thought", Fate::Answered, |shape| match shape {
            Shape::Chat | Shape::Completions => json!({"reasoning_effort": "low"}),
            Shape::Messages => json!({"output_config": {"effort": "low"}}),
            Shape::Responses => json!({"reasoning": {"effort": "low"}}),
        }),
        case("refusal", Fate::Answered, |_| json!({"echo_refusal": true})),
        case("calls", Fate::Answered, |shape| json!({"tools": [tool(shape, "get_weather"), tool(shape, "get_time")]})),
        case("json", Fate::Answered, |shape| match shape {
            Shape::Chat | Shape::Completions => json!({"response_format": {"type": "json_schema",
                "json_schema": {"name": "place", "schema": place()}}}),
            Shape::Messages => json!({"output_format": {"type": "json_schema", "schema": place()}}),
            Shape::Responses => {
                json!({"text": {"format": {"type": "json_schema", "name": "place", "schema": place()}}})
            }
        }),
        case("cut", Fate::Answered, |shape| match shape {
            Shape::Chat | Shape::Completions => json!({"max_completion_tokens": 16}),
            Shape::Messages => json!({"max_tokens": 16}),
            Shape::Responses => json!({"max_output_tokens": 16}),
        }),
        case("broken", Fate::Failed, |_| json!({"echo_fail_after": 3})),
    ]
}

/// What the scripted provider says.
pub(in crate::api) fn scripted_cases() -> Vec<Case> {
    let case = |name, fate, deltas: &[Value], finish_reason| Case {
        name,
        fate,
        fields: |_| json!({}),
        deltas: deltas.to_vec(),
        finish_reason,
    };
    let content = |text: &str| json!({ "content": text });
    let words = [content("one "), content("zwei — ü "), content("three")];
    let thought = [json!({"reasoning_content": "hm "}), json!({"reasoning_content": "so"})];
    let refusal = [json!({"refusal": "I "}), json!({"refusal": "won't"})];
    let calls = [named(0, "get_weather", ""), more(0, "{\"a\":"), more(0, "1}"), named(1, "get_time", "{}")];
    vec![
        case("said", Fate::Answered, &words, "stop"),
        case("thought-of", Fate::Answered, &[&thought[..], &words[..]].concat(), "stop"),
        case("refused", Fate::Answered, &refusal, "stop"),
        case("called", Fate::Answered, &calls, "tool_calls"),
        case("said-and-called", Fate::Answered, &[&words[..1], &calls[..3], &words[1..2]].concat(), "tool_calls"),
        case("cut-short", Fate::Answered, &words, "length"),
        case("filtered", Fate::Answered, &words, "content_filter"),
        case("broke", Fate::Failed, &words, "stop"),
        case("broke-in-a-call", Fate::Failed, &[&words[..1], &calls[..2]].concat(), "stop"),
        case("cancelled", Fate::Cancelled, &words, "stop"),
        case("cancelled-in-a-call", Fate::Cancelled, &[&thought[..1], &calls[..2]].concat(), "stop"),
    ]
}

fn tool(shape: Shape, name: &str) -> Value {
    match shape {
        Shape::Chat | Shape::Completions => {
            json!({"type": "function", "function": {"name": name, "parameters": place()}})
        }
        Shape::Messages => json!({"name": name, "input_schema": place()}),
        Shape::Responses => json!({"type": "function", "name": name, "parameters": place()}),
    }
}

fn place() -> Value {
    json!({"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"],
           "additionalProperties": false})
}

fn named(index: u64, name: &str, arguments: &str) -> Value {
    json!({"tool_calls": [{"index": index, "id": format!("call_{index}"), "type": "function",
                           "function": {"name": name, "arguments": arguments}}]})
}

fn more(index: u64, arguments: &str) -> Value {
    json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})
}
