//! What a route asks for, and what it gets.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use turnwise_core::access::Grant;
use turnwise_core::digest::Digest;
use turnwise_core::generation::Completion;
use turnwise_core::id::{ProjectId, Tenant, TurnKey};
use turnwise_core::items::messages_of_items;
use turnwise_core::json::{self, RawMap};
use turnwise_core::money::PicoUsd;
use turnwise_core::task::Task;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Delivery, Lineage, OnBusy, Standing};
use turnwise_core::usage::Usage;
use turnwise_core::window::Window;

use crate::admission::Allowance;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose data; from the credential.
    pub tenant: Tenant,
    /// Whose list of conversations.
    pub user: String,
    /// The API key's id, never the key.
    pub api_key: String,
    /// What that key may do, and how much of it.
    pub grant: Arc<Grant>,
    /// The request, to be found in the log.
    pub request_id: String,
    /// When the invocation ends, in Lambda.
    pub deadline: Option<Timestamp>,
}

/// What goes to a model; stored with the turn until it is committed, so that it
/// can be run again without its client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// The model asked for; `None` takes the default.
    pub model: Option<String>,
    /// The models that are asked when it fails, in turn; `None` takes the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Vec<String>>,
    /// Fields of a chat completion request. `messages` holds only what is new, and is not
    /// there where `items` is.
    pub fields: RawMap,
    /// What is new, where it came as items: this is what the conversation keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<RawValue>>,
    /// What the model is told before everything else, this once: no part of the
    /// conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Parameters of the request that its answer shows again.
    #[serde(default, skip_serializing_if = "RawMap::is_empty")]
    pub echo: RawMap,
    /// Whether the conversation's earlier turns are sent along.
    pub remembers: bool,
    /// How many of them.
    #[serde(default, skip_serializing_if = "Window::is_usual")]
    pub window: Window,
    /// The API key's id, for the ledger.
    pub api_key: String,
    /// Whose list the conversation appears in.
    pub user: String,
    /// Whether a client wants to see the answer while it is made, also one that comes
    /// back to a turn of the queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// What the request is for, if it said so: a label for the ledger, not for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Whether an answer without text is a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_text: bool,
}

impl Input {
    /// An input that was stored with its turn.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(stored: &RawValue) -> Result<Self, serde_json::Error> {
        serde_json::from_str(stored.get())
    }

    /// How many items came in.
    #[must_use]
    pub fn items_count(&self) -> usize {
        let items = self.items.as_ref().map(|items| serde_json::from_str::<Vec<&RawValue>>(items.get()));
        items.and_then(Result::ok).map_or(0, |items| items.len())
    }

    /// The request's field that holds what is new.
    pub(crate) const fn field(&self) -> &'static str {
        match (&self.items, self.remembers) {
            (Some(_), _) => "input",
            (None, true) => "message",
            (None, false) => "messages",
        }
    }

    /// Most tokens that the answer is to have, and the field that says so.
    pub(crate) fn asked_output(&self) -> Option<(&'static str, u64)> {
        let asked = |field: &'static str| {
            let tokens = self.fields.get(field).and_then(|raw| serde_json::from_str(raw.get()).ok())?;
            // A response's own name for it.
            Some((if self.items.is_some() { "max_output_tokens" } else { field }, tokens))
        };
        asked("max_completion_tokens").or_else(|| asked("max_tokens"))
    }

    /// Whether `completion` is an answer to it.
    pub(crate) fn takes(&self, completion: &Completion) -> bool {
        !self.needs_text || !completion.text.trim().is_empty()
    }

    /// What is new, as chat messages.
    #[must_use]
    pub fn messages(&self) -> Box<RawValue> {
        match &self.items {
            Some(items) => {
                let items: Vec<Value> = serde_json::from_str(items.get()).unwrap_or_default();
                json::raw(&Value::Array(messages_of_items(&items)))
            }
            None => self.fields.get("messages").cloned().unwrap_or_else(|| json::raw(&Value::Array(Vec::new()))),
        }
    }
}

/// A request for a durable turn.
#[derive(Debug, Clone)]
pub struct TurnRequest {
    /// Who asks.
    pub caller: Caller,
    /// Which turn.
    pub key: TurnKey,
    /// Digest of the canonical input.
    pub input_hash: Digest,
    /// The number the turn must have (`If-Match`).
    pub number: Option<u64>,
    /// What may happen after a crash.
    pub delivery: Delivery,
    /// What to do while another turn is running.
    pub on_busy: OnBusy,
    /// How long to wait for this very turn when another request is running it.
    pub wait: Duration,
    /// The conversation's project, if the request names one.
    pub project: Option<ProjectId>,
    /// What goes to the model, and whether its events are wanted.
    pub input: Input,
    /// Whether the client will come back for the answer: the turn goes through the
    /// queue even where the conversation is free.
    pub background: bool,
    /// Where it stands toward the conversation's queue.
    pub standing: Standing,
    /// What it has to heed if it follows another turn.
    pub lineage: Lineage,
}

impl TurnRequest {
    /// Whether the client takes for an answer that the turn waits in the queue.
    #[must_use]
    pub fn comes_back(&self) -> bool {
        self.background || self.on_busy == OnBusy::Enqueue
    }
}

/// What is known of a turn from its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Which turn; `None` for a request without a key.
    pub key: Option<TurnKey>,
    /// The conversation's project.
    pub project: Option<ProjectId>,
    /// The number it has, or gets when it commits.
    pub number: Option<u64>,
    /// When it was asked for first.
    pub created_at: Option<Timestamp>,
    /// Whether it waits or waited in its conversation's queue.
    pub queued: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// `provider/model`, once it is known.
    pub model: Option<String>,
    /// Why that model.
    pub why: Option<String>,
    /// Fields of the request that the model is not sent, as it does not have what they
    /// ask for.
    pub dropped: Vec<String>,
    /// The limits that this request met.
    pub allowance: Allowance,
}

/// A whole answer, as every route renders it from.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The turn's number; `None` for a request without a key.
    pub number: Option<u64>,
    /// `provider/model`.
    pub model: String,
    /// Parameters of the request that its answer shows again.
    pub echo: RawMap,
    /// Items that came in with it: what it says is numbered behind them.
    pub inputs: usize,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// The answer, a `chat.completion` object.
    pub output: Box<RawValue>,
    /// Digest of the canonical answer.
    pub response_hash: Digest,
    /// Tokens.
    pub usage: Usage,
    /// Exact cost; `None` when the model has no price.
    pub cost: Option<PicoUsd>,
    /// When it was committed.
    pub completed_at: Timestamp,
}
