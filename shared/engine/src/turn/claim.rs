//! Read, decide, write T1.

use turnwise_core::id::{AttemptId, ConversationId, ProjectId, Tenant, TurnKey};
use turnwise_core::limits::{MAX_CONFLICT_RETRIES, MAX_INPUT_BYTES};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{
    Acquire, Ask, Claim, Conversation, Decision, Delivery, Failure, Previous, Standing, State, Streamed, Turn, begin,
    lease_until,
};
use turnwise_store::{BeginTurn, Begun, Entry};

use super::remember;
use super::request::TurnRequest;
use crate::engine::Engine;
use crate::error::Error;
use crate::memory::Remembered;
use crate::upstream::Chain;

/// What a request with a key came to at the door.
pub(super) enum Claimed {
    /// This attempt owns the lock.
    Ready(Box<Ready>),
    /// Another process is running this very turn.
    Elsewhere(Box<Turn>, Option<ProjectId>),
    /// Another turn has the lock, or queued turns come first; and the turn, if there is
    /// one, whose dead attempt has to be seen to before anybody gets on.
    Busy(Option<TurnKey>),
    /// The turn waits in the queue.
    Waiting(Box<Turn>, Option<ProjectId>),
    /// The turn is committed.
    Completed(Box<Turn>, Option<ProjectId>),
    /// The turn failed, and stays so.
    Failed(Box<Turn>, Failure),
}

/// An attempt that owns the lock, with what it needs to go on.
pub(super) struct Ready {
    pub(super) claim: Claim,
    pub(super) turn: Turn,
    pub(super) history: Vec<Entry>,
    pub(super) chain: Chain,
    /// Whether the history came from memory; `None` where none was asked for.
    pub(super) remembered: Option<bool>,
}

/// What one look at the table showed.
struct Seen {
    conversation: Option<Conversation>,
    history: Vec<Entry>,
    /// Whether it came from memory; `None` where none was asked for, or there is none.
    remembered: Option<bool>,
    turn: Option<Turn>,
}

impl Engine {
    /// Brings a request as far as it gets without waiting for anybody else.
    /// Nothing is written but T1, and that only for a request that is in order.
    pub(super) async fn claim(&self, request: &TurnRequest) -> Result<Claimed, Error> {
        let ask = self.ask(request);
        let mut tried: Option<Acquire> = None;

        for round in 0..=MAX_CONFLICT_RETRIES {
            let mut seen = self.look(request).await?;
            if let Some(conversation) = &seen.conversation {
                check_project(request, conversation.project.as_ref())?;
            }
            let mut decision = self.decide(&seen, &ask);
            if let Decision::WrongNumber(actual) = decision {
                // The two reads are not one: the turn may have been committed between them.
                seen.turn = self.retry(|_| self.store.turn(&request.caller.tenant, &request.key)).await?;
                decision = self.decide(&seen, &ask);
                tracing::debug!(actual, "asserted number looked at again");
            }

            if let Decision::Acquire(acquire) = decision {
                let chain = self.chain(&request.input, &request.caller.grant)?;
                if is_to_be_checked(request, &acquire) {
                    remember::check(&request.input, &seen.history, &chain.first().measure)?;
                }
                let turn = self.turn_to_begin(request, &acquire, &ask, seen.turn.as_ref());
                tried = Some(acquire.clone());
                match self.write_t1(request, &turn, &acquire, seen.turn.as_ref()).await {
                    Ok(Begun::Acquired) => {
                        return Ok(Claimed::Ready(Box::new(ready(request, &acquire, turn, seen, chain))));
                    }
                    // The same request has begun in its other place.
                    Ok(Begun::Refused { conversation: None, turn: None }) if request.lineage.rival.is_some() => {
                        return Ok(Claimed::Busy(None));
                    }
                    Ok(Begun::Refused { conversation, turn }) => {
                        seen.conversation = conversation.or(seen.conversation);
                        seen.turn = turn.map(|turn| *turn).or(seen.turn);
                        decision = self.decide(&seen, &ask);
                    }
                    // Whether it was applied, the next look shows.
                    Err(error) if error.is_transient() && round < MAX_CONFLICT_RETRIES => {
                        tracing::debug!(%error, "T1 without a clear answer; looking again");
                        self.pause(round).await;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }

            let project = seen.conversation.as_ref().and_then(|conversation| conversation.project.clone());
            match (decision, seen.turn) {
                // The conversation has changed, and with it the history: look again.
                (Decision::Acquire(_), _) => self.pause(round).await,
                (Decision::Mine, Some(turn)) => {
                    let Some(acquire) = tried.take().filter(|acquire| acquire.epoch == turn.epoch) else { continue };
                    let chain = self.chain(&request.input, &request.caller.grant)?;
                    let seen = Seen { turn: None, ..seen };
                    return Ok(Claimed::Ready(Box::new(ready(request, &acquire, turn, seen, chain))));
                }
                (Decision::Attach, Some(turn)) => return Ok(Claimed::Elsewhere(Box::new(turn), project)),
                (Decision::Busy, _) => return Ok(Claimed::Busy(self.left_by_dead(request, seen.conversation))),
                (Decision::Waiting, Some(turn)) => return Ok(Claimed::Waiting(Box::new(turn), project)),
                (Decision::Erased, _) => return Err(Error::ConversationErased),
                (Decision::Replay(_), Some(turn)) => return Ok(Claimed::Completed(Box::new(turn), project)),
                (Decision::ReplayFailure(failure), Some(turn)) => {
                    return Ok(Claimed::Failed(Box::new(turn), failure));
                }
                (Decision::KeyReused, _) => return Err(Error::KeyReused),
                (Decision::WrongNumber(actual), _) => {
                    return Err(Error::WrongNumber { asserted: request.number.unwrap_or(0), actual });
                }
                (
                    Decision::Mine
                    | Decision::Attach
                    | Decision::Waiting
                    | Decision::Replay(_)
                    | Decision::ReplayFailure(_),
                    None,
                ) => self.pause(round).await,
            }
        }
        // Every round met a change by somebody else: to the client the same as busy.
        Ok(Claimed::Busy(None))
    }

    /// What `request` brings to a decision, as a new attempt.
    pub(super) fn ask(&self, request: &TurnRequest) -> Ask {
        let attempt = AttemptId::new(self.random.uuid_v7(self.clock.now()));
        let (number, standing) = (request.number, request.standing);
        Ask { input_hash: request.input_hash.clone(), number, attempt, standing }
    }

    /// The turn whose attempt holds the lock under a lease that is over.
    fn left_by_dead(&self, request: &TurnRequest, conversation: Option<Conversation>) -> Option<TurnKey> {
        let holder = conversation.and_then(|conversation| conversation.holder)?;
        let conversation = request.key.conversation.clone();
        holder.has_lapsed(self.clock.now()).then_some(TurnKey { conversation, turn: holder.turn })
    }

    async fn look(&self, request: &TurnRequest) -> Result<Seen, Error> {
        let tenant = &request.caller.tenant;
        let turns = if request.input.remembers { request.input.window.rows() } else { 0 };
        let (newest, turn) = tokio::try_join!(
            self.newest_rows(tenant, &request.key.conversation, turns),
            self.retry(|_| self.store.turn(tenant, &request.key)),
        )?;
        let conversation = match (newest.conversation, &turn) {
            // The turn began between the two reads, and its conversation with it.
            (None, Some(_)) => self.retry(|_| self.store.conversation(tenant, &request.key.conversation)).await?,
            (conversation, _) => conversation,
        };
        let parent = match &conversation {
            Some(conversation) => conversation.parent.clone(),
            None => request.lineage.parent.clone(),
        };
        // Boxed, as few conversations are forks and every turn comes by here.
        let history = Box::pin(self.reach_back(tenant, newest.history, parent, turns)).await?;
        Ok(Seen { conversation, history, remembered: newest.remembered, turn })
    }

    /// A conversation with its `wanted` newest rows, from memory where that has them as
    /// they are now.
    async fn newest_rows(
        &self,
        tenant: &Tenant,
        name: &ConversationId,
        wanted: usize,
    ) -> Result<Seen, turnwise_store::Error> {
        if let Some(remembered) = self.memory.get(tenant, name, wanted).filter(|_| wanted > 0) {
            let conversation = self.retry(|_| self.store.conversation(tenant, name)).await?;
            let version = conversation.as_ref().map(|conversation| conversation.version);
            if version == Some(remembered.version) {
                self.memory.hit();
                // What has expired since is no change, and yet gone.
                let now = self.clock.now();
                let older = remembered.rows.len().saturating_sub(wanted);
                let kept = remembered.rows[older..].iter().filter(|entry| !entry.has_expired(now));
                let history = kept.cloned().collect();
                return Ok(Seen { conversation, history, remembered: Some(true), turn: None });
            }
        }
        let now = self.clock.now();
        let opened = self.retry(|_| self.store.open(tenant, name, wanted, now)).await?;
        let read = opened.conversation.as_ref().filter(|_| wanted > 0);
        let remembered = read.map(|_| false);
        if let Some(conversation) = read {
            self.memory.missed();
            let rows = opened.newest.clone().into();
            self.memory.put(tenant, name, Remembered { version: conversation.version, rows, asked: wanted });
        }
        Ok(Seen { conversation: opened.conversation, history: opened.newest, remembered, turn: None })
    }

    fn decide(&self, seen: &Seen, ask: &Ask) -> Decision {
        begin(self.clock.now(), seen.conversation.as_ref(), seen.turn.as_ref(), ask)
    }

    fn turn_to_begin(&self, request: &TurnRequest, acquire: &Acquire, ask: &Ask, before: Option<&Turn>) -> Turn {
        let now = self.clock.now();
        let input = serde_json::value::to_raw_value(&request.input).ok();
        let streams = before.map_or(0, |turn| turn.streams) + u32::from(request.input.stream);
        Turn {
            key: request.key.clone(),
            input_hash: request.input_hash.clone(),
            delivery: before.map_or(request.delivery, |turn| turn.delivery),
            epoch: acquire.epoch,
            attempt: ask.attempt.clone(),
            attempts: acquire.attempts,
            created_at: before.map_or(now, |turn| turn.created_at),
            updated_at: now,
            input: input.filter(|input| input.get().len() <= MAX_INPUT_BYTES),
            place: before.and_then(|turn| turn.place),
            number: acquire.number,
            streams,
            streamed: request.input.stream.then_some(Streamed { epoch: acquire.epoch, stream: streams }),
            deleted_at: None,
            state: State::Processing,
        }
    }

    async fn write_t1(
        &self,
        request: &TurnRequest,
        turn: &Turn,
        acquire: &Acquire,
        before: Option<&Turn>,
    ) -> Result<Begun, turnwise_store::Error> {
        let now = self.clock.now();
        let begin = BeginTurn {
            tenant: &request.caller.tenant,
            turn,
            acquire,
            seen_attempt: before.map(|turn| &turn.attempt),
            lease_until: lease_until(now, request.caller.deadline),
            project: request.project.as_ref(),
            lineage: &request.lineage,
            now,
        };
        self.store.begin_turn(&begin).await
    }
}

/// Whether a conversation that is too long is told to the client. A turn of the queue has
/// no client left and ends as failed; what a dead attempt left was let in before, and its
/// answer may be there.
fn is_to_be_checked(request: &TurnRequest, acquire: &Acquire) -> bool {
    let from_queue = matches!(request.standing, Standing::Head { .. });
    let left_by_dead = matches!(acquire.previous, Previous::Lost { .. });
    !from_queue && !left_by_dead
}

/// A conversation belongs to the project of its first turn; from another it cannot
/// be seen.
pub(super) fn check_project(request: &TurnRequest, project: Option<&ProjectId>) -> Result<(), Error> {
    let foreign = request.project.is_some() && request.project.as_ref() != project;
    if foreign {
        return Err(Error::NotFound { what: "thread", name: request.key.conversation.to_string() });
    }
    Ok(())
}

fn ready(request: &TurnRequest, acquire: &Acquire, turn: Turn, seen: Seen, chain: Chain) -> Ready {
    let project = match seen.conversation {
        Some(conversation) => conversation.project,
        None => request.project.clone(),
    };
    let claim = Claim {
        tenant: request.caller.tenant.clone(),
        key: request.key.clone(),
        attempt: turn.attempt.clone(),
        attempts: turn.attempts,
        epoch: turn.epoch,
        number: acquire.number,
        streams: turn.streams,
        previous: acquire.previous,
        version: acquire.seen_version,
        input_hash: turn.input_hash.clone(),
        delivery: turn.delivery,
        project,
        created_at: turn.created_at,
    };
    Ready { claim, turn, history: seen.history, chain, remembered: seen.remembered }
}

/// How long an attempt may run: until shortly before its invocation ends, or the
/// longest a turn may take.
pub(crate) fn must_end_by(now: Timestamp, deadline: Option<Timestamp>) -> Timestamp {
    use turnwise_core::limits::{DEADLINE_MARGIN, TURN_TIMEOUT};
    let longest = now + TURN_TIMEOUT;
    deadline.map_or(longest, |deadline| longest.min(deadline - DEADLINE_MARGIN))
}

/// What a failed attempt leaves to the next one in at-most-once mode: nothing, once
/// the provider may have been called.
pub(super) const fn may_call_again(delivery: Delivery, maybe_called: bool) -> bool {
    match delivery {
        Delivery::AtLeastOnce => true,
        Delivery::AtMostOnce => !maybe_called,
    }
}
