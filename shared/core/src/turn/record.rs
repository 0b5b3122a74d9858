//! What is stored of a conversation and of a turn.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::decide::Previous;
use super::failure::Failure;
use crate::digest::Digest;
use crate::id::{AttemptId, ConversationId, ProjectId, Tenant, TurnId, TurnKey};
use crate::limits::{BUSY_WAIT, CLOCK_SKEW};
use crate::money::PicoUsd;
use crate::time::Timestamp;
use crate::usage::Usage;

/// A conversation's META item: its lock and its summary. Never deleted, because
/// a fence that went backwards would let two writers in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Fencing token of the newest attempt; grows with every acquisition.
    pub fence: u64,
    /// Who holds the lock, if anyone.
    pub holder: Option<Holder>,
    /// Number of committed turns; the next one is `head + 1`.
    pub head: u64,
    /// Grows with every change of the conversation; caches are validated by it.
    pub version: u64,
    /// Turns that wait in its queue.
    pub queued: u64,
    /// The last place in its queue that was given away; places are never given twice.
    pub queue_tail: u64,
    /// Whether its content was erased; nothing begins in it any more.
    pub erased: bool,
    /// The project of its first turn.
    pub project: Option<ProjectId>,
    /// Where it branched off from another conversation, if it did.
    pub parent: Option<Parent>,
    /// When it was created, or its first turn began.
    pub created_at: Timestamp,
    /// When a turn last began, ended or failed, or something was last changed by hand.
    pub updated_at: Timestamp,
}

impl Conversation {
    /// Whether some attempt holds the lock under a lease that has not lapsed.
    #[must_use]
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.holder.as_ref().is_some_and(|holder| !holder.has_lapsed(now))
    }

    /// Whether `turn` is the one whose newest attempt holds the lock, lapsed or not.
    #[must_use]
    pub fn is_held_by(&self, turn: &Turn) -> bool {
        let newest = self.fence == turn.epoch;
        newest && self.holder.as_ref().is_some_and(|holder| holder.attempt == turn.attempt)
    }
}

/// The place in another conversation that a conversation goes on from: what was said
/// there up to this turn comes before its own first turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The other conversation.
    pub conversation: ConversationId,
    /// The last of its turns that belongs to both.
    pub number: u64,
}

/// What a turn that follows another one has to heed when it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// Where the conversation branches off, if this turn makes it.
    pub parent: Option<Parent>,
    /// The same request's place in the other of the two conversations where it may run:
    /// a turn begins in one only while it stands in the other not at all, or as failed.
    pub rival: Option<TurnKey>,
}

/// The attempt that holds a conversation's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The lock's owner.
    pub attempt: AttemptId,
    /// The turn it is working on.
    pub turn: TurnId,
    /// Until when, by the owner's clock, unless renewed.
    pub lease_until: Timestamp,
}

impl Holder {
    /// Whether the lease is over for every clock within the allowed skew.
    #[must_use]
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        self.lease_until < now - CLOCK_SKEW
    }
}

/// A turn, which is also the record of its idempotency key.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Conversation and name.
    pub key: TurnKey,
    /// Digest of the canonical input of the request that made it.
    pub input_hash: Digest,
    /// What may happen after a crash.
    pub delivery: Delivery,
    /// Fence taken by the newest attempt.
    pub epoch: u64,
    /// The newest attempt.
    pub attempt: AttemptId,
    /// Attempts so far, the newest included.
    pub attempts: u32,
    /// When the first attempt began.
    pub created_at: Timestamp,
    /// When the newest attempt began, or ended if it has.
    pub updated_at: Timestamp,
    /// The request, kept until the turn is committed.
    pub input: Option<Box<RawValue>>,
    /// Its place in the conversation's queue, if it ever stood there: nobody waits for
    /// such a turn at an open connection, so a failure that may pass puts it back.
    pub place: Option<u64>,
    /// The number it gets if its newest attempt commits; 0 before the first one.
    pub number: u64,
    /// How many attempts have shown clients their events as they came.
    pub streams: u32,
    /// The one that clients are shown now; `None` where its events were not.
    pub streamed: Option<Streamed>,
    /// When its client deleted it as a response; its row stays, as the record of its key.
    pub deleted_at: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
}

/// The events of an attempt, as clients are shown them. Mostly the newest one's; the answer
/// of an attempt that died is committed by another, and its events stay what they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streamed {
    /// The attempt's fencing token, under which its log is kept.
    pub epoch: u64,
    /// Which of the turn's streams it is, from 1: its events are numbered by that.
    pub stream: u32,
}

/// An attempt that owns its conversation's lock: what T1 wrote, and what T2 will
/// have to prove.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Whose conversation.
    pub tenant: Tenant,
    /// Conversation and turn.
    pub key: TurnKey,
    /// The lock's owner.
    pub attempt: AttemptId,
    /// Attempts of the turn, this one included.
    pub attempts: u32,
    /// The fencing token this attempt took.
    pub epoch: u64,
    /// The number the turn gets when it commits.
    pub number: u64,
    /// How many attempts, this one included, have shown clients their events.
    pub streams: u32,
    /// What there was of the turn before.
    pub previous: Previous,
    /// The conversation's version; it stands still while an attempt has the lock.
    pub version: u64,
    /// Digest of the canonical input.
    pub input_hash: Digest,
    /// What may happen after a crash; that of the turn's first attempt.
    pub delivery: Delivery,
    /// The conversation's project.
    pub project: Option<ProjectId>,
    /// When the turn's first attempt began.
    pub created_at: Timestamp,
}

/// Where a turn stands.
#[derive(Debug, Clone)]
pub enum State {
    /// It waits in the conversation's queue, at [`Turn::place`].
    Queued {
        /// When it may run at the earliest: later than now after a failed attempt.
        due: Timestamp,
    },
    /// An attempt is, or was when it died, at work.
    Processing,
    /// It has its one answer.
    Completed(Commit),
    /// It ended without an answer, for now or for good.
    Failed(Failure),
}

impl State {
    /// The state's name as it is stored and shown.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "QUEUED",
            Self::Processing => "PROCESSING",
            Self::Completed(_) => "COMPLETED",
            Self::Failed(_) => "FAILED",
        }
    }
}

/// What is known of a committed turn without its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its place in the conversation: 1, 2, 3 ... without gaps.
    pub number: u64,
    /// Digest of the canonical answer.
    pub response_hash: Digest,
    /// The model that answered, `provider/model`.
    pub model: String,
    /// Tokens.
    pub usage: Usage,
    /// Exact cost; `None` when the model's price is not known.
    pub cost: Option<PicoUsd>,
    /// When it was committed.
    pub completed_at: Timestamp,
}

/// What may happen when an attempt dies between the provider call and the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// The provider is called again: rarely, two calls are paid for one answer.
    #[default]
    AtLeastOnce,
    /// The provider is never called twice: rarely, a paid answer is lost.
    AtMostOnce,
}

impl Delivery {
    /// Its name in requests, headers and rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at-least-once",
            Self::AtMostOnce => "at-most-once",
        }
    }

    /// The delivery mode called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AtLeastOnce, Self::AtMostOnce].into_iter().find(|mode| mode.name() == name)
    }
}

/// What a request does when another turn of its conversation is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBusy {
    /// Waits for its turn, at most this long.
    Wait(std::time::Duration),
    /// Is refused at once.
    Reject,
    /// Goes to the conversation's queue, and is told so.
    Enqueue,
    /// Cancels the running turn and takes its place, ahead of the queue.
    Interrupt,
}

impl OnBusy {
    /// The names of all policies, as an error lists them.
    pub const NAMES: &str = "wait, reject, enqueue or interrupt";

    /// The policy called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "wait" => Some(Self::default()),
            "reject" => Some(Self::Reject),
            "enqueue" => Some(Self::Enqueue),
            "interrupt" => Some(Self::Interrupt),
            _ => None,
        }
    }
}

impl Default for OnBusy {
    fn default() -> Self {
        Self::Wait(BUSY_WAIT)
    }
}
