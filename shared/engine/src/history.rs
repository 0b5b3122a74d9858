//! Conversations and turns read back.

use turnwise_core::fault::Fault;
use turnwise_core::id::{ConversationId, ProjectId, Tenant, TurnKey};
use turnwise_core::items::RowId;
use turnwise_core::turn::{Conversation, State, Turn};
use turnwise_store::{CommittedTurn, Entry, ThreadPage};

use crate::engine::Engine;
use crate::error::Error;
use crate::responses::stored_input;
use crate::turn::{Answer, Facts, facts_of};

/// One page of a conversation's turns.
#[derive(Debug)]
pub struct TurnPage {
    /// The conversation's summary.
    pub conversation: Conversation,
    /// Committed turns in order.
    pub turns: Vec<CommittedTurn>,
    /// Whether there are more behind the last.
    pub has_more: bool,
}

/// A turn with its answer, if it has one.
#[derive(Debug)]
pub struct FoundTurn {
    /// The turn's record.
    pub turn: Turn,
    /// Its answer.
    pub answer: Option<Answer>,
    /// Its conversation's project.
    pub project: Option<ProjectId>,
    /// Where it stands in the queue, if it waits there: 1 comes next.
    pub position: Option<u64>,
}

impl FoundTurn {
    /// What its headers say.
    #[must_use]
    pub fn facts(&self) -> Facts {
        facts_of(&self.turn, self.project.clone())
    }
}

impl Engine {
    /// Conversations of a project, or of the person where no project is given,
    /// newest first.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an `after` that no page gave, and when the store does
    /// not answer.
    pub async fn threads(
        &self,
        tenant: &Tenant,
        user: &str,
        project: Option<&ProjectId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ThreadPage, Error> {
        if after.is_some_and(|after| !ThreadPage::is_cursor(after)) {
            let fault = Fault::new("after", "Expected the \"next\" of an earlier page.");
            return Err(Error::Invalid(fault.into()));
        }
        Ok(self.retry(|_| self.store.threads(tenant, user, project, after, limit)).await?)
    }

    /// Turns of a conversation in order, behind number `after`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the conversation is not there, or no longer.
    pub async fn turns(
        &self,
        tenant: &Tenant,
        thread: &ConversationId,
        after: u64,
        limit: usize,
    ) -> Result<TurnPage, Error> {
        let not_found = || Error::NotFound { what: "thread", name: thread.to_string() };
        let (conversation, turns) = tokio::try_join!(
            self.retry(|_| self.store.conversation(tenant, thread)),
            self.turns_after(tenant, thread, after, limit),
        )?;
        let conversation = conversation.filter(|conversation| !conversation.erased).ok_or_else(not_found)?;
        let last = turns.last().map_or(after, |turn| turn.number);
        Ok(TurnPage { has_more: !turns.is_empty() && last < conversation.head, conversation, turns })
    }

    /// Turns behind number `after`, without the items that were added between them.
    async fn turns_after(
        &self,
        tenant: &Tenant,
        thread: &ConversationId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<CommittedTurn>, turnwise_store::Error> {
        let mut turns: Vec<CommittedTurn> = Vec::new();
        // Behind everything that was added after that turn.
        let mut from = Some(RowId::behind_turn(after)).filter(|_| after > 0);
        let now = self.clock.now();
        loop {
            let wanted = limit - turns.len();
            let entries = self.retry(|_| self.store.entries(tenant, thread, from, false, wanted, now)).await?;
            let Some(last) = entries.last() else { return Ok(turns) };
            from = Some(last.row());
            turns.extend(entries.into_iter().filter_map(|entry| match entry {
                Entry::Turn(turn) => Some(turn),
                Entry::Added(_) => None,
            }));
            if turns.len() >= limit {
                return Ok(turns);
            }
        }
    }

    /// The turn a key names: `session:turn`, or the idempotency key of a stateless
    /// request.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn find_turn(&self, tenant: &Tenant, key: &str) -> Result<FoundTurn, Error> {
        let hidden = TurnKey::hidden("key", key).map_err(|fault| Error::Invalid(fault.into()))?;
        // A stateless request may have a key that is no `session:turn`, such as `a:`.
        let named = TurnKey::parse("key", key).ok().flatten();
        for candidate in named.into_iter().chain([hidden]) {
            if let Some(turn) = self.retry(|_| self.store.turn(tenant, &candidate)).await? {
                return self.found(tenant, turn).await;
            }
        }
        Err(Error::NotFound { what: "turn", name: key.to_owned() })
    }

    /// The model that answers `found` or is to answer it; empty if that is not known any more.
    #[must_use]
    pub fn model_of(&self, found: &FoundTurn) -> String {
        match (&found.answer, stored_input(&found.turn)) {
            (Some(answer), _) => answer.model.clone(),
            (None, Some(input)) => {
                let asked = input.model.as_deref();
                let resolved = self.providers.resolve(asked).map(|resolved| resolved.name);
                resolved.unwrap_or_else(|_| asked.unwrap_or_default().to_owned())
            }
            (None, None) => String::new(),
        }
    }

    pub(crate) async fn found(&self, tenant: &Tenant, turn: Turn) -> Result<FoundTurn, Error> {
        let conversation = self.retry(|_| self.store.conversation(tenant, &turn.key.conversation)).await?;
        let answer = match &turn.state {
            State::Completed(_) => Some(self.committed_answer(tenant, &turn).await?),
            State::Queued { .. } | State::Processing | State::Failed(_) => None,
        };
        let position = match (&turn.state, turn.place) {
            (State::Queued { .. }, Some(place)) => {
                let (store, conversation) = (&self.store, &turn.key.conversation);
                Some(self.retry(|_| store.queue_position(tenant, conversation, place)).await?)
            }
            (State::Queued { .. } | State::Processing | State::Completed(_) | State::Failed(_), _) => None,
        };
        let project = conversation.and_then(|conversation| conversation.project);
        Ok(FoundTurn { turn, answer, project, position })
    }
}
