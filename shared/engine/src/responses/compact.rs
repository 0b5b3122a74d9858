//! A conversation made short: what users said last, and a summary of everything.
//!
//! Each request to the model is an ordinary generation with a line in the ledger. With a
//! client's key each is also the turn of a hidden conversation whose name follows from
//! that key, so that a retry goes on where the first try broke off and pays for nothing
//! twice. The last of them holds what the answer is made of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use turnwise_core::compaction::{self, Unfit};
use turnwise_core::fault::Fault;
use turnwise_core::generation::answer_text;
use turnwise_core::id::{ConversationId, TurnId, TurnKey};
use turnwise_core::items::messages_of_items;
use turnwise_core::json::{self, RawMap};
use turnwise_core::money::PicoUsd;
use turnwise_core::turn::{Lineage, OnBusy, Outcome, Standing, State, Turn};
use turnwise_core::usage::Usage;
use turnwise_providers::Resolved;

use super::{Place, ResponseRequest, derived};
use crate::conversations::places;
use crate::engine::Engine;
use crate::error::Error;
use crate::turn::{Answer, Facts, Input, TurnRequest};

/// What is kept with the last turn, under these names: the items that stay as they were,
/// and what the turns before it took.
const KEPT: &str = "kept";
/// See [`KEPT`].
const SPENT: &str = "spent";

/// A conversation made short.
#[derive(Debug)]
pub struct Compacted {
    /// The turn that names it; nobody finds it but who repeats its key.
    pub key: TurnKey,
    /// What is known of that turn.
    pub facts: Facts,
    /// Whether this request found it, rather than made it.
    pub replayed: bool,
    /// The model's last answer, with the tokens and the cost of all of them.
    pub answer: Answer,
    /// Items that stay as they were, without ids.
    pub kept: Vec<Value>,
    /// What everything came to.
    pub summary: String,
}

/// What the requests before the last took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Spent {
    usage: Option<Usage>,
    cost: Option<PicoUsd>,
}

impl Engine {
    /// Makes the conversation up to a response, and what came in, short.
    ///
    /// Idempotent by the client's key and the response it follows.
    ///
    /// # Errors
    /// As [`Self::respond`]; [`Error::Invalid`] also where there is nothing to compact, or
    /// too much.
    pub async fn compact(&self, request: ResponseRequest) -> Result<Compacted, Error> {
        let turn = self.turn_of(&request);
        let key = round_key(&turn, &request.place, None)?;
        let own = match &request.turn {
            Some(_) => self.retry(|_| self.store.turn(&request.caller.tenant, &key)).await?,
            None => None,
        };
        if own.as_ref().is_some_and(|own| own.input_hash != request.input_hash) {
            return Err(Error::KeyReused);
        }
        let input = match own.is_some_and(|own| has_ended(&own)) {
            // Only its key and its digest count: what it came to is read back.
            true => request.input.clone(),
            false => self.last_round(&request, &turn, &key).await?,
        };
        let (facts, replayed, answer) = self.ask_model(&request, key.clone(), input).await?;
        Ok(compacted(key, facts, replayed, &answer))
    }

    /// What the last request to the model holds, after all others have been answered.
    async fn last_round(&self, request: &ResponseRequest, turn: &TurnId, key: &TurnKey) -> Result<Input, Error> {
        let resolved = self.providers.resolve(request.input.model.as_deref()).map_err(Error::Model)?;
        let items = self.items_to_compact(request, key).await?;
        let instructions = request.input.instructions.as_deref();
        let measure = self.measure(&resolved);
        let parts = compaction::parts(&messages_of_items(&items), instructions, measure.context, measure.scale);
        let mut parts = parts.map_err(|unfit| refused(unfit, request))?;
        let last = parts.pop().unwrap_or_default();

        let (mut so_far, mut spent) = (None, Spent::default());
        for (round, part) in parts.iter().enumerate() {
            let key = round_key(turn, &request.place, Some(round))?;
            let input = round_input(request, &resolved, so_far.as_deref(), part);
            let (_, _, answer) = Box::pin(self.ask_model(request, key, input)).await?;
            spent = spent.and(&answer);
            so_far = Some(summary(&answer));
        }
        let mut input = round_input(request, &resolved, so_far.as_deref(), &last);
        let kept = json::raw(&Value::Array(compaction::kept(&items)));
        let spent = serde_json::value::to_raw_value(&spent).ok();
        input.echo = [(KEPT.to_owned(), kept)].into_iter().chain(spent.map(|raw| (SPENT.to_owned(), raw))).collect();
        Ok(input)
    }

    /// Everything that was said, as items: the conversation up to the response that is
    /// followed, then what came in.
    async fn items_to_compact(&self, request: &ResponseRequest, key: &TurnKey) -> Result<Vec<Value>, Error> {
        let parent = match &request.place {
            Place::After(previous) => self.parent_behind(request, previous, None).await?,
            Place::New | Place::In(_) => None,
        };
        let new = self.resolve_mentions(request, key, parent.clone()).await?;
        let rows = self.reach_to_the_beginning(&request.caller.tenant, parent).await?;
        let rows = rows.ok_or_else(|| too_long(request))?;
        let said = rows.iter().flat_map(places).filter(|item| !item.is_null());
        Ok(said.chain(new).collect())
    }

    async fn ask_model(
        &self,
        request: &ResponseRequest,
        key: TurnKey,
        input: Input,
    ) -> Result<(Facts, bool, Arc<Answer>), Error> {
        let caller = request.caller.clone();
        if request.turn.is_none() {
            let (facts, answer) = self.answer_once(caller, input).await?;
            return Ok((facts, false, answer));
        }
        let turn = TurnRequest {
            caller,
            key,
            input_hash: request.input_hash.clone(),
            number: None,
            delivery: request.delivery,
            // Its conversation has no other turn to wait for.
            on_busy: OnBusy::default(),
            wait: request.wait,
            project: None,
            input,
            background: false,
            standing: Standing::Behind,
            lineage: Lineage::default(),
        };
        let (started, answer) = self.answer(turn).await?;
        Ok((started.facts, started.replayed, answer))
    }
}

impl Spent {
    fn and(self, answer: &Answer) -> Self {
        let usage = self.usage.map_or(answer.usage, |usage| usage.and(&answer.usage));
        // What a model without a price takes has none either.
        let before = if self.usage.is_none() { Some(PicoUsd::default()) } else { self.cost };
        let cost = before.zip(answer.cost).map(|(before, cost)| PicoUsd(before.0 + cost.0));
        Self { usage: Some(usage), cost }
    }
}

fn round_input(request: &ResponseRequest, resolved: &Resolved, so_far: Option<&str>, part: &str) -> Input {
    let mut fields = request.input.fields.clone();
    let messages = compaction::messages(request.input.instructions.as_deref(), so_far, part);
    fields.insert("messages".to_owned(), messages);
    let most = compaction::output_tokens(resolved.reasons());
    fields.insert("max_completion_tokens".to_owned(), json::raw(&json!(most)));
    Input {
        fields,
        items: None,
        instructions: None,
        echo: RawMap::new(),
        remembers: false,
        needs_text: true,
        ..request.input.clone()
    }
}

fn compacted(key: TurnKey, facts: Facts, replayed: bool, answer: &Answer) -> Compacted {
    let kept = answer.echo.get(KEPT).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let spent: Option<Spent> = answer.echo.get(SPENT).and_then(|raw| serde_json::from_str(raw.get()).ok());
    let spent = spent.unwrap_or_default().and(answer);
    let summary = summary(answer);
    let answer = Answer { usage: spent.usage.unwrap_or(answer.usage), cost: spent.cost, ..answer.clone() };
    Compacted { key, facts, replayed, answer, kept, summary }
}

fn summary(answer: &Answer) -> String {
    let completion: Value = serde_json::from_str(answer.output.get()).unwrap_or_default();
    compaction::summary(answer_text(&completion)).to_owned()
}

/// Whether a turn's key gives what is stored of it, whatever comes with the key.
fn has_ended(turn: &Turn) -> bool {
    match &turn.state {
        State::Completed(_) => true,
        State::Failed(failure) => failure.outcome != Outcome::Retryable,
        State::Queued { .. } | State::Processing => false,
    }
}

/// The turn of the last request, or of one `before` it. Its key is one of this route
/// alone, and of the response it follows.
fn round_key(turn: &TurnId, place: &Place, before: Option<usize>) -> Result<TurnKey, Error> {
    let after = match place {
        Place::After(previous) => previous.as_str(),
        Place::New | Place::In(_) => "",
    };
    let round = before.map_or_else(String::new, |round| round.to_string());
    let name = ConversationId::implicit(derived(&[turn.as_str(), after, "compact", &round]));
    TurnKey::hidden("Idempotency-Key", name.as_str()).map_err(|fault| Error::Invalid(fault.into()))
}

fn refused(unfit: Unfit, request: &ResponseRequest) -> Error {
    match unfit {
        Unfit::Empty => invalid(source(request), "There is nothing in it to compact."),
        Unfit::Instructions => {
            invalid("instructions", "The instructions leave the model no room for the conversation.")
        }
        Unfit::Rounds => too_long(request),
    }
}

fn too_long(request: &ResponseRequest) -> Error {
    let message = "The conversation is too long to be compacted at once: begin with an earlier response or with a \
                   part of the input, or take a model with a larger context.";
    invalid(source(request), message)
}

/// The field that brings the conversation.
fn source(request: &ResponseRequest) -> &'static str {
    match &request.place {
        Place::After(_) => "previous_response_id",
        Place::New | Place::In(_) => "input",
    }
}

fn invalid(field: &str, message: &str) -> Error {
    Error::Invalid(Fault::new(field, message).into())
}
