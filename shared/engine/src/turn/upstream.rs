//! Reading the provider: its answer whole or as it is made, under every time limit.

use std::time::Duration;

use futures_util::StreamExt as _;
use turnwise_core::fold::Fold;
use turnwise_core::generation::{Completion, Event, Generation};
use turnwise_core::json;
use turnwise_core::limits::{BETWEEN_TOKENS_TIMEOUT, FIRST_TOKEN_TIMEOUT, MAX_ANSWER_BYTES};
use turnwise_core::time::Timestamp;
use turnwise_providers::{Call, Resolved};

use super::allowed::Allowed;
use crate::engine::Engine;
use crate::live::LiveTurn;

/// One call of a provider.
pub(crate) struct Upstream<'a> {
    pub(crate) resolved: &'a Resolved,
    pub(crate) generation: Generation,
    /// Names the answer where the upstream does not.
    pub(crate) id: String,
    /// Whether to ask for a stream.
    pub(crate) stream: bool,
    pub(crate) must_end_by: Timestamp,
    /// Where events go as they come, and what tells that the lock is lost.
    pub(crate) live: &'a LiveTurn,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) enum Stop {
    Provider(turnwise_providers::Error),
    /// Nothing came for this long.
    Silence(Duration),
    /// The time for the whole turn is over.
    TimeUp,
    /// The answer is longer than we keep.
    TooLong,
    /// The model called a tool that it may not call.
    Forbidden(String),
    /// This process is going down.
    HandedOver,
    /// Another attempt has taken the lock, or the turn was cancelled.
    LockLost,
}

/// An answer that broke off.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) stop: Stop,
    /// The text that had arrived.
    pub(crate) partial: String,
}

impl Broken {
    fn without_text(stop: Stop) -> Self {
        Self { stop, partial: String::new() }
    }
}

/// Reads one answer. Events of a stream are pushed to the live turn as they come,
/// the finish included.
pub(crate) async fn read_upstream(engine: &Engine, upstream: Upstream<'_>) -> Result<Completion, Broken> {
    let mut partial = String::new();
    let reading = async {
        if upstream.stream { stream(engine, &upstream, &mut partial).await } else { whole(engine, &upstream).await }
    };
    let result = tokio::select! {
        result = reading => result,
        () = upstream.live.lock_lost() => Err(Stop::LockLost),
        () = engine.tasks.handed_over() => Err(Stop::HandedOver),
        () = engine.clock.sleep_until(upstream.must_end_by) => Err(Stop::TimeUp),
    };
    if let Ok(completion) = &result {
        engine.learn(upstream.resolved, &upstream.generation, &completion.usage);
    }
    result.map_err(|stop| if partial.is_empty() { Broken::without_text(stop) } else { Broken { stop, partial } })
}

async fn whole(engine: &Engine, upstream: &Upstream<'_>) -> Result<Completion, Stop> {
    let call = call(engine, upstream);
    let completion = upstream.resolved.provider.complete(&call).await.map_err(Stop::Provider)?;
    match Allowed::of(&upstream.generation).forbidden_in(&completion) {
        Some(tool) => Err(Stop::Forbidden(tool)),
        None => Ok(completion),
    }
}

async fn stream(engine: &Engine, upstream: &Upstream<'_>, partial: &mut String) -> Result<Completion, Stop> {
    let call = call(engine, upstream);
    let opening = upstream.resolved.provider.stream(&call);
    let mut events = match engine.clock.timeout(FIRST_TOKEN_TIMEOUT, opening).await {
        Some(opened) => opened.map_err(Stop::Provider)?,
        None => return Err(Stop::Silence(FIRST_TOKEN_TIMEOUT)),
    };

    let allowed = Allowed::of(&upstream.generation);
    let mut fold = Fold::default();
    let mut bytes = 0;
    let mut patience = FIRST_TOKEN_TIMEOUT;
    loop {
        let event = match engine.clock.timeout(patience, events.next()).await {
            None => return Err(Stop::Silence(patience)),
            // The stream's contract is to end in Finished or an error.
            Some(None) => return Err(Stop::Silence(Duration::ZERO)),
            Some(Some(event)) => event.map_err(Stop::Provider)?,
        };
        patience = BETWEEN_TOKENS_TIMEOUT;
        match event {
            Event::Chunk(chunk) => {
                bytes += chunk.get().len();
                if bytes > MAX_ANSWER_BYTES {
                    return Err(Stop::TooLong);
                }
                let value = serde_json::from_str(chunk.get()).unwrap_or_default();
                if let Some(tool) = allowed.forbidden_in_chunk(&value) {
                    return Err(Stop::Forbidden(tool));
                }
                partial.push_str(&fold.push(&value));
                upstream.live.push(Event::Chunk(chunk));
            }
            Event::Finished => {
                let body = json::raw(&fold.complete());
                upstream.live.push(Event::Finished);
                return Ok(Completion::new(body, call.generation.input_text()));
            }
        }
    }
}

fn call(engine: &Engine, upstream: &Upstream<'_>) -> Call {
    Call { generation: upstream.generation.clone(), id: upstream.id.clone(), created_s: engine.clock.now().as_secs() }
}
