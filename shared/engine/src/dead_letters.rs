//! Dead letters: turns of a queue that ended without an answer, listed and put back.

use serde_json::json;
use turnwise_core::audit::Action;
use turnwise_core::fault::Fault;
use turnwise_core::id::{AttemptId, TurnKey};
use turnwise_core::limits::MAX_CONFLICT_RETRIES;
use turnwise_core::turn::{State, Turn};
use turnwise_store::{DeadLetter, DeadLetterPage, ThreadPage};

use crate::engine::Engine;
use crate::error::Error;
use crate::turn::Caller;

/// Dead letters put back by one request: what fits well into a function's time.
const MAX_REDRIVEN: usize = 100;

/// What a redrive did.
#[derive(Debug, Default)]
pub struct Redriven {
    /// Turns that wait in their queues again.
    pub turns: Vec<TurnKey>,
    /// Turns that could not be put back: changed since, or erased.
    pub skipped: Vec<TurnKey>,
    /// Hints that had failed too often and are in the queue again.
    pub messages: usize,
    /// Whether there are more.
    pub more: bool,
}

impl Engine {
    /// Dead letters, oldest first, behind the cursor `after` of an earlier page.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an `after` that no page gave, and when the store does
    /// not answer.
    pub async fn dead_letters(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DeadLetterPage, Error> {
        if after.is_some_and(|after| !ThreadPage::is_cursor(after)) {
            let fault = Fault::new("after", "Expected the \"next\" of an earlier page.");
            return Err(Error::Invalid(fault.into()));
        }
        Ok(self.retry(|_| self.store.dead_letters(&caller.tenant, after, limit)).await?)
    }

    /// Puts dead letters back at the ends of their queues with all attempts before
    /// them: the turn `key`, or the oldest of all. Idempotent: a turn that waits again
    /// is no dead letter.
    ///
    /// # Errors
    /// When the store does not answer; what was put back stays so.
    pub async fn redrive(&self, caller: &Caller, key: Option<&TurnKey>) -> Result<Redriven, Error> {
        let mut done = Redriven { messages: self.queue.redrive().await.map_err(Error::Queue)?, ..Redriven::default() };
        let mut after: Option<String> = None;
        loop {
            let page = self.retry(|_| self.store.dead_letters(&caller.tenant, after.as_deref(), MAX_REDRIVEN)).await?;
            for letter in page.letters.iter().filter(|letter| key.is_none_or(|key| *key == letter.key)) {
                if done.turns.len() + done.skipped.len() >= MAX_REDRIVEN {
                    done.more = true;
                    return Ok(done);
                }
                match self.put_back(caller, letter).await? {
                    true => done.turns.push(letter.key.clone()),
                    false => done.skipped.push(letter.key.clone()),
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(done);
            }
        }
    }

    async fn put_back(&self, caller: &Caller, letter: &DeadLetter) -> Result<bool, Error> {
        let tenant = &caller.tenant;
        let now = self.clock.now();
        let attempt = AttemptId::new(self.random.uuid_v7(now));
        let entry = self.audit_entry(caller, Action::DeadLetterRedrive, letter.key.to_string());
        for round in 0..=MAX_CONFLICT_RETRIES {
            let (conversation, turn) = tokio::try_join!(
                self.retry(|_| self.store.conversation(tenant, &letter.key.conversation)),
                self.retry(|_| self.store.turn(tenant, &letter.key)),
            )?;
            let (Some(conversation), Some(turn)) = (conversation, turn) else { return Ok(false) };
            if turn.attempt == attempt {
                self.hint(tenant, &letter.key, std::time::Duration::ZERO).await;
                return Ok(true);
            }
            if conversation.erased || turn.input.is_none() || !matches!(turn.state, State::Failed(_)) {
                return Ok(false);
            }
            let turn_status = turn.state.name();
            let back = Turn {
                attempt: attempt.clone(),
                attempts: 0,
                updated_at: now,
                place: Some(conversation.queue_tail + 1),
                state: State::Queued { due: now },
                ..turn
            };
            let before = json!({ "status": turn_status, "code": letter.code, "failed_at": letter.failed_at });
            let after = json!({ "status": back.state.name(), "attempt": back.attempt, "place": back.place });
            let audit = entry.clone().changed(Some(&before), Some(&after)).detail("code", letter.code.as_str());
            let put = self.retry(|_| self.store.redrive_turn(letter, &back, conversation.queue_tail, &audit)).await?;
            if put {
                self.hint(tenant, &letter.key, std::time::Duration::ZERO).await;
                return Ok(true);
            }
            self.pause(round).await;
        }
        Ok(false)
    }
}
