//! The locks of conversations, for people: who holds which, since when, and how one is
//! taken away.

use serde_json::json;
use turnwise_core::audit::Action;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_core::limits::MAX_CONFLICT_RETRIES;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Conversation, Holder, Turn};
use turnwise_store::ReleaseLock;

use crate::audit;
use crate::engine::Engine;
use crate::error::Error;
use crate::turn::Caller;

/// A conversation's lock.
#[derive(Debug)]
pub struct Lock {
    /// Whose lock.
    pub conversation: ConversationId,
    /// Its fencing token: how often it was taken or taken away.
    pub fence: u64,
    /// Who holds it, if anyone.
    pub held: Option<Held>,
    /// Turns that wait in the conversation's queue.
    pub queued: u64,
}

/// A lock's holder.
#[derive(Debug)]
pub struct Held {
    /// The attempt, its turn and its lease.
    pub holder: Holder,
    /// When the attempt began, if its turn's row is there.
    pub since: Option<Timestamp>,
    /// Attempts of the turn so far.
    pub attempts: u32,
    /// Whether the lease is over: the attempt is dead, or about to lose the lock.
    pub lapsed: bool,
}

impl Engine {
    /// The locks that are held, by the living and by the dead, oldest attempt first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn held_locks(&self, tenant: &Tenant) -> Result<Vec<Lock>, Error> {
        let mut held = self.retry(|_| self.store.held_turns()).await?;
        held.retain(|held| held.tenant == *tenant);
        held.sort_by_key(|held| held.began_at);
        let mut locks: Vec<Lock> = Vec::new();
        for turn in held {
            let lock = self.lock(tenant, &turn.key.conversation).await?;
            // A lost turn is in the index although another has its conversation's lock.
            let new = locks.iter().all(|known| known.conversation != lock.conversation);
            if lock.held.is_some() && new {
                locks.push(lock);
            }
        }
        Ok(locks)
    }

    /// The lock of one conversation.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such conversation.
    pub async fn lock(&self, tenant: &Tenant, conversation: &ConversationId) -> Result<Lock, Error> {
        let found = self.conversation_to_lock(tenant, conversation).await?;
        let held = match found.holder {
            None => None,
            Some(holder) => {
                let key = turnwise_core::id::TurnKey { conversation: conversation.clone(), turn: holder.turn.clone() };
                let turn = self.retry(|_| self.store.turn(tenant, &key)).await?;
                let turn: Option<Turn> = turn.filter(|turn| turn.attempt == holder.attempt);
                Some(Held {
                    since: turn.as_ref().map(|turn| turn.updated_at),
                    attempts: turn.map_or(0, |turn| turn.attempts),
                    lapsed: holder.has_lapsed(self.clock.now()),
                    holder,
                })
            }
        };
        Ok(Lock { conversation: conversation.clone(), fence: found.fence, held, queued: found.queued })
    }

    /// Takes a conversation's lock away from its owner, dead or alive, and writes down
    /// who did it and why. What the owner still writes is refused. Its turn is not
    /// ended: a retry with its key, or the next sweep, goes on from where it stood.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a reason, [`Error::NotFound`] when there is no such
    /// conversation, [`Error::NotHeld`] when nobody has the lock.
    pub async fn release_lock(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        reason: &str,
    ) -> Result<Lock, Error> {
        let reason = audit::reason(reason)?;
        let tenant = &caller.tenant;
        let entry = self.audit_entry(caller, Action::LockRelease, conversation.as_str()).because(reason);
        for _ in 0..=MAX_CONFLICT_RETRIES {
            let found = self.conversation_to_lock(tenant, conversation).await?;
            let Some(holder) = found.holder else {
                return Err(Error::NotHeld { conversation: conversation.to_string() });
            };
            let before = json!({ "fence": found.fence, "owner": holder.attempt, "turn": holder.turn });
            let after = json!({ "fence": found.fence + 1, "owner": null, "turn": null });
            let audit = entry.clone().changed(Some(&before), Some(&after)).detail("turn", holder.turn.as_str());
            let release = ReleaseLock { conversation, fence: found.fence, audit: &audit };
            if self.retry(|_| self.store.release_lock_by_force(&release)).await? {
                tracing::warn!(lock.conversation = %conversation, lock.turn = %holder.turn, key.id = %caller.api_key,
                    reason, "a lock was taken away by force");
                let key = turnwise_core::id::TurnKey { conversation: conversation.clone(), turn: holder.turn };
                if let Some(live) = self.hub.running(tenant, &key) {
                    live.lose_lock();
                }
                self.wake_queue(tenant, conversation).await;
                return self.lock(tenant, conversation).await;
            }
        }
        Err(Error::ConversationBusy { retry_after: turnwise_core::limits::BUSY_RETRY_AFTER })
    }

    async fn conversation_to_lock(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
    ) -> Result<Conversation, Error> {
        let found = self.retry(|_| self.store.conversation(tenant, conversation)).await?;
        found.ok_or_else(|| Error::NotFound { what: "conversation", name: conversation.to_string() })
    }
}
