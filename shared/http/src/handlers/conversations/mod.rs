//! `/v1/conversations`: OpenAI's Conversations API, over the conversations that turns make.
//!
//! The query's `include` is not looked at: it asks for data that items of other kinds
//! would have, and what a client of tomorrow includes is nothing that ours lack today.

pub(crate) mod delete;
pub(crate) mod items;
pub(crate) mod objects;

use serde::Serialize;
use serde_json::{Value, json};
use turnwise_core::digest::Digest;
use turnwise_core::id::ConversationId;
use turnwise_core::items::{InputItem, Metadata, check_metadata, parse_items, read_metadata};
use turnwise_core::json;
use turnwise_engine::conversations::Overview;
use utoipa::ToSchema;

use crate::body::JsonBody;
use crate::error::Error;

/// Version of the canonical requests; a change of their form must not look like a change
/// of what a client asks for.
const REQUEST_VERSION: u32 = 1;

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationBody {
    /// Its name.
    pub id: String,
    /// `conversation`.
    pub object: &'static str,
    /// When it was created, or its first turn began, in seconds since 1970.
    pub created_at: u64,
    /// What a client has attached to it.
    pub metadata: Metadata,
}

impl From<Overview> for ConversationBody {
    fn from(overview: Overview) -> Self {
        Self {
            id: overview.id.to_string(),
            object: "conversation",
            created_at: overview.conversation.created_at.as_secs(),
            metadata: overview.metadata,
        }
    }
}

/// The conversation that a path names. What cannot be a conversation's name, or is that
/// of a stateless request, is the name of none.
pub(crate) fn named(what: &'static str, id: &str) -> Result<ConversationId, Error> {
    let not_found = |_| turnwise_engine::Error::NotFound { what, name: id.to_owned() };
    ConversationId::parse("id", id).map_err(not_found).map_err(Error::Engine)
}

/// The body's `metadata`; none where it is missing or null.
fn metadata(body: &mut JsonBody) -> Metadata {
    let Some(value) = body.fields.get("metadata").filter(|value| !value.is_null()) else { return Metadata::new() };
    check_metadata("metadata", value, &mut body.faults);
    read_metadata(value)
}

/// The body's `items`; none where they are missing or null.
fn items(body: &mut JsonBody) -> Vec<InputItem> {
    let Some(value) = body.fields.get("items").filter(|value| !value.is_null()) else { return Vec::new() };
    parse_items("items", value).unwrap_or_else(|faults| {
        body.faults.0.extend(faults.0);
        Vec::new()
    })
}

/// Digest of what a request asks for.
fn request_hash(route: &str, body: &JsonBody) -> Digest {
    let fields = Value::Object(body.fields.clone());
    Digest::of(json::canonical(&json!({"version": REQUEST_VERSION, "route": route, "fields": fields})))
}
