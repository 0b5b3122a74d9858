//! Asking providers until one answers, or until it makes no sense any more.
//!
//! - [`policy`]: what the operator says; `chain`: which models are asked
//! - `call`: one call; `allowed`: the tools it may come to
//! - `health`: breakers and counts

mod allowed;
mod call;
mod chain;
mod health;
pub mod policy;

use std::time::Duration;

use turnwise_core::category::Category;
use turnwise_core::generation::{Completion, Generation};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::Delivery;
use turnwise_core::upstream::{Budget, GiveUp, Miss, Next, Remedy, RetryPolicy, Verdict};
use turnwise_providers::{Call, Dispatched, Resolved};
use turnwise_store::CallCounts;

use self::call::{OneCall, Passed};
pub(crate) use self::chain::{Candidate, Chain, check_allowed};
pub(crate) use self::health::Health;
use crate::engine::Engine;
use crate::live::LiveTurn;

/// Calls that repeat one where every model is better left alone: a blip must not become an
/// error for whoever has nobody else to ask, and a provider that is down not four calls.
const FORCED_RETRIES: u32 = 1;

/// What is asked of the providers.
pub(crate) struct Upstream<'a> {
    pub(crate) chain: &'a Chain,
    /// What a model is sent: the same to all, but for what depends on the model.
    pub(crate) generation: &'a (dyn Fn(&Candidate) -> Generation + Send + Sync),
    /// Names the answer where the upstream does not.
    pub(crate) id: String,
    /// Whether to ask for a stream.
    pub(crate) stream: bool,
    /// Whether a call that may have run may be repeated.
    pub(crate) delivery: Delivery,
    pub(crate) must_end_by: Timestamp,
    /// Where events go as they come, and what tells that the lock is lost.
    pub(crate) live: &'a LiveTurn,
}

/// A whole answer, and who gave it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) completion: Completion,
    pub(crate) resolved: Resolved,
    pub(crate) effort: Effort,
}

/// What was done for an answer, or in vain.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Effort {
    /// How many calls were made.
    pub(crate) calls: u32,
    /// Whether the last one asked another model than the first.
    pub(crate) is_fallback: bool,
    /// How long it all took; `None` where nobody looked at the clock.
    pub(crate) took: Option<Duration>,
}

impl Effort {
    pub(crate) fn latency_ms(&self) -> Option<u64> {
        self.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) enum Stop {
    Provider(turnwise_providers::Error),
    /// Nothing came for this long.
    Silence(Duration),
    /// The answer was not whole after this long.
    TooSlow(Duration),
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

/// An answer that broke off, after the last call that was made for it.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) stop: Stop,
    /// The text that had arrived.
    pub(crate) partial: String,
    /// Who was asked last.
    pub(crate) resolved: Resolved,
    pub(crate) effort: Effort,
    /// Why no other call is made.
    pub(crate) why: GiveUp,
}

/// Reads one answer.
pub(crate) async fn read_upstream(engine: &Engine, upstream: Upstream<'_>) -> Result<Answered, Broken> {
    let began = engine.clock.now();
    let mut trial = Trial {
        engine,
        upstream: &upstream,
        current: upstream.chain.first(),
        passed: Passed::default(),
        calls: 0,
        slept: Duration::ZERO,
    };
    let result = tokio::select! {
        result = trial.run() => result,
        () = upstream.live.lock_lost() => Err((Stop::LockLost, GiveUp::Final)),
        () = engine.tasks.handed_over() => Err((Stop::HandedOver, GiveUp::Final)),
        () = engine.clock.sleep_until(upstream.must_end_by) => Err((Stop::TimeUp, GiveUp::Final)),
    };
    let provider = trial.current.resolved.provider.name();
    let was_repeated = trial.calls > 1;
    let first = &upstream.chain.first().resolved;
    let effort = Effort {
        calls: trial.calls,
        is_fallback: trial.current.resolved.name != first.name,
        took: Some(engine.clock.now().since(began)),
    };
    let last =
        CallCounts { slept_ms: u64::try_from(trial.slept.as_millis()).unwrap_or(u64::MAX), ..CallCounts::default() };
    match result {
        Ok(completion) => {
            engine.count(provider, CallCounts { recovered: u64::from(was_repeated), ..last });
            engine.write_counts(was_repeated);
            Ok(Answered { completion, resolved: trial.current.resolved.clone(), effort })
        }
        Err((stop, why)) => {
            engine.count(provider, CallCounts { given_up: 1, ..last });
            engine.write_counts(true);
            let partial = trial.passed.text;
            Err(Broken { stop, partial, resolved: trial.current.resolved.clone(), effort, why })
        }
    }
}

/// The calls of one request while they are made.
struct Trial<'a> {
    engine: &'a Engine,
    upstream: &'a Upstream<'a>,
    /// Who is asked now, or was asked last.
    current: &'a Candidate,
    /// What the last call had passed on.
    passed: Passed,
    calls: u32,
    slept: Duration,
}

impl<'a> Trial<'a> {
    async fn run(&mut self) -> Result<Completion, (Stop, GiveUp)> {
        let admitted = self.engine.admitted(self.upstream.chain).await;
        let configured = self.engine.calls.retry;
        let most = if admitted.is_forced { FORCED_RETRIES } else { configured.retries };
        let policy = RetryPolicy { retries: configured.retries.min(most), ..configured };
        let candidates: Vec<&'a Candidate> =
            admitted.places.iter().map(|place| &self.upstream.chain.candidates()[*place]).collect();
        let mut budget = Budget::new(policy, candidates.len());
        let mut at = 0;
        if !std::ptr::eq(candidates[at], self.upstream.chain.first()) {
            self.upstream.live.repeat(&candidates[at].resolved.name);
        }
        loop {
            let stop = match self.call(candidates[at]).await {
                Ok(completion) => return Ok(completion),
                Err(stop) => stop,
            };
            let left = self.upstream.must_end_by.since(self.engine.clock.now());
            let miss = miss(&stop, self.passed.has_begun, self.upstream.delivery);
            match budget.after(at, miss, left, self.engine.random.chance()) {
                Next::GiveUp(why) => return Err((stop, why)),
                Next::Call { candidate, after } => {
                    at = candidate;
                    self.pause(&stop, candidates[at], after).await;
                }
            }
        }
    }

    async fn call(&mut self, candidate: &'a Candidate) -> Result<Completion, Stop> {
        let Resolved { provider, name, .. } = &candidate.resolved;
        let is_retry = self.calls > 0;
        (self.current, self.passed) = (candidate, Passed::default());
        self.calls += 1;
        self.engine
            .count(provider.name(), CallCounts { calls: 1, retries: u64::from(is_retry), ..CallCounts::default() });
        let timeouts = self.engine.calls.timeouts.of(name, candidate.resolved.facts());
        let call = OneCall {
            engine: self.engine,
            upstream: self.upstream,
            provider,
            call: Call {
                generation: (self.upstream.generation)(candidate),
                id: self.upstream.id.clone(),
                created_s: self.engine.clock.now().as_secs(),
                connect_timeout: Some(timeouts.connect),
            },
            timeouts,
        };
        let result = call.make(&mut self.passed).await;
        if let Ok(completion) = &result {
            self.engine.learn(&candidate.resolved, &call.call.generation, &completion.usage);
        }
        self.engine.note_end(&candidate.resolved, result.as_ref().err());
        result
    }

    async fn pause(&mut self, stop: &Stop, next: &Candidate, after: Duration) {
        let (category, code, _) = stop.kind();
        tracing::warn!(
            model.name = self.current.resolved.name,
            model.next = next.resolved.name,
            error.category = %category,
            error.code = code,
            upstream.calls = self.calls,
            wait_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "a call of a provider failed and is repeated: {stop}"
        );
        self.upstream.live.repeat(&next.resolved.name);
        self.engine.clock.sleep(after).await;
        self.slept += after;
    }
}

impl Engine {
    /// Notes how a call of `resolved` ended.
    fn note_end(&self, resolved: &Resolved, stop: Option<&Stop>) {
        self.note_health(resolved, stop.map_or(Verdict::Well, verdict));
        if stop.is_some() {
            self.count(resolved.provider.name(), CallCounts { failures: 1, ..CallCounts::default() });
        }
    }

    /// Notes a whole call of `resolved` that was no part of a chain.
    pub(crate) fn note_call(&self, resolved: &Resolved, stop: Option<&Stop>, is_retry: bool) {
        let retries = u64::from(is_retry);
        let recovered = u64::from(is_retry && stop.is_none());
        let counts = CallCounts { calls: 1, retries, recovered, ..CallCounts::default() };
        self.count(resolved.provider.name(), counts);
        self.note_end(resolved, stop);
        self.write_counts(is_retry || stop.is_some());
    }
}

impl Stop {
    /// Its category, its code, and whether the same turn may succeed later.
    pub(crate) fn kind(&self) -> (Category, &str, bool) {
        match self {
            Self::Provider(error) => (error.category, &error.code, error.retryable),
            Self::Silence(_) => (Category::TimeoutError, "upstream_silent", true),
            Self::TooSlow(_) => (Category::TimeoutError, "upstream_timeout", true),
            Self::TimeUp => (Category::TimeoutError, "turn_timeout", true),
            Self::TooLong => (Category::ApiError, "answer_too_long", false),
            Self::Forbidden(_) => (Category::ApiError, "tool_not_allowed", true),
            Self::HandedOver => (Category::InternalError, "handed_over", true),
            Self::LockLost => (Category::NetworkError, "taken_over", true),
        }
    }

    /// Whether a provider may have run the call.
    pub(crate) fn may_have_run(&self) -> bool {
        match self {
            Self::Provider(error) => error.dispatched == Dispatched::Maybe,
            Self::Silence(_)
            | Self::TooSlow(_)
            | Self::TimeUp
            | Self::TooLong
            | Self::Forbidden(_)
            | Self::HandedOver
            | Self::LockLost => true,
        }
    }
}

/// A sentence for the log; it never holds a prompt or an answer.
impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Provider(error) => write!(f, "{error}"),
            Self::Silence(waited) => write!(f, "The provider sent nothing for {}.", Seconds(*waited)),
            Self::TooSlow(waited) => write!(f, "The provider's answer was not whole after {}.", Seconds(*waited)),
            Self::TimeUp => f.write_str("The turn took longer than it may."),
            Self::TooLong => f.write_str("The answer is longer than a turn can hold."),
            Self::Forbidden(tool) => write!(f, "The model called {tool:?}, which tool_choice does not allow."),
            Self::HandedOver => f.write_str("This server is shutting down. Retry with the same key."),
            Self::LockLost => f.write_str("Another attempt took this turn over."),
        }
    }
}

struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.subsec_millis() == 0 {
            write!(f, "{} s", self.0.as_secs())
        } else {
            write!(f, "{} ms", self.0.as_millis())
        }
    }
}

/// Who may do better than a call that stopped so. What a client may have seen is never
/// taken back by another call.
pub(crate) fn miss(stop: &Stop, has_begun: bool, delivery: Delivery) -> Miss {
    let must_not_repeat = delivery == Delivery::AtMostOnce && stop.may_have_run();
    let nowhere = Miss { remedy: Remedy::Nowhere, retry_after: None };
    if has_begun || must_not_repeat {
        return nowhere;
    }
    match stop {
        Stop::Silence(_) | Stop::TooSlow(_) => Miss { remedy: Remedy::Again, retry_after: None },
        Stop::TimeUp | Stop::TooLong | Stop::Forbidden(_) | Stop::HandedOver | Stop::LockLost => nowhere,
        Stop::Provider(error) if error.retryable => Miss { remedy: Remedy::Again, retry_after: error.retry_after },
        Stop::Provider(error) => {
            let remedy = match error.category {
                Category::AuthenticationError | Category::CostLimitError | Category::NotFoundError => Remedy::Elsewhere,
                // Another model may hold more, another provider allow what this one blocks
                // for our account; what was blocked for its content stays blocked.
                Category::ValidationError if &*error.code == "context_length_exceeded" => Remedy::Elsewhere,
                Category::AuthorizationError if &*error.code != "content_blocked" => Remedy::Elsewhere,
                Category::ApiError if &*error.code != "answer_too_long" => Remedy::Elsewhere,
                Category::ApiError
                | Category::NetworkError
                | Category::ValidationError
                | Category::TimeoutError
                | Category::AuthorizationError
                | Category::RateLimitError
                | Category::InternalError
                | Category::RagError
                | Category::EmbeddingError => Remedy::Nowhere,
            };
            Miss { remedy, retry_after: None }
        }
    }
}

/// What a call that stopped so says of the provider's health.
fn verdict(stop: &Stop) -> Verdict {
    match stop {
        Stop::Silence(_) | Stop::TooSlow(_) => Verdict::Ill { retry_after: None },
        Stop::TimeUp | Stop::TooLong | Stop::Forbidden(_) | Stop::HandedOver | Stop::LockLost => Verdict::Unknown,
        Stop::Provider(error) => match error.category {
            Category::NetworkError if error.dispatched == Dispatched::No => Verdict::Unconnected,
            Category::ApiError | Category::NetworkError | Category::TimeoutError | Category::RateLimitError => {
                Verdict::Ill { retry_after: error.retry_after }
            }
            Category::AuthenticationError | Category::CostLimitError => Verdict::Refused,
            Category::AuthorizationError if &*error.code != "content_blocked" => Verdict::Refused,
            // It is well enough to judge the request.
            Category::ValidationError | Category::NotFoundError | Category::AuthorizationError => Verdict::Well,
            Category::InternalError | Category::RagError | Category::EmbeddingError => Verdict::Unknown,
        },
    }
}
