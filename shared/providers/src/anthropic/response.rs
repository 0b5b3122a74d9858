//! An answer, put together piece by piece.
//!
//! A stream tells its pieces one by one; a whole message is told in the same words and
//! folded together, so that both say the same. What we have no place for (searches that
//! Anthropic ran itself, citations, blocks that are yet to be invented) is left out.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use turnwise_core::generation::{Completion, Event};

use super::usage::Tokens;
use crate::call::{Call, Target};
use crate::chunks::{self, Chunks, Finish};
use crate::error::{self, Error};

/// How OpenRouter calls the form of Anthropic's signed thoughts.
const THOUGHT_FORMAT: &str = "anthropic-claude-v1";

/// Most blocks that are open at once. Anthropic ends one before it begins the next; a server
/// that never ends any must not fill our memory.
const MAX_OPEN_BLOCKS: usize = 64;

/// The completion in `body`, a whole message.
///
/// # Errors
/// When it is an error, or no message.
pub(super) fn completion(target: &Target, call: &Call, body: &[u8]) -> Result<Completion, Error> {
    let mut events = Vec::new();
    Answer::new(target.clone(), call).whole(body, &mut events)?;
    Ok(chunks::completion(&events, call.generation.input_text()))
}

/// An answer so far.
#[derive(Debug)]
pub(super) struct Answer {
    target: Target,
    chunks: Chunks,
    /// The blocks that have begun and not ended, by their index.
    open: BTreeMap<u64, Block>,
    calls: u64,
    thoughts: u64,
    tokens: Tokens,
    stop: Option<Stop>,
}

/// A block that has begun.
#[derive(Debug, Clone, Copy)]
enum Block {
    Text,
    /// What the model thinks, and the how manieth thought it is.
    Thought(u64),
    /// The call with this index.
    Call(u64, Arguments),
    /// Something else.
    Other,
}

/// What is known of a call's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arguments {
    /// Nothing.
    None,
    /// Pieces of them.
    Some,
    /// All of them: they came with the call.
    All,
}

/// Why the model stopped.
#[derive(Debug)]
struct Stop {
    reason: String,
    sequence: Option<String>,
    /// What Anthropic says about a refusal.
    explanation: Option<String>,
}

impl Answer {
    pub(super) fn new(target: Target, call: &Call) -> Self {
        Self {
            target,
            chunks: Chunks::new(call),
            open: BTreeMap::new(),
            calls: 0,
            thoughts: 0,
            tokens: Tokens::default(),
            stop: None,
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Takes in a whole message.
    ///
    /// # Errors
    /// When it is an error, or no message.
    pub(super) fn whole(&mut self, body: &[u8], events: &mut Vec<Event>) -> Result<(), Error> {
        let message: Value = serde_json::from_slice(body)
            .map_err(|cause| error::malformed(&self.target, "is not JSON").with_source(cause))?;
        if error::is_error(&message) {
            return Err(error::in_body(&self.target, &message));
        }
        let blocks = message.get("content").and_then(Value::as_array);
        let blocks = blocks.ok_or_else(|| error::malformed(&self.target, "has no content"))?;
        self.begin(&message);
        for (index, block) in (0..).zip(blocks) {
            self.open(index, block, events)?;
            self.close(index, events);
        }
        self.stopped(&message);
        if self.stop.is_none() {
            return Err(error::malformed(&self.target, "has no reason to stop"));
        }
        self.finish(true, events)
    }

    /// The message begins: its names, and what it took so far.
    pub(super) fn begin(&mut self, message: &Value) {
        let text = |name: &str| message.get(name).and_then(Value::as_str);
        self.chunks.named(text("id"), text("model"));
        self.tokens.take(&message["usage"]);
    }

    /// The block at `index` begins, with some of it or all of it.
    ///
    /// # Errors
    /// When too many have begun and not ended.
    pub(super) fn open(&mut self, index: u64, block: &Value, events: &mut Vec<Event>) -> Result<(), Error> {
        // A server that does not say when a block ends says it by using its place again.
        self.close(index, events);
        if self.open.len() >= MAX_OPEN_BLOCKS {
            return Err(error::malformed(&self.target, "has too many blocks at once").final_one());
        }
        let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
        let begun = match block["type"].as_str() {
            Some("text") => Block::Text,
            Some("thinking") => Block::Thought(next(&mut self.thoughts)),
            Some("redacted_thinking") => {
                let index = next(&mut self.thoughts);
                let detail = json!({"type": "reasoning.encrypted", "data": text("data"),
                                    "format": THOUGHT_FORMAT, "index": index});
                events.push(self.chunks.detail(&detail));
                Block::Other
            }
            Some("tool_use") => {
                let index = next(&mut self.calls);
                events.push(self.chunks.call(index, text("id"), text("name"), Map::new()));
                let input = block["input"].as_object().filter(|input| !input.is_empty());
                if let Some(input) = input {
                    events.push(self.chunks.arguments(index, &json!(input).to_string()));
                }
                Block::Call(index, if input.is_some() { Arguments::All } else { Arguments::None })
            }
            Some(_) | None => Block::Other,
        };
        self.open.insert(index, begun);
        self.say(begun, text("text"), text("thinking"), text("signature"), events);
        Ok(())
    }

    /// More of the block at `index`.
    ///
    /// # Errors
    /// When no such block has begun: what it would add to is not known.
    pub(super) fn more(&mut self, index: u64, delta: &Value, events: &mut Vec<Event>) -> Result<(), Error> {
        let Some(block) = self.open.get_mut(&index) else {
            return Err(error::malformed(&self.target, "goes on with a block that never began"));
        };
        let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        let json = text("partial_json");
        if let Block::Call(call, arguments) = block
            && *arguments != Arguments::All
            && !json.is_empty()
        {
            *arguments = Arguments::Some;
            events.push(self.chunks.arguments(*call, json));
        }
        let block = *block;
        self.say(block, text("text"), text("thinking"), text("signature"), events);
        Ok(())
    }

    fn say(&mut self, block: Block, text: &str, thought: &str, signature: &str, events: &mut Vec<Event>) {
        match block {
            Block::Text if !text.is_empty() => events.push(self.chunks.text(text)),
            Block::Thought(index) => {
                let detail = |name: &str, value: &str| json!({"type": "reasoning.text", name: value, "format": THOUGHT_FORMAT, "index": index});
                if !thought.is_empty() {
                    events.push(self.chunks.thought(thought, &detail("text", thought)));
                }
                if !signature.is_empty() {
                    events.push(self.chunks.detail(&detail("signature", signature)));
                }
            }
            Block::Text | Block::Call(..) | Block::Other => {}
        }
    }

    /// The block at `index` ends. A call without arguments has an empty object of them.
    pub(super) fn close(&mut self, index: u64, events: &mut Vec<Event>) {
        if let Some(Block::Call(call, Arguments::None)) = self.open.remove(&index) {
            events.push(self.chunks.arguments(call, "{}"));
        }
    }

    /// Why the model stopped, if `message` (or what changed about it) says so.
    pub(super) fn stopped(&mut self, message: &Value) {
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        if let Some(reason) = text("/stop_reason").filter(|reason| !reason.is_empty()) {
            let (sequence, explanation) = (text("/stop_sequence"), text("/stop_details/explanation"));
            self.stop = Some(Stop { reason, sequence, explanation });
        }
    }

    /// What the message took so far.
    pub(super) fn took(&mut self, usage: &Value) {
        self.tokens.take(usage);
    }

    /// The answer has ended: in order if it is `complete`, or it only came to its end.
    ///
    /// # Errors
    /// When the model has not stopped, or for a reason that nobody knows and that does not
    /// say whether anything is missing.
    pub(super) fn finish(&mut self, complete: bool, events: &mut Vec<Event>) -> Result<(), Error> {
        let truncated = || error::truncated(&self.target);
        let stop = self.stop.take().ok_or_else(truncated)?;
        let finish = match stop.reason.as_str() {
            "end_turn" | "stop_sequence" => Finish::Stop,
            "max_tokens" | "model_context_window_exceeded" | "pause_turn" => Finish::Length,
            "tool_use" if self.calls > 0 => Finish::ToolCalls,
            // A search of Anthropic's own: nobody else has anything to call.
            "tool_use" => Finish::Stop,
            "refusal" => Finish::ContentFilter,
            _ if complete => Finish::Stop,
            _ => return Err(truncated()),
        };
        while let Some(index) = self.open.keys().next().copied() {
            self.close(index, events);
        }
        if let Some(words) = stop.explanation.filter(|words| finish == Finish::ContentFilter && !words.is_empty()) {
            events.push(self.chunks.refusal(&words));
        }
        events.push(self.chunks.finish(finish, &stop.reason, stop.sequence.as_deref()));
        if let Some(usage) = self.tokens.usage() {
            events.push(self.chunks.usage(&usage));
        }
        Ok(())
    }
}

/// `counter` before it counts on.
fn next(counter: &mut u64) -> u64 {
    let at = *counter;
    *counter += 1;
    at
}
