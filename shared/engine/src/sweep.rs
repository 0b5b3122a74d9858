//! Due rows without a message: found by looking, every minute and at the start.

use std::collections::BTreeMap;
use std::time::Duration;

use turnwise_core::limits::SWEEP_EVERY;

use crate::engine::Engine;
use crate::error::Error;

/// What a sweep found and sent hints for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Turns whose attempt died: their lease has lapsed, or they have lost the lock.
    pub stuck: usize,
    /// Conversations whose queue is due, or will be before the next sweep.
    pub due: usize,
    /// Conversations whose erasure was interrupted, or is not over.
    pub half_erased: usize,
}

impl Engine {
    /// Sends a hint for each turn whose attempt died, for each queue that is due and for
    /// each erasure that was interrupted.
    /// Idempotent: it changes no row, and a hint too many finds nothing to do.
    ///
    /// # Errors
    /// When the store does not answer; the next sweep begins anew.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        for held in self.retry(|_| self.store.held_turns()).await? {
            if self.hub.running(&held.tenant, &held.key).is_some() {
                continue;
            }
            let conversation = self.retry(|_| self.store.conversation(&held.tenant, &held.key.conversation)).await?;
            if conversation.is_some_and(|conversation| conversation.is_held(self.clock.now())) {
                continue;
            }
            swept.stuck += 1;
            self.hint(&held.tenant, &held.key, Duration::ZERO).await;
        }
        // What is due before the next sweep would otherwise wait for that one.
        let now = self.clock.now();
        let mut first = BTreeMap::new();
        for due in self.retry(|_| self.store.due_turns(now + SWEEP_EVERY)).await? {
            // One hint leads to the head, and each turn's end to the next.
            let queue = (due.tenant.clone(), due.key.conversation.clone());
            let known = first.entry(queue).or_insert_with(|| due.clone());
            if due.due < known.due {
                *known = due;
            }
        }
        for due in first.into_values() {
            swept.due += 1;
            self.hint(&due.tenant, &due.key, due.due.since(now)).await;
        }
        for found in self.retry(|_| self.store.half_erased()).await? {
            swept.half_erased += 1;
            self.hint_erasure(&found.tenant, &found.conversation, Duration::ZERO).await;
        }
        if swept != Swept::default() {
            tracing::info!(stuck = swept.stuck, due = swept.due, half_erased = swept.half_erased, "sweep");
        }
        Ok(swept)
    }

    /// Sweeps at once and then again after each `pause`, until the process ends.
    pub async fn keep_sweeping(&self, pause: Duration) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "a sweep failed; the next one begins anew");
            }
            self.clock.sleep(pause).await;
        }
    }

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
}
