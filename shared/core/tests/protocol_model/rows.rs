//! The rows of one conversation, and how core sees them.

use turnwise_core::category::Category;
use turnwise_core::digest::Digest;
use turnwise_core::id::{AttemptId, ConversationId, TurnId, TurnKey};
use turnwise_core::limits::LEASE;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{self, Commit, Conversation, Delivery, Failure, Outcome};
use turnwise_core::usage::Usage;
use uuid::Uuid;

use crate::hashed::Plain;

/// The instant at which every decision is made: time passes only by leases that lapse.
pub(crate) const NOW: Timestamp = Timestamp(1_000_000);

/// A turn's name. Two are enough for one turn to get into the other's way, and a third
/// to stand behind them in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    A,
    B,
    C,
}

impl Key {
    fn id(self) -> TurnId {
        let name = match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
        };
        TurnId::from_stored(name.to_owned())
    }
}

/// The canonical input of a request, by name. Digests are compared, never computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Input(pub(crate) &'static str);

impl Input {
    pub(crate) fn hash(self) -> Digest {
        Digest::from_stored(self.0.as_bytes())
    }
}

/// An attempt's name: which client's, and which of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Attempt {
    pub(crate) client: usize,
    pub(crate) nth: u8,
}

impl Attempt {
    pub(crate) fn id(self) -> AttemptId {
        AttemptId::new(Uuid::from_u64_pair(self.client as u64, u64::from(self.nth)))
    }
}

/// An answer, told from all others by the turn and the epoch it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Answer {
    pub(crate) key: Key,
    pub(crate) epoch: u64,
}

/// The META item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Meta {
    pub(crate) fence: u64,
    pub(crate) holder: Option<Holder>,
    pub(crate) head: u64,
    pub(crate) version: u64,
    pub(crate) queued: u64,
    pub(crate) queue_tail: u64,
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    pub(crate) attempt: Attempt,
    pub(crate) key: Key,
    /// Whether the lease looks lapsed to whoever looks.
    pub(crate) lapsed: bool,
}

impl Meta {
    pub(crate) fn to_core(&self) -> Conversation {
        let holder = self.holder.as_ref().map(|holder| turn::Holder {
            attempt: holder.attempt.id(),
            turn: holder.key.id(),
            lease_until: if holder.lapsed { Timestamp(0) } else { NOW + LEASE },
        });
        Conversation {
            fence: self.fence,
            holder,
            head: self.head,
            version: self.version,
            queued: self.queued,
            queue_tail: self.queue_tail,
            erased: false,
            parent: None,
            project: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }
}

/// A TURN row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Turn {
    pub(crate) input: Input,
    pub(crate) delivery: Plain<Delivery>,
    pub(crate) epoch: u64,
    pub(crate) attempt: Attempt,
    pub(crate) attempts: u32,
    /// Its place in the queue, if it ever stood there.
    pub(crate) place: Option<u64>,
    pub(crate) state: State,
}

/// Where a turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Queued,
    Processing,
    Completed { number: u64, answer: Answer },
    Failed(Plain<Outcome>),
}

impl Turn {
    pub(crate) fn to_core(&self, key: Key) -> turn::Turn {
        let conversation = ConversationId::from_stored("c".to_owned());
        turn::Turn {
            key: TurnKey { conversation, turn: key.id() },
            input_hash: self.input.hash(),
            delivery: self.delivery.0,
            epoch: self.epoch,
            attempt: self.attempt.id(),
            attempts: self.attempts,
            created_at: NOW,
            updated_at: NOW,
            input: None,
            place: self.place,
            number: 0,
            streams: 0,
            streamed: None,
            deleted_at: None,
            state: self.state.to_core(),
        }
    }
}

impl State {
    fn to_core(self) -> turn::State {
        match self {
            // A pause before the next attempt is a hint that comes late.
            Self::Queued => turn::State::Queued { due: NOW },
            Self::Processing => turn::State::Processing,
            Self::Completed { number, answer } => turn::State::Completed(Commit {
                number,
                response_hash: Digest::from_stored(format!("{answer:?}").as_bytes()),
                model: "local/echo".to_owned(),
                usage: Usage::estimate("", ""),
                cost: None,
                completed_at: NOW,
            }),
            Self::Failed(outcome) => turn::State::Failed(failure(outcome.0)),
        }
    }
}

/// A failure, of which only the outcome matters here.
pub(crate) fn failure(outcome: Outcome) -> Failure {
    Failure {
        outcome,
        category: Category::ApiError,
        code: "upstream_error".to_owned(),
        message: String::new(),
        param: None,
        retry_after_ms: None,
        is_spent: false,
        asked: None,
        request_id: String::new(),
        partial: String::new(),
    }
}
