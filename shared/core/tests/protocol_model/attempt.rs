//! What an attempt does, step by step. Core decides; this performs it on the world.

use turnwise_core::turn::{Ask, Decision, Delivery, Outcome, Plan, Previous, Standing, begin, plan};

use crate::Flaw;
use crate::hashed::{Plain, Taken};
use crate::rows::{Answer, Attempt, Meta, NOW, Turn};
use crate::table::Write;
use crate::world::{Client, Ending, HalfRead, Mark, Reply, Step, World};

impl World {
    /// Reads META and TURN at once and does what core decides.
    pub(crate) fn look(&mut self, client: usize) {
        let (meta, turn) = self.rows(client);
        self.decide(client, meta.as_ref(), turn.as_ref());
    }

    /// Reads META only.
    pub(crate) fn read_meta(&mut self, client: usize) {
        let (meta, _) = self.rows(client);
        self.clients[client].step = Step::HalfRead(HalfRead::Meta(meta));
    }

    /// Reads TURN only.
    pub(crate) fn read_turn(&mut self, client: usize) {
        let (_, turn) = self.rows(client);
        self.clients[client].step = Step::HalfRead(HalfRead::Turn(turn));
    }

    /// Reads the other row, which may be of a later time, and does what core decides.
    pub(crate) fn read_rest(&mut self, client: usize) {
        let Step::HalfRead(half) = self.clients[client].step.clone() else { return };
        let (meta, turn) = self.rows(client);
        match half {
            HalfRead::Meta(earlier) => self.decide(client, earlier.as_ref(), turn.as_ref()),
            HalfRead::Turn(earlier) => self.decide(client, meta.as_ref(), earlier.as_ref()),
        }
    }

    fn rows(&self, client: usize) -> (Option<Meta>, Option<Turn>) {
        let turn = self.table.turns.get(&self.clients[client].request.key);
        (self.table.meta.clone(), turn.cloned())
    }

    fn decide(&mut self, client: usize, meta: Option<&Meta>, turn: Option<&Turn>) {
        let messages = &self.table.messages;
        let client = &mut self.clients[client];
        let epoch_stored = turn.map(|turn| turn.epoch);

        client.step = match client.ask(meta, turn) {
            Decision::Acquire(acquire) => {
                client.taken = Some(Taken(acquire));
                Step::Taking
            }
            Decision::Mine => {
                // `Mine` does not say what was there before T1: the attempt must
                // still know, or it could not plan.
                let epoch_sent = client.taken.as_ref().map(|taken| taken.0.epoch);
                assert_eq!(epoch_sent, epoch_stored, "an attempt owns an epoch it did not ask for");
                client.mark = Some(Mark::RecoveredFromRows);
                Step::Owning
            }
            Decision::Attach | Decision::Busy | Decision::Waiting | Decision::Erased => Step::Looking,
            Decision::Replay(commit) => {
                let answer = messages.get(&commit.number).copied();
                Step::Told(Reply::Answer { number: commit.number, answer })
            }
            Decision::ReplayFailure(failure) => Step::Told(Reply::Failure(Plain(failure.outcome))),
            Decision::KeyReused => Step::Told(Reply::KeyReused),
            Decision::WrongNumber(_) => Step::Told(Reply::WrongNumber),
        };
        if client.is_over() {
            client.taken = None;
        }
    }

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
        let client = &mut self.clients[client];
        client.step = Step::Ending(Ending::Fail(Plain(outcome)));
        if let Some(calls) = self.history.unrefused_calls.get_mut(&client.request.key) {
            *calls -= 1;
        }
    }

    /// The provider says nothing: it may or may not have answered.
    pub(crate) fn silent(&mut self, client: usize) {
        let client = &mut self.clients[client];
        let delivery = self.table.turns.get(&client.request.key).map_or(client.request.delivery, |turn| turn.delivery);
        let outcome = match delivery.0 {
            Delivery::AtLeastOnce => Outcome::Retryable,
            Delivery::AtMostOnce => Outcome::OutcomeUnknown,
        };
        client.step = Step::Ending(Ending::Fail(Plain(outcome)));
    }

    /// Goes on to commit, with or without the answer's end in the log.
    pub(crate) fn commit(&mut self, client: usize, logged: bool) {
        let Step::Answered(answer) = self.clients[client].step else { return };
        if logged {
            self.table.finished_logs.insert(answer);
        }
        self.clients[client].step = Step::Ending(Ending::Commit(answer));
    }

    /// The process dies. Its client hears nothing and asks again.
    pub(crate) fn crash(&mut self, client: usize) {
        let client = &mut self.clients[client];
        let attempt = Attempt { nth: client.attempt.nth + 1, ..client.attempt };
        *client = Client { attempt, ..Client::new(attempt.client, client.request) };
    }

    /// Applies a write and remembers what the rows will not.
    pub(crate) fn apply(&mut self, write: &Write, flaw: Option<Flaw>) -> bool {
        let accepted = self.table.apply(write, flaw);
        match write {
            Write::Take { key, delivery, taken, .. } if accepted => {
                if delivery.0 == Delivery::AtMostOnce && taken.0.previous == Previous::Absent {
                    self.history.unrefused_calls.insert(*key, 0);
                }
                self.history.epoch_reused |= taken.0.epoch <= self.history.top_fence;
            }
            Write::Commit { attempt, epoch, number, answer } if accepted => {
                self.history.commits.entry(answer.key).or_default().push((*number, *answer));
                if flaw == Some(Flaw::HeadOutsideCommit) {
                    self.delay(Write::RaiseHead { attempt: *attempt, epoch: *epoch });
                }
            }
            Write::Take { .. } | Write::Commit { .. } | Write::Fail { .. } | Write::RaiseHead { .. } => {}
        }
        accepted
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
}

impl Client {
    /// What core decides about this client's request, from these rows.
    pub(crate) fn ask(&self, meta: Option<&Meta>, turn: Option<&Turn>) -> Decision {
        let request = self.request;
        let (input_hash, attempt) = (request.input.hash(), self.attempt.id());
        let ask = Ask { input_hash, number: request.number, attempt, standing: Standing::Behind };
        let conversation = meta.map(Meta::to_core);
        let turn = turn.map(|turn| turn.to_core(request.key));
        begin(NOW, conversation.as_ref(), turn.as_ref(), &ask)
    }

    /// The table has said that the write is done.
    fn written(&mut self) {
        let number = self.taken.as_ref().map_or(0, |taken| taken.0.number);
        if let Step::Ending(ending) = self.step {
            self.taken = None;
            self.step = Step::Told(match ending {
                Ending::Commit(answer) => Reply::Answer { number, answer: Some(answer) },
                Ending::Fail(outcome) => Reply::Failure(outcome),
            });
        } else {
            self.mark = self.applied.then_some(Mark::RecoveredFromToken);
            self.step = Step::Owning;
        }
        self.applied = false;
    }
    /// The table has said that a condition failed. The rows that come with this are
    /// those whose own condition failed, which need not be both, so the attempt
    /// looks again; it may do so at once.
    fn rejected(&mut self) {
        if matches!(self.step, Step::Ending(Ending::Commit(_))) {
            self.mark = Some(Mark::Superseded);
        }
        self.applied = false;
        self.step = Step::Looking;
    }
}
