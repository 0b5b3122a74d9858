//! A request without a key: no conversation, no turn, but a line in the ledger.

use std::sync::Arc;

use turnwise_core::category::Category;
use turnwise_core::digest::Digest;
use turnwise_core::generation::Generation;
use turnwise_core::id::AttemptId;
use turnwise_core::ledger::{Origin, Phase, Work};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Delivery, Failure, Outcome as Fate};
use turnwise_core::usage::Usage;

use crate::admission::{Admission, Admitted, Entrant, Spent};
use crate::engine::Engine;
use crate::error::Error;
use crate::follow::{self, Frames};
use crate::ledger::Charge;
use crate::live::{LiveTurn, Outcome};
use crate::turn::{Answer, Caller, Facts, Input, failure, must_end_by, remember, without_text};
use crate::upstream::{Answered, Candidate, Chain, Upstream, read_upstream};

/// A request without a key, on its way.
struct Asking {
    engine: Engine,
    caller: Caller,
    input: Input,
    chain: Chain,
    admission: Admission,
    attempt: AttemptId,
    began: Timestamp,
    live: Arc<LiveTurn>,
}

impl Engine {
    /// The answer to a request without a key. Goes on to the ledger even if it is
    /// dropped.
    ///
    /// # Errors
    /// [`Error::Model`], [`Error::TooLong`], [`Error::NotAdmitted`], and [`Error::Failed`] when the
    /// provider did not answer.
    pub async fn answer_once(&self, caller: Caller, input: Input) -> Result<(Facts, Arc<Answer>), Error> {
        let live = self.begin_work(caller, input, false).await?;
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
    /// [`Error::Model`], [`Error::TooLong`], [`Error::NotAdmitted`]; later trouble is a frame.
    pub async fn stream_once(&self, caller: Caller, input: Input) -> Result<(Facts, Frames), Error> {
        let live = self.begin_work(caller, input, true).await?;
        Ok((live.facts.clone(), follow::live(live)))
    }

    /// In a task of its own, so that a client that leaves does not leave behind what its
    /// request had reserved.
    async fn begin_work(&self, caller: Caller, input: Input, stream: bool) -> Result<Arc<LiveTurn>, Error> {
        let engine = self.clone();
        self.tasks.spawn(async move { engine.let_work_in(caller, input, stream).await }).await?
    }

    async fn let_work_in(&self, caller: Caller, mut input: Input, stream: bool) -> Result<Arc<LiveTurn>, Error> {
        remember::check(&input, &[], &self.chain(&input, &caller.grant)?.first().measure)?;
        let entrant = Entrant { caller: &caller, input: &input, history: &[], is_resumed: false };
        let Admitted { chain, fields, admission } = self.admit_work(&entrant).await?;
        input.fields = fields.unwrap_or(input.fields);
        let first = chain.first();
        let facts = Facts {
            created_at: Some(self.clock.now()),
            attempts: 1,
            model: Some(first.resolved.name.clone()),
            why: Some(first.resolved.why.to_string()),
            dropped: first.dropped.clone(),
            allowance: admission.allowance,
            ..Facts::default()
        };
        let live = LiveTurn::new(Digest::of(""), facts);
        let now = self.clock.now();
        let attempt = AttemptId::new(self.random.uuid_v7(now));
        let (engine, watched) = (self.clone(), Arc::clone(&live));
        let work = Asking { engine, caller, input, chain, admission, attempt, began: now, live: watched };
        self.tasks.spawn(work.run(stream));
        Ok(live)
    }
}

impl Asking {
    async fn run(self, stream: bool) {
        let ending = Ending(Arc::clone(&self.live));
        self.live.begin(1);
        let now = self.engine.clock.now();
        let upstream = Upstream {
            chain: &self.chain,
            generation: &|candidate: &Candidate| Generation {
                model: candidate.resolved.model.clone(),
                fields: self.input.fields.clone(),
            },
            id: format!("chatcmpl-{}", self.attempt),
            stream,
            delivery: Delivery::AtLeastOnce,
            must_end_by: must_end_by(now, self.caller.deadline),
            live: &self.live,
        };
        let input_text = self.input.fields.get("messages").map_or("", |messages| messages.get());
        let result = read_upstream(&self.engine, upstream).await;
        let charged = match &result {
            Ok(answered) => Some((answered.completion.usage, &answered.resolved, answered.effort)),
            Err(broken) if broken.partial.is_empty() => None,
            Err(broken) => Some((Usage::estimate(input_text, &broken.partial), &broken.resolved, broken.effort)),
        };
        let spent = charged.map_or_else(Spent::default, |(usage, resolved, _)| Spent::of(&usage, resolved));
        self.engine.leave(&self.admission, spent).await;
        let kept = result.as_ref().is_ok_and(|answered| self.input.takes(&answered.completion));
        if let Some((usage, resolved, effort)) = charged {
            let phase = if kept { Phase::kept(usage.source) } else { Phase::Wasted };
            let Self { caller, attempt, input, .. } = &self;
            let (work, origin, task) = (Work::Answer, Origin::Provider, input.task.as_ref());
            let charge = Charge { caller, attempt, task, work, origin, resolved, usage, phase, effort };
            self.engine.record(&charge).await;
        }
        let outcome = match result {
            Ok(answered) if kept => Outcome::Committed(Arc::new(self.answer(answered))),
            Ok(_) => Outcome::Failed(Arc::new(without_text(self.caller.request_id.clone()))),
            Err(broken) => {
                let failure = failure(broken, Delivery::AtLeastOnce, self.caller.request_id.clone());
                Outcome::Failed(Arc::new(failure))
            }
        };
        self.live.end(outcome);
        drop(ending);
    }

    fn answer(&self, answered: Answered) -> Answer {
        let Answered { completion, resolved, .. } = answered;
        Answer {
            number: None,
            model: resolved.name.clone(),
            echo: self.input.echo.clone(),
            inputs: 0,
            created_at: self.began,
            output: completion.body,
            response_hash: completion.digest,
            usage: completion.usage,
            cost: resolved.price().map(|price| price.cost(&completion.usage)),
            completed_at: self.engine.clock.now(),
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
        is_spent: false,
        asked: None,
        request_id: String::new(),
        partial: String::new(),
    }
}
