//! Turns whose attempts died: found, freed, finished.

use std::time::Duration;

use turnwise_core::id::{Tenant, TurnKey};
use turnwise_core::turn::{OnBusy, State};
use turnwise_store::queue::Message;

use crate::engine::Engine;
use crate::error::Error;
use crate::turn::{Caller, Input, TurnRequest};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// Nothing is left to do: the message can go.
    Done,
    /// The turn or its conversation is at work: the message must come back.
    NotYet,
}

impl Engine {
    /// Ends the leases of all running turns. Only for a process that knows it is
    /// alone with the table, as the local runner does while it holds the data
    /// folder's lock: then every owner written down is dead. How many were freed.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn free_dead_turns(&self) -> Result<usize, Error> {
        let mut freed = 0;
        for held in self.retry(|_| self.store.held_turns()).await? {
            let conversation = self.retry(|_| self.store.conversation(&held.tenant, &held.key.conversation)).await?;
            let Some(conversation) = conversation else { continue };
            freed += usize::from(self.retry(|_| self.store.lapse_lease(&held, conversation.fence)).await?);
        }
        Ok(freed)
    }

    /// Does what a message says is due. Idempotent by the turn's key: a message that
    /// comes twice finds the turn ended.
    ///
    /// # Errors
    /// When the store does not answer; the message must come back.
    pub async fn handle(&self, message: &Message, deadline: Option<Duration>) -> Result<Handled, Error> {
        match message {
            Message::Turn { tenant, key } => self.finish_turn(tenant, key, deadline).await,
        }
    }

    /// Runs a turn that has an input and no end, from its stored input.
    async fn finish_turn(&self, tenant: &Tenant, key: &TurnKey, deadline: Option<Duration>) -> Result<Handled, Error> {
        let Some(turn) = self.retry(|_| self.store.turn(tenant, key)).await? else { return Ok(Handled::Done) };
        if matches!(turn.state, State::Completed(_)) {
            return Ok(Handled::Done);
        }
        let Some(input) = turn.input.as_ref().and_then(|input| serde_json::from_str::<Input>(input.get()).ok()) else {
            // Ended for good, or too large to keep: only its client can run it again.
            return Ok(Handled::Done);
        };
        let caller = Caller {
            tenant: tenant.clone(),
            user: input.user.clone(),
            api_key: input.api_key.clone(),
            request_id: format!("worker-{}", turn.attempt),
            deadline: deadline.map(|left| self.clock.now() + left),
        };
        let request = TurnRequest {
            caller,
            key: key.clone(),
            input_hash: turn.input_hash.clone(),
            number: None,
            delivery: turn.delivery,
            on_busy: OnBusy::Reject,
            wait: Duration::ZERO,
            project: None,
            input,
            stream: false,
        };
        match self.answer(request).await {
            Ok(_) => Ok(Handled::Done),
            Err(Error::ConversationBusy { .. } | Error::StillRunning { .. }) => Ok(Handled::NotYet),
            Err(Error::Failed { failure, .. }) => {
                tracing::warn!(turn.key = %key, failure.code = %failure.code, "a due turn failed again");
                Ok(if failure.outcome == turnwise_core::turn::Outcome::Retryable {
                    Handled::NotYet
                } else {
                    Handled::Done
                })
            }
            Err(error) => Err(error),
        }
    }
}
