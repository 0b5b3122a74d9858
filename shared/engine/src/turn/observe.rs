//! A turn looked at by somebody who does not ask for it again.

use std::sync::Arc;
use std::time::Duration;

use turnwise_core::id::TurnKey;
use turnwise_core::turn::{State, Turn};

use super::request::{Caller, Facts};
use super::run::{Source, facts_of};
use crate::engine::Engine;
use crate::error::Error;
use crate::follow::{self, Frames, Marks, Reader};

impl Engine {
    /// The stream of a turn, from its first event: followed while it waits or is made,
    /// played back when it has ended, also without an answer.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Gone`] before the first event; later trouble is a frame.
    pub async fn stream_of(&self, caller: &Caller, key: &TurnKey) -> Result<(Facts, Frames), Error> {
        let turn = self.retry(|_| self.store.turn(&caller.tenant, key)).await?;
        let turn = turn.ok_or_else(|| Error::NotFound { what: "turn", name: key.to_string() })?;
        let facts = facts_of(&turn, None);
        let source = self.source_of(caller, turn).await?;
        let reader = Reader::Observer(caller.clone(), key.clone());
        Ok((facts, follow::turn(self.clone(), reader, source)))
    }

    /// Where the events of the turn `key` are to be had now. One whose attempt has died is
    /// handed to the worker: an observer does not know the turn's input.
    pub(crate) async fn observe(&self, caller: &Caller, key: &TurnKey) -> Result<Source, Error> {
        let turn = self.retry(|_| self.store.turn(&caller.tenant, key)).await?;
        let turn = turn.ok_or_else(|| Error::NotFound { what: "turn", name: key.to_string() })?;
        self.source_of(caller, turn).await
    }

    async fn source_of(&self, caller: &Caller, turn: Turn) -> Result<Source, Error> {
        let tenant = &caller.tenant;
        let marks = Marks::of(&turn);
        match &turn.state {
            State::Completed(_) => {
                let answer = Arc::new(self.committed_answer(tenant, &turn).await?);
                Ok(Source::Answer { answer, marks })
            }
            State::Failed(failure) => Ok(Source::Failed { failure: Arc::new(failure.clone()), marks }),
            State::Queued { .. } => Ok(Source::Waiting(marks)),
            State::Processing => {
                if let Some(live) = self.hub.running(tenant, &turn.key) {
                    return Ok(Source::Live(live));
                }
                let conversation = self.retry(|_| self.store.conversation(tenant, &turn.key.conversation)).await?;
                if !conversation.is_some_and(|conversation| conversation.is_held(self.clock.now())) {
                    self.hint(tenant, &turn.key, Duration::ZERO).await;
                }
                Ok(Source::Elsewhere(marks))
            }
        }
    }
}
