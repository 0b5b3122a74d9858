//! What the queue says is due: the next turn of a conversation's queue, a turn whose
//! attempt died, or an erasure that was interrupted.
//!
//! A message is a hint and nothing more. What it leads to is decided from the rows, so
//! one that comes twice, late, out of order or not at all changes only when something
//! happens: whoever ends a turn sends a hint for the next, and `sweep` sends hints for
//! due rows that have none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use turnwise_core::category::Severity;
use turnwise_core::id::{ConversationId, Tenant, TurnKey};
use turnwise_core::limits::MAX_CONFLICT_RETRIES;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Failure, Lineage, OnBusy, Outcome, Standing, State, Turn};
use turnwise_store::queue::{Message, Receiver};

use crate::engine::Engine;
use crate::error::Error;
use crate::turn::{Caller, Forbidden, Input, TurnRequest};

/// Turns that one process runs from its queue at once.
const MAX_AT_ONCE: usize = 64;

impl Engine {
    /// Does what `receiver` says is due, until the queue or the process ends. For a
    /// process with a queue of its own; in the cloud the worker function is this loop.
    pub async fn work(&self, receiver: &Receiver) {
        let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
        while let Some(sent) = receiver.receive().await {
            let (engine, places) = (self.clone(), Arc::clone(&places));
            self.tasks.spawn(async move {
                let due = async {
                    engine.clock.sleep(sent.delay).await;
                    places.acquire().await
                };
                tokio::select! {
                    // The rows stay due, for the next process.
                    () = engine.tasks.stopping() => {}
                    place = due => {
                        if let Err(error) = engine.handle(&sent.message, None).await {
                            tracing::warn!(%error, "due work failed; the next sweep finds it again");
                        }
                        drop(place);
                    }
                }
            });
        }
    }

    /// Does what a message says is due. Idempotent: a message that comes twice finds
    /// the work done, or at work.
    ///
    /// # Errors
    /// When the store does not answer; the message must come back.
    pub async fn handle(&self, message: &Message, deadline: Option<Timestamp>) -> Result<(), Error> {
        match message {
            // Boxed: a turn is much more than what else may be due.
            Message::Turn { tenant, key } => Box::pin(self.due(tenant, key, deadline)).await,
            Message::Erase { tenant, conversation } => self.finish_erasure(tenant, conversation).await,
        }
    }

    async fn due(&self, tenant: &Tenant, key: &TurnKey, deadline: Option<Timestamp>) -> Result<(), Error> {
        let Some(turn) = self.retry(|_| self.store.turn(tenant, key)).await? else { return Ok(()) };
        match turn.state {
            State::Queued { .. } => Box::pin(self.run_head(tenant, &key.conversation, deadline)).await,
            State::Processing => self.finish_lost(tenant, turn, deadline).await,
            // A client's own turn is its client's to try again.
            State::Completed(_) | State::Failed(_) => Ok(()),
        }
    }

    /// Runs the next turn of a conversation's queue, unless the conversation is at
    /// work: then whoever ends that turn sends the next hint.
    async fn run_head(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        deadline: Option<Timestamp>,
    ) -> Result<(), Error> {
        for _ in 0..=MAX_CONFLICT_RETRIES {
            // The conversation first: an attempt that ends after this, and puts its turn
            // back in front of the head that is found, has raised the fence before.
            let found = self.retry(|_| self.store.conversation(tenant, conversation)).await?;
            let Some(found) = found else { return Ok(()) };
            let now = self.clock.now();
            if let Some(holder) = found.holder {
                if !holder.has_lapsed(now) {
                    return Ok(());
                }
                // The queue keeps its order: what a dead attempt left comes first.
                let left = TurnKey { conversation: conversation.clone(), turn: holder.turn };
                let left = self.retry(|_| self.store.turn(tenant, &left)).await?;
                if let Some(left) = left.filter(|left| matches!(left.state, State::Processing)) {
                    return self.finish_lost(tenant, left, deadline).await;
                }
                continue;
            }
            let Some(head) = self.retry(|_| self.store.queue_head(tenant, conversation)).await? else { return Ok(()) };
            let key = TurnKey { conversation: conversation.clone(), turn: head.turn };
            let Some(turn) = self.retry(|_| self.store.turn(tenant, &key)).await? else { continue };
            let State::Queued { due } = turn.state else { continue };
            if due > now {
                self.hint(tenant, &key, due.since(now)).await;
                return Ok(());
            }
            return self.run_stored(tenant, &turn, Standing::Head { fence: found.fence }, deadline).await;
        }
        Ok(())
    }

    /// Brings a turn to its end whose attempt died: rolls it forward, repeats it or
    /// gives it up, as its delivery says. One that is at work is left alone.
    async fn finish_lost(&self, tenant: &Tenant, turn: Turn, deadline: Option<Timestamp>) -> Result<(), Error> {
        let conversation = self.retry(|_| self.store.conversation(tenant, &turn.key.conversation)).await?;
        let held = conversation.is_some_and(|conversation| conversation.is_held(self.clock.now()));
        if held || self.hub.running(tenant, &turn.key).is_some() {
            return Ok(());
        }
        if turn.input.is_none() {
            return self.abandon(tenant, &turn).await;
        }
        self.run_stored(tenant, &turn, Standing::Behind, deadline).await
    }

    /// Runs a turn from its stored input.
    async fn run_stored(
        &self,
        tenant: &Tenant,
        turn: &Turn,
        standing: Standing,
        deadline: Option<Timestamp>,
    ) -> Result<(), Error> {
        let stored = turn.input.as_ref().map(|input| Input::read(input));
        let input = match stored {
            Some(Ok(input)) => input,
            Some(Err(error)) => {
                tracing::error!(%error, turn.key = %turn.key, "a stored input cannot be read");
                return self.abandon(tenant, turn).await;
            }
            None => return self.abandon(tenant, turn).await,
        };
        let grant = self.grant(tenant, &input.api_key).await?;
        let caller = Caller {
            tenant: tenant.clone(),
            user: input.user.clone(),
            api_key: input.api_key.clone(),
            grant: grant.clone().unwrap_or_default(),
            request_id: format!("worker-{}", turn.attempt),
            deadline,
        };
        if grant.is_none() {
            tracing::warn!(turn.key = %turn.key, key.id = %caller.api_key, "a due turn's key is not accepted any more");
            return self.forbid_turn(&caller, &turn.key, Forbidden::Key).await;
        }
        let request = TurnRequest {
            caller,
            key: turn.key.clone(),
            input_hash: turn.input_hash.clone(),
            number: None,
            delivery: turn.delivery,
            on_busy: OnBusy::Reject,
            wait: Duration::ZERO,
            project: None,
            input,
            background: false,
            standing,
            lineage: Lineage::default(),
        };
        let caller = request.caller.clone();
        match self.answer(request).await {
            Ok(_) => Ok(()),
            // It is at work: whoever does it will end it, or its lease will.
            Err(Error::ConversationBusy { .. } | Error::StillRunning { .. } | Error::ConversationErased) => Ok(()),
            Err(Error::Failed { failure, .. }) => {
                log_failure(turn, &failure);
                Ok(())
            }
            Err(Error::ModelNotAllowed { .. }) => self.forbid_turn(&caller, &turn.key, Forbidden::Model).await,
            // The model has gone since the turn was accepted.
            Err(Error::Model(unknown)) => {
                tracing::error!(turn.key = %turn.key, %unknown, "a due turn asks for a model that nobody serves");
                self.abandon(tenant, turn).await
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a turn that nobody can run: its input was too large to keep, or cannot be
    /// read. Its client, who has the input, runs it again with the same key.
    async fn abandon(&self, tenant: &Tenant, turn: &Turn) -> Result<(), Error> {
        let caller = Caller {
            tenant: tenant.clone(),
            user: String::new(),
            api_key: String::new(),
            grant: Arc::default(),
            request_id: format!("worker-{}", turn.attempt),
            deadline: None,
        };
        self.abandon_turn(&caller, &turn.key).await
    }

    /// Sends a hint that the turn `key`, or its queue, is due after `delay`. One that
    /// cannot be sent is no loss: the row stays due, and the sweep finds it.
    pub(crate) async fn hint(&self, tenant: &Tenant, key: &TurnKey, delay: Duration) {
        let message = Message::Turn { tenant: tenant.clone(), key: key.clone() };
        if let Err(error) = self.queue.send(&message, delay).await {
            tracing::warn!(%error, turn.key = %key, "a hint was not sent; the sweep will find the turn");
        }
    }

    /// Sends a hint for the next turn of a conversation's queue, if there is one.
    pub(crate) async fn wake_queue(&self, tenant: &Tenant, conversation: &ConversationId) {
        match self.retry(|_| self.store.queue_head(tenant, conversation)).await {
            Ok(None) => {}
            Ok(Some(head)) => {
                let key = TurnKey { conversation: conversation.clone(), turn: head.turn };
                self.hint(tenant, &key, Duration::ZERO).await;
            }
            Err(error) => tracing::warn!(%error, "a queue was not looked at; the sweep will"),
        }
    }
}

/// The log's line for a turn that no client waits for: what the line of a request says of one
/// that somebody waits for.
fn log_failure(turn: &Turn, failure: &Failure) {
    let severity = failure.category.profile_of(&failure.code).severity;
    let asked = failure.asked.as_ref();
    crate::log_by_severity!(
        severity,
        request.id = failure.request_id,
        turn.key = %turn.key,
        error.category = %failure.category,
        error.code = failure.code,
        error.severity = %severity,
        error.retryable = failure.outcome == Outcome::Retryable,
        alarm = (severity == Severity::Critical).then_some(true),
        model.name = asked.map(|asked| asked.model.as_str()),
        upstream.calls = asked.map(|asked| asked.calls),
        "a due turn failed"
    );
}
