//! Work that is no turn and is to be done once: a webhook's delivery, a report's
//! sending, the ingestion of a document.
//!
//! The same states as a turn's, without a conversation: whoever writes the record
//! first does the work under a lease, everybody else waits for, or gets, its result,
//! until the record expires.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::id::AttemptId;
use crate::limits::CLOCK_SKEW;
use crate::time::Timestamp;

/// The record of one piece of work.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Digest of what the work was given.
    pub input_hash: Digest,
    /// Grows with each attempt; every later write of the attempt names it.
    pub epoch: u64,
    /// The newest attempt, which knows its own record by it.
    pub attempt: AttemptId,
    /// Where it stands.
    pub state: ExecutionState,
    /// From when on it is as if the record were not there.
    pub expires_at: Timestamp,
}

/// Where a piece of work stands.
#[derive(Debug, Clone)]
pub enum ExecutionState {
    /// Somebody is, or was when they died, at work.
    Processing {
        /// Until when, unless renewed.
        lease_until: Timestamp,
    },
    /// It is done; this is its result, JSON.
    Completed(Box<RawValue>),
    /// It failed.
    Failed(WorkFailure),
}

/// Why work failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct WorkFailure {
    /// What failed, for which input.
    pub message: String,
    /// Whether the same call does the work again; otherwise the failure is its result.
    pub retryable: bool,
}

/// What a call is to do.
#[derive(Debug, Clone)]
pub enum Undertaking {
    /// Do the work, as this epoch.
    Run {
        /// The epoch of the record it takes the place of; `None` if there is none.
        seen_epoch: Option<u64>,
        /// The epoch this attempt takes.
        epoch: u64,
    },
    /// Somebody is at work.
    InProgress,
    /// Give the result.
    Done(Box<RawValue>),
    /// Give the failure.
    Failed(WorkFailure),
    /// The key belongs to other work.
    KeyReused,
}

impl Execution {
    /// Whether the record counts no longer. The table deletes it some time later.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

/// Decides what a call for work with `input_hash` is to do.
#[must_use]
pub fn undertake(now: Timestamp, record: Option<&Execution>, input_hash: &Digest) -> Undertaking {
    let Some(record) = record else { return Undertaking::Run { seen_epoch: None, epoch: 1 } };
    let run = Undertaking::Run { seen_epoch: Some(record.epoch), epoch: record.epoch + 1 };
    if record.has_expired(now) {
        return run;
    }
    if record.input_hash != *input_hash {
        return Undertaking::KeyReused;
    }
    match &record.state {
        ExecutionState::Processing { lease_until } if *lease_until < now - CLOCK_SKEW => run,
        ExecutionState::Processing { .. } => Undertaking::InProgress,
        ExecutionState::Completed(result) => Undertaking::Done(result.clone()),
        ExecutionState::Failed(failure) if failure.retryable => run,
        ExecutionState::Failed(failure) => Undertaking::Failed(failure.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn check(state: ExecutionState, expires_at: Timestamp, input: &str, expected: &str) {
        let attempt = AttemptId::new(uuid::Uuid::nil());
        let record = Execution { input_hash: Digest::of("input"), epoch: 4, attempt, state, expires_at };
        let got = match undertake(NOW, Some(&record), &Digest::of(input)) {
            Undertaking::Run { seen_epoch, epoch } => format!("run {seen_epoch:?} {epoch}"),
            Undertaking::InProgress => "in progress".to_owned(),
            Undertaking::Done(result) => format!("done {result}"),
            Undertaking::Failed(failure) => format!("failed {failure}"),
            Undertaking::KeyReused => "key reused".to_owned(),
        };
        assert_eq!(got, expected);
    }

    fn processing(lease_until: Timestamp) -> ExecutionState {
        ExecutionState::Processing { lease_until }
    }

    fn failed(retryable: bool) -> ExecutionState {
        ExecutionState::Failed(WorkFailure { message: "no route".to_owned(), retryable })
    }

    #[test]
    fn work_is_done_by_the_first_and_again_only_where_it_may() {
        let later = NOW + Duration::from_millis(1);
        let done = || ExecutionState::Completed(RawValue::from_string("7".to_owned()).unwrap());
        assert!(matches!(undertake(NOW, None, &Digest::of("input")), Undertaking::Run { seen_epoch: None, epoch: 1 }));
        check(processing(NOW - CLOCK_SKEW), later, "input", "in progress");
        check(processing(NOW - CLOCK_SKEW - Duration::from_millis(1)), later, "input", "run Some(4) 5");
        check(done(), later, "input", "done 7");
        check(failed(true), later, "input", "run Some(4) 5");
        check(failed(false), later, "input", "failed no route");
        for state in [processing(NOW), done(), failed(true)] {
            check(state, later, "other", "key reused");
        }
    }

    #[test]
    fn an_expired_record_is_as_if_it_were_not_there() {
        let done = || ExecutionState::Completed(RawValue::from_string("7".to_owned()).unwrap());
        check(done(), NOW, "other", "run Some(4) 5");
        check(done(), NOW + Duration::from_millis(1), "input", "done 7");
    }
}
