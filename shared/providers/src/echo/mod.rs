//! `local/echo`: repeats what was said last. Needs no key and no network, costs
//! nothing and gives equal answers to equal requests, so that a first run and a test
//! work without a provider.
//!
//! - `wishes`: the fields that only it knows; `request`: what it heeds of all others
//! - `answer`: what it says, whole and in `pieces`
//! - `tools`: what it calls; `structured`: what it says in JSON
//! - `sample`: values for a JSON schema; `ordered`: JSON in the order it is written

mod answer;
mod ordered;
mod pieces;
mod request;
mod sample;
mod structured;
mod tools;
mod wishes;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};
use turnwise_core::generation::{Completion, Event, Generation};
use turnwise_core::json;

use self::answer::Answer;
use self::wishes::Wishes;
use crate::call::{Call, EventStream, Target};
use crate::error::Error;

/// The model `echo` of the provider `local`.
///
/// What it does with a request, the first rule that holds:
/// - `echo_refusal: true`: refuses.
/// - Function tools, a `tool_choice` other than `none`, and a user has the last word:
///   calls the forced one, else those that the user names, else the first, with
///   arguments that are valid against its parameters.
/// - `response_format` with `json_object` or `json_schema`: answers in JSON, in the
///   second case with a small value that is valid against the schema.
/// - Otherwise it repeats: the outputs of tools at the end of the messages, else the
///   last user message. `max_tokens` and `max_completion_tokens` cut that,
///   and nothing else: a part of a call or of a JSON text is of no use.
///
/// With a `reasoning_effort` other than `none` it says before what it is going to do,
/// as `reasoning_content`. `echo_delay_ms`, 0 to 10,000, is a pause before each piece
/// of the answer, and `echo_fail_after`, 0 to 10,000, the number of pieces after which
/// it fails as a provider might; a buffered answer fails at once. A piece is a word,
/// four characters of JSON, or the name of what is called.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Echo {
    /// The provider's name.
    pub const PROVIDER: &str = "local";
    /// The model's name.
    pub const MODEL: &str = "echo";

    /// See [`Provider::complete`](crate::Provider::complete). Takes as long as the
    /// stream would.
    pub(crate) async fn complete(self, call: &Call) -> Result<Completion, Error> {
        let wishes = Wishes::read(&call.generation.fields)?;
        let answer = Answer::to(call, wishes.refusal)?;
        if wishes.fail_after.is_some() {
            return Err(wishes::failure());
        }
        for _ in answer.deltas() {
            tokio::time::sleep(wishes.delay).await;
        }
        let body = json!({
            "id": call.id,
            "object": "chat.completion",
            "created": call.created_s,
            "model": call.generation.model,
            "choices": [{
                "index": 0,
                "message": answer.message(),
                "logprobs": null,
                "finish_reason": answer.finish_reason,
            }],
            "usage": answer.usage.to_openai(),
        });
        Ok(Completion::new(json::raw(&body), call.generation.input_text()))
    }

    /// See [`Provider::stream`](crate::Provider::stream). One chunk a piece, then the
    /// finish, then the usage with no choices.
    pub(crate) fn stream(self, call: &Call) -> Result<EventStream, Error> {
        let wishes = Wishes::read(&call.generation.fields)?;
        let answer = Answer::to(call, wishes.refusal)?;
        let (id, created_s, model) = (call.id.clone(), call.created_s, call.generation.model.clone());
        let chunk = move |choices: Value, usage: Value| {
            let body = json!({
                "id": id,
                "object": "chat.completion.chunk",
                "created": created_s,
                "model": model,
                "choices": choices,
                "usage": usage,
            });
            Ok(Event::Chunk(json::raw(&body)))
        };
        let delta = |delta: Value, finish_reason: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}]);
        Ok(Box::pin(async_stream::stream! {
            yield chunk(delta(answer.opening(), Value::Null), Value::Null);
            for piece in answer.deltas().into_iter().take(wishes.fail_after.unwrap_or(usize::MAX)) {
                tokio::time::sleep(wishes.delay).await;
                yield chunk(delta(piece, Value::Null), Value::Null);
            }
            if wishes.fail_after.is_some() {
                yield Err(wishes::failure());
                return;
            }
            yield chunk(delta(json!({}), json!(answer.finish_reason)), Value::Null);
            yield chunk(json!([]), answer.usage.to_openai());
            yield Ok(Event::Finished);
        }))
    }
}

/// How many input tokens an answer to `generation` reports.
pub(crate) fn input_tokens(generation: &Generation) -> u64 {
    request::input_tokens(&request::messages(generation))
}

fn target() -> Target {
    Target { provider: Echo::PROVIDER.to_owned(), model: Echo::MODEL.to_owned() }
}
