//! The end of a turn: T2 for an answer, T2f for a failure.

use std::sync::Arc;

use serde_json::value::RawValue;
use turnwise_core::category::Category;
use turnwise_core::ledger::{Counts, LedgerLine, Origin, Phase, Work};
use turnwise_core::limits::{MAX_ATTEMPTS, MAX_PACKED_BYTES, MAX_PARTIAL_BYTES};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Asked, Commit, Delivery, Failure, Outcome as Fate, State, Turn, after_failure};
use turnwise_core::upstream::GiveUp;
use turnwise_core::usage::Usage;
use turnwise_providers::Resolved;
use turnwise_store::{CommitTurn, Committed, CommittedTurn, Content, Entry, Error, FailTurn, RecordLedger};

use super::claim::may_call_again;
use super::produce::{Made, Producer, Shown};
use super::refused::without_text;
use super::request::Answer;
use crate::admission::Spent;
use crate::ledger::Charge;
use crate::live::Outcome;
use crate::upstream::{Answered, Broken, Effort, Stop};

/// The code of a failure that leaves open whether the provider answered.
const OUTCOME_UNKNOWN: &str = "outcome_unknown";

/// What its message adds.
const UNKNOWN: &str = "Whether the provider answered is not known, and it must not be asked twice: use a new key to \
                       ask again.";

/// What an attempt took.
#[derive(Clone, Copy)]
struct Taken<'a> {
    /// Tokens; `None` where nothing came of it, as far as anybody knows.
    usage: Option<Usage>,
    /// Who was asked.
    resolved: &'a Resolved,
    effort: Effort,
}

impl<'a> Taken<'a> {
    fn by(answered: &'a Answered, usage: Usage) -> Self {
        Self { usage: Some(usage), resolved: &answered.resolved, effort: answered.effort }
    }

    /// Nobody was asked.
    fn nothing(first: &'a Resolved) -> Self {
        Self { usage: None, resolved: first, effort: Effort::default() }
    }
}

impl Producer {
    /// Writes the end of the turn, and says how it ended.
    pub(super) async fn settle(&self, made: Made, shown: &Shown) -> Outcome {
        match made {
            Made::Answer(answered) if !self.input.takes(&answered.completion) => {
                let failure = without_text(self.caller.request_id.clone());
                self.fail(failure, Taken::by(&answered, answered.completion.usage), shown).await
            }
            Made::Answer(answered) => self.commit(answered, shown).await,
            Made::Broken(Broken { stop: Stop::LockLost, partial, resolved, effort, .. }) => {
                let taken = Taken { usage: Some(self.estimate(&partial)), resolved: &resolved, effort };
                self.record_waste(&taken).await;
                Outcome::Superseded
            }
            Made::Broken(broken) => {
                let resolved = broken.resolved.clone();
                let taken = Taken { usage: self.usage_of(&broken), resolved: &resolved, effort: broken.effort };
                let failure = self.failure(broken);
                self.fail(failure, taken, shown).await
            }
            Made::Refused(failure) => self.fail(failure, Taken::nothing(self.first()), shown).await,
            Made::Unknown(partial) => self.fail(self.unknown(partial), Taken::nothing(self.first()), shown).await,
        }
    }

    /// What the attempt's line in the ledger will say, as far as it goes.
    pub(super) fn spent(&self, made: &Made) -> Spent {
        match made {
            Made::Answer(answered) => Spent::of(&answered.completion.usage, &answered.resolved),
            Made::Broken(broken) => {
                self.usage_of(broken).map_or_else(Spent::default, |usage| Spent::of(&usage, &broken.resolved))
            }
            Made::Refused(_) | Made::Unknown(_) => Spent::default(),
        }
    }

    /// What an answer that broke off took: nothing where nothing came of it, as far as
    /// anybody knows. Who lost the lock was answered to, if not heard.
    fn usage_of(&self, broken: &Broken) -> Option<Usage> {
        let may_have_cost = !broken.partial.is_empty() || matches!(broken.stop, Stop::LockLost);
        may_have_cost.then(|| self.estimate(&broken.partial))
    }

    async fn commit(&self, answered: Answered, shown: &Shown) -> Outcome {
        let Answered { completion, resolved, effort } = answered;
        let taken = &Taken { usage: Some(completion.usage), resolved: &resolved, effort };
        let engine = &self.engine;
        let claim = &self.ready.claim;
        let now = engine.clock.now();
        let commit = Commit {
            number: claim.number,
            response_hash: completion.digest.clone(),
            model: resolved.name.clone(),
            usage: completion.usage,
            cost: resolved.price().map(|price| price.cost(&completion.usage)),
            completed_at: now,
        };
        let committed = self.committed(completion.body.clone(), now);
        let messages = match committed.pack() {
            Ok(messages) if messages.bytes() > MAX_PACKED_BYTES => {
                let failure = self.too_long(completion.text, &resolved);
                return self.fail(failure, *taken, shown).await;
            }
            Ok(messages) => messages,
            Err(error) => return self.not_committed(&error, completion.text),
        };

        let answer = answer(&commit, &committed, claim.created_at);
        let turn = self.ended(State::Completed(commit), shown);
        let counts = self.counts(messages.parts());
        let line = LedgerLine { counts, ..self.ledger_line(taken, Phase::kept(completion.usage.source)) };
        let log_end = shown.log_end(true);
        let shard = engine.random.shard();
        let written = engine
            .retry(|conflicts| {
                let (line, turn, messages, log_end) = (&line, &turn, &messages, log_end.as_ref());
                let shard = shard_after(shard, conflicts);
                async move {
                    let ledger = &RecordLedger { tenant: &claim.tenant, line, shard };
                    let user = &self.input.user;
                    engine.store.commit_turn(&CommitTurn { claim, turn, messages, ledger, log_end, user, now }).await
                }
            })
            .await;
        match written {
            Ok(Committed::Applied) => {
                if self.input.remembers {
                    engine.memory.commit(claim, Entry::Turn(committed));
                }
                Outcome::Committed(Arc::new(answer))
            }
            Ok(Committed::Superseded) => {
                self.record_waste(taken).await;
                Outcome::Superseded
            }
            Err(error) => self.not_committed(&error, completion.text),
        }
    }

    /// The turn as its conversation will hold it.
    fn committed(&self, output: Box<RawValue>, completed_at: Timestamp) -> CommittedTurn {
        let claim = &self.ready.claim;
        let (number, turn) = (claim.number, claim.key.turn.clone());
        let echo = self.input.echo.clone();
        let expires_at = self.engine.expires_at(completed_at, &self.caller.grant);
        CommittedTurn { number, turn, input: self.kept_input(), output, echo, completed_at, expires_at }
    }

    fn not_committed(&self, error: &Error, text: String) -> Outcome {
        tracing::error!(%error, turn.key = %self.ready.claim.key, "an answer could not be committed");
        Outcome::Unwritten(Arc::new(self.unwritten(text)))
    }

    async fn fail(&self, failure: Failure, taken: Taken<'_>, shown: &Shown) -> Outcome {
        let engine = &self.engine;
        let claim = &self.ready.claim;
        let now = engine.clock.now();
        let exhausted = failure.outcome == Fate::Retryable && claim.attempts >= MAX_ATTEMPTS;
        let stored = if exhausted { Failure { outcome: Fate::Final, ..failure.clone() } } else { failure.clone() };
        let from_queue = self.ready.turn.place.is_some();
        let due = after_failure(now, &failure, claim.attempts, engine.random.chance()).filter(|_| from_queue);
        let state = due.map_or_else(|| State::Failed(stored.clone()), |due| State::Queued { due });
        let turn = self.ended(state, shown);
        let phase = if taken.usage.is_some() { Phase::Wasted } else { Phase::Released };
        let line = self.ledger_line(&taken, phase);
        let log_end = shown.log_end(false);
        let shard = engine.random.shard();
        let written = engine
            .retry(|conflicts| {
                let (line, turn, log_end) = (&line, &turn, log_end.as_ref());
                let shard = shard_after(shard, conflicts);
                async move {
                    let ledger = &RecordLedger { tenant: &claim.tenant, line, shard };
                    engine.store.fail_turn(&FailTurn { claim, turn, ledger, log_end, now }).await
                }
            })
            .await;
        match written {
            Ok(Committed::Applied) if due.is_some() => {
                tracing::warn!(turn.key = %claim.key, failure.code = %failure.code, "a queued turn will be tried again");
                Outcome::Requeued
            }
            Ok(Committed::Applied) => Outcome::Failed(Arc::new(stored)),
            Ok(Committed::Superseded) => Outcome::Superseded,
            // The lease will lapse, and a retry go on: the last attempt has not ended.
            Err(error) => {
                tracing::error!(%error, turn.key = %claim.key, "a failure could not be stored");
                Outcome::Unwritten(Arc::new(failure))
            }
        }
    }

    /// What an answer cost that nobody gets. Best effort: the turn's own line is
    /// the winner's.
    async fn record_waste(&self, taken: &Taken<'_>) {
        let engine = &self.engine;
        let line = &self.ledger_line(taken, Phase::Wasted);
        let tenant = &self.ready.claim.tenant;
        let shard = engine.random.shard();
        let recorded = engine.retry(|conflicts| async move {
            let shard = shard_after(shard, conflicts);
            engine.store.record_ledger(&RecordLedger { tenant, line, shard }).await
        });
        if let Err(error) = recorded.await {
            tracing::error!(%error, turn.key = %self.ready.claim.key, "a wasted answer could not be recorded");
        }
    }

    fn ledger_line(&self, taken: &Taken<'_>, phase: Phase) -> LedgerLine {
        let claim = &self.ready.claim;
        let charge = Charge {
            caller: &self.caller,
            attempt: &claim.attempt,
            task: self.input.task.as_ref(),
            work: Work::Answer,
            origin: Origin::Provider,
            resolved: taken.resolved,
            usage: taken.usage.unwrap_or_else(|| Usage::estimate("", "")),
            phase,
            effort: taken.effort,
        };
        let line = self.engine.ledger_line(&charge);
        let (turn, project) = (Some(claim.key.to_string()), claim.project.clone());
        LedgerLine { turn, project, api_key: self.input.api_key.clone(), ..line }
    }

    /// What the turn adds to the day's counters, with so many messages and items.
    fn counts(&self, messages: u64) -> Counts {
        let claim = &self.ready.claim;
        let begins = claim.number == 1 && !claim.key.conversation.is_hidden();
        let remembered = self.ready.remembered;
        Counts { conversations: u64::from(begins), messages, remembered, ..Counts::default() }
    }

    fn ended(&self, state: State, shown: &Shown) -> Turn {
        // A turn from the queue that failed for good can be put back by hand.
        let from_queue = self.ready.turn.place.is_some();
        // What was asked belongs to a response, also to one that has no answer.
        let is_response = self.input.items.is_some() && !self.ready.claim.key.conversation.is_hidden();
        let keeps_input = match &state {
            State::Failed(failure) => match failure.outcome {
                Fate::Retryable => true,
                Fate::Final => from_queue || is_response,
                Fate::Cancelled | Fate::OutcomeUnknown => is_response,
            },
            State::Queued { .. } => true,
            State::Processing | State::Completed(_) => false,
        };
        let mut turn = self.ready.turn.clone();
        turn.updated_at = self.engine.clock.now();
        turn.input = turn.input.filter(|_| keeps_input);
        turn.streamed = shown.streamed;
        turn.state = state;
        turn
    }

    /// What came in with the turn; nothing for a stateless one.
    fn kept_input(&self) -> Content {
        if self.ready.claim.key.conversation.is_hidden() {
            return Content::Messages(turnwise_core::json::raw(&serde_json::json!([])));
        }
        if let Some(items) = &self.input.items {
            return Content::Items(items.clone());
        }
        let messages = self.input.fields.get("messages").filter(|_| self.input.remembers).cloned();
        Content::Messages(messages.unwrap_or_else(|| turnwise_core::json::raw(&serde_json::json!([]))))
    }

    fn estimate(&self, partial: &str) -> Usage {
        Usage::estimate(self.input.messages().get(), partial)
    }

    fn failure(&self, broken: Broken) -> Failure {
        let request_id = self.caller.request_id.clone();
        failure(broken, self.ready.claim.delivery, request_id)
    }

    fn unknown(&self, partial: String) -> Failure {
        Failure {
            outcome: Fate::OutcomeUnknown,
            category: Category::ApiError,
            code: OUTCOME_UNKNOWN.to_owned(),
            message: format!("An attempt at this turn died after it may have called the provider. {UNKNOWN}"),
            param: None,
            retry_after_ms: None,
            is_spent: false,
            asked: None,
            request_id: self.caller.request_id.clone(),
            partial: kept_partial(partial),
        }
    }

    fn too_long(&self, text: String, resolved: &Resolved) -> Failure {
        let resolved = resolved.clone();
        let effort = Effort { calls: 1, ..Effort::default() };
        self.failure(Broken { stop: Stop::TooLong, partial: text, resolved, effort, why: GiveUp::Final })
    }

    fn unwritten(&self, text: String) -> Failure {
        Failure {
            outcome: Fate::Retryable,
            category: Category::InternalError,
            code: "commit_failed".to_owned(),
            message: "The answer was made but could not be committed. Retry with the same key.".to_owned(),
            param: None,
            retry_after_ms: None,
            is_spent: false,
            asked: None,
            request_id: self.caller.request_id.clone(),
            partial: kept_partial(text),
        }
    }
}

/// The answer as routes render it.
pub(super) fn answer(commit: &Commit, turn: &CommittedTurn, created_at: Timestamp) -> Answer {
    Answer {
        number: Some(commit.number),
        model: commit.model.clone(),
        inputs: turn.input.items().len(),
        echo: turn.echo.clone(),
        created_at,
        output: turn.output.clone(),
        response_hash: commit.response_hash.clone(),
        usage: commit.usage,
        cost: commit.cost,
        completed_at: commit.completed_at,
    }
}

/// The failure that an answer broken off amounts to.
pub(crate) fn failure(broken: Broken, delivery: Delivery, request_id: String) -> Failure {
    let Broken { stop, partial, resolved, effort, why } = broken;
    let calls = effort.calls;
    let maybe_called = stop.may_have_run();
    let (category, code, retryable) = stop.kind();
    let code = code.to_owned();
    let (param, pause, detail) = match &stop {
        Stop::Provider(error) => {
            // The upstream's own words about a refused request, for the client alone.
            let detail = error.detail.as_ref().map(|detail| format!(" It says: {}", detail.expose()));
            (error.param.as_deref().map(str::to_owned), error.retry_after, detail.unwrap_or_default())
        }
        Stop::Silence(_)
        | Stop::TooSlow(_)
        | Stop::TimeUp
        | Stop::TooLong
        | Stop::Forbidden(_)
        | Stop::HandedOver
        | Stop::LockLost => (None, None, String::new()),
    };
    let wait = match why {
        GiveUp::NoTime { wait } => Some(wait),
        GiveUp::Final | GiveUp::Spent => pause,
    };
    let retry_after_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let times = if calls > 1 { format!(" {calls} calls were made.") } else { String::new() };
    let message = format!("{stop}{detail}{times}");
    let is_spent = calls > 1 && why == GiveUp::Spent;
    let outcome = match (retryable, may_call_again(delivery, maybe_called)) {
        (true, true) => Fate::Retryable,
        (true, false) => Fate::OutcomeUnknown,
        (false, _) => Fate::Final,
    };
    // Whatever came in the way: what it amounts to is the same for whoever asked.
    let (category, code, message) = match outcome {
        Fate::OutcomeUnknown => (Category::ApiError, OUTCOME_UNKNOWN.to_owned(), format!("{message} {UNKNOWN}")),
        Fate::Retryable | Fate::Final | Fate::Cancelled => (category, code, message),
    };
    let partial = kept_partial(partial);
    let asked = Some(Box::new(Asked { model: resolved.name, calls }));
    Failure { outcome, category, code, message, param, retry_after_ms, is_spent, asked, request_id, partial }
}

/// As much of a partial text as a failed turn keeps.
pub(super) fn kept_partial(mut partial: String) -> String {
    if partial.len() > MAX_PARTIAL_BYTES {
        let end = partial.floor_char_boundary(MAX_PARTIAL_BYTES);
        partial.truncate(end);
    }
    partial
}

/// Another shard after each conflict, the same one otherwise: a transaction sent
/// again must be the same to be recognised.
fn shard_after(shard: u8, conflicts: u32) -> u8 {
    shard.wrapping_add(u8::try_from(conflicts % 256).unwrap_or(0))
}
