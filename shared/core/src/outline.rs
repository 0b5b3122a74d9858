//! What an answer consists of, in the order in which it came.
//!
//! A `chat.completion` has one text, one reasoning, one list of calls. A model that
//! speaks, calls a function and speaks again says more than that: the order is kept
//! in the message, where it is another than the usual one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::generation::REASONING_DETAILS;

/// The field of an answer's message that holds its outline.
pub const FIELD: &str = "turnwise_order";

/// A piece of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// So many bytes of what the model thought.
    Reasoning(usize),
    /// So many bytes of its text.
    Content(usize),
    /// So many bytes of its refusal.
    Refusal(usize),
    /// The call with this index.
    Call(u64),
}

/// The pieces of an answer, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline(pub Vec<Segment>);

impl Outline {
    /// Takes in one delta of the first choice.
    pub fn push(&mut self, delta: &Delta<'_>) {
        let detailed = delta.only_detailed_bytes();
        if detailed > 0 {
            self.grow(TextKind::Reasoning, detailed);
        }
        for (kind, text) in delta.texts() {
            self.grow(kind, text.len());
        }
        for call in &delta.calls {
            let known = self.0.contains(&Segment::Call(call.index));
            if !known && !call.name.is_empty() {
                self.0.push(Segment::Call(call.index));
            }
        }
    }

    /// Adds so many bytes of a text to its end.
    pub(crate) fn grow(&mut self, kind: TextKind, bytes: usize) {
        match (self.0.last_mut(), kind) {
            (Some(Segment::Reasoning(length)), TextKind::Reasoning)
            | (Some(Segment::Content(length)), TextKind::Content)
            | (Some(Segment::Refusal(length)), TextKind::Refusal) => *length += bytes,
            (_, TextKind::Reasoning) => self.0.push(Segment::Reasoning(bytes)),
            (_, TextKind::Content) => self.0.push(Segment::Content(bytes)),
            (_, TextKind::Refusal) => self.0.push(Segment::Refusal(bytes)),
        }
    }

    /// Whether it says nothing that the message does not: thought, text, refusal and
    /// calls, in this order and each at most once.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        let rank = |segment: &Segment| match segment {
            Segment::Reasoning(_) => (0, 0),
            Segment::Content(_) => (1, 0),
            Segment::Refusal(_) => (2, 0),
            Segment::Call(index) => (3, *index),
        };
        self.0.windows(2).all(|pair| rank(&pair[0]) < rank(&pair[1]))
    }

    /// The indexes of its calls, in the order of the message's own list.
    #[must_use]
    pub fn calls(&self) -> Vec<u64> {
        let calls = self.0.iter().filter_map(|segment| match segment {
            Segment::Call(index) => Some(*index),
            Segment::Reasoning(_) | Segment::Content(_) | Segment::Refusal(_) => None,
        });
        let mut calls: Vec<u64> = calls.collect();
        calls.sort_unstable();
        calls
    }

    /// The outline that `message` brings; `None` for the usual one.
    #[must_use]
    pub fn of(message: &Value) -> Option<Self> {
        serde_json::from_value(message.get(FIELD)?.clone()).ok()
    }
}

/// The kinds of text that an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// What the model thought.
    Reasoning,
    /// What it said.
    Content,
    /// Why it would not.
    Refusal,
}

/// What a chunk adds to the first choice. Upstreams have two names for what a model
/// thought: `reasoning_content` and `reasoning`.
#[derive(Debug, Default)]
pub struct Delta<'a> {
    texts: [&'a str; 3],
    /// Pieces of what the model thought, signed or encrypted.
    pub details: &'a [Value],
    /// Pieces of calls.
    pub calls: Vec<CallDelta<'a>>,
}

/// A piece of a function call.
#[derive(Debug)]
pub struct CallDelta<'a> {
    /// Which call.
    pub index: u64,
    /// Its id; empty where this piece does not say.
    pub id: &'a str,
    /// The function's name; empty where this piece does not say.
    pub name: &'a str,
    /// More of its arguments.
    pub arguments: &'a str,
    /// What the upstream wants back with it, if it says so in this piece.
    pub extra: Option<&'a Value>,
}

impl<'a> Delta<'a> {
    /// What `chunk`, a `chat.completion.chunk`, adds to its first choice.
    #[must_use]
    pub fn of_chunk(chunk: &'a Value) -> Self {
        let choices = chunk.get("choices").and_then(Value::as_array).into_iter().flatten();
        let is_first = |choice: &&Value| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0;
        choices.filter(is_first).find_map(|choice| choice.get("delta")).map(Self::of).unwrap_or_default()
    }

    /// What `delta` adds.
    #[must_use]
    pub fn of(delta: &'a Value) -> Self {
        let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        let calls = delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate();
        let details = delta.get(REASONING_DETAILS).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Self { texts: [reasoning(delta), text("content"), text("refusal")], details, calls: calls.map(call).collect() }
    }

    /// Whether what the model thought stands in its details, and not only beside them.
    #[must_use]
    pub fn has_detailed_text(&self) -> bool {
        self.details.iter().any(|detail| !detailed_text(detail).is_empty())
    }

    /// Bytes of what the model thought, where only details say it.
    fn only_detailed_bytes(&self) -> usize {
        let only = self.texts[0].is_empty();
        self.details.iter().filter(|_| only).map(|detail| detailed_text(detail).len()).sum()
    }

    /// Its texts that say something, in the order in which they are taken in.
    pub fn texts(&self) -> impl Iterator<Item = (TextKind, &'a str)> + use<'a> {
        let kinds = [TextKind::Reasoning, TextKind::Content, TextKind::Refusal];
        kinds.into_iter().zip(self.texts).filter(|(_, text)| !text.is_empty())
    }
}

/// The text of a detail of what a model thought.
pub(crate) fn detailed_text(detail: &Value) -> &str {
    let is_text = detail["type"] == "reasoning.text";
    detail["text"].as_str().filter(|_| is_text).unwrap_or_default()
}

/// What the model thought, by either name, in a delta or in a whole message.
#[must_use]
pub fn reasoning(message: &Value) -> &str {
    let named = |name: &str| message.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    named("reasoning_content").or_else(|| named("reasoning")).unwrap_or_default()
}

/// The id of the call at `position` that its upstream did not name: its place among the
/// others tells it apart as well.
#[must_use]
pub fn unnamed_call(position: usize) -> String {
    format!("call_{position}")
}

/// Whether `call`, one of a message, names the function it calls.
#[must_use]
pub fn is_named_call(call: &Value) -> bool {
    call.pointer("/function/name").and_then(Value::as_str).is_some_and(|name| !name.is_empty())
}

fn call<'a>((position, call): (usize, &'a Value)) -> CallDelta<'a> {
    let position = u64::try_from(position).unwrap_or(0);
    let text = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    CallDelta {
        index: call.get("index").and_then(Value::as_u64).unwrap_or(position),
        id: text("/id"),
        name: text("/function/name"),
        arguments: text("/function/arguments"),
        extra: call.get("extra_content").filter(|extra| !extra.is_null()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(deltas: &[Value], expected: &[Segment], usual: bool) {
        let mut outline = Outline::default();
        for delta in deltas {
            outline.push(&Delta::of(delta));
        }
        assert_eq!((outline.0.as_slice(), outline.is_usual()), (expected, usual));
    }

    fn named(index: u64) -> Value {
        json!({"tool_calls": [{"index": index, "id": "a", "function": {"name": "f", "arguments": ""}}]})
    }

    #[test]
    fn the_usual_order_is_thought_text_refusal_calls() {
        check(&[], &[], true);
        check(
            &[json!({"content": ""}), json!({"content": "ab"}), json!({"content": "c"})],
            &[Segment::Content(3)],
            true,
        );
        check(
            &[json!({"reasoning": "ab"}), json!({"content": "c"}), named(0), named(1)],
            &[Segment::Reasoning(2), Segment::Content(1), Segment::Call(0), Segment::Call(1)],
            true,
        );
    }

    #[test]
    fn what_comes_back_to_a_text_is_another_piece() {
        check(
            &[json!({"content": "a"}), named(0), json!({"content": "b"})],
            &[Segment::Content(1), Segment::Call(0), Segment::Content(1)],
            false,
        );
        check(&[named(0), json!({"content": "b"})], &[Segment::Call(0), Segment::Content(1)], false);
    }

    #[test]
    fn one_delta_may_say_everything() {
        let mut all = named(0);
        all["content"] = json!("b");
        all["reasoning_content"] = json!("a");
        check(&[all], &[Segment::Reasoning(1), Segment::Content(1), Segment::Call(0)], true);
    }

    #[test]
    fn a_call_begins_with_its_name() {
        let nameless = json!({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]});
        check(
            &[nameless.clone(), json!({"content": "a"}), named(0), nameless],
            &[Segment::Content(1), Segment::Call(0)],
            true,
        );
    }

    #[test]
    fn only_the_first_choice_counts() {
        let chunk =
            json!({"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]});
        let texts: Vec<_> = Delta::of_chunk(&chunk).texts().collect();
        assert_eq!(texts, [(TextKind::Content, "a")]);
        assert_eq!(Delta::of_chunk(&json!({"choices": []})).texts().count(), 0);
    }
}
