//! Stored turns as JSON and as headers. The same function renders the first reply
//! and every later one, so that they are the same bytes.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::Value;
use turnwise_core::generation::answer_text;
use turnwise_core::id::TurnKey;
use turnwise_core::money::PicoUsd;
use turnwise_core::usage::{Source, Usage};
use turnwise_engine::turn::{Answer, Facts};
use utoipa::ToSchema;

use crate::allowance::allowance_headers;

/// The model that answers, `provider/model`.
const TURNWISE_MODEL: HeaderName = HeaderName::from_static("turnwise-model");

/// Fields of the request that the model was not sent, as it does not have what they ask for.
const DROPPED_PARAMS: HeaderName = HeaderName::from_static("x-turnwise-dropped-params");

/// A turn as `/v1/chat` and `/v1/turns/{key}` show it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TurnBody {
    /// `turn`.
    pub object: &'static str,
    /// The project's UUID; null for none.
    pub project_id: Option<String>,
    /// The conversation; the same as `conversation_id`.
    pub thread_id: String,
    /// The conversation.
    pub conversation_id: String,
    /// The turn's name in it.
    pub turn_id: String,
    /// Its place in the conversation: 1, 2, 3 ... without gaps; null until it is committed.
    pub turn_number: Option<u64>,
    /// `QUEUED`, `PROCESSING`, `COMPLETED` or `FAILED`.
    pub status: String,
    /// Where it stands in its conversation's queue while it waits there: 1 comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u64>,
    /// The answer's text; null until it is committed.
    pub message: Option<String>,
    /// The model that answered, `provider/model`.
    pub model: Option<String>,
    /// Tokens.
    pub usage: Option<UsageBody>,
    /// Cost in USD; null when the model's price is not known.
    pub cost_usd: Option<f64>,
    /// SHA-256 of the canonical input; only where the turn is read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_hash: Option<String>,
    /// SHA-256 of the answer's text.
    pub response_hash: Option<String>,
    /// When it was committed, RFC 3339.
    pub completed_at: Option<String>,
}

/// Tokens of one answer.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct UsageBody {
    /// All input tokens.
    pub input_tokens: u64,
    /// Those of them that the provider's prompt cache served.
    pub cached_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Whether the numbers are our estimate: the provider reported none.
    pub estimated: bool,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.total_input(),
            cached_tokens: usage.cache_read,
            output_tokens: usage.total_output(),
            total_tokens: usage.total_input() + usage.total_output(),
            estimated: usage.source == Source::Estimated,
        }
    }
}

impl TurnBody {
    /// A turn that has no answer.
    #[must_use]
    pub fn unanswered(key: &TurnKey, project: Option<String>, status: &str) -> Self {
        Self {
            object: "turn",
            project_id: project,
            thread_id: key.conversation.to_string(),
            conversation_id: key.conversation.to_string(),
            turn_id: key.turn.to_string(),
            turn_number: None,
            status: status.to_owned(),
            queue_position: None,
            message: None,
            model: None,
            usage: None,
            cost_usd: None,
            input_hash: None,
            response_hash: None,
            completed_at: None,
        }
    }

    /// A committed turn.
    #[must_use]
    pub fn committed(key: &TurnKey, project: Option<String>, answer: &Answer) -> Self {
        let output: Value = serde_json::from_str(answer.output.get()).unwrap_or_default();
        Self {
            turn_number: answer.number,
            message: Some(answer_text(&output).to_owned()),
            model: Some(answer.model.clone()),
            usage: Some(answer.usage.into()),
            cost_usd: answer.cost.and_then(|cost| cost.to_string().parse().ok()),
            response_hash: Some(answer.response_hash.to_string()),
            completed_at: Some(answer.completed_at.to_string()),
            ..Self::unanswered(key, project, "COMPLETED")
        }
    }
}

/// Headers that name a turn.
#[must_use]
pub fn turn_headers(facts: &Facts) -> Vec<(HeaderName, String)> {
    let mut headers = Vec::new();
    if let Some(key) = &facts.key {
        headers.push((HeaderName::from_static("turnwise-turn"), path_segment(&key.to_string())));
        headers.push((HeaderName::from_static("turnwise-attempt"), facts.attempts.max(1).to_string()));
    }
    if let Some(model) = &facts.model {
        headers.push((TURNWISE_MODEL, header_text(model)));
    }
    if !facts.dropped.is_empty() {
        headers.push((DROPPED_PARAMS, facts.dropped.join(", ")));
    }
    headers.extend(allowance_headers(&facts.allowance));
    headers
}

/// A committed answer's reply: `body` with the turn's headers.
#[must_use]
pub fn reply(facts: &Facts, answer: &Answer, replayed: bool, body: Vec<u8>) -> Response {
    // Another model may have answered than the one that was asked first.
    let facts = Facts { model: Some(answer.model.clone()), ..facts.clone() };
    let mut response = stateless(&facts, answer.cost, body);
    let mut headers = Vec::new();
    if replayed {
        headers.push((HeaderName::from_static("idempotent-replayed"), "true".to_owned()));
    }
    put_headers(&mut response, headers);
    response
}

/// A reply of JSON with which model made it and what it cost.
#[must_use]
pub fn stateless(facts: &Facts, cost: Option<PicoUsd>, body: Vec<u8>) -> Response {
    let mut headers = turn_headers(facts);
    if let Some(cost) = cost {
        headers.push((HeaderName::from_static("turnwise-cost-usd"), cost.to_string()));
    }
    let mut response = (StatusCode::OK, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    put_headers(&mut response, headers);
    response
}

/// Adds headers; one whose value cannot stand in a header is left out.
pub fn put_headers(response: &mut Response, headers: Vec<(HeaderName, String)>) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// `text` as a path's segment: everything with a meaning in paths or headers is
/// percent-encoded.
#[must_use]
pub fn path_segment(text: &str) -> String {
    header_text(text).replace('/', "%2F")
}

/// `text` with everything percent-encoded that a header or a path cannot hold; a
/// slash stays, as models' names have it.
fn header_text(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'@' => {
                encoded.push(char::from(byte));
            }
            // Writing to a String cannot fail.
            other => _ = write!(encoded, "%{other:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_a_path_segment() {
        assert_eq!(path_segment("user:42"), "user:42");
        assert_eq!(path_segment("a b%ü"), "a%20b%25%C3%BC");
        assert_eq!(path_segment("a/b:1"), "a%2Fb:1");
        assert_eq!(header_text("openai/gpt-4o-mini"), "openai/gpt-4o-mini");
    }
}
