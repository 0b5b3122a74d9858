//! What was said before the first turn of a fork: rows of the conversations it branched
//! off from.

use turnwise_core::id::Tenant;
use turnwise_core::items::RowId;
use turnwise_core::limits::{MAX_COMPACTED_BYTES, MAX_COMPACTED_TURNS, MAX_PAGE_SIZE};
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
        // Each of those conversations has a row of its own, but for what was removed since.
        for _ in 0..wanted {
            let missing = wanted.saturating_sub(rows.len());
            let Some(parent) = next.take().filter(|_| missing > 0 && begins(&rows)) else { break };
            let before = Some(behind(parent.number));
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

    /// All rows up to `parent`, oldest first, from the beginning of the first of the
    /// conversations that it branched off from; `None` if they are more than a compaction
    /// takes.
    pub(crate) async fn reach_to_the_beginning(
        &self,
        tenant: &Tenant,
        parent: Option<Parent>,
    ) -> Result<Option<Vec<Entry>>, turnwise_store::Error> {
        let (mut newest_first, mut bytes, mut next) = (Vec::new(), 0, parent);
        // Each conversation has a row of its own, but for what was removed since.
        for _ in 0..=MAX_COMPACTED_TURNS {
            let Some(Parent { conversation, number }) = next.take() else {
                newest_first.reverse();
                return Ok(Some(newest_first));
            };
            let opened = self.retry(|_| self.store.conversation(tenant, &conversation)).await?;
            let mut before = behind(number);
            loop {
                let now = self.clock.now();
                let read =
                    self.retry(|_| self.store.entries(tenant, &conversation, Some(before), true, MAX_PAGE_SIZE, now));
                let page = read.await?;
                bytes += page.iter().map(Entry::bytes).sum::<usize>();
                let is_last = page.len() < MAX_PAGE_SIZE;
                before = page.last().map_or(before, Entry::row);
                newest_first.extend(page);
                if newest_first.len() > MAX_COMPACTED_TURNS || bytes > MAX_COMPACTED_BYTES {
                    return Ok(None);
                }
                if is_last {
                    break;
                }
            }
            next = opened.filter(|opened| !opened.erased).and_then(|opened| opened.parent);
        }
        Ok(None)
    }
}

/// Whether nothing of the conversation is missing before its oldest row: where rows have
/// expired, those before a fork are older yet.
fn begins(rows: &[Entry]) -> bool {
    rows.first().is_none_or(|oldest| oldest.row() <= RowId::of_turn(1))
}

/// Right behind the last turn that belongs to both conversations, and before whatever
/// was added to the other one since.
const fn behind(number: u64) -> RowId {
    RowId { number, version: 1 }
}
