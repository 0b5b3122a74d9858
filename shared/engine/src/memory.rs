//! Conversations that this process has read lately, so that the next turn need not read
//! them again.
//!
//! Never stale: what is remembered is used only where the conversation's version, read
//! from the table for this very turn, is the one it was read at. Every change of a
//! conversation makes a new version, and T1 asserts it once more. What the memory saves
//! is the reading of the rows themselves, some thousands of bytes for each turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_core::limits::{HISTORY_TURNS, MEMORY_BYTES};
use turnwise_core::turn::Claim;
use turnwise_store::Entry;

/// What a usual conversation takes up, for the size of the index.
const USUAL_BYTES: u64 = 32 * 1024;

type Name = (Tenant, ConversationId);

/// The memory of one process. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    conversations: Cache<Name, Remembered, Bytes>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The newest rows of a conversation, as they were at a version.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    /// The conversation's version.
    pub(crate) version: u64,
    /// The rows, oldest first.
    pub(crate) rows: Arc<[Entry]>,
    /// How many were asked for: there are no older ones where fewer were found.
    pub(crate) asked: usize,
}

/// How well the memory serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryStats {
    /// Conversations that were served from it.
    pub hits: u64,
    /// Conversations that had to be read.
    pub misses: u64,
    /// Conversations in it.
    pub conversations: usize,
    /// What they take up, in bytes.
    pub bytes: u64,
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Name, Remembered> for Bytes {
    fn weight(&self, name: &Name, remembered: &Remembered) -> u64 {
        let rows: usize = remembered.rows.iter().map(Entry::bytes).sum();
        let name = name.0.as_str().len() + name.1.as_str().len();
        u64::try_from(rows + name + std::mem::size_of::<Remembered>()).unwrap_or(u64::MAX)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::of_bytes(MEMORY_BYTES)
    }
}

impl Memory {
    /// A memory that holds at most `bytes`; none at all where that is 0.
    #[must_use]
    pub fn of_bytes(bytes: u64) -> Self {
        let expected = usize::try_from(bytes / USUAL_BYTES).unwrap_or(0).max(1);
        let conversations = Cache::with_weighter(expected, bytes, Bytes);
        Self(Arc::new(Inner { conversations, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }))
    }

    /// How well it serves.
    #[must_use]
    pub fn stats(&self) -> MemoryStats {
        MemoryStats {
            hits: self.0.hits.load(Ordering::Relaxed),
            misses: self.0.misses.load(Ordering::Relaxed),
            conversations: self.0.conversations.len(),
            bytes: self.0.conversations.weight(),
        }
    }

    /// What is remembered of a conversation, if it is enough for `wanted` rows. Good only
    /// for the version it names.
    pub(crate) fn get(&self, tenant: &Tenant, conversation: &ConversationId, wanted: usize) -> Option<Remembered> {
        let found = self.0.conversations.get(&(tenant.clone(), conversation.clone()))?;
        let is_whole = found.rows.len() < found.asked;
        (is_whole || found.asked >= wanted).then_some(found)
    }

    /// Notes the `asked` newest rows of a conversation, as they are at its `version`. An
    /// older version than the one remembered is let go: a slow reader brings no news.
    pub(crate) fn put(&self, tenant: &Tenant, conversation: &ConversationId, remembered: Remembered) {
        let name = (tenant.clone(), conversation.clone());
        let newer = self.0.conversations.peek(&name).is_some_and(|known| known.version > remembered.version);
        if !newer {
            self.0.conversations.insert(name, remembered);
        }
    }

    /// Notes that `claim` has committed `entry`. While a turn has the lock nothing else
    /// changes its conversation, so what was remembered at its version is known at the next.
    pub(crate) fn commit(&self, claim: &Claim, entry: Entry) {
        let name = (claim.tenant.clone(), claim.key.conversation.clone());
        let known = self.0.conversations.peek(&name).filter(|known| known.version == claim.version);
        let (rows, asked): (Arc<[Entry]>, usize) = match known {
            Some(known) => {
                let first = (known.rows.len() + 1).saturating_sub(known.asked);
                (known.rows.iter().skip(first).cloned().chain([entry]).collect(), known.asked)
            }
            // The first content of a conversation is all of it.
            None if claim.version == 0 => ([entry].into(), HISTORY_TURNS),
            None => return,
        };
        self.0.conversations.insert(name, Remembered { version: claim.version + 1, rows, asked });
    }

    /// Lets go of a conversation of which something was deleted. Its version has changed,
    /// so nobody would be told of it; but what is deleted is not kept here either.
    pub(crate) fn forget(&self, tenant: &Tenant, conversation: &ConversationId) {
        self.0.conversations.remove(&(tenant.clone(), conversation.clone()));
    }

    pub(crate) fn hit(&self) {
        self.0.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn missed(&self) {
        self.0.misses.fetch_add(1, Ordering::Relaxed);
    }
}
