//! What a client or a worker reads, and what core makes of it.

use turnwise_core::turn::{Ask, Decision, Enqueue, Revoke, Standing, begin, enqueue, revoke};

use crate::flaws::Flaw;
use crate::hashed::{Joined, Plain, Revoked, Taken};
use crate::rows::{Key, Meta, NOW, State, Turn};
use crate::world::{Client, HalfRead, Mark, Reply, Request, Step, Wish, World};
use crate::writes::Halt;

impl World {
    /// Reads META and TURN at once and does what core decides.
    pub(crate) fn look(&mut self, client: usize, flaw: Option<Flaw>) {
        let (meta, turn) = self.rows(client);
        self.decide(client, meta.as_ref(), turn.as_ref(), flaw);
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
    pub(crate) fn read_rest(&mut self, client: usize, flaw: Option<Flaw>) {
        let Step::HalfRead(half) = self.clients[client].step.clone() else { return };
        let (meta, turn) = self.rows(client);
        match half {
            HalfRead::Meta(earlier) if self.clients[client].is_worker() => {
                self.run_head(client, earlier, self.table.queue_head(), flaw);
            }
            HalfRead::Head(earlier) => self.run_head(client, meta, Some(earlier), flaw),
            HalfRead::Meta(earlier) => self.decide(client, earlier.as_ref(), turn.as_ref(), flaw),
            HalfRead::Turn(earlier) => self.decide(client, meta.as_ref(), earlier.as_ref(), flaw),
        }
    }

    fn rows(&self, client: usize) -> (Option<Meta>, Option<Turn>) {
        let client = &self.clients[client];
        let turn = self.table.turns.get(&client.stopping().unwrap_or(client.request.key));
        (self.table.meta.clone(), turn.cloned())
    }

    /// A hint comes that the queue is due.
    pub(crate) fn hint_queue(&mut self, worker: usize, flaw: Option<Flaw>) {
        self.run_head(worker, self.table.meta.clone(), self.table.queue_head(), flaw);
    }

    /// Reads the head of the queue, and nothing else yet.
    pub(crate) fn read_head(&mut self, worker: usize) {
        if let Some(head) = self.table.queue_head() {
            self.clients[worker].step = Step::HalfRead(HalfRead::Head(head));
        }
    }

    /// Runs the head of the queue, unless the conversation is at work.
    ///
    /// META must be the first of what is read. A turn can come back to a place in front
    /// of what was the head only while its attempt has the lock, and T1 requires the
    /// fence under which the lock was found free.
    fn run_head(&mut self, worker: usize, meta: Option<Meta>, head: Option<Key>, flaw: Option<Flaw>) {
        self.clients[worker].step = Step::Looking;
        let (Some(mut meta), Some(head)) = (meta, head) else { return };
        let lapsed = meta.holder.take_if(|holder| holder.lapsed);
        match lapsed {
            // The queue keeps its order: what a dead attempt left comes first.
            Some(left) if flaw != Some(Flaw::LapsedHolderOvertaken) => self.hint_turn(worker, left.key, flaw),
            Some(_) | None => {
                let standing = Standing::Head { fence: meta.fence };
                self.run_stored(worker, head, Some(meta), standing, flaw);
            }
        }
    }

    /// A hint comes that the attempt of a turn has died.
    pub(crate) fn hint_turn(&mut self, worker: usize, key: Key, flaw: Option<Flaw>) {
        if self.table.turns.get(&key).is_some_and(|turn| turn.state == State::Processing) {
            self.run_stored(worker, key, self.table.meta.clone(), Standing::Behind, flaw);
        }
    }

    /// Begins a turn with what is stored of it, or leaves it to others.
    fn run_stored(&mut self, worker: usize, key: Key, meta: Option<Meta>, standing: Standing, flaw: Option<Flaw>) {
        let Some(turn) = self.table.turns.get(&key).cloned() else { return };
        let client = &mut self.clients[worker];
        let idle = client.clone();
        client.request.key = key;
        client.request.input = turn.input;
        client.request.delivery = turn.delivery;
        self.begin(worker, meta.as_ref(), Some(&turn), standing, flaw);
        if self.clients[worker].step != Step::Taking {
            self.clients[worker] = idle;
        }
    }

    fn decide(&mut self, client: usize, meta: Option<&Meta>, turn: Option<&Turn>, flaw: Option<Flaw>) {
        let wish = self.clients[client].request.wish;
        match wish {
            _ if self.clients[client].stopping().is_some() => self.stop(client, meta, turn),
            Wish::Enqueue => self.join(client, meta, turn),
            Wish::Interrupt => self.begin(client, meta, turn, Standing::Ahead, flaw),
            Wish::Answer if flaw == Some(Flaw::QueueIgnored) => self.begin(client, meta, turn, Standing::Ahead, flaw),
            Wish::Answer | Wish::Cancel | Wish::Work => self.begin(client, meta, turn, Standing::Behind, flaw),
        }
    }

    fn begin(
        &mut self,
        client: usize,
        meta: Option<&Meta>,
        turn: Option<&Turn>,
        standing: Standing,
        flaw: Option<Flaw>,
    ) {
        let messages = &self.table.messages;
        let client = &mut self.clients[client];
        let epoch_stored = turn.map(|turn| turn.epoch);
        let sent_before = client.taken.is_some();
        let tail_hidden = flaw == Some(Flaw::LapsedLockTaken);
        let shown = meta.map(|meta| if tail_hidden { Meta { queue_tail: 0, ..meta.clone() } } else { meta.clone() });

        client.step = Step::Looking;
        match client.ask(shown.as_ref(), turn, standing) {
            // The worker learns here only whether its T1 was applied; what is due now,
            // the next hint says.
            Decision::Acquire(_) if client.is_worker() && sent_before => client.begin_again(),
            Decision::Acquire(acquire) => {
                client.taken = Some(Taken(acquire));
                client.step = Step::Taking;
            }
            Decision::Mine => {
                // `Mine` does not say what was there before T1: the attempt must
                // still know, or it could not plan.
                let epoch_sent = client.taken.as_ref().map(|taken| taken.0.epoch);
                assert_eq!(epoch_sent, epoch_stored, "an attempt owns an epoch it did not ask for");
                client.mark = Some(Mark::RecoveredFromRows);
                client.step = Step::Owning;
            }
            Decision::Attach | Decision::Busy | Decision::Waiting | Decision::Erased if client.is_worker() => {
                if sent_before {
                    client.begin_again();
                }
            }
            Decision::Busy if client.request.wish == Wish::Interrupt => {
                client.in_the_way = meta.and_then(|meta| meta.holder.as_ref()).map(|holder| holder.key);
            }
            Decision::Attach | Decision::Busy | Decision::Waiting | Decision::Erased => {}
            Decision::Replay(commit) => {
                let answer = messages.get(&commit.number).copied();
                client.tell(Reply::Answer { number: commit.number, answer });
            }
            Decision::ReplayFailure(failure) => client.tell(Reply::Failure(Plain(failure.outcome))),
            Decision::KeyReused => client.tell(Reply::KeyReused),
            Decision::WrongNumber(_) => client.tell(Reply::WrongNumber),
        }
    }

    fn join(&mut self, client: usize, meta: Option<&Meta>, turn: Option<&Turn>) {
        let messages = &self.table.messages;
        let client = &mut self.clients[client];
        client.step = Step::Looking;
        match client.ask_to_wait(meta, turn) {
            Enqueue::Join(place) => client.step = Step::Joining(Joined(place)),
            // Its own row as well, when the reply to T0 was lost.
            Enqueue::Waiting | Enqueue::Running => client.tell(Reply::Accepted),
            Enqueue::Replay(commit) => {
                let answer = messages.get(&commit.number).copied();
                client.tell(Reply::Answer { number: commit.number, answer });
            }
            Enqueue::ReplayFailure(failure) => client.tell(Reply::Failure(Plain(failure.outcome))),
            Enqueue::KeyReused => client.tell(Reply::KeyReused),
            Enqueue::Full | Enqueue::Overtaken | Enqueue::Erased => {}
        }
    }

    fn stop(&mut self, client: usize, meta: Option<&Meta>, turn: Option<&Turn>) {
        let client = &mut self.clients[client];
        client.step = Step::Looking;
        let (Some(key), Some(turn)) = (client.stopping(), turn) else { return };
        let meta = meta.map(Meta::to_core);
        let revoked = revoke(meta.as_ref(), &turn.to_core(key));
        let cancels = client.request.wish == Wish::Cancel;
        match revoked {
            Revoke::Withdraw { .. } | Revoke::Stop { .. } | Revoke::End { .. } => {
                let (epoch, owner, revoked) = (turn.epoch, turn.attempt, Revoked(revoked));
                client.step = Step::Stopping(Halt { key, epoch, owner, revoked });
            }
            Revoke::Cancelled if cancels => client.tell(Reply::Cancelled),
            Revoke::Ended if cancels => client.tell(Reply::Ended),
            Revoke::Cancelled | Revoke::Ended => client.in_the_way = None,
        }
    }
}

impl Client {
    /// What core decides about this client's request, from these rows.
    pub(crate) fn ask(&self, meta: Option<&Meta>, turn: Option<&Turn>, standing: Standing) -> Decision {
        let conversation = meta.map(Meta::to_core);
        let turn = turn.map(|turn| turn.to_core(self.request.key));
        begin(NOW, conversation.as_ref(), turn.as_ref(), &self.to_core(standing))
    }

    /// What core decides about a request that can wait.
    pub(crate) fn ask_to_wait(&self, meta: Option<&Meta>, turn: Option<&Turn>) -> Enqueue {
        let conversation = meta.map(Meta::to_core);
        let turn = turn.map(|turn| turn.to_core(self.request.key));
        enqueue(conversation.as_ref(), turn.as_ref(), &self.to_core(Standing::Behind))
    }

    fn to_core(&self, standing: Standing) -> Ask {
        let Request { input, number, .. } = self.request;
        Ask { input_hash: input.hash(), number, attempt: self.attempt.id(), standing }
    }
}
