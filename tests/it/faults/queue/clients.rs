//! What the clients of a run do: send turns until they are told what became of them, and
//! cancel some.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use turnwise_core::turn::Outcome;
use turnwise_engine::clock::Clock;
use turnwise_engine::turn::TurnRequest;
use turnwise_engine::{Engine, Error};
use turnwise_tests::rig;

use super::plan::Planned;
use crate::faults::world::text_of;

/// Tries of one client: more than the faults of a run can spoil.
const TRIES: usize = 60;

/// How long a client waits for one reply before it tries again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client was told of its turn in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// It waits in the queue.
    Queued,
    /// It has ended, with this answer or failure.
    Ended(Result<String, Outcome>),
}

/// What whoever cancelled a turn was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cancelled {
    /// It is cancelled.
    Yes,
    /// It had ended in this state.
    TooLate(&'static str),
}

/// A client on some of `engines`.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) engines: Vec<Engine>,
    pub(super) clock: Clock,
    pub(super) rng: StdRng,
}

impl Client {
    /// Sends a turn when its time has come, again and again, until it is told that the
    /// turn is queued or how it ended.
    pub(super) async fn send(mut self, planned: Planned) -> Told {
        self.clock.sleep(planned.at + Duration::from_millis(self.rng.random_range(0..5000))).await;
        self.ask(&planned, Planned::request).await
    }

    /// Asks for the turn's answer until there is one, or a failure that stays.
    pub(super) async fn come_back(mut self, planned: Planned) -> Result<String, Outcome> {
        match self.ask(&planned, Planned::request_that_waits).await {
            Told::Ended(result) => result,
            Told::Queued => unreachable!("a client that waits is not sent away"),
        }
    }

    async fn ask(&mut self, planned: &Planned, request: fn(&Planned, &mut StdRng) -> TurnRequest) -> Told {
        let mut tried = Vec::new();
        for _ in 0..TRIES {
            let request = request(planned, &mut self.rng);
            // A client that leaves at once, and comes again.
            let patience = if self.rng.random_range(0..10) == 0 { Duration::from_millis(1) } else { PATIENCE };
            let engine = self.some_engine();
            let result = self.clock.timeout(patience, Box::pin(engine.answer(request))).await;
            let result = result.map(|result| result.map(|(_, answer)| text_of(&answer)));
            tried.push(format!("{} {result:?}", self.clock.now()));
            match result {
                Some(Ok(text)) => return Told::Ended(Ok(text)),
                Some(Err(Error::Queued { .. })) => return Told::Queued,
                Some(Err(Error::Failed { failure, .. })) if failure.outcome != Outcome::Retryable => {
                    return Told::Ended(Err(failure.outcome));
                }
                Some(Err(
                    Error::Failed { .. }
                    | Error::ConversationBusy { .. }
                    | Error::StillRunning { .. }
                    | Error::Store(_),
                ))
                | None => self.pause().await,
                Some(Err(other)) => panic!("{} got {other:?}", planned.wanted.key),
            }
        }
        panic!("{} did not end in {TRIES} tries:\n{}", planned.wanted.key, tried.join("\n"));
    }

    /// Cancels a turn when its time has come, again and again, until it is told whether
    /// that was in time.
    pub(super) async fn cancel(mut self, planned: Planned, at: Duration) -> Cancelled {
        self.clock.sleep(at).await;
        let (caller, key) = (rig::caller(), &planned.wanted.key);
        let mut tries = 0;
        while tries < TRIES {
            let engine = self.some_engine();
            let cancelling = Box::pin(engine.cancel(&caller, key));
            match self.clock.timeout(PATIENCE, cancelling).await {
                Some(Ok(())) => return Cancelled::Yes,
                Some(Err(Error::TurnEnded { state, .. })) => return Cancelled::TooLate(state),
                // Its own client has not brought it in yet, and will.
                Some(Err(Error::NotFound { .. })) => {}
                Some(Err(Error::ConversationBusy { .. } | Error::Store(_))) | None => tries += 1,
                Some(Err(other)) => panic!("{key} cannot be cancelled: {other:?}"),
            }
            self.pause().await;
        }
        panic!("{key} was not cancelled in {TRIES} tries");
    }

    fn some_engine(&mut self) -> Engine {
        self.engines[self.rng.random_range(0..self.engines.len())].clone()
    }

    async fn pause(&mut self) {
        self.clock.sleep(Duration::from_millis(self.rng.random_range(100..8000))).await;
    }
}
