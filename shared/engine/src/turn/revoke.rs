//! Turns cancelled by their owners and interrupted by the next.

use turnwise_core::category::Category;
use turnwise_core::fold::Fold;
use turnwise_core::id::{Tenant, TurnKey};
use turnwise_core::limits::{BUSY_RETRY_AFTER, MAX_CONFLICT_RETRIES};
use turnwise_core::turn::{Failure, Outcome, Revoke, State, Turn, revoke};
use turnwise_store::{RevokeTurn, Revoked};

use super::claim::may_call_again;
use super::request::{Caller, Input, TurnRequest};
use super::settle::kept_partial;
use crate::engine::Engine;
use crate::error::Error;

/// Why a turn is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its owner cancelled it.
    Cancelled,
    /// Another message of its conversation interrupted it.
    Interrupted,
    /// Its attempt died, and its input is not there to run it again.
    Abandoned,
    /// The key that asked for it may not ask for it any more.
    Forbidden(Forbidden),
}

/// What a key has lost since it asked for a turn of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// Itself: it was revoked, or has expired.
    Key,
    /// The model.
    Model,
}

impl Engine {
    /// Cancels a turn that waits or runs, wherever it runs. When this returns, the turn
    /// has ended as cancelled, with what had arrived of its answer; nothing that its
    /// attempt still does can change that. Idempotent: a cancelled turn stays so.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TurnEnded`] when it has ended otherwise, and what
    /// the store may say.
    pub async fn cancel(&self, caller: &Caller, key: &TurnKey) -> Result<(), Error> {
        self.stop_turn(caller, key, Why::Cancelled).await
    }

    /// Stops the turn that has the conversation's lock, if one has it. The caller then
    /// tries for the lock like anybody else, and comes again if it is too late.
    pub(super) async fn interrupt(&self, request: &TurnRequest) -> Result<(), Error> {
        let (tenant, conversation) = (&request.caller.tenant, &request.key.conversation);
        let found = self.retry(|_| self.store.conversation(tenant, conversation)).await?;
        let Some(holder) = found.and_then(|found| found.holder) else { return Ok(()) };
        let running = TurnKey { conversation: conversation.clone(), turn: holder.turn };
        match self.stop_turn(&request.caller, &running, Why::Interrupted).await {
            // It ended by itself in the meantime: the lock is free all the same.
            Err(Error::TurnEnded { .. } | Error::NotFound { .. }) => Ok(()),
            result => result,
        }
    }

    /// Ends a turn of the queue whose key may not ask for it any more.
    pub(crate) async fn forbid_turn(&self, caller: &Caller, key: &TurnKey, why: Forbidden) -> Result<(), Error> {
        self.end_turn(caller, key, Why::Forbidden(why)).await
    }

    /// Ends a turn that only its client can run again.
    pub(crate) async fn abandon_turn(&self, caller: &Caller, key: &TurnKey) -> Result<(), Error> {
        self.end_turn(caller, key, Why::Abandoned).await
    }

    async fn end_turn(&self, caller: &Caller, key: &TurnKey, why: Why) -> Result<(), Error> {
        match self.stop_turn(caller, key, why).await {
            // Somebody else ended it.
            Err(Error::TurnEnded { .. } | Error::NotFound { .. }) => Ok(()),
            result => result,
        }
    }

    async fn stop_turn(&self, caller: &Caller, key: &TurnKey, why: Why) -> Result<(), Error> {
        let tenant = &caller.tenant;
        for round in 0..=MAX_CONFLICT_RETRIES {
            let (conversation, turn) = tokio::try_join!(
                self.retry(|_| self.store.conversation(tenant, &key.conversation)),
                self.retry(|_| self.store.turn(tenant, key)),
            )?;
            let turn = turn.ok_or_else(|| Error::NotFound { what: "turn", name: key.to_string() })?;
            let decided = revoke(conversation.as_ref(), &turn);
            match decided {
                Revoke::Cancelled => return Ok(()),
                Revoke::Ended => return Err(Error::TurnEnded { key: key.to_string(), state: turn.state.name() }),
                Revoke::Withdraw { .. } | Revoke::Stop { .. } | Revoke::End { .. } => {}
            }
            let partial = self.partial_text(tenant, &turn).await;
            let failed = self.stopped(turn, why, partial, &caller.request_id);
            let now = self.clock.now();
            match self.store.revoke_turn(&RevokeTurn { tenant, turn: &failed, revoke: decided, now }).await {
                Ok(Revoked::Applied) => {
                    if let Some(live) = self.hub.running(tenant, key) {
                        live.lose_lock();
                    }
                    // Who interrupts goes ahead of the queue, and wakes it at its own end.
                    if why != Why::Interrupted {
                        self.wake_queue(tenant, &key.conversation).await;
                    }
                    return Ok(());
                }
                // It has moved on, or the reply to our own write was lost: the rows tell.
                Ok(Revoked::Changed) => self.pause(round).await,
                Err(error) if error.is_transient() => {
                    tracing::debug!(%error, turn.key = %key, "a revocation without a clear answer; looking again");
                    self.pause(round).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::ConversationBusy { retry_after: BUSY_RETRY_AFTER })
    }

    /// What has arrived of a running turn's answer: from this process, or from its
    /// stream log. None of it is lost money; it is only shown.
    async fn partial_text(&self, tenant: &Tenant, turn: &Turn) -> String {
        if let Some(live) = self.hub.running(tenant, &turn.key) {
            return Fold::of(&live.events(0)).text().to_owned();
        }
        if !matches!(turn.state, State::Processing) {
            return String::new();
        }
        match self.store.read_events(tenant, &turn.key, turn.epoch, 0).await {
            Ok(page) => Fold::of(&page.events).text().to_owned(),
            Err(error) => {
                tracing::warn!(%error, turn.key = %turn.key, "a stopped turn's stream log cannot be read");
                String::new()
            }
        }
    }

    fn stopped(&self, turn: Turn, why: Why, partial: String, request_id: &str) -> Turn {
        let (outcome, category, code, message) = match why {
            Why::Cancelled => (Outcome::Cancelled, Category::ValidationError, "cancelled", "The turn was cancelled."),
            Why::Interrupted => {
                let message = "Another message of the conversation interrupted this turn.";
                (Outcome::Cancelled, Category::ValidationError, "interrupted", message)
            }
            Why::Forbidden(Forbidden::Key) => {
                let message = "The key that asked for this turn was revoked or has expired since.";
                (Outcome::Final, Category::AuthorizationError, "key_not_active", message)
            }
            Why::Forbidden(Forbidden::Model) => {
                let message = "The key that asked for this turn may not ask its model any more.";
                (Outcome::Final, Category::AuthorizationError, "model_not_allowed", message)
            }
            Why::Abandoned => {
                let message = "The turn broke off, and its input was not kept: send it again with the same key.";
                let maybe_called = matches!(turn.state, State::Processing);
                let outcome = match may_call_again(turn.delivery, maybe_called) {
                    true => Outcome::Retryable,
                    false => Outcome::OutcomeUnknown,
                };
                (outcome, Category::InternalError, "broken_off", message)
            }
        };
        let failure = Failure {
            outcome,
            category,
            code: code.to_owned(),
            message: message.to_owned(),
            param: None,
            retry_after_ms: None,
            is_spent: false,
            asked: None,
            request_id: request_id.to_owned(),
            partial: kept_partial(partial),
        };
        // What was asked belongs to a response, also to one that has no answer.
        let is_response = |input: &Input| input.items.is_some() && !turn.key.conversation.is_hidden();
        let input = turn.input.clone().filter(|input| Input::read(input).is_ok_and(|input| is_response(&input)));
        Turn { updated_at: self.clock.now(), input, state: State::Failed(failure), ..turn }
    }
}
