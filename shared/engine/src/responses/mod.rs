//! Responses: turns that come in as items and may follow one another by their ids.
//!
//! - [`respond`](Engine::respond): the use case; `follow`: a turn behind a given one
//! - `references`: items that a request mentions by their ids
//! - [`compact`](Engine::compact): a conversation made short; [`count_input`](Engine::count_input): tokens of a
//!   request that is not made
//! - [`read`]: responses read back and cancelled; `delete`: and deleted

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use turnwise_core::digest::Digest;
use turnwise_core::id::{ConversationId, ProjectId, TurnId, TurnKey};
use turnwise_core::items::{InputItem, ResponseHead};
use turnwise_core::json::{self, RawMap};
use turnwise_core::limits::MAX_RESPONSE_INPUT_BYTES;
use turnwise_core::turn::{Delivery, Lineage, OnBusy, Parent, Standing};
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::Error;
use crate::follow::Frames;
use crate::turn::remember;
use crate::turn::{Answer, Caller, Facts, Input, TurnRequest};

mod compact;
mod count;
mod delete;
mod follow;
pub mod read;
mod references;

pub use compact::Compacted;
pub(crate) use read::stored_input;
pub use read::{FoundResponse, ResponseInput};

/// A request for a response.
#[derive(Debug, Clone)]
pub struct ResponseRequest {
    /// Who asks.
    pub caller: Caller,
    /// Where it belongs.
    pub place: Place,
    /// Whether it can be read back and followed.
    pub stored: bool,
    /// The turn that its client's key names.
    pub turn: Option<TurnId>,
    /// Digest of the canonical input.
    pub input_hash: Digest,
    /// The number the turn must have (`If-Match`).
    pub number: Option<u64>,
    /// What may happen after a crash.
    pub delivery: Delivery,
    /// What to do while another turn of a named conversation is running.
    pub on_busy: OnBusy,
    /// Where it stands toward a named conversation's queue.
    pub standing: Standing,
    /// How long to wait for this very turn when another request is running it.
    pub wait: Duration,
    /// The conversation's project, if the request names one.
    pub project: Option<ProjectId>,
    /// Whether the client will come back for the answer.
    pub background: bool,
    /// What came in.
    pub items: Vec<InputItem>,
    /// What goes to the model beside that: neither items nor messages are in it yet.
    pub input: Input,
}

/// Where a response belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a conversation of its own.
    New,
    /// In this conversation, which must be there.
    In(ConversationId),
    /// Behind the response with this id.
    After(String),
}

/// What a request for a response came to.
pub enum Responded {
    /// There is an answer.
    Answered {
        /// The turn; of a hidden conversation if it is not stored as a response.
        key: TurnKey,
        /// What is known of it.
        facts: Facts,
        /// Whether this request found it, rather than made it.
        replayed: bool,
        /// The answer.
        answer: Arc<Answer>,
    },
    /// It is told while it is made.
    Streamed {
        /// What every event says of it.
        head: Box<ResponseHead>,
        /// What is known of the turn.
        facts: Facts,
        /// Whether this request found it, rather than began it.
        replayed: bool,
        /// Its turn's stream.
        frames: Frames,
    },
    /// It waits or runs, and the client will come back for it.
    Pending(Box<FoundResponse>),
}

/// Where a request's turn stands, or is to begin.
struct Spot {
    key: TurnKey,
    number: Option<u64>,
    on_busy: OnBusy,
    standing: Standing,
    lineage: Lineage,
}

impl Engine {
    /// Answers a request for a response: made, waited for or read back, whichever its
    /// key asks for.
    ///
    /// Idempotent by the key and the place: a conversation, the response it follows, or
    /// neither.
    ///
    /// # Errors
    /// As [`Self::answer`], [`Error::NotFound`] for a conversation or a response that is
    /// not there, and [`Error::Invalid`] for items that are not.
    pub async fn respond(&self, request: ResponseRequest) -> Result<Responded, Error> {
        match (&request.place, request.stored) {
            (Place::After(previous), true) => self.respond_after(&request, previous).await,
            (Place::After(previous), false) => {
                let parent = self.parent_of_unstored(&request, previous).await?;
                self.respond_unstored(&request, parent).await
            }
            (Place::New | Place::In(_), false) => self.respond_unstored(&request, None).await,
            (Place::New, true) => {
                let conversation = ConversationId::implicit(match &request.turn {
                    // A retry must find the conversation that the first request began.
                    Some(turn) => derived(&[turn.as_str()]),
                    None => self.random.uuid_v4(),
                });
                let key = turn_key(conversation, self.turn_of(&request))?;
                let items = self.resolve_mentions(&request, &key, None).await?;
                self.take_turn(&request, request.at(key), items).await
            }
            (Place::In(conversation), true) => {
                self.require_conversation(&request.caller, conversation).await?;
                let key = turn_key(conversation.clone(), self.turn_of(&request))?;
                let whole = Parent { conversation: conversation.clone(), number: u64::MAX };
                let items = self.resolve_mentions(&request, &key, Some(whole)).await?;
                self.take_turn(&request, request.at(key), items).await
            }
        }
    }

    async fn require_conversation(&self, caller: &Caller, conversation: &ConversationId) -> Result<(), Error> {
        let found = self.retry(|_| self.store.conversation(&caller.tenant, conversation)).await?;
        match found.filter(|_| !conversation.is_hidden()) {
            Some(_) => Ok(()),
            None => Err(Error::NotFound { what: "conversation", name: conversation.to_string() }),
        }
    }

    /// A response that nobody can find: with a key a turn of a hidden conversation,
    /// without one no turn at all.
    async fn respond_unstored(&self, request: &ResponseRequest, parent: Option<Parent>) -> Result<Responded, Error> {
        let remembers = parent.is_some();
        let mut request = request.clone();
        request.input.remembers = remembers;
        if let Some(turn) = &request.turn {
            let key = hidden_key(turn, &request.place)?;
            let items = self.resolve_mentions(&request, &key, parent.clone()).await?;
            let lineage = Lineage { parent, rival: None };
            let spot = Spot { on_busy: OnBusy::default(), standing: Standing::Behind, lineage, ..request.at(key) };
            return self.take_turn(&request, spot, items).await;
        }
        let key = hidden_key(&TurnId::new(self.random.uuid_v7(self.clock.now())), &request.place)?;
        let items = self.resolve_mentions(&request, &key, parent.clone()).await?;
        let tenant = &request.caller.tenant;
        let history = self.reach_back(tenant, Vec::new(), parent, request.input.window.rows()).await?;
        let mut input = request.input;
        input.items = Some(json::raw(&Value::Array(items)));
        let resolved = self.providers.resolve(input.model.as_deref()).map_err(Error::Model)?;
        let measure = self.measure(&resolved);
        remember::check(&input, &history, &measure)?;
        let messages = remember::messages(&input, &history, &measure);
        input.fields.insert("messages".to_owned(), messages);
        if input.stream {
            let echo = input.echo.clone();
            let (facts, frames) = self.stream_once(request.caller, input).await?;
            let head = Box::new(head(&key, &facts, echo, 0));
            return Ok(Responded::Streamed { head, facts, replayed: false, frames });
        }
        let (facts, answer) = self.answer_once(request.caller, input).await?;
        Ok(Responded::Answered { key, facts, replayed: false, answer })
    }

    async fn take_turn(&self, request: &ResponseRequest, spot: Spot, items: Vec<Value>) -> Result<Responded, Error> {
        let key = spot.key.clone();
        let turn = request.turn_at(spot, items);
        // Told before the model is paid for an answer that could not be committed.
        if request.stored && kept_bytes(&turn.input) > MAX_RESPONSE_INPUT_BYTES {
            return Err(Error::InputTooLarge { limit: MAX_RESPONSE_INPUT_BYTES });
        }
        if turn.input.stream {
            let inputs = if key.conversation.is_hidden() { 0 } else { turn.input.items_count() };
            let (echo, model) = (turn.input.echo.clone(), turn.input.model.clone());
            let (mut facts, replayed, frames) = self.stream(turn).await?;
            if facts.model.is_none() {
                facts.model = self.providers.resolve(model.as_deref()).ok().map(|resolved| resolved.name);
            }
            let head = Box::new(head(&key, &facts, echo, inputs));
            return Ok(Responded::Streamed { head, facts, replayed, frames });
        }
        let comes_back = turn.comes_back();
        match self.answer(turn).await {
            Ok((started, answer)) => {
                Ok(Responded::Answered { key, facts: started.facts, replayed: started.replayed, answer })
            }
            Err(Error::Queued { .. }) => self.pending(&request.caller, &key).await,
            Err(Error::StillRunning { .. }) if comes_back => self.pending(&request.caller, &key).await,
            Err(error) => Err(error),
        }
    }

    async fn pending(&self, caller: &Caller, key: &TurnKey) -> Result<Responded, Error> {
        let turn = self.retry(|_| self.store.turn(&caller.tenant, key)).await?;
        let turn = turn.ok_or_else(|| Error::NotFound { what: "turn", name: key.to_string() })?;
        Ok(Responded::Pending(Box::new(self.found_response(&caller.tenant, turn).await?)))
    }

    /// The turn's name: as the client's key has it, or a new one.
    fn turn_of(&self, request: &ResponseRequest) -> TurnId {
        request.turn.clone().unwrap_or_else(|| TurnId::new(self.random.uuid_v7(self.clock.now())))
    }
}

impl ResponseRequest {
    /// At the turn `key`, with everything else as the client said.
    fn at(&self, key: TurnKey) -> Spot {
        let lineage = Lineage::default();
        Spot { key, number: self.number, on_busy: self.on_busy, standing: self.standing, lineage }
    }

    fn turn_at(&self, spot: Spot, items: Vec<Value>) -> TurnRequest {
        TurnRequest {
            caller: self.caller.clone(),
            key: spot.key,
            input_hash: self.input_hash.clone(),
            number: spot.number,
            delivery: self.delivery,
            on_busy: spot.on_busy,
            wait: self.wait,
            project: self.project.clone(),
            input: Input { items: Some(json::raw(&Value::Array(items))), ..self.input.clone() },
            background: self.background,
            standing: spot.standing,
            lineage: spot.lineage,
        }
    }
}

/// What every event of a response's stream says of it.
fn head(key: &TurnKey, facts: &Facts, echo: RawMap, inputs: usize) -> ResponseHead {
    ResponseHead {
        key: key.clone(),
        created_at: facts.created_at.unwrap_or_default(),
        model: facts.model.clone().unwrap_or_default(),
        echo,
        number: facts.number.unwrap_or(0),
        inputs,
        queued: facts.queued,
    }
}

fn turn_key(conversation: ConversationId, turn: TurnId) -> Result<TurnKey, Error> {
    TurnKey::new("conversation", conversation, turn).map_err(|fault| Error::Invalid(fault.into()))
}

/// The turn of a response that is not stored. Its key is one of this route alone, and
/// of what it follows.
fn hidden_key(turn: &TurnId, place: &Place) -> Result<TurnKey, Error> {
    let after = match place {
        Place::After(previous) => previous.as_str(),
        Place::New | Place::In(_) => "",
    };
    let name = ConversationId::implicit(derived(&[turn.as_str(), after]));
    TurnKey::hidden("Idempotency-Key", name.as_str()).map_err(|fault| Error::Invalid(fault.into()))
}

/// Bytes of what the conversation keeps of a request.
fn kept_bytes(input: &Input) -> usize {
    let items = input.items.as_ref().map_or(0, |items| items.get().len());
    items + input.echo.iter().map(|(name, value)| name.len() + value.get().len()).sum::<usize>()
}

/// One UUIDv5 (RFC 9562) for equal `parts`, none of which contains the separator.
fn derived(parts: &[&str]) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, parts.join("#").as_bytes())
}
