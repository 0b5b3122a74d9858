//! Work that is no turn, done once: by the first of all calls with its key, under a
//! lease, with its result kept for the others until it expires.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use turnwise_core::digest::Digest;
use turnwise_core::execution::{Execution, ExecutionState, Undertaking, WorkFailure, undertake};
use turnwise_core::id::{AttemptId, ExecutionKey, Tenant};
use turnwise_core::limits::{BUSY_RETRY_AFTER, HEARTBEAT, LEASE, MAX_CONFLICT_RETRIES};
use turnwise_store::{BeginExecution, ExecutionBegun, ExecutionId};

use crate::engine::Engine;
use crate::error::Error;

/// Which work, and on what.
#[derive(Debug, Clone)]
pub struct Work {
    /// Whose.
    pub tenant: Tenant,
    /// The kind of work: `webhook`, `report`.
    pub scope: &'static str,
    /// Its key.
    pub key: ExecutionKey,
    /// Digest of what it is given: the same key with another input is refused.
    pub input_hash: Digest,
    /// How long its result is kept, from its beginning.
    pub ttl: Duration,
}

impl Work {
    fn id(&self) -> ExecutionId<'_> {
        ExecutionId { tenant: &self.tenant, scope: self.scope, key: &self.key }
    }
}

/// A result, and whether this call found it rather than made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed<T> {
    /// The result.
    pub value: T,
    /// Whether it was there already.
    pub replayed: bool,
}

impl Engine {
    /// Does `work` by running `run`, unless it is done: then gives its result. A process
    /// that dies at it leaves it to the next call after its lease; so `run` may begin
    /// twice, and its effects outside should themselves be idempotent by the same key.
    ///
    /// # Errors
    /// [`Error::KeyReused`], [`Error::WorkInProgress`], [`Error::WorkFailed`] with the
    /// failure of `run`, now or before, and what the store may say.
    pub async fn execute_once<T, F>(&self, work: &Work, run: impl FnOnce() -> F) -> Result<Executed<T>, Error>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, WorkFailure>>,
    {
        let mine = match self.undertake(work).await? {
            Undertaken::Mine(record) => record,
            Undertaken::Done(value) => return Ok(Executed { value, replayed: true }),
        };
        let result = self.keep_leased(work, &mine, run()).await?;
        let state = match &result {
            Ok(value) => ExecutionState::Completed(to_raw(work, value)?),
            Err(failure) => ExecutionState::Failed(failure.clone()),
        };
        let ended = Execution { state, ..mine.clone() };
        match self.retry(|_| self.store.update_execution(work.id(), &ended)).await? {
            ExecutionBegun::Begun => {}
            // Our own end, whose reply was lost.
            ExecutionBegun::Refused(Some(now)) if now.attempt == mine.attempt => {}
            // Another attempt has it: its result is the one that counts.
            ExecutionBegun::Refused(_) => return Err(in_progress(work)),
        }
        result.map(|value| Executed { value, replayed: false }).map_err(Error::WorkFailed)
    }

    /// The record of some work; `None` if it was never begun, or has expired.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn check_if_processed(&self, work: &Work) -> Result<Option<Execution>, Error> {
        let record = self.retry(|_| self.store.execution(work.id())).await?;
        Ok(record.filter(|record| !record.has_expired(self.clock.now())))
    }

    /// Ends work that is in progress as failed, for somebody who knows that nobody is at
    /// it any more; what its attempt still writes is refused. False if it is not in
    /// progress.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn mark_failed(&self, work: &Work, failure: WorkFailure) -> Result<bool, Error> {
        let Some(record) = self.check_if_processed(work).await? else { return Ok(false) };
        if !matches!(record.state, ExecutionState::Processing { .. }) {
            return Ok(false);
        }
        // Under a new epoch, so that the attempt's own end finds another's record.
        let seen_epoch = Some(record.epoch);
        let (epoch, attempt) = (record.epoch + 1, self.attempt());
        let failed = Execution { epoch, attempt, state: ExecutionState::Failed(failure), ..record };
        let begin = BeginExecution { id: work.id(), record: &failed, seen_epoch };
        match self.retry(|_| self.store.begin_execution(&begin)).await? {
            ExecutionBegun::Begun => Ok(true),
            ExecutionBegun::Refused(now) => Ok(now.is_some_and(|now| now.attempt == failed.attempt)),
        }
    }

    async fn undertake<T: DeserializeOwned>(&self, work: &Work) -> Result<Undertaken<T>, Error> {
        let mut record = self.retry(|_| self.store.execution(work.id())).await?;
        let attempt = self.attempt();
        for round in 0..=MAX_CONFLICT_RETRIES {
            let now = self.clock.now();
            match undertake(now, record.as_ref(), &work.input_hash) {
                Undertaking::Done(result) => {
                    let value = serde_json::from_str(result.get());
                    let value = value.map_err(|error| {
                        let message = format!("The stored result of {} cannot be read: {error}.", work.key);
                        Error::WorkFailed(WorkFailure { message, retryable: false })
                    })?;
                    return Ok(Undertaken::Done(value));
                }
                Undertaking::Failed(failure) => return Err(Error::WorkFailed(failure)),
                Undertaking::InProgress => return Err(in_progress(work)),
                Undertaking::KeyReused => return Err(Error::KeyReused),
                Undertaking::Run { seen_epoch, epoch } => {
                    let mine = Execution {
                        input_hash: work.input_hash.clone(),
                        epoch,
                        attempt: attempt.clone(),
                        state: ExecutionState::Processing { lease_until: now + LEASE },
                        expires_at: now + work.ttl,
                    };
                    let begin = BeginExecution { id: work.id(), record: &mine, seen_epoch };
                    match self.retry(|_| self.store.begin_execution(&begin)).await? {
                        ExecutionBegun::Begun => return Ok(Undertaken::Mine(mine)),
                        // Our own write, whose reply was lost.
                        ExecutionBegun::Refused(Some(found)) if found.attempt == attempt => {
                            return Ok(Undertaken::Mine(*found));
                        }
                        ExecutionBegun::Refused(found) => record = found.map(|found| *found),
                    }
                    self.pause(round).await;
                }
            }
        }
        Err(in_progress(work))
    }

    /// Runs `work` and renews its lease meanwhile.
    async fn keep_leased<R>(&self, work: &Work, mine: &Execution, run: impl Future<Output = R>) -> Result<R, Error> {
        let mut run = std::pin::pin!(run);
        loop {
            tokio::select! {
                biased;
                result = &mut run => return Ok(result),
                () = self.clock.sleep(HEARTBEAT) => {}
            }
            let lease_until = self.clock.now() + LEASE;
            let record = Execution { state: ExecutionState::Processing { lease_until }, ..mine.clone() };
            match self.store.update_execution(work.id(), &record).await {
                Ok(ExecutionBegun::Begun) => {}
                Ok(ExecutionBegun::Refused(_)) => return Err(in_progress(work)),
                // The lease outlives two lost renewals, and a late end is refused.
                Err(error) => {
                    tracing::warn!(%error, work.key = %work.key, "a lease was not renewed; it will be tried again")
                }
            }
        }
    }

    fn attempt(&self) -> AttemptId {
        AttemptId::new(self.random.uuid_v7(self.clock.now()))
    }
}

/// A result as its record holds it.
fn to_raw(work: &Work, value: &impl Serialize) -> Result<Box<RawValue>, Error> {
    serde_json::value::to_raw_value(value).map_err(|error| {
        let message = format!("The result of {} cannot be stored: {error}.", work.key);
        Error::WorkFailed(WorkFailure { message, retryable: false })
    })
}

/// What a call for work came to, short of an error.
enum Undertaken<T> {
    /// This call does it.
    Mine(Execution),
    /// It is done.
    Done(T),
}

fn in_progress(work: &Work) -> Error {
    Error::WorkInProgress { key: work.key.to_string(), retry_after: BUSY_RETRY_AFTER }
}
