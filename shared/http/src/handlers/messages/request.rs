//! What a request for a message says, checked whole before anything is done.

use serde_json::json;
use turnwise_core::digest::Digest;
use turnwise_core::fault::Faults;
use turnwise_core::json::{self, RawMap};
use turnwise_core::messages::{Purpose, chat_fields};

use crate::body::JsonBody;

/// See the same constant of `/v1/chat`.
const INPUT_VERSION: u32 = 1;

/// Fields that say how to answer, not what.
const TRANSPORT_FIELDS: [&str; 3] = ["model", "restartable", "stream"];

/// The model, which the standard wants to be told.
pub(super) fn model(body: &mut JsonBody) -> Option<String> {
    let model = body.text("model");
    match &model {
        Some(model) if model.trim().is_empty() => body.faults.add("model", "The model must not be empty."),
        None if body.fields.get("model").is_none_or(serde_json::Value::is_null) => {
            body.faults.add("model", "A model is required.");
        }
        Some(_) | None => {}
    }
    model
}

/// What a chat completion is asked for.
pub(super) fn fields(body: &mut JsonBody, purpose: Purpose) -> RawMap {
    let mut asked = std::mem::take(&mut body.raw);
    asked.retain(|name, _| !TRANSPORT_FIELDS.contains(&name.as_str()));
    match chat_fields(&asked, purpose) {
        Ok(fields) => fields,
        Err(Faults(faults)) => {
            body.faults.0.extend(faults);
            RawMap::new()
        }
    }
}

/// Digest of what the request means: not of how it is to be answered. A field that is
/// null is one that was not given.
pub(super) fn input_hash(body: &JsonBody) -> Digest {
    let mut fields = body.fields.clone();
    let is_transport = |name: &str| name != "model" && TRANSPORT_FIELDS.contains(&name);
    fields.retain(|name, value| !value.is_null() && !is_transport(name));
    let input = json!({"version": INPUT_VERSION, "route": "/v1/messages", "fields": fields});
    Digest::of(json::canonical(&input))
}
