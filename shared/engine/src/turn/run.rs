//! The use cases: a turn's answer, or its stream.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use turnwise_core::id::ProjectId;
use turnwise_core::limits::{BUSY_RETRY_AFTER, BUSY_WAIT, CONFLICT_PAUSE, POLL_FIRST, POLL_MOST};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Failure, OnBusy, Outcome as Fate, State, Turn};

use super::claim::{Claimed, Ready, check_project, must_end_by};
use super::produce::Producer;
use super::request::{Answer, Caller, Facts, TurnRequest};
use super::settle;
use crate::admission::Allowance;
use crate::engine::Engine;
use crate::error::Error;
use crate::follow::{self, Frames, Marks, Reader};
use crate::live::{LiveTurn, Outcome};

/// A turn that has been brought as far as it gets without waiting for its end.
#[derive(Debug)]
pub struct Started {
    /// What is known of it.
    pub facts: Facts,
    /// Whether this request found it, rather than began it.
    pub replayed: bool,
    pub(crate) source: Source,
}

impl Started {
    /// Whether a failure of this request's own attempt is one to be waited for in the
    /// queue: the provider wants to be left alone for longer than the request has time, and
    /// its client comes back for the answer.
    fn is_for_the_queue(&self, request: &TurnRequest, failure: &Failure) -> bool {
        let may_pass = failure.outcome == Fate::Retryable && failure.retry_after_ms.is_some() && !failure.is_spent;
        !self.replayed && request.comes_back() && may_pass
    }
}

/// Where a started turn's answer comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// It runs in this process.
    Live(Arc<LiveTurn>),
    /// It waits in its conversation's queue.
    Waiting(Marks),
    /// It runs in another process.
    Elsewhere(Marks),
    /// It is committed.
    Answer { answer: Arc<Answer>, marks: Marks },
    /// It has ended without an answer.
    Failed { failure: Arc<Failure>, marks: Marks },
}

impl Engine {
    /// The answer of a turn: made, waited for or read back, whichever the key asks for.
    ///
    /// Idempotent by the turn's key. Goes on to the commit even if it is dropped.
    ///
    /// # Errors
    /// [`Error::KeyReused`], [`Error::WrongNumber`], [`Error::ConversationBusy`],
    /// [`Error::StillRunning`] when another request's run outlasts `wait`,
    /// [`Error::Queued`] when the turn waits in the queue and the client will come back,
    /// [`Error::Failed`] with the turn's own failure, and what the store may say.
    pub async fn answer(&self, request: TurnRequest) -> Result<(Started, Arc<Answer>), Error> {
        let request = Arc::new(request);
        let give_up = self.give_up(request.wait, &request.caller);
        let mut pause = POLL_FIRST;
        loop {
            let started = self.start_turn(&request).await?;
            let facts = started.facts.clone();
            match &started.source {
                Source::Answer { answer, .. } => {
                    let answer = Arc::clone(answer);
                    return Ok((started, answer));
                }
                Source::Live(live) => {
                    let left = give_up.since(self.clock.now());
                    let outcome = match started.replayed {
                        false => Some(live.outcome().await),
                        true => self.clock.timeout(left, live.outcome()).await,
                    };
                    match outcome {
                        Some(Outcome::Committed(answer)) => return Ok((started, answer)),
                        Some(Outcome::Failed(failure)) if started.is_for_the_queue(&request, &failure) => {
                            let after = Duration::from_millis(failure.retry_after_ms.unwrap_or(0));
                            // Boxed, as few turns come by here.
                            Box::pin(self.enqueue(&request, after)).await?;
                            return Err(Error::Queued { key: request.key.to_string() });
                        }
                        Some(Outcome::Failed(failure) | Outcome::Unwritten(failure)) => {
                            let replayed = started.replayed;
                            return Err(Error::Failed { failure, facts: Some(Box::new(facts)), replayed });
                        }
                        Some(Outcome::Superseded | Outcome::Requeued) => {}
                        None => return Err(still_running(&request)),
                    }
                }
                Source::Waiting(_) if request.comes_back() => {
                    return Err(Error::Queued { key: request.key.to_string() });
                }
                Source::Failed { failure, .. } => {
                    let failure = Arc::clone(failure);
                    return Err(Error::Failed { failure, facts: Some(Box::new(facts)), replayed: true });
                }
                Source::Waiting(_) | Source::Elsewhere(_) => {}
            }
            if self.clock.now() >= give_up {
                return Err(still_running(&request));
            }
            self.clock.sleep(self.random.jitter(pause)).await;
            pause = (pause * 2).min(POLL_MOST);
        }
    }

    /// The stream of a turn, from its first event: followed while it is made or
    /// played back.
    ///
    /// Idempotent by the turn's key. The turn goes on to its commit even if the
    /// stream is dropped.
    ///
    /// # Errors
    /// As [`Self::answer`], before the first event; later trouble is a frame.
    pub async fn stream(&self, request: TurnRequest) -> Result<(Facts, bool, Frames), Error> {
        let request = Arc::new(request);
        let started = self.start_turn(&request).await?;
        let (facts, replayed) = (started.facts.clone(), started.replayed);
        Ok((facts, replayed, follow::turn(self.clone(), Reader::Owner(request), started.source)))
    }

    /// Brings a turn as far as it gets without waiting for its end: begins it,
    /// finds it running or finds it ended. Waits for the conversation's lock as the
    /// request's busy policy says.
    pub(crate) async fn start_turn(&self, request: &Arc<TurnRequest>) -> Result<Started, Error> {
        // In a task of its own, so that a client that leaves between T1 and the
        // start of the producer does not leave a lock behind that nobody works for.
        let left = CancellationToken::new();
        let _guard = left.clone().drop_guard();
        let (engine, request) = (self.clone(), Arc::clone(request));
        self.tasks.spawn(async move { engine.start_at_door(&request, &left).await }).await?
    }

    async fn start_at_door(&self, request: &TurnRequest, left: &CancellationToken) -> Result<Started, Error> {
        let tenant = &request.caller.tenant;
        let door = self.hub.door(tenant, &request.key.conversation);
        let longest = match request.on_busy {
            OnBusy::Wait(longest) => longest,
            OnBusy::Reject | OnBusy::Enqueue => Duration::ZERO,
            OnBusy::Interrupt => BUSY_WAIT,
        };
        let give_up = self.give_up(longest, &request.caller);
        let (mut pause, mut hinted) = (POLL_FIRST, false);
        loop {
            let released = door.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            {
                let _entry = door.entry.lock().await;
                if let Some(live) = self.hub.running(tenant, &request.key) {
                    return attach(request, live);
                }
                if request.background {
                    return self.enqueue(request, Duration::ZERO).await;
                }
                if let Some(started) = self.claim_or_find(request, &mut hinted).await? {
                    return Ok(started);
                }
                match request.on_busy {
                    OnBusy::Enqueue => return self.enqueue(request, Duration::ZERO).await,
                    OnBusy::Interrupt => {
                        self.interrupt(request).await?;
                        pause = CONFLICT_PAUSE;
                    }
                    OnBusy::Wait(_) | OnBusy::Reject => {}
                }
            }
            let retry_after = BUSY_RETRY_AFTER;
            if self.clock.now() >= give_up {
                return Err(Error::ConversationBusy { retry_after });
            }
            tokio::select! {
                () = &mut released => {}
                () = self.clock.sleep(self.random.jitter(pause)) => pause = (pause * 2).min(POLL_MOST),
                () = left.cancelled() => return Err(Error::ConversationBusy { retry_after }),
            }
        }
    }

    /// Until when a request waits: `longest` from now, but never so long that its
    /// invocation would end before a turn could.
    fn give_up(&self, longest: Duration, caller: &Caller) -> Timestamp {
        let now = self.clock.now();
        (now + longest).min(must_end_by(now, caller.deadline))
    }

    /// `None` while another turn has the lock. `hinted` tells whether the queue knows of a
    /// dead attempt that is in the way.
    async fn claim_or_find(&self, request: &TurnRequest, hinted: &mut bool) -> Result<Option<Started>, Error> {
        // Many reads and writes in one: too large to be a part of whoever waits for it.
        match Box::pin(self.claim(request)).await? {
            Claimed::Busy(left_by_dead) => {
                // Nobody may have noticed yet; who waits here is the first to.
                if let Some(dead) = left_by_dead.filter(|_| !*hinted) {
                    *hinted = true;
                    self.hint(&request.caller.tenant, &dead, Duration::ZERO).await;
                }
                Ok(None)
            }
            Claimed::Ready(ready) => Ok(Some(self.run(request, *ready))),
            Claimed::Waiting(turn, project) => {
                let source = Source::Waiting(Marks::of(&turn));
                Ok(Some(Started { facts: facts_of(&turn, project), replayed: true, source }))
            }
            Claimed::Elsewhere(turn, project) => {
                let source = Source::Elsewhere(Marks::of(&turn));
                Ok(Some(Started { facts: facts_of(&turn, project), replayed: true, source }))
            }
            Claimed::Completed(turn, project) => self.committed(request, &turn, project).await.map(Some),
            Claimed::Failed(turn, failure) => Err(failed(&turn, failure)),
        }
    }

    fn run(&self, request: &TurnRequest, ready: Ready) -> Started {
        let claim = &ready.claim;
        let first = ready.chain.first();
        let facts = Facts {
            key: Some(claim.key.clone()),
            project: claim.project.clone(),
            number: Some(claim.number),
            created_at: Some(claim.created_at),
            queued: ready.turn.place.is_some(),
            attempts: claim.attempts,
            model: Some(first.resolved.name.clone()),
            why: Some(first.resolved.why.to_string()),
            dropped: first.dropped.clone(),
            allowance: ready.admission.allowance,
        };
        let live = LiveTurn::new(claim.input_hash.clone(), facts.clone());
        self.hub.enter(&claim.tenant, &claim.key, &live);
        let mut input = request.input.clone();
        if let Some(fields) = &ready.fields {
            input.fields.clone_from(fields);
        }
        let producer = Producer {
            engine: self.clone(),
            ready,
            caller: request.caller.clone(),
            input,
            stream: request.input.stream,
            live: Arc::clone(&live),
        };
        self.tasks.spawn(producer.run());
        Started { facts, replayed: false, source: Source::Live(live) }
    }

    pub(super) async fn committed(
        &self,
        request: &TurnRequest,
        turn: &Turn,
        project: Option<ProjectId>,
    ) -> Result<Started, Error> {
        let answer = Arc::new(self.committed_answer(&request.caller.tenant, turn).await?);
        let source = Source::Answer { answer, marks: Marks::of(turn) };
        Ok(Started { facts: facts_of(turn, project), replayed: true, source })
    }

    /// The answer of a committed turn, read back.
    pub(crate) async fn committed_answer(
        &self,
        tenant: &turnwise_core::id::Tenant,
        turn: &Turn,
    ) -> Result<Answer, Error> {
        let State::Completed(commit) = &turn.state else { return Err(Error::Gone) };
        let conversation = &turn.key.conversation;
        let now = self.clock.now();
        let messages = self.retry(|_| self.store.committed_turn(tenant, conversation, commit.number, now)).await?;
        // Expired, erased, or deleted as an item or as a response.
        let messages = messages.filter(|turn| !turn.is_unanswered()).filter(|_| turn.deleted_at.is_none());
        Ok(settle::answer(commit, &messages.ok_or(Error::Gone)?, turn.created_at))
    }
}

fn attach(request: &TurnRequest, live: Arc<LiveTurn>) -> Result<Started, Error> {
    check_project(request, live.facts.project.as_ref())?;
    if live.input_hash != request.input_hash {
        return Err(Error::KeyReused);
    }
    match (request.number, live.facts.number) {
        (Some(asserted), Some(actual)) if asserted != actual => Err(Error::WrongNumber { asserted, actual }),
        (Some(_) | None, Some(_) | None) => {
            let facts = Facts { why: Some("the turn was running already".to_owned()), ..live.facts.clone() };
            Ok(Started { facts, replayed: true, source: Source::Live(live) })
        }
    }
}

/// What a stored turn's headers say.
pub(crate) fn facts_of(turn: &Turn, project: Option<ProjectId>) -> Facts {
    let commit = match &turn.state {
        State::Completed(commit) => Some(commit),
        State::Queued { .. } | State::Processing | State::Failed(_) => None,
    };
    Facts {
        key: Some(turn.key.clone()),
        project,
        number: commit.map(|commit| commit.number),
        created_at: Some(turn.created_at),
        queued: turn.place.is_some(),
        attempts: turn.attempts,
        model: commit.map(|commit| commit.model.clone()),
        why: commit.map(|_| "stored answer".to_owned()),
        dropped: Vec::new(),
        allowance: Allowance::default(),
    }
}

pub(super) fn failed(turn: &Turn, failure: Failure) -> Error {
    Error::Failed { failure: Arc::new(failure), facts: Some(Box::new(facts_of(turn, None))), replayed: true }
}

fn still_running(request: &TurnRequest) -> Error {
    Error::StillRunning { key: request.key.to_string(), retry_after: BUSY_RETRY_AFTER }
}
