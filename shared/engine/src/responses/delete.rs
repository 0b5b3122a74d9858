//! A response deleted: not found any more, and its content gone where no conversation
//! of its client's holds it.

use serde_json::Value;
use turnwise_core::id::{AttemptId, Tenant};
use turnwise_core::json::{self, RawMap};
use turnwise_core::limits::{BUSY_RETRY_AFTER, BUSY_WAIT, POLL_FIRST, POLL_MOST};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Change, Failure, State, Turn, change};
use turnwise_store::{CommittedTurn, Content, DeleteResponse, Deleted, EmptyTurn};

use crate::engine::Engine;
use crate::error::Error;
use crate::turn::Caller;

impl Engine {
    /// Deletes the response `id`. One that waits or runs is cancelled first.
    ///
    /// The turn's row stays, as the record of its key: a retry is told that the answer is
    /// gone, and is not made again. What it said goes away with it, unless the client
    /// named the conversation: there it stays until the client deletes it from there.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ConversationBusy`] when another turn of its
    /// conversation runs for too long, and what the store may say.
    pub async fn delete_response(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        let tenant = &caller.tenant;
        let mut turn = self.turn_of_response(tenant, id).await?;
        if matches!(turn.state, State::Queued { .. } | State::Processing) {
            match self.cancel(caller, &turn.key).await {
                // It ended by itself in the meantime.
                Ok(()) | Err(Error::TurnEnded { .. }) => {}
                Err(error) => return Err(error),
            }
            turn = self.turn_of_response(tenant, id).await?;
        }
        let deletion = AttemptId::new(self.random.uuid_v7(self.clock.now()));
        let deleted_at = self.clock.now();
        let give_up = deleted_at + BUSY_WAIT;
        let mut pause = POLL_FIRST;
        loop {
            let written = match &turn.state {
                State::Completed(commit) if turn.key.conversation.is_implicit() => {
                    self.delete_with_content(tenant, &deletion, &turn, commit.number, deleted_at).await?
                }
                // Someone has put it back in the queue.
                State::Queued { .. } | State::Processing => Deleted::Changed,
                State::Completed(_) | State::Failed(_) => {
                    let deleted = Turn { deleted_at: Some(deleted_at), ..without_content(&turn) };
                    self.write_deletion(tenant, &deletion, &deleted, None).await?
                }
            };
            if written == Deleted::Applied {
                return Ok(());
            }
            if self.clock.now() >= give_up {
                return Err(Error::ConversationBusy { retry_after: BUSY_RETRY_AFTER });
            }
            self.clock.sleep(self.random.jitter(pause)).await;
            pause = (pause * 2).min(POLL_MOST);
            // One that another request has deleted meanwhile is not there any more.
            turn = self.turn_of_response(tenant, id).await?;
        }
    }

    /// Deletes a turn with its row of the conversation, while nobody has the lock: an
    /// attempt at work has been given that row.
    async fn delete_with_content(
        &self,
        tenant: &Tenant,
        deletion: &AttemptId,
        turn: &Turn,
        number: u64,
        deleted_at: Timestamp,
    ) -> Result<Deleted, Error> {
        let (conversation, now) = (&turn.key.conversation, self.clock.now());
        let (found, kept) = tokio::try_join!(
            self.retry(|_| self.store.conversation(tenant, conversation)),
            self.retry(|_| self.store.committed_turn(tenant, conversation, number, now)),
        )?;
        let deleted = Turn { deleted_at: Some(deleted_at), ..turn.clone() };
        // A client that has used even such a conversation's name keeps what it put there.
        let kept = kept.filter(|kept| !kept.echo.contains_key("conversation"));
        match (change(found.as_ref()), kept) {
            (Change::Write { seen_version, .. }, Some(kept)) => {
                // First, so that an interruption in between leaves something to delete.
                self.erase_log(tenant, conversation, &turn.key.turn).await?;
                let (before, row) = (kept.pack()?, emptied(kept).pack()?);
                let empty = EmptyTurn { row: &row, before: &before, seen_version };
                self.write_deletion(tenant, deletion, &deleted, Some(empty)).await
            }
            (Change::Busy, Some(_)) => Ok(Deleted::Changed),
            // There is nothing that could go.
            (Change::Absent | Change::Erased, _) | (_, None) => {
                self.write_deletion(tenant, deletion, &deleted, None).await
            }
        }
    }

    async fn write_deletion(
        &self,
        tenant: &Tenant,
        deletion: &AttemptId,
        turn: &Turn,
        empty: Option<EmptyTurn<'_>>,
    ) -> Result<Deleted, Error> {
        let now = self.clock.now();
        let delete = DeleteResponse { tenant, deletion, turn, empty, now };
        let delete = &delete;
        Ok(self.retry(|_| self.store.delete_response(delete)).await?)
    }
}

/// The turn's row with nothing in it; what came in keeps its places, so that no other
/// item is ever called as one of these was.
fn emptied(kept: CommittedTurn) -> CommittedTurn {
    let nothing = vec![Value::Null; kept.input.items().len()];
    let input = Content::Items(json::raw(&Value::Array(nothing)));
    CommittedTurn { input, output: json::raw(&Value::Null), echo: RawMap::new(), ..kept }
}

/// An ended turn without its request and without what had arrived of its answer.
fn without_content(turn: &Turn) -> Turn {
    let state = match &turn.state {
        State::Failed(failure) => State::Failed(Failure { partial: String::new(), ..failure.clone() }),
        other @ (State::Queued { .. } | State::Processing | State::Completed(_)) => other.clone(),
    };
    Turn { input: None, state, ..turn.clone() }
}
