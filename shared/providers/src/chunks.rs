//! Chunks of a chat completion, for wire formats that have none of their own.
//!
//! A translation says what came, piece by piece; a whole answer is told the same way and
//! folded together, so that both say the same.

use serde_json::{Map, Value, json};
use turnwise_core::fold::Fold;
use turnwise_core::generation::{Completion, Event, REASONING_DETAILS};
use turnwise_core::json;
use turnwise_core::usage::Usage;

use crate::call::Call;

/// Makes the chunks of one answer.
#[derive(Debug)]
pub(crate) struct Chunks {
    id: String,
    model: String,
    created_s: u64,
    has_begun: bool,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// It was complete, or came to a text that ends it.
    Stop,
    /// It was long enough.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// Somebody's rules forbid it.
    ContentFilter,
}

impl Finish {
    const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

impl Chunks {
    /// Chunks of the answer to `call`.
    pub(crate) fn new(call: &Call) -> Self {
        let (id, model) = (call.id.clone(), call.generation.model.clone());
        Self { id, model, created_s: call.created_s, has_begun: false }
    }

    /// The upstream's own names of the answer and of the model that gives it, where it
    /// says them.
    pub(crate) fn named(&mut self, id: Option<&str>, model: Option<&str>) {
        for (name, given) in [(&mut self.id, id), (&mut self.model, model)] {
            if let Some(given) = given.filter(|given| !given.is_empty()) {
                given.clone_into(name);
            }
        }
    }

    /// More of the text.
    pub(crate) fn text(&mut self, text: &str) -> Event {
        self.delta(json!({ "content": text }))
    }

    /// More of what the model would not say.
    pub(crate) fn refusal(&mut self, text: &str) -> Event {
        self.delta(json!({ "refusal": text }))
    }

    /// More of what the model thought; `detail` is the same in OpenRouter's form.
    pub(crate) fn thought(&mut self, text: &str, detail: &Value) -> Event {
        self.delta(json!({"reasoning_content": text, REASONING_DETAILS: [detail]}))
    }

    /// What belongs to a thought and is no text: a signature, an encrypted thought.
    pub(crate) fn detail(&mut self, detail: &Value) -> Event {
        self.delta(json!({ REASONING_DETAILS: [detail] }))
    }

    /// A call begins, the one with `index` from 0. `extra` is what its format adds to it.
    pub(crate) fn call(&mut self, index: u64, id: &str, name: &str, extra: Map<String, Value>) -> Event {
        let mut call = json!({"index": index, "id": id, "type": "function",
                              "function": {"name": name, "arguments": ""}});
        if let Some(call) = call.as_object_mut() {
            call.extend(extra);
        }
        self.delta(json!({ "tool_calls": [call] }))
    }

    /// More of a call's arguments, which are a text of JSON.
    pub(crate) fn arguments(&mut self, index: u64, arguments: &str) -> Event {
        self.delta(json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}))
    }

    /// How probable the tokens just said were: entries of OpenAI's `logprobs.content`.
    pub(crate) fn logprobs(&mut self, content: &[Value]) -> Event {
        let delta = self.first(json!({}));
        let logprobs = json!({"content": content});
        self.chunk(&json!([{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": null}]), None)
    }

    /// The answer has ended; `native` is the upstream's own word for why, `stop` the text
    /// that ended it.
    pub(crate) fn finish(&mut self, finish: Finish, native: &str, stop: Option<&str>) -> Event {
        let mut choice = json!({"index": 0, "delta": self.first(json!({})), "finish_reason": finish.name(),
                                "native_finish_reason": native});
        if let Some(stop) = stop {
            choice["stop_sequence"] = json!(stop);
        }
        self.chunk(&json!([choice]), None)
    }

    /// What the answer took.
    pub(crate) fn usage(&mut self, usage: &Usage) -> Event {
        self.chunk(&json!([]), Some(usage))
    }

    fn delta(&mut self, delta: Value) -> Event {
        let delta = self.first(delta);
        self.chunk(&json!([{"index": 0, "delta": delta, "finish_reason": null}]), None)
    }

    /// `delta`, which says who speaks if it is the first.
    fn first(&mut self, mut delta: Value) -> Value {
        if !std::mem::replace(&mut self.has_begun, true) {
            delta["role"] = json!("assistant");
        }
        delta
    }

    fn chunk(&self, choices: &Value, usage: Option<&Usage>) -> Event {
        let mut chunk = json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created_s,
                               "model": self.model, "choices": choices});
        if let Some(usage) = usage {
            chunk["usage"] = usage.to_openai();
        }
        Event::Chunk(json::raw(&chunk))
    }
}

/// The completion that `events`, all of an answer's, amount to.
pub(crate) fn completion(events: &[Event], input_text: &str) -> Completion {
    Completion::new(json::raw(&Fold::of(events).complete()), input_text)
}

#[cfg(test)]
mod tests {
    use turnwise_core::generation::Generation;
    use turnwise_core::usage::Source;

    use super::*;

    #[test]
    fn what_is_said_piece_by_piece_is_one_completion() {
        let generation = Generation { model: "m".to_owned(), fields: json::RawMap::new() };
        let mut chunks =
            Chunks::new(&Call { generation, id: "chatcmpl-1".to_owned(), created_s: 7, connect_timeout: None });
        chunks.named(Some("msg_1"), None);
        let detail = json!({"type": "reasoning.text", "text": "hm", "index": 0});
        let usage = Usage {
            input: 1,
            cache_read: 2,
            cache_write: 0,
            cache_write_1h: 0,
            output: 3,
            reasoning: 0,
            source: Source::Reported,
        };
        let events = [
            chunks.thought("hm", &detail),
            chunks.text("a"),
            chunks.text("b"),
            chunks.call(0, "c1", "f", Map::new()),
            chunks.arguments(0, "{\"x\":"),
            chunks.arguments(0, "1}"),
            chunks.finish(Finish::ToolCalls, "tool_use", None),
            chunks.usage(&usage),
        ];
        let completion = completion(&events, "");
        let expected = json!({"id": "msg_1", "object": "chat.completion", "created": 7, "model": "m",
            "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6,
                      "prompt_tokens_details": {"cached_tokens": 2}},
            "choices": [{"index": 0, "finish_reason": "tool_calls", "native_finish_reason": "tool_use", "logprobs": null,
                "message": {"role": "assistant", "content": "ab", "refusal": null, "reasoning_content": "hm",
                    "reasoning_details": [detail], "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]}}]});
        assert_eq!(serde_json::from_str::<Value>(completion.body.get()).unwrap(), expected);
        assert_eq!((completion.text.as_str(), completion.usage), ("ab", usage));
    }
}
