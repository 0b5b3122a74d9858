//! The task that owns a running turn. It lives as long as the turn and not as long
//! as anybody's connection.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use turnwise_core::fold::Fold;
use turnwise_core::generation::{Completion, Generation};
use turnwise_core::json;
use turnwise_core::turn::{Failure, Plan, Previous, Streamed, plan};
use turnwise_providers::Resolved;
use turnwise_store::{LogEnd, LogPage};

use super::claim::{Ready, must_end_by};
use super::keep::Keeper;
use super::refused;
use super::remember;
use super::request::{Caller, Input};
use crate::engine::Engine;
use crate::live::{LiveTurn, Outcome};
use crate::upstream::{Answered, Broken, Candidate, Effort, Upstream, read_upstream};

/// A turn to be made.
pub(super) struct Producer {
    pub(super) engine: Engine,
    pub(super) ready: Ready,
    pub(super) caller: Caller,
    pub(super) input: Input,
    pub(super) stream: bool,
    pub(super) live: Arc<LiveTurn>,
}

/// What the producer has in hand when it comes to commit.
pub(super) enum Made {
    /// A whole answer, and who gave it.
    Answer(Answered),
    /// An answer that broke off.
    Broken(Broken),
    /// No answer: the provider is not asked.
    Refused(Failure),
    /// Whether a lost attempt's call was answered is not known, and it must not be
    /// repeated; its partial text.
    Unknown(String),
}

/// Which events clients were shown.
pub(super) struct Shown {
    /// Whose; `None` where there were none.
    pub(super) streamed: Option<Streamed>,
    /// How many are in the log, if it is complete.
    pub(super) logged: Option<u64>,
}

impl Shown {
    /// The end of their log, where it has one.
    pub(super) fn log_end(&self, committed: bool) -> Option<LogEnd> {
        let (streamed, events) = self.streamed.zip(self.logged)?;
        Some(LogEnd { epoch: streamed.epoch, events, committed })
    }
}

impl Producer {
    /// Makes the turn and commits it, whatever becomes of its clients.
    pub(super) async fn run(self) {
        let leaving = Leaving { engine: self.engine.clone(), producer: &self };
        let (made, shown) = self.make().await;
        // Before the commit: should this process die in between, the account has more than
        // the ledger, and never less.
        self.engine.leave(&self.ready.admission, self.spent(&made)).await;
        let outcome = self.settle(made, &shown).await;
        let ended = !matches!(outcome, Outcome::Unwritten(_));
        self.live.end(outcome);
        drop(leaving);
        if ended {
            // Nobody's reply waits for this.
            self.engine.wake_queue(&self.ready.claim.tenant, &self.ready.claim.key.conversation).await;
        }
    }

    async fn make(&self) -> (Made, Shown) {
        let claim = &self.ready.claim;
        let log = self.lost_log().await;
        match plan(claim.previous, claim.attempts, claim.delivery, log.is_finished()) {
            Plan::Call => {
                // What was not streamed is told as the stream behind all that were.
                self.live.begin(if self.stream { claim.streams } else { claim.streams + 1 });
                let (made, logged) = match self.refusal() {
                    Some(failure) => (Made::Refused(failure), self.stream.then_some(0)),
                    None => self.call().await,
                };
                (made, Shown { streamed: self.ready.turn.streamed, logged })
            }
            Plan::RollForward => {
                tracing::info!(turn.key = %claim.key, "rolling a lost attempt's answer forward");
                let body = json::raw(&Fold::of(&log.events).complete());
                let chain = &self.ready.chain;
                let by = log.model.as_ref().map_or_else(|| chain.first(), |model| chain.named(model));
                let resolved = by.resolved.clone();
                let completion = Completion::new(body, self.messages(by).get());
                // Of the lost attempt's calls no more is known than that one of them ended well.
                let effort = Effort { calls: 1, is_fallback: resolved.name != chain.first().resolved.name, took: None };
                let made = Made::Answer(Answered { completion, resolved, effort });
                (made, self.show_again(log))
            }
            Plan::GiveUp => {
                let made = Made::Unknown(Fold::of(&log.events).text().to_owned());
                (made, self.show_again(log))
            }
        }
    }

    /// Shows a lost attempt's events as what they are: whoever was reading them goes on
    /// where it was.
    fn show_again(&self, log: LogPage) -> Shown {
        let claim = &self.ready.claim;
        let Some(streamed) = log.streamed else {
            self.live.begin(claim.streams + 1);
            return Shown { streamed: None, logged: None };
        };
        self.live.begin(streamed.stream);
        let logged = u64::try_from(log.events.len()).ok();
        log.events.into_iter().for_each(|event| self.live.push(event));
        Shown { streamed: Some(streamed), logged }
    }

    /// The stream log that lost attempts at this turn left; empty if there is none.
    async fn lost_log(&self) -> LogPage {
        let claim = &self.ready.claim;
        let epoch = match claim.previous {
            Previous::Lost { epoch } => epoch,
            Previous::Absent | Previous::Queued { .. } | Previous::Failed { .. } => return LogPage::default(),
        };
        let read = self.engine.retry(|_| self.engine.store.read_lost_events(&claim.tenant, &claim.key, epoch));
        read.await.unwrap_or_else(|error| {
            tracing::warn!(%error, turn.key = %claim.key, "the lost attempt's stream log cannot be read");
            LogPage::default()
        })
    }

    async fn call(&self) -> (Made, Option<u64>) {
        let deadline = self.caller.deadline;
        let upstream = Upstream {
            chain: &self.ready.chain,
            generation: &|candidate| self.generation(candidate),
            id: format!("chatcmpl-{}", self.ready.claim.attempt),
            stream: self.stream,
            delivery: self.ready.claim.delivery,
            must_end_by: must_end_by(self.engine.clock.now(), deadline),
            live: &self.live,
        };
        let keeper =
            Keeper { engine: &self.engine, claim: &self.ready.claim, live: &self.live, logs: self.stream, deadline };

        let done = CancellationToken::new();
        let reading = async {
            let result = read_upstream(&self.engine, upstream).await;
            done.cancel();
            result
        };
        let (result, logged) = tokio::join!(reading, keeper.run(&done));
        (result.map_or_else(Made::Broken, Made::Answer), logged)
    }

    /// A request of a client is refused at the door; a turn of the queue got in before
    /// anybody knew what its conversation would be.
    fn refusal(&self) -> Option<Failure> {
        if let Some(refusal) = &self.ready.refused {
            let from_queue = self.ready.turn.place.is_some();
            return Some(refused::not_admitted(refusal, from_queue, self.caller.request_id.clone()));
        }
        let checked = remember::check(&self.input, &self.ready.history, &self.ready.chain.first().measure);
        checked.err().map(|too_long| refused::too_long(&too_long, self.caller.request_id.clone()))
    }

    /// The model that was asked for.
    pub(super) fn first(&self) -> &Resolved {
        &self.ready.chain.first().resolved
    }

    fn generation(&self, candidate: &Candidate) -> Generation {
        let mut fields = self.input.fields.clone();
        fields.insert("messages".to_owned(), self.messages(candidate));
        Generation { model: candidate.resolved.model.clone(), fields }
    }

    fn messages(&self, candidate: &Candidate) -> Box<RawValue> {
        remember::messages(&self.input, &self.ready.history, &candidate.measure)
    }
}

/// Takes the turn out of the hub at the end, even an end by panic, so that nobody
/// waits for ever.
struct Leaving<'a> {
    engine: Engine,
    producer: &'a Producer,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let Producer { ready, live, .. } = self.producer;
        // Does nothing where the turn has ended in order.
        live.end(Outcome::Superseded);
        self.engine.hub.leave(&ready.claim.tenant, &ready.claim.key, live);
    }
}
