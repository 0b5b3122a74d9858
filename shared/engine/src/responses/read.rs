//! Responses read back by their ids, and cancelled.

use serde_json::Value;
use turnwise_core::id::{Tenant, TurnKey};
use turnwise_core::items::{ResponseHead, RowId, parse_response_id};
use turnwise_core::json::RawMap;
use turnwise_core::turn::{State, Turn};

use crate::engine::Engine;
use crate::error::Error;
use crate::follow::Frames;
use crate::history::FoundTurn;
use crate::turn::{Caller, Facts, Input};

/// A response as it stands.
#[derive(Debug)]
pub struct FoundResponse {
    /// The turn, with its answer if it has one.
    pub found: FoundTurn,
    /// The request, as long as there is no answer and it was kept.
    pub input: Option<Input>,
    /// The model that answers or is to answer; empty if that is not known any more.
    pub model: String,
}

/// What came in with a response.
#[derive(Debug)]
pub struct ResponseInput {
    /// The turn.
    pub key: TurnKey,
    /// The row of its conversation that holds it; number 0 before there is an answer.
    pub row: RowId,
    /// The items, without ids; null in the place of a deleted one.
    pub items: Vec<Value>,
}

impl FoundResponse {
    /// What every form of it says.
    #[must_use]
    pub fn head(&self) -> ResponseHead {
        let turn = &self.found.turn;
        let (echo, inputs) = match (&self.found.answer, &self.input) {
            (Some(answer), _) => (answer.echo.clone(), answer.inputs),
            (None, Some(input)) => (input.echo.clone(), input.items_count()),
            (None, None) => (RawMap::new(), 0),
        };
        ResponseHead {
            key: turn.key.clone(),
            created_at: turn.created_at,
            model: self.model.clone(),
            echo,
            number: turn.number,
            inputs,
            queued: turn.place.is_some(),
        }
    }
}

impl Engine {
    /// The response `id`.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Gone`] when its content was removed.
    pub async fn response(&self, tenant: &Tenant, id: &str) -> Result<FoundResponse, Error> {
        let turn = self.turn_of_response(tenant, id).await?;
        self.found_response(tenant, turn).await
    }

    /// The stream of the response `id`, from its first event.
    ///
    /// # Errors
    /// As [`Self::response`]; later trouble is a frame.
    pub async fn stream_response(&self, caller: &Caller, id: &str) -> Result<(ResponseHead, Facts, Frames), Error> {
        let found = self.response(&caller.tenant, id).await?;
        let head = found.head();
        let (facts, frames) = self.stream_of(caller, &head.key).await?;
        Ok((head, facts, frames))
    }

    /// Cancels the response `id`, as [`Self::cancel`] does, and shows it then.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TurnEnded`] when it has ended otherwise.
    pub async fn cancel_response(&self, caller: &Caller, id: &str) -> Result<FoundResponse, Error> {
        let turn = self.turn_of_response(&caller.tenant, id).await?;
        self.cancel(caller, &turn.key).await?;
        self.response(&caller.tenant, id).await
    }

    /// What came in with the response `id`.
    ///
    /// # Errors
    /// As [`Self::response`].
    pub async fn response_input(&self, tenant: &Tenant, id: &str) -> Result<ResponseInput, Error> {
        let turn = self.turn_of_response(tenant, id).await?;
        let (row, items) = match &turn.state {
            State::Completed(commit) => {
                let (store, conversation, number) = (&self.store, &turn.key.conversation, commit.number);
                let now = self.clock.now();
                let kept = self.retry(|_| store.committed_turn(tenant, conversation, number, now)).await?;
                (RowId::of_turn(number), kept.map(|kept| kept.input.items()))
            }
            State::Queued { .. } | State::Processing | State::Failed(_) => {
                let items = stored_input(&turn).and_then(|input| input.items);
                (RowId::of_turn(0), items.and_then(|items| serde_json::from_str(items.get()).ok()))
            }
        };
        Ok(ResponseInput { key: turn.key, row, items: items.ok_or(Error::Gone)? })
    }

    /// The turn that the response `id` is.
    pub(super) async fn turn_of_response(&self, tenant: &Tenant, id: &str) -> Result<Turn, Error> {
        let not_found = || Error::NotFound { what: "response", name: id.to_owned() };
        let key = parse_response_id(id).ok_or_else(not_found)?;
        let turn = self.retry(|_| self.store.turn(tenant, &key)).await?;
        turn.filter(|turn| turn.deleted_at.is_none()).ok_or_else(not_found)
    }

    pub(super) async fn found_response(&self, tenant: &Tenant, turn: Turn) -> Result<FoundResponse, Error> {
        let input = stored_input(&turn);
        let found = self.found(tenant, turn).await?;
        let model = self.model_of(&found);
        Ok(FoundResponse { found, input, model })
    }
}

/// The request as it was kept with its turn.
pub(crate) fn stored_input(turn: &Turn) -> Option<Input> {
    let read = turn.input.as_ref().map(|input| Input::read(input))?;
    read.inspect_err(|error| tracing::error!(%error, turn.key = %turn.key, "a stored input cannot be read")).ok()
}
