//! Which turns of a conversation had the same input.

use turnwise_core::digest::Digest;
use turnwise_core::id::{ConversationId, Tenant};

use crate::engine::Engine;
use crate::error::Error;
use crate::history::TurnPage;

impl Engine {
    /// Turns of a conversation whose input had the digest `input_hash`, in order, behind
    /// number `after`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the conversation is not there, or no longer.
    pub async fn turns_with_input(
        &self,
        tenant: &Tenant,
        thread: &ConversationId,
        input_hash: &Digest,
        after: u64,
        limit: usize,
    ) -> Result<TurnPage, Error> {
        let conversation = self.overview(tenant, "thread", thread).await?.conversation;
        let numbers = self.retry(|_| self.store.turns_with_input(tenant, thread, input_hash)).await?;
        let now = self.clock.now();
        let mut turns = Vec::new();
        for number in numbers.into_iter().filter(|number| *number > after) {
            if turns.len() >= limit {
                return Ok(TurnPage { conversation, turns, has_more: true });
            }
            // One that has expired is not listed.
            turns.extend(self.retry(|_| self.store.committed_turn(tenant, thread, number, now)).await?);
        }
        Ok(TurnPage { conversation, turns, has_more: false })
    }
}
