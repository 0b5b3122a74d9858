//! A response behind a given one: in its conversation, or in a fork of it.

use turnwise_core::fault::Fault;
use turnwise_core::id::{ConversationId, TurnKey};
use turnwise_core::items::parse_response_id;
use turnwise_core::limits::MAX_CONFLICT_RETRIES;
use turnwise_core::turn::{Conversation, Follow, Following, Lineage, OnBusy, Parent, State, Turn, follow};

use super::{Responded, ResponseRequest, Spot, derived, hidden_key, turn_key};
use crate::engine::Engine;
use crate::error::Error;

/// The field that names the response to follow.
const FIELD: &str = "previous_response_id";

/// What one look at the table showed.
struct Seen {
    previous: Option<Turn>,
    conversation: Option<Conversation>,
    here: Option<Turn>,
    there: Option<Turn>,
}

impl Seen {
    fn decide(&self) -> Follow {
        follow(&Following {
            previous: self.previous.as_ref(),
            conversation: self.conversation.as_ref(),
            here: self.here.as_ref(),
            there: self.there.as_ref(),
        })
    }
}

impl Engine {
    /// Answers behind the response `previous`.
    ///
    /// Nothing is decided by the look alone: a turn that would be the next one begins
    /// only as that, and one that has a client's key only while it has not begun in its
    /// other place. Whoever comes too late looks again.
    pub(super) async fn respond_after(&self, request: &ResponseRequest, previous: &str) -> Result<Responded, Error> {
        let followed = parse_response_id(previous).ok_or_else(|| unknown(previous))?;
        let turn = self.turn_of(request);
        let here = turn_key(followed.conversation.clone(), turn.clone())?;
        let tenant = &request.caller.tenant;
        let fork = ConversationId::implicit(derived(&[tenant.as_str(), previous, turn.as_str()]));
        let there = turn_key(fork, turn)?;

        let mut items = None;
        for round in 0..=MAX_CONFLICT_RETRIES {
            let seen = self.look_behind(request, &followed, Some(&here), Some(&there)).await?;
            let decided = seen.decide();
            let spot = spot(request, &decided, &here, &there, previous)?;
            let items = match &items {
                Some(items) => items,
                None => {
                    items.insert(self.resolve_mentions(request, &spot.key, Some(parent_of(&seen, &followed))).await?)
                }
            };
            let begins = matches!(decided, Follow::Next(_) | Follow::Fork(_));
            match self.take_turn(request, spot, items.clone()).await {
                Err(Error::ConversationBusy { .. } | Error::WrongNumber { .. })
                    if begins && round < MAX_CONFLICT_RETRIES && may_look_again(request, &decided) =>
                {
                    self.pause(round).await;
                }
                result => return result,
            }
        }
        unreachable!("the last round returns")
    }

    /// What comes before a response that is not stored; `None` if it was begun with that
    /// already.
    pub(super) async fn parent_of_unstored(
        &self,
        request: &ResponseRequest,
        previous: &str,
    ) -> Result<Option<Parent>, Error> {
        let own = request.turn.as_ref().map(|turn| hidden_key(turn, &request.place)).transpose()?;
        self.parent_behind(request, previous, own.as_ref()).await
    }

    /// The place right behind the response `previous`; `None` where the turn `own` stands
    /// there already.
    pub(super) async fn parent_behind(
        &self,
        request: &ResponseRequest,
        previous: &str,
        own: Option<&TurnKey>,
    ) -> Result<Option<Parent>, Error> {
        let followed = parse_response_id(previous).ok_or_else(|| unknown(previous))?;
        let seen = self.look_behind(request, &followed, None, own).await?;
        match seen.decide() {
            Follow::Next(number) => Ok(Some(Parent { conversation: followed.conversation, number: number - 1 })),
            Follow::Fork(parent) => Ok(Some(parent)),
            Follow::Here | Follow::There => Ok(None),
            Follow::Unknown => Err(unknown(previous)),
            Follow::Unanswered => Err(unanswered()),
            Follow::Erased => Err(Error::ConversationErased),
        }
    }

    async fn look_behind(
        &self,
        request: &ResponseRequest,
        followed: &TurnKey,
        here: Option<&TurnKey>,
        there: Option<&TurnKey>,
    ) -> Result<Seen, Error> {
        let tenant = &request.caller.tenant;
        // A turn of a new name stands nowhere yet.
        let named = |key: Option<&TurnKey>| key.filter(|_| request.turn.is_some()).cloned();
        let own = async |key: Option<TurnKey>| match &key {
            Some(key) => self.retry(|_| self.store.turn(tenant, key)).await,
            None => Ok(None),
        };
        // The conversation is read before the request's own turns: once it has moved on,
        // none that was to be its next one begins there any more.
        let (conversation, previous) = tokio::try_join!(
            self.retry(|_| self.store.conversation(tenant, &followed.conversation)),
            self.retry(|_| self.store.turn(tenant, followed)),
        )?;
        let (here, there) = tokio::try_join!(own(named(here)), own(named(there)))?;
        Ok(Seen { previous, conversation, here, there })
    }
}

/// Where the request's turn is tried.
fn spot(
    request: &ResponseRequest,
    decided: &Follow,
    here: &TurnKey,
    there: &TurnKey,
    previous: &str,
) -> Result<Spot, Error> {
    // A name that the server has just drawn stands nowhere else.
    let rival = |other: &TurnKey| request.turn.is_some().then(|| other.clone());
    // A place that is taken is no reason to wait: there is the other one.
    let (on_busy, standing) = (OnBusy::Reject, decided.standing());
    match decided {
        Follow::Here => Ok(request.at(here.clone())),
        Follow::There => Ok(request.at(there.clone())),
        Follow::Next(number) => match request.number {
            Some(asserted) if asserted != *number => Err(Error::WrongNumber { asserted, actual: *number }),
            Some(_) | None => {
                let lineage = Lineage { parent: None, rival: rival(there) };
                Ok(Spot { key: here.clone(), number: Some(*number), on_busy, standing, lineage })
            }
        },
        Follow::Fork(parent) => {
            let lineage = Lineage { parent: Some(parent.clone()), rival: rival(here) };
            Ok(Spot { on_busy, standing, lineage, ..request.at(there.clone()) })
        }
        Follow::Unknown => Err(unknown(previous)),
        Follow::Unanswered => Err(unanswered()),
        Follow::Erased => Err(Error::ConversationErased),
    }
}

/// A fork whose number is not the one asked for stays so.
fn may_look_again(request: &ResponseRequest, decided: &Follow) -> bool {
    let forks = matches!(decided, Follow::Fork(_));
    !(forks && request.number.is_some())
}

/// Up to where items may be mentioned: the response that is followed, as far as it is
/// known.
fn parent_of(seen: &Seen, followed: &TurnKey) -> Parent {
    let number = match seen.previous.as_ref().map(|previous| &previous.state) {
        Some(State::Completed(commit)) => commit.number,
        Some(State::Queued { .. } | State::Processing | State::Failed(_)) | None => 0,
    };
    Parent { conversation: followed.conversation.clone(), number }
}

fn unknown(previous: &str) -> Error {
    Error::NotFound { what: "previous_response", name: previous.to_owned() }
}

fn unanswered() -> Error {
    let message = "This response has no answer that another could follow: read it to see where it stands.";
    Error::Invalid(Fault::new(FIELD, message).into())
}
