//! A conversation erased: ended in one write, then emptied row by row.
//!
//! Whoever is interrupted in between leaves the conversation in the index of those that
//! are half erased; the sweep finds it there, and the worker begins again. Every step
//! may be done twice.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use turnwise_core::id::{ConversationId, Tenant, TurnId, TurnKey};
use turnwise_core::limits::{CLOCK_SKEW, LEASE};
use turnwise_core::turn::{Turn, tombstone};
use turnwise_store::queue::Message;
use turnwise_store::{Overview, Remains};

use crate::engine::Engine;
use crate::error::Error;
use crate::turn::Caller;

/// Turns whose stream logs are looked for at once.
const LOGS_AT_ONCE: usize = 16;

impl Engine {
    /// Erases a conversation. When this returns, nothing that anybody said in it is left:
    /// its turns keep their keys, numbers and hashes. What runs in it is stopped. Goes on
    /// to its end even if it is dropped; one that was interrupted is taken up again.
    ///
    /// `what` is what the route calls it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not there, or was erased before, and what the store
    /// may say: then the sweep finishes what was begun.
    pub async fn erase(&self, caller: &Caller, what: &'static str, conversation: &ConversationId) -> Result<(), Error> {
        let (engine, caller, conversation) = (self.clone(), caller.clone(), conversation.clone());
        self.tasks.spawn(async move { engine.erase_now(&caller, what, &conversation).await }).await?
    }

    async fn erase_now(&self, caller: &Caller, what: &'static str, id: &ConversationId) -> Result<(), Error> {
        let tenant = &caller.tenant;
        let not_found = || Error::NotFound { what, name: id.to_string() };
        let found = self.retry(|_| self.store.overview(tenant, id)).await?.ok_or_else(not_found)?;
        if found.conversation.erased && !found.erasing {
            return Err(not_found());
        }
        if !found.conversation.erased {
            let now = self.clock.now();
            // `None` if somebody else has begun, or we have and the reply was lost: go on.
            let ended = self.retry(|_| self.store.begin_erasure(tenant, id, now)).await?;
            let holder = ended.unwrap_or_else(|| found.conversation.clone()).holder;
            if let Some(holder) = holder {
                self.stop(tenant, id, &holder.turn).await;
            }
        }
        self.empty(tenant, &found, &caller.request_id).await
    }

    /// Finishes an erasure that was interrupted. Idempotent: of one that has ended only
    /// what a stopped attempt has written since is removed.
    ///
    /// # Errors
    /// When the store does not answer; the message must come back.
    pub(crate) async fn finish_erasure(&self, tenant: &Tenant, conversation: &ConversationId) -> Result<(), Error> {
        let found = self.retry(|_| self.store.overview(tenant, conversation)).await?;
        match found.filter(|found| found.conversation.erased) {
            Some(found) => self.empty(tenant, &found, "worker").await,
            None => Ok(()),
        }
    }

    /// Stops the attempt that had the lock: in this process at once, in another with its
    /// next heartbeat. Until then that one may still write to its stream log, so the
    /// logs are looked for once more when it must have noticed.
    async fn stop(&self, tenant: &Tenant, conversation: &ConversationId, turn: &TurnId) {
        let key = TurnKey { conversation: conversation.clone(), turn: turn.clone() };
        if let Some(live) = self.hub.running(tenant, &key) {
            live.lose_lock();
        }
        self.hint_erasure(tenant, conversation, LEASE + CLOCK_SKEW).await;
    }

    /// Sends a hint that a conversation is half erased. One that cannot be sent is no
    /// loss: the sweep finds the conversation.
    pub(crate) async fn hint_erasure(&self, tenant: &Tenant, conversation: &ConversationId, delay: Duration) {
        let message = Message::Erase { tenant: tenant.clone(), conversation: conversation.clone() };
        if let Err(error) = self.queue.send(&message, delay).await {
            tracing::warn!(%error, conversation = %conversation, "a hint about an erasure was not sent");
        }
    }

    /// Removes all there is of an erased conversation. The turns come first: with them
    /// the lists of what runs and what waits forget it.
    async fn empty(&self, tenant: &Tenant, overview: &Overview, request_id: &str) -> Result<(), Error> {
        let id = &overview.id;
        self.memory.forget(tenant, id);
        self.bury_turns(tenant, id, request_id).await?;
        for remains in [Remains::Queue, Remains::Entries, Remains::AddedKeys] {
            while self.retry(|_| self.store.erase_some(tenant, id, remains)).await? {}
        }
        if overview.conversation.queue_tail > 0 {
            self.retry(|_| self.store.erase_dead_letters(tenant, id)).await?;
        }
        self.retry(|_| self.store.unlist(tenant, overview)).await?;
        self.retry(|_| self.store.end_erasure(tenant, id)).await?;
        tracing::info!(conversation = %id, request.id = request_id, "a conversation was erased");
        Ok(())
    }

    async fn bury_turns(&self, tenant: &Tenant, id: &ConversationId, request_id: &str) -> Result<(), Error> {
        let mut after: Option<TurnId> = None;
        loop {
            let (turns, next) = self.retry(|_| self.store.all_turns(tenant, id, after.as_ref())).await?;
            let mut moved = false;
            for turn in &turns {
                moved |= !self.bury(tenant, turn, request_id).await?;
            }
            let names = stream::iter(turns.into_iter().map(|turn| turn.key.turn));
            let logs = names.map(|name| async move { self.erase_log(tenant, id, &name).await });
            let mut logs = logs.buffer_unordered(LOGS_AT_ONCE);
            while let Some(erased) = logs.next().await {
                erased?;
            }
            // A turn can still be ended by whoever saw it before the conversation's end.
            if moved {
                continue;
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// False if the turn is no longer as it was read.
    async fn bury(&self, tenant: &Tenant, turn: &Turn, request_id: &str) -> Result<bool, Error> {
        let Some(left) = tombstone(turn, self.clock.now(), request_id) else { return Ok(true) };
        Ok(self.retry(|_| self.store.bury_turn(tenant, turn, &left)).await?)
    }

    /// Deletes the stream log of a turn.
    pub(crate) async fn erase_log(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        turn: &TurnId,
    ) -> Result<(), turnwise_store::Error> {
        while self.retry(|_| self.store.erase_some(tenant, conversation, Remains::Log(turn))).await? {}
        Ok(())
    }
}
