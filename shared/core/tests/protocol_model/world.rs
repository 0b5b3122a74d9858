//! A state of the model: the table, the clients with their attempts, and what the network holds back.

use std::collections::BTreeMap;

use turnwise_core::turn::{Delivery, Outcome};

use crate::hashed::{Plain, Taken};
use crate::rows::{Answer, Attempt, Input, Key, Meta, Turn};
use crate::table::{Table, Write};

/// Everything that one state is told from another by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) table: Table,
    pub(crate) clients: Vec<Client>,
    /// Copies of writes still on their way when their sender has given up waiting
    /// and sent another, or has died. Each arrives at any later time or never.
    /// In the order of their tokens, so that the order of sending tells no states apart.
    pub(crate) delayed: Vec<Write>,
    /// Faults that may still happen, of whatever kinds.
    pub(crate) faults: u8,
    pub(crate) history: History,
}

/// A client and the attempt that works for it now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub(crate) request: Request,
    pub(crate) attempt: Attempt,
    pub(crate) step: Step,
    /// The T1 this attempt sent last.
    pub(crate) taken: Option<Taken>,
    /// Whether the table has applied the write this attempt waits for. Within the
    /// token's window a resend is then told "done" and changes nothing.
    pub(crate) applied: bool,
    /// Something worth seeing that this attempt has been through.
    pub(crate) mark: Option<Mark>,
}

/// What a client asks for, the same in all its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) key: Key,
    pub(crate) input: Input,
    pub(crate) delivery: Plain<Delivery>,
    /// `If-Match`.
    pub(crate) number: Option<u64>,
}

/// How far an attempt has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// About to read what is stored; also how it waits.
    Looking,
    /// Has read one of the two rows.
    HalfRead(HalfRead),
    /// Has sent T1.
    Taking,
    /// Owns the lock; about to look at the log and plan.
    Owning,
    /// Has called the provider.
    Asking,
    /// Has the whole answer; its end is not in the log yet.
    Answered(Answer),
    /// Has sent T2 or T2f.
    Ending(Ending),
    /// Over: the client has its reply.
    Told(Reply),
}

/// The first row of a torn read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum HalfRead {
    Meta(Option<Meta>),
    Turn(Option<Turn>),
}

/// How an attempt wants to end its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    Commit(Answer),
    Fail(Plain<Outcome>),
}

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    /// A 200 with the answer stored as `M#number`.
    Answer { number: u64, answer: Option<Answer> },
    /// The stored error.
    Failure(Plain<Outcome>),
    /// 422.
    KeyReused,
    /// 412.
    WrongNumber,
}

/// What an attempt has been through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mark {
    /// Its T1 was applied, the reply got lost, and what is stored told it so.
    RecoveredFromRows,
    /// The same, but the resend's token told it so.
    RecoveredFromToken,
    /// Its T2 was rejected: its cost is recorded as wasted.
    Superseded,
}

/// What the rows alone do not tell any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    /// Highest fence ever.
    pub(crate) top_fence: u64,
    /// A lock was taken under a fence that had been there before.
    pub(crate) epoch_reused: bool,
    /// Every T2 that was applied, by turn: the number and the answer.
    pub(crate) commits: BTreeMap<Key, Vec<(u64, Answer)>>,
    /// Of each turn that began as at-most-once: its calls that the provider did not refuse.
    pub(crate) unrefused_calls: BTreeMap<Key, u8>,
    /// An answer stood whole in a log, and the attempt that took over asked again or gave up.
    pub(crate) log_ignored: bool,
}

impl Client {
    pub(crate) fn new(client: usize, request: Request) -> Self {
        Self {
            request,
            attempt: Attempt { client, nth: 1 },
            step: Step::Looking,
            taken: None,
            applied: false,
            mark: None,
        }
    }

    /// The write this attempt waits for.
    pub(crate) fn write(&self) -> Option<Write> {
        let Request { key, input, delivery, .. } = self.request;
        let attempt = self.attempt;
        let taken = self.taken.clone()?;
        let epoch = taken.0.epoch;
        match self.step {
            Step::Taking => Some(Write::Take { attempt, key, input, delivery, taken }),
            Step::Ending(Ending::Commit(answer)) => {
                Some(Write::Commit { attempt, epoch, number: taken.0.number, answer })
            }
            Step::Ending(Ending::Fail(outcome)) => Some(Write::Fail { attempt, key, epoch, outcome }),
            Step::Looking | Step::HalfRead(_) | Step::Owning | Step::Asking | Step::Answered(_) | Step::Told(_) => None,
        }
    }

    /// The epoch under which this attempt believes to own the lock.
    pub(crate) fn epoch_owned(&self) -> Option<u64> {
        let owns = matches!(self.step, Step::Owning | Step::Asking | Step::Answered(_) | Step::Ending(_));
        self.taken.as_ref().filter(|_| owns).map(|taken| taken.0.epoch)
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.step, Step::Told(_))
    }
}
