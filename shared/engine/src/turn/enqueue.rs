//! Read, decide, write T0: a turn that waits gets its place before its client is told so.

use std::time::Duration;

use turnwise_core::fault::Fault;
use turnwise_core::id::{AttemptId, ProjectId};
use turnwise_core::limits::{BUSY_RETRY_AFTER, MAX_CONFLICT_RETRIES, MAX_INPUT_BYTES};
use turnwise_core::turn::{Conversation, Enqueue, Place, Previous, State, Turn, enqueue};
use turnwise_store::{EnqueueTurn, Enqueued};

use super::claim::check_project;
use super::remember;
use super::request::TurnRequest;
use super::run::{Source, Started, facts_of, failed};
use crate::engine::Engine;
use crate::error::Error;
use crate::follow::Marks;

impl Engine {
    /// Gives a turn a place in its conversation's queue, due `after` so long, or finds where
    /// it stands. Idempotent by the turn's key.
    pub(super) async fn enqueue(&self, request: &TurnRequest, after: Duration) -> Result<Started, Error> {
        let tenant = &request.caller.tenant;
        let ask = self.ask(request);
        let (mut conversation, mut turn) = tokio::try_join!(
            self.retry(|_| self.store.conversation(tenant, &request.key.conversation)),
            self.retry(|_| self.store.turn(tenant, &request.key)),
        )?;
        for round in 0..=MAX_CONFLICT_RETRIES {
            let project = conversation.as_ref().and_then(|conversation| conversation.project.clone());
            if conversation.is_some() {
                check_project(request, project.as_ref())?;
            }
            let place = match (enqueue(conversation.as_ref(), turn.as_ref(), &ask), &turn) {
                (Enqueue::Join(place), _) => place,
                (Enqueue::Waiting, Some(turn)) => return Ok(waiting(turn, project, true)),
                (Enqueue::Running, Some(turn)) => {
                    let source = Source::Elsewhere(Marks::of(turn));
                    return Ok(Started { facts: facts_of(turn, project), replayed: true, source });
                }
                (Enqueue::Replay(_), Some(turn)) => return self.committed(request, turn, project).await,
                (Enqueue::ReplayFailure(failure), Some(turn)) => return Err(failed(turn, failure)),
                (Enqueue::KeyReused, _) => return Err(Error::KeyReused),
                (Enqueue::Overtaken, _) => return Err(Error::ConversationBusy { retry_after: BUSY_RETRY_AFTER }),
                (Enqueue::Full, _) => return Err(Error::QueueFull { retry_after: BUSY_RETRY_AFTER }),
                (Enqueue::Erased, _) => return Err(Error::ConversationErased),
                (Enqueue::Waiting | Enqueue::Running | Enqueue::Replay(_) | Enqueue::ReplayFailure(_), None) => {
                    unreachable!("decided from a turn that is there")
                }
            };
            let mut queued = self.turn_to_enqueue(request, &place, &ask.attempt, turn.as_ref())?;
            queued.state = State::Queued { due: self.clock.now() + after };
            match self.write_t0(request, &queued, &place).await {
                Ok(Enqueued::Joined) => {
                    self.hint(tenant, &request.key, after).await;
                    let project = project.or_else(|| request.project.clone().filter(|_| conversation.is_none()));
                    return Ok(waiting(&queued, project, false));
                }
                // The same request has begun in its other place.
                Ok(Enqueued::Refused { conversation: None, turn: None }) if request.lineage.rival.is_some() => {
                    return Err(Error::ConversationBusy { retry_after: BUSY_RETRY_AFTER });
                }
                Ok(Enqueued::Refused { conversation: now, turn: found }) => {
                    // The row of a condition that held is not sent along.
                    conversation = now.or(conversation);
                    turn = found.map(|found| *found).or(turn);
                    if round % 2 == 1 {
                        self.pause(round).await;
                    }
                }
                Err(error) if error.is_transient() && round < MAX_CONFLICT_RETRIES => {
                    tracing::debug!(%error, "T0 without a clear answer; looking again");
                    self.pause(round).await;
                    (conversation, turn) = self.look_at_queue(request).await?;
                    if turn.as_ref().is_some_and(|turn| turn.attempt == ask.attempt) {
                        self.hint(tenant, &request.key, after).await;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        // Every round met another request that took the place.
        Err(Error::ConversationBusy { retry_after: BUSY_RETRY_AFTER })
    }

    async fn look_at_queue(&self, request: &TurnRequest) -> Result<(Option<Conversation>, Option<Turn>), Error> {
        let tenant = &request.caller.tenant;
        Ok(tokio::try_join!(
            self.retry(|_| self.store.conversation(tenant, &request.key.conversation)),
            self.retry(|_| self.store.turn(tenant, &request.key)),
        )?)
    }

    fn turn_to_enqueue(
        &self,
        request: &TurnRequest,
        place: &Place,
        attempt: &AttemptId,
        before: Option<&Turn>,
    ) -> Result<Turn, Error> {
        // A model that nobody serves, or that cannot be asked this, and what is too long for it by
        // itself, is an error for the client that asks, not for the worker that comes to it later.
        let chain = self.chain(&request.input, &request.caller.grant)?;
        remember::check(&request.input, &[], &chain.first().measure)?;
        let now = self.clock.now();
        let input = serde_json::value::to_raw_value(&request.input).ok();
        let input = input.filter(|input| input.get().len() <= MAX_INPUT_BYTES).ok_or_else(|| {
            let message = format!("A turn that waits in the queue takes at most {MAX_INPUT_BYTES} bytes of input.");
            Error::Invalid(Fault::new("input", message).into())
        })?;
        let epoch = match place.previous {
            Previous::Failed { epoch } | Previous::Lost { epoch } | Previous::Queued { epoch, .. } => epoch,
            Previous::Absent => 0,
        };
        Ok(Turn {
            key: request.key.clone(),
            input_hash: request.input_hash.clone(),
            delivery: before.map_or(request.delivery, |turn| turn.delivery),
            epoch,
            attempt: attempt.clone(),
            attempts: place.attempts,
            created_at: before.map_or(now, |turn| turn.created_at),
            updated_at: now,
            input: Some(input),
            place: Some(place.place),
            number: 0,
            streams: before.map_or(0, |turn| turn.streams),
            streamed: None,
            deleted_at: None,
            state: State::Queued { due: now },
        })
    }

    async fn write_t0(
        &self,
        request: &TurnRequest,
        turn: &Turn,
        place: &Place,
    ) -> Result<Enqueued, turnwise_store::Error> {
        let tenant = &request.caller.tenant;
        let (project, lineage, now) = (request.project.as_ref(), &request.lineage, self.clock.now());
        self.store.enqueue_turn(&EnqueueTurn { tenant, turn, place, project, lineage, now }).await
    }
}

fn waiting(turn: &Turn, project: Option<ProjectId>, replayed: bool) -> Started {
    Started { facts: facts_of(turn, project), replayed, source: Source::Waiting(Marks::of(turn)) }
}
