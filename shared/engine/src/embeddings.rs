//! Embeddings: one call of a provider, with a line in the ledger. Nothing is kept of them.

use std::sync::Arc;

use turnwise_core::category::Category;
use turnwise_core::embedding::Request;
use turnwise_core::id::AttemptId;
use turnwise_core::ledger::{Origin, Phase, Work};
use turnwise_core::limits::EMBEDDING_TIMEOUT;
use turnwise_core::money::PicoUsd;
use turnwise_core::task::Task;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Delivery, Failure, Outcome};
use turnwise_core::upstream::{Budget, Next};
pub use turnwise_providers::Embeddings;
use turnwise_providers::{EmbedCall, Resolved};

use crate::admission::{Admission, Spent};
use crate::engine::Engine;
use crate::error::Error;
use crate::ledger::Charge;
use crate::turn::{Caller, Facts, failure, must_end_by};
use crate::upstream::{Broken, Effort, Stop, check_allowed, miss};

/// Embeddings with what is to be told of them.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// Which model made them, and why that one.
    pub facts: Facts,
    /// The vectors.
    pub embeddings: Embeddings,
    /// Exact cost; `None` when the model has no price.
    pub cost: Option<PicoUsd>,
}

/// A request for embeddings, on its way.
struct Asking {
    engine: Engine,
    caller: Caller,
    task: Option<Task>,
    resolved: Resolved,
    call: EmbedCall,
    facts: Facts,
    admission: Admission,
}

impl Engine {
    /// The embeddings that `request` asks for. Goes on to the ledger even if it is dropped.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::ModelNotAllowed`], [`Error::NotAdmitted`], and [`Error::Failed`]
    /// when the provider did not make them.
    pub async fn embed(&self, caller: Caller, task: Option<Task>, request: Request) -> Result<Embedded, Error> {
        let resolved = self.providers.resolve_embedding(&request.model).map_err(Error::Model)?;
        let resolved = resolved.priced_by(&caller.grant.prices, self.clock.now());
        check_allowed(&resolved, &caller.grant)?;
        let engine = self.clone();
        self.tasks.spawn(async move { engine.embed_let_in(caller, task, resolved, request).await }).await?
    }

    async fn embed_let_in(
        &self,
        caller: Caller,
        task: Option<Task>,
        resolved: Resolved,
        request: Request,
    ) -> Result<Embedded, Error> {
        let admission = self.admit_input(&caller, &resolved, request.input.most_tokens()).await?;
        let facts = Facts {
            allowance: admission.allowance,
            created_at: Some(self.clock.now()),
            attempts: 1,
            model: Some(resolved.name.clone()),
            why: Some(resolved.why.to_string()),
            ..Facts::default()
        };
        let request = Request { model: resolved.model.clone(), ..request };
        let timeouts = self.calls.timeouts.of(&resolved.name, resolved.facts());
        let call = EmbedCall { request, connect_timeout: Some(timeouts.connect) };
        Asking { engine: self.clone(), caller, task, resolved, call, facts, admission }.run().await
    }
}

impl Asking {
    async fn run(self) -> Result<Embedded, Error> {
        let Self { engine, caller, resolved, .. } = &self;
        let now = engine.clock.now();
        let attempt = &AttemptId::new(engine.random.uuid_v7(now));
        let (embeddings, calls) = match self.ask(must_end_by(now, caller.deadline)).await {
            Ok(made) => made,
            Err(failure) => {
                engine.leave(&self.admission, Spent::default()).await;
                let (failure, facts) = (Arc::new(failure), Some(Box::new(self.facts)));
                return Err(Error::Failed { failure, facts, replayed: false });
            }
        };
        let usage = embeddings.usage;
        engine.leave(&self.admission, Spent::of(&usage, resolved)).await;
        let effort = Effort { calls, is_fallback: false, took: Some(engine.clock.now().since(now)) };
        let (work, origin, phase) = (Work::Embedding, Origin::Provider, Phase::kept(usage.source));
        let task = self.task.as_ref();
        engine.record(&Charge { caller, attempt, task, work, origin, resolved, usage, phase, effort }).await;
        let cost = resolved.price().map(|price| price.cost(&usage));
        Ok(Embedded { facts: self.facts, embeddings, cost })
    }

    /// What the provider says, under every limit of time, and how often it was asked: again
    /// where that may help.
    async fn ask(&self, must_end_by: Timestamp) -> Result<(Embeddings, u32), Failure> {
        let Self { engine, caller, resolved, .. } = self;
        let asking = async {
            let mut budget = Budget::new(engine.calls.retry, 1);
            loop {
                let stop = match self.call(budget.made() > 1).await {
                    Ok(embeddings) => return Ok((embeddings, budget.made())),
                    Err(stop) => stop,
                };
                let left = must_end_by.since(engine.clock.now());
                match budget.after(0, miss(&stop, false, Delivery::AtLeastOnce), left, engine.random.chance()) {
                    Next::Call { after, .. } => engine.clock.sleep(after).await,
                    Next::GiveUp(why) => return Err((stop, budget.made(), why)),
                }
            }
        };
        let (stop, calls, why) = tokio::select! {
            answer = asking => match answer {
                Ok(made) => return Ok(made),
                Err(gave_up) => gave_up,
            },
            () = engine.tasks.handed_over() => return Err(self.interrupted(Interruption::HandedOver)),
            () = engine.clock.sleep_until(must_end_by) => return Err(self.interrupted(Interruption::TimeUp)),
        };
        let effort = Effort { calls, ..Effort::default() };
        let broken = Broken { stop, partial: String::new(), resolved: resolved.clone(), effort, why };
        Err(failure(broken, Delivery::AtLeastOnce, caller.request_id.clone()))
    }

    async fn call(&self, is_retry: bool) -> Result<Embeddings, Stop> {
        let Self { engine, resolved, call, .. } = self;
        let result = match engine.clock.timeout(EMBEDDING_TIMEOUT, resolved.provider.embed(call)).await {
            Some(answer) => answer.map_err(Stop::Provider),
            None => Err(Stop::TooSlow(EMBEDDING_TIMEOUT)),
        };
        engine.note_call(resolved, result.as_ref().err(), is_retry);
        result
    }

    fn interrupted(&self, why: Interruption) -> Failure {
        let (category, code, message) = match why {
            Interruption::HandedOver => {
                (Category::InternalError, "handed_over", "This server is shutting down. Send the request again.")
            }
            Interruption::TimeUp => {
                (Category::TimeoutError, "timeout", "The embeddings took longer than the request may.")
            }
        };
        Failure {
            outcome: Outcome::Retryable,
            category,
            code: code.to_owned(),
            message: message.to_owned(),
            param: None,
            retry_after_ms: None,
            is_spent: false,
            asked: None,
            request_id: self.caller.request_id.clone(),
            partial: String::new(),
        }
    }
}

/// Why we did not wait for the provider's answer.
enum Interruption {
    /// This process is going down.
    HandedOver,
    /// The time for the request is over.
    TimeUp,
}
