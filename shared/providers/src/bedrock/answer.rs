//! An answer in Converse's words, told in chunks of a chat completion.
//!
//! Whole answers and streamed ones consist of the same blocks, so that both are told here.

use std::collections::BTreeMap;

use aws_smithy_types::base64;
use serde_json::{Map, Value, json};
use turnwise_core::generation::Event;
use turnwise_core::limits::MAX_ANSWER_BYTES;
use turnwise_core::usage::{Source, Usage};

use crate::call::Target;
use crate::chunks::{Chunks, Finish};
use crate::error::{self, Error};

/// Whose thoughts these are, in [`REASONING_DETAILS`](turnwise_core::generation::REASONING_DETAILS):
/// they are signed for, or readable to, the models of this provider only.
const FORMAT: &str = "bedrock-converse-v1";

/// Where the text that ended an answer stands, if the request asked for it.
const STOP_SEQUENCE: &str = "stop_sequence";

/// An answer told so far.
#[derive(Debug)]
pub(super) struct Answer {
    target: Target,
    chunks: Chunks,
    /// Whether the one tool there is stands for the answer itself; see
    /// [`ANSWER_TOOL`](super::schema::ANSWER_TOOL).
    by_tool: bool,
    /// By Converse's index, which counts all blocks.
    calls: BTreeMap<u64, Call>,
    /// Likewise: each thought's number among the thoughts, and the bytes of it that are
    /// encrypted and not told yet.
    thoughts: BTreeMap<u64, (usize, Vec<u8>)>,
    is_finished: bool,
}

/// A call of a tool.
#[derive(Debug)]
enum Call {
    /// One of the client's, the one with `index` among the calls.
    Clients { index: u64, has_arguments: bool },
    /// The one whose input is the answer.
    Answer,
}

impl Answer {
    pub(super) fn new(target: Target, chunks: Chunks, by_tool: bool) -> Self {
        Self { target, chunks, by_tool, calls: BTreeMap::new(), thoughts: BTreeMap::new(), is_finished: false }
    }

    /// Whether the model has said why it stopped.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// More of the text.
    pub(super) fn text(&mut self, text: &str, events: &mut Vec<Event>) {
        // Beside an answer by tool, words are only about it.
        if !text.is_empty() && !self.by_tool {
            events.push(self.chunks.text(text));
        }
    }

    /// A call begins at `block`.
    pub(super) fn call(&mut self, block: u64, id: &str, name: &str, events: &mut Vec<Event>) {
        if self.by_tool {
            self.calls.insert(block, Call::Answer);
            return;
        }
        let index = self.calls.len() as u64;
        events.push(self.chunks.call(index, id, name, Map::new()));
        self.calls.insert(block, Call::Clients { index, has_arguments: false });
    }

    /// More of a call's input, which is a text of JSON.
    ///
    /// # Errors
    /// When there is no call at `block`.
    pub(super) fn input(&mut self, block: u64, input: &str, events: &mut Vec<Event>) -> Result<(), Error> {
        match self.calls.get_mut(&block) {
            Some(_) if input.is_empty() => {}
            Some(Call::Clients { index, has_arguments }) => {
                *has_arguments = true;
                events.push(self.chunks.arguments(*index, input));
            }
            Some(Call::Answer) => events.push(self.chunks.text(input)),
            None => return Err(error::malformed(&self.target, "has input for a tool that it does not call")),
        }
        Ok(())
    }

    /// More of what the model thought.
    pub(super) fn thought(&mut self, block: u64, text: &str, events: &mut Vec<Event>) {
        let (index, _) = self.thinking(block);
        if !text.is_empty() {
            let detail = json!({"type": "reasoning.text", "text": text, "format": FORMAT, "index": index});
            events.push(self.chunks.thought(text, &detail));
        }
    }

    /// More of the signature of a thought.
    pub(super) fn signature(&mut self, block: u64, signature: &str, events: &mut Vec<Event>) {
        let (index, _) = self.thinking(block);
        if !signature.is_empty() {
            let detail = json!({"type": "reasoning.text", "signature": signature, "format": FORMAT, "index": index});
            events.push(self.chunks.detail(&detail));
        }
    }

    /// More of an encrypted thought, in base64. Its pieces are encoded each for itself, so
    /// that they are put together before they are told.
    ///
    /// # Errors
    /// When it is not base64, or longer than an answer may be.
    pub(super) fn secret(&mut self, block: u64, piece: &str) -> Result<(), Error> {
        let piece = base64::decode(piece)
            .map_err(|cause| error::malformed(&self.target, "has a thought that is not base64").with_source(cause))?;
        let (_, secret) = self.thinking(block);
        secret.extend_from_slice(&piece);
        if secret.len() > MAX_ANSWER_BYTES {
            return Err(error::too_long(&self.target, MAX_ANSWER_BYTES));
        }
        Ok(())
    }

    /// The block is whole. A call without input is one with none: `{}`.
    pub(super) fn end(&mut self, block: u64, events: &mut Vec<Event>) {
        if let Some(Call::Clients { index, has_arguments }) = self.calls.get_mut(&block)
            && !std::mem::replace(has_arguments, true)
        {
            events.push(self.chunks.arguments(*index, "{}"));
        }
        if let Some((index, secret)) = self.thoughts.get_mut(&block)
            && !secret.is_empty()
        {
            let data = base64::encode(std::mem::take(secret));
            let detail = json!({"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": index});
            events.push(self.chunks.detail(&detail));
        }
    }

    /// The model has stopped, for `reason`; `extra` is what the request asked to be told
    /// beside.
    ///
    /// # Errors
    /// When what it wrote cannot be used: a malformed call is no answer.
    pub(super) fn finish(&mut self, reason: &str, extra: Option<&Value>, events: &mut Vec<Event>) -> Result<(), Error> {
        let open: Vec<u64> = self.calls.keys().chain(self.thoughts.keys()).copied().collect();
        open.into_iter().for_each(|block| self.end(block, events));
        let finish = match reason {
            "max_tokens" | "model_context_window_exceeded" | "pause_turn" => Finish::Length,
            "guardrail_intervened" | "content_filtered" | "refusal" => Finish::ContentFilter,
            "tool_use" if !self.by_tool => Finish::ToolCalls,
            malformed if malformed.starts_with("malformed") => {
                return Err(error::malformed(
                    &self.target,
                    "was ended by Bedrock, as the model wrote what it cannot read",
                ));
            }
            // `end_turn`, `stop_sequence`, and whatever else a model may end in order for.
            _ => Finish::Stop,
        };
        let stop = extra.and_then(|extra| extra.get(STOP_SEQUENCE)).and_then(Value::as_str);
        events.push(self.chunks.finish(finish, reason, stop));
        self.is_finished = true;
        Ok(())
    }

    /// What the answer took. Numbers that cannot be are no report.
    pub(super) fn usage(&mut self, reported: &Value, events: &mut Vec<Event>) {
        events.extend(usage(reported).map(|usage| self.chunks.usage(&usage)));
    }

    /// The thought at `block`, begun if there is none: its number among the thoughts and its
    /// encrypted part so far.
    fn thinking(&mut self, block: u64) -> (usize, &mut Vec<u8>) {
        let next = self.thoughts.len();
        let (index, secret) = self.thoughts.entry(block).or_insert_with(|| (next, Vec::new()));
        (*index, secret)
    }
}

/// Converse's usage in disjoint buckets: its `inputTokens` are those that no cache served or
/// took in, as `totalTokens` tells, which is the sum of all four. What is kept for an hour is
/// told apart in `cacheDetails`. Tokens of thought are not told apart.
fn usage(reported: &Value) -> Option<Usage> {
    let count = |name: &str| reported.get(name).and_then(Value::as_u64);
    let details = reported.get("cacheDetails").and_then(Value::as_array).into_iter().flatten();
    let of_an_hour = details.filter(|detail| detail.get("ttl").is_some_and(|ttl| ttl == "1h"));
    let of_an_hour: u64 = of_an_hour.filter_map(|detail| detail.get("inputTokens")?.as_u64()).sum();
    let written = count("cacheWriteInputTokens").unwrap_or(0);
    let cache_write_1h = of_an_hour.min(written);
    Some(Usage {
        input: count("inputTokens")?,
        cache_read: count("cacheReadInputTokens").unwrap_or(0),
        cache_write: written - cache_write_1h,
        cache_write_1h,
        output: count("outputTokens")?,
        reasoning: 0,
        source: Source::Reported,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_tokens_exclude_what_a_cache_served_or_took_in() {
        let reported = json!({"inputTokens": 10, "outputTokens": 5, "totalTokens": 1815, "cacheReadInputTokens": 1000,
            "cacheWriteInputTokens": 800, "cacheDetails": [{"ttl": "1h", "inputTokens": 300}, {"ttl": "5m", "inputTokens": 500}]});
        let usage = usage(&reported).unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h), (10, 1000, 500, 300));
        assert_eq!(usage.total_input() + usage.total_output(), 1815);
    }

    #[test]
    fn numbers_that_cannot_be_are_no_report() {
        assert_eq!(usage(&json!({"inputTokens": -1, "outputTokens": 5})), None);
        assert_eq!(usage(&json!({"inputTokens": 1})), None);
        assert_eq!(usage(&Value::Null), None);
    }
}
