//! What an attempt does, step by step. Core decides; this performs it on the world.

use turnwise_core::limits::MAX_ATTEMPTS;
use turnwise_core::turn::{Delivery, Outcome, Plan, Previous, after_failure, plan};

use crate::flaws::Flaw;
use crate::hashed::Plain;
use crate::rows::{Answer, Attempt, NOW, failure};
use crate::starts::WORKER;
use crate::world::{Client, Ending, Mark, Reply, Step, Wish, World};
use crate::writes::Write;

impl World {
    /// Sends the write the attempt waits for, again if need be, and hears the reply.
    pub(crate) fn send(&mut self, client: usize, flaw: Option<Flaw>) {
        let Some(write) = self.clients[client].write() else { return };
        let known_token = self.clients[client].applied;
        if known_token || self.apply(&write, flaw) {
            self.clients[client].written();
        } else {
            self.clients[client].rejected();
        }
    }

    /// Goes on as the owner of the lock: looks at the log and plans.
    pub(crate) fn plan(&mut self, client: usize, flaw: Option<Flaw>) {
        let client = &mut self.clients[client];
        let key = client.request.key;
        let (Some(taken), Some(turn)) = (&client.taken, self.table.turns.get(&key)) else { return };
        let previous = taken.0.previous;
        let finished_log = self.table.newest_finished_log(key);
        let log_read = match (previous, flaw) {
            (Previous::Lost { epoch }, Some(Flaw::OlderLogsIgnored)) => finished_log.filter(|log| log.epoch == epoch),
            (Previous::Absent | Previous::Queued { .. } | Previous::Failed { .. } | Previous::Lost { .. }, _) => {
                finished_log
            }
        };

        let planned = plan(previous, taken.0.attempts, turn.delivery.0, log_read.is_some());
        client.step = match planned {
            Plan::Call => Step::Asking,
            Plan::RollForward => log_read.map_or(Step::Asking, |log| Step::Ending(Ending::Commit(log))),
            Plan::GiveUp => Step::Ending(Ending::Fail(Plain(Outcome::OutcomeUnknown))),
        };

        let lost = matches!(previous, Previous::Lost { .. });
        self.history.log_ignored |= lost && finished_log.is_some() && planned != Plan::RollForward;
        if let Some(calls) = self.history.unrefused_calls.get_mut(&key).filter(|_| planned == Plan::Call) {
            *calls += 1;
        }
    }

    /// The provider answers.
    pub(crate) fn answered(&mut self, client: usize) {
        let client = &mut self.clients[client];
        if let Some(epoch) = client.epoch_owned() {
            client.step = Step::Answered(Answer { key: client.request.key, epoch });
        }
    }

    /// The provider says that it will not answer, now or ever.
    pub(crate) fn refused(&mut self, client: usize, outcome: Outcome) {
        self.fail(client, outcome);
        if let Some(calls) = self.history.unrefused_calls.get_mut(&self.clients[client].request.key) {
            *calls -= 1;
        }
    }

    /// The provider says nothing: it may or may not have answered.
    pub(crate) fn silent(&mut self, client: usize) {
        let request = self.clients[client].request;
        let delivery = self.table.turns.get(&request.key).map_or(request.delivery, |turn| turn.delivery);
        let outcome = match delivery.0 {
            Delivery::AtLeastOnce => Outcome::Retryable,
            Delivery::AtMostOnce => Outcome::OutcomeUnknown,
        };
        self.fail(client, outcome);
    }

    /// Goes on to end the turn without an answer, for good or only for now.
    fn fail(&mut self, client: usize, outcome: Outcome) {
        let client = &mut self.clients[client];
        let attempts = client.taken.as_ref().map_or(0, |taken| taken.0.attempts);
        let from_queue = self.table.turns.get(&client.request.key).is_some_and(|turn| turn.place.is_some());
        let due = after_failure(NOW, &failure(outcome), attempts, 1.0);
        let exhausted = outcome == Outcome::Retryable && attempts >= MAX_ATTEMPTS;
        client.step = Step::Ending(match (due, exhausted) {
            (Some(_), _) if from_queue => Ending::Requeue,
            (_, true) => Ending::Fail(Plain(Outcome::Final)),
            (_, false) => Ending::Fail(Plain(outcome)),
        });
    }

    /// Goes on to commit, with or without the answer's end in the log.
    pub(crate) fn commit(&mut self, client: usize, logged: bool) {
        let Step::Answered(answer) = self.clients[client].step else { return };
        if logged {
            self.table.finished_logs.insert(answer);
        }
        self.clients[client].step = Step::Ending(Ending::Commit(answer));
    }

    /// Applies a write and remembers what the rows will not.
    pub(crate) fn apply(&mut self, write: &Write, flaw: Option<Flaw>) -> bool {
        if !self.table.apply(write, flaw) {
            return false;
        }
        self.history.remember(write, &self.table, &self.clients);
        if let (Write::Commit { attempt, epoch, .. }, Some(Flaw::HeadOutsideCommit)) = (write, flaw) {
            self.delay(Write::RaiseHead { attempt: *attempt, epoch: *epoch });
        }
        true
    }

    /// Leaves a write on its way.
    pub(crate) fn delay(&mut self, write: Write) {
        self.delayed.push(write);
        self.delayed.sort_by_key(Write::token);
    }

    /// A delayed write arrives. One that was applied before is a resend: within its
    /// token's window nothing happens, as if it had never arrived, and that is
    /// among the possibilities already; so here the window is always over.
    pub(crate) fn arrive(&mut self, index: usize, flaw: Option<Flaw>) {
        let write = self.delayed.remove(index);
        let accepted = self.apply(&write, flaw);
        let sender = self.clients.get_mut(write.token().attempt.client);
        if let Some(sender) = sender.filter(|sender| accepted && sender.write().as_ref() == Some(&write)) {
            sender.applied = true;
        }
    }

    /// A person takes the lock away.
    pub(crate) fn force_release(&mut self) {
        let held = self.table.holder().map(|holder| holder.key);
        self.history.released.extend(held.filter(|key| self.history.places.contains_key(key)));
        self.table.force_release();
    }
}

impl Client {
    /// The table has said that the write is done.
    fn written(&mut self) {
        let number = self.taken.as_ref().map_or(0, |taken| taken.0.number);
        let applied_before = std::mem::take(&mut self.applied);
        match self.step {
            Step::Ending(Ending::Commit(answer)) => self.tell(Reply::Answer { number, answer: Some(answer) }),
            Step::Ending(Ending::Fail(outcome)) => self.tell(Reply::Failure(outcome)),
            Step::Ending(Ending::Requeue) => self.begin_again(),
            Step::Joining(_) => self.tell(Reply::Accepted),
            Step::Stopping(_) if self.request.wish == Wish::Cancel => self.tell(Reply::Cancelled),
            Step::Stopping(_) => {
                self.in_the_way = None;
                self.step = Step::Looking;
            }
            Step::Taking
            | Step::Looking
            | Step::HalfRead(_)
            | Step::Owning
            | Step::Asking
            | Step::Answered(_)
            | Step::Told(_) => {
                self.mark = applied_before.then_some(Mark::RecoveredFromToken);
                self.step = Step::Owning;
            }
        }
    }

    /// The table has said that a condition failed. The rows that come with this are
    /// those whose own condition failed, which need not be both, so the attempt
    /// looks again; it may do so at once.
    fn rejected(&mut self) {
        if matches!(self.step, Step::Ending(Ending::Commit(_)) | Step::Stopping(_)) {
            self.mark = Some(Mark::Superseded);
        }
        self.applied = false;
        self.step = Step::Looking;
    }

    /// The client has its reply. A worker has nobody to reply to, and is free again.
    pub(crate) fn tell(&mut self, reply: Reply) {
        if self.is_worker() {
            return self.begin_again();
        }
        self.taken = None;
        self.step = Step::Told(reply);
    }

    /// The process dies, or has nothing more to do for this attempt. Whoever asked asks
    /// again, and if it was a hint, another may come.
    pub(crate) fn begin_again(&mut self) {
        let attempt = Attempt { nth: self.attempt.nth + 1, ..self.attempt };
        let request = if self.is_worker() { WORKER } else { self.request };
        *self = Self { attempt, ..Self::new(attempt.client, request) };
    }
}
