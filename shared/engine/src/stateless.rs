//! A request without a key: no conversation, no turn, but a line in the ledger.

use std::sync::Arc;

use turnwise_core::category::Category;
use turnwise_core::digest::Digest;
use turnwise_core::generation::{Completion, Generation};
use turnwise_core::id::AttemptId;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Delivery, Failure, Outcome as Fate};
use turnwise_core::usage::Usage;
use turnwise_providers::Resolved;
use turnwise_store::{Counts, LedgerLine, Phase, RecordLedger};

use crate::engine::Engine;
use crate::error::Error;
use crate::follow::{self, Frames};
use crate::live::{LiveTurn, Outcome};
use crate::turn::{
    Answer, Caller, Facts, Input, Upstream, failure, must_end_by, read_upstream, remember, without_text,
};

/// A request without a key, on its way.
struct Work {
    engine: Engine,
    caller: Caller,
    input: Input,
    resolved: Resolved,
    attempt: AttemptId,
    began: Timestamp,
    live: Arc<LiveTurn>,
}

impl Engine {
    /// The answer to a request without a key. Goes on to the ledger even if it is
    /// dropped.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::TooLong`], and [`Error::Failed`] when the provider did not answer.
    pub async fn answer_once(&self, caller: Caller, input: Input) -> Result<(Facts, Arc<Answer>), Error> {
        let live = self.begin_work(caller, input, false)?;
        match live.outcome().await {
            Outcome::Committed(answer) => Ok((live.facts.clone(), answer)),
            Outcome::Failed(failure) | Outcome::Unwritten(failure) => {
                Err(Error::Failed { failure, facts: Some(Box::new(live.facts.clone())), replayed: false })
            }
            Outcome::Superseded | Outcome::Requeued => Err(Error::Failed {
                failure: Arc::new(died()),
                facts: Some(Box::new(live.facts.clone())),
                replayed: false,
            }),
        }
    }

    /// The stream of a request without a key. Goes on to the ledger even if it is
    /// dropped.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::TooLong`]; later trouble is a frame.
    pub fn stream_once(&self, caller: Caller, input: Input) -> Result<(Facts, Frames), Error> {
        let live = self.begin_work(caller, input, true)?;
        Ok((live.facts.clone(), follow::live(live)))
    }

    fn begin_work(&self, caller: Caller, input: Input, stream: bool) -> Result<Arc<LiveTurn>, Error> {
        let resolved = self.providers.resolve(input.model.as_deref()).map_err(Error::Model)?;
        remember::check(&input, &[], &self.measure(&resolved))?;
        let facts = Facts {
            created_at: Some(self.clock.now()),
            attempts: 1,
            model: Some(resolved.name.clone()),
            why: Some(resolved.why.to_string()),
            ..Facts::default()
        };
        let live = LiveTurn::new(Digest::of(""), facts);
        let now = self.clock.now();
        let attempt = AttemptId::new(self.random.uuid_v7(now));
        let work = Work { engine: self.clone(), caller, input, resolved, attempt, began: now, live: Arc::clone(&live) };
        self.tasks.spawn(work.run(stream));
        Ok(live)
    }
}

impl Work {
    async fn run(self, stream: bool) {
        let ending = Ending(Arc::clone(&self.live));
        self.live.begin(1);
        let now = self.engine.clock.now();
        let upstream = Upstream {
            resolved: &self.resolved,
            generation: Generation { model: self.resolved.model.clone(), fields: self.input.fields.clone() },
            id: format!("chatcmpl-{}", self.attempt),
            stream,
            must_end_by: must_end_by(now, self.caller.deadline),
            live: &self.live,
        };
        let input_text = upstream.generation.input_text().to_owned();
        let outcome = match read_upstream(&self.engine, upstream).await {
            Ok(completion) if !self.input.takes(&completion) => {
                self.record(completion.usage, Phase::Wasted).await;
                Outcome::Failed(Arc::new(without_text(self.caller.request_id.clone())))
            }
            Ok(completion) => {
                self.record(completion.usage, Phase::kept(completion.usage.source)).await;
                Outcome::Committed(Arc::new(self.answer(completion)))
            }
            Err(broken) => {
                if !broken.partial.is_empty() {
                    self.record(Usage::estimate(&input_text, &broken.partial), Phase::Wasted).await;
                }
                let failure = failure(broken, Delivery::AtLeastOnce, self.caller.request_id.clone());
                Outcome::Failed(Arc::new(failure))
            }
        };
        self.live.end(outcome);
        drop(ending);
    }

    fn answer(&self, completion: Completion) -> Answer {
        Answer {
            number: None,
            model: self.resolved.name.clone(),
            echo: self.input.echo.clone(),
            inputs: 0,
            created_at: self.began,
            output: completion.body,
            response_hash: completion.digest,
            usage: completion.usage,
            cost: self.resolved.price().map(|price| price.cost(&completion.usage)),
            completed_at: self.engine.clock.now(),
        }
    }

    /// Writes the ledger line. The client has its answer either way; a line that
    /// cannot be written is an operator's matter and said as such.
    async fn record(&self, usage: Usage, phase: Phase) {
        let line = &LedgerLine {
            attempt: self.attempt.clone(),
            phase,
            turn: None,
            project: None,
            api_key: self.input.api_key.clone(),
            model: self.resolved.name.clone(),
            usage,
            cost: self.resolved.price().map(|price| price.cost(&usage)),
            price_version: self.engine.price_version(),
            at: self.engine.clock.now(),
            counts: Counts::default(),
        };
        let tenant = &self.caller.tenant;
        let shard = self.engine.random.shard();
        let recorded = self.engine.retry(|conflicts| async move {
            let shard = shard.wrapping_add(u8::try_from(conflicts % 256).unwrap_or(0));
            self.engine.store.record_ledger(&RecordLedger { tenant, line, shard }).await
        });
        if let Err(error) = recorded.await {
            tracing::error!(%error, request.id = %self.caller.request_id, "a ledger line could not be written");
        }
    }
}

/// Ends the work for whoever waits, even if it ends by panic.
struct Ending(Arc<LiveTurn>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(Outcome::Failed(Arc::new(died())));
    }
}

pub(crate) fn died() -> Failure {
    Failure {
        outcome: Fate::Final,
        category: Category::InternalError,
        code: "internal_error".to_owned(),
        message: "The request ended unexpectedly.".to_owned(),
        param: None,
        retry_after_ms: None,
        request_id: String::new(),
        partial: String::new(),
    }
}
