//! One call of a provider: its answer whole or as it is made, under every time limit.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use turnwise_core::fold::Fold;
use turnwise_core::generation::{Completion, Event};
use turnwise_core::json;
use turnwise_core::limits::MAX_ANSWER_BYTES;
use turnwise_core::outline::Delta;
use turnwise_core::upstream::Timeouts;
use turnwise_providers::{Call, EventStream};

use super::allowed::Allowed;
use super::{Stop, Upstream};
use crate::engine::Engine;

/// One call.
pub(super) struct OneCall<'a> {
    pub(super) engine: &'a Engine,
    pub(super) upstream: &'a Upstream<'a>,
    pub(super) provider: &'a turnwise_providers::Provider,
    pub(super) call: Call,
    pub(super) timeouts: Timeouts,
}

/// What of a stream was passed on.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Whether anybody may have seen anything.
    pub(super) has_begun: bool,
    /// The text.
    pub(super) text: String,
}

impl OneCall<'_> {
    /// Makes the call. Events of a stream are pushed to the live turn as they come, the
    /// finish included.
    pub(super) async fn make(&self, passed: &mut Passed) -> Result<Completion, Stop> {
        let total = self.timeouts.total;
        let making = async { if self.upstream.stream { self.stream(passed).await } else { self.whole().await } };
        self.engine.clock.timeout(total, making).await.unwrap_or(Err(Stop::TooSlow(total)))
    }

    async fn whole(&self) -> Result<Completion, Stop> {
        let completion = self.provider.complete(&self.call).await.map_err(Stop::Provider)?;
        match Allowed::of(&self.call.generation).forbidden_in(&completion) {
            Some(tool) => Err(Stop::Forbidden(tool)),
            None => Ok(completion),
        }
    }

    async fn stream(&self, passed: &mut Passed) -> Result<Completion, Stop> {
        let first_token = self.timeouts.first_token;
        let opening = self.provider.stream(&self.call);
        let events = match self.engine.clock.timeout(first_token, opening).await {
            Some(opened) => opened.map_err(Stop::Provider)?,
            None => return Err(Stop::Silence(first_token)),
        };
        self.read(events, passed).await
    }

    async fn read(&self, mut events: EventStream, passed: &mut Passed) -> Result<Completion, Stop> {
        let allowed = Allowed::of(&self.call.generation);
        let mut fold = Fold::default();
        // Chunks that say nothing yet: as long as there are only these, another call may
        // take this one's place unseen.
        let mut held: Vec<Event> = Vec::new();
        let mut bytes = 0;
        let mut patience = self.timeouts.first_token;
        loop {
            let event = match self.engine.clock.timeout(patience, events.next()).await {
                None => return Err(Stop::Silence(patience)),
                // The stream's contract is to end in Finished or an error.
                Some(None) => return Err(Stop::Silence(Duration::ZERO)),
                Some(Some(event)) => event.map_err(Stop::Provider)?,
            };
            match event {
                Event::Chunk(chunk) => {
                    bytes += chunk.get().len();
                    if bytes > MAX_ANSWER_BYTES {
                        return Err(Stop::TooLong);
                    }
                    let value: Value = serde_json::from_str(chunk.get()).unwrap_or_default();
                    if let Some(tool) = allowed.forbidden_in_chunk(&value) {
                        return Err(Stop::Forbidden(tool));
                    }
                    passed.text.push_str(&fold.push(&value));
                    held.push(Event::Chunk(chunk));
                    if passed.has_begun || says_something(&value) {
                        patience = self.timeouts.between_tokens;
                        passed.has_begun = true;
                        held.drain(..).for_each(|event| self.upstream.live.push(event));
                    }
                }
                Event::Finished => {
                    let body = json::raw(&fold.complete());
                    passed.has_begun = true;
                    held.drain(..).for_each(|event| self.upstream.live.push(event));
                    self.upstream.live.push(Event::Finished);
                    return Ok(Completion::new(body, self.call.generation.input_text()));
                }
            }
        }
    }
}

/// Whether a chunk says anything that a client could have made use of.
fn says_something(chunk: &Value) -> bool {
    let choices = chunk["choices"].as_array().into_iter().flatten();
    choices.into_iter().any(|choice| {
        let delta = Delta::of(&choice["delta"]);
        let has_ended = choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty());
        has_ended || !delta.calls.is_empty() || delta.texts().next().is_some()
    })
}
