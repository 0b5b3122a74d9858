//! A state of the model: the table, the clients with their attempts, and what the network holds back.

use turnwise_core::turn::{Delivery, Outcome};

use crate::hashed::{Joined, Plain, Taken};
use crate::history::History;
use crate::rows::{Answer, Attempt, Input, Key, Meta, State, Turn};
use crate::table::Table;
use crate::writes::{Halt, Write};

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

/// A client, or a worker, and the attempt that works for it now.
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
    /// The turn in an interrupter's way, which it is about to stop.
    pub(crate) in_the_way: Option<Key>,
    /// Something worth seeing that this attempt has been through.
    pub(crate) mark: Option<Mark>,
}

/// What a client asks for, the same in all its attempts; a worker has another turn in
/// each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) wish: Wish,
    pub(crate) key: Key,
    pub(crate) input: Input,
    pub(crate) delivery: Plain<Delivery>,
    /// `If-Match`.
    pub(crate) number: Option<u64>,
}

/// What is to become of the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wish {
    /// It is answered, behind whatever waits already.
    Answer,
    /// It is answered, ahead of the queue and in place of whatever runs.
    Interrupt,
    /// It gets a place in the queue.
    Enqueue,
    /// It is cancelled.
    Cancel,
    /// Whatever is due is done: the worker.
    Work,
}

/// How far an attempt has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// About to read what is stored; also how it waits.
    Looking,
    /// Has read one of the rows.
    HalfRead(HalfRead),
    /// Has sent T0.
    Joining(Joined),
    /// Has sent the end of a turn that is stopped from outside.
    Stopping(Halt),
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
    /// The turn at the head of the queue.
    Head(Key),
}

/// How an attempt wants to end its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    Commit(Answer),
    Fail(Plain<Outcome>),
    /// Back to its place in the queue.
    Requeue,
}

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    /// A 200 with the answer stored as `M#number`.
    Answer { number: u64, answer: Option<Answer> },
    /// The stored error.
    Failure(Plain<Outcome>),
    /// 202: it waits in the queue or runs.
    Accepted,
    /// The turn is cancelled.
    Cancelled,
    /// It could not be cancelled, for it has ended.
    Ended,
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
    /// What would have ended the turn was rejected. Of a T2 the cost is recorded as wasted.
    Superseded,
}

impl Client {
    pub(crate) fn new(client: usize, request: Request) -> Self {
        Self {
            request,
            attempt: Attempt { client, nth: 1 },
            step: Step::Looking,
            taken: None,
            applied: false,
            in_the_way: None,
            mark: None,
        }
    }

    /// The write this attempt waits for.
    pub(crate) fn write(&self) -> Option<Write> {
        let Request { key, input, delivery, .. } = self.request;
        let attempt = self.attempt;
        let taken = self.taken.clone();
        match self.step {
            Step::Joining(place) => Some(Write::Join { attempt, key, input, delivery, place }),
            Step::Stopping(halt) => Some(Write::Stop { attempt, halt }),
            Step::Taking => taken.map(|taken| Write::Take { attempt, key, input, delivery, taken }),
            Step::Ending(ending) => taken.map(|taken| {
                let (epoch, number) = (taken.0.epoch, taken.0.number);
                match ending {
                    Ending::Commit(answer) => Write::Commit { attempt, epoch, number, answer },
                    Ending::Fail(outcome) => Write::Fail { attempt, key, epoch, left: State::Failed(outcome) },
                    Ending::Requeue => Write::Fail { attempt, key, epoch, left: State::Queued },
                }
            }),
            Step::Looking | Step::HalfRead(_) | Step::Owning | Step::Asking | Step::Answered(_) | Step::Told(_) => None,
        }
    }

    /// The turn it is about to stop, if it is about to stop one.
    pub(crate) fn stopping(&self) -> Option<Key> {
        match self.request.wish {
            Wish::Cancel => Some(self.request.key),
            Wish::Answer | Wish::Interrupt | Wish::Enqueue | Wish::Work => self.in_the_way,
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

    pub(crate) fn is_worker(&self) -> bool {
        self.request.wish == Wish::Work
    }

    /// Whether it is a worker that has no turn.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_worker() && self.step == Step::Looking && self.taken.is_none()
    }
}
