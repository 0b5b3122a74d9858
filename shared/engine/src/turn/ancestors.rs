//! What was said before the first turn of a fork: rows of the conversations it branched
//! off from.

use turnwise_core::id::Tenant;
use turnwise_core::items::RowId;
use turnwise_core::limits::MAX_ANCESTORS;
use turnwise_core::turn::Parent;
use turnwise_store::Entry;

use crate::engine::Engine;

impl Engine {
    /// `rows`, the newest of a conversation and oldest first, with what came before them
    /// in the conversations that it branched off from, until there are `wanted`.
    ///
    /// Rows up to a fork change only when something is deleted, so that no condition in a
    /// later write has to name them.
    pub(crate) async fn reach_back(
        &self,
        tenant: &Tenant,
        rows: Vec<Entry>,
        parent: Option<Parent>,
        wanted: usize,
    ) -> Result<Vec<Entry>, turnwise_store::Error> {
        let (mut rows, mut next) = (rows, parent);
        for _ in 0..MAX_ANCESTORS {
            let missing = wanted.saturating_sub(rows.len());
            let Some(parent) = next.take().filter(|_| missing > 0 && begins(&rows)) else { break };
            let before = Some(behind(&parent));
            let now = self.clock.now();
            let (conversation, mut earlier) = tokio::try_join!(
                self.retry(|_| self.store.conversation(tenant, &parent.conversation)),
                self.retry(|_| self.store.entries(tenant, &parent.conversation, before, true, missing, now)),
            )?;
            earlier.reverse();
            earlier.append(&mut rows);
            rows = earlier;
            next =
                conversation.filter(|conversation| !conversation.erased).and_then(|conversation| conversation.parent);
        }
        Ok(rows)
    }
}

/// Whether nothing of the conversation is missing before its oldest row: where rows have
/// expired, or a page was full of a megabyte of them, those before a fork are older yet.
fn begins(rows: &[Entry]) -> bool {
    rows.first().is_none_or(|oldest| oldest.row() <= RowId::of_turn(1))
}

/// Right behind the last turn that belongs to both conversations, and before whatever
/// was added to the other one since.
const fn behind(parent: &Parent) -> RowId {
    RowId { number: parent.number, version: 1 }
}
