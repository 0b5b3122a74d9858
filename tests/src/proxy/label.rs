//! The names of boundaries.

use axum::body::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// The call of the provider.
pub(super) const CALL: &str = "provider: call";
/// The provider's whole answer.
pub(super) const ANSWER: &str = "provider: answer";

/// Names of the three pieces of a streamed answer, in order.
const PIECES: [&str; 3] = ["provider: first words", "provider: last words", "provider: [DONE]"];

/// Events in the first piece: the role and the first word.
const FIRST_EVENTS: usize = 2;

/// The events of a streamed answer, `[DONE]` among them.
pub(super) fn events(answer: &Bytes) -> Vec<Bytes> {
    let ends = answer.windows(2).enumerate().filter(|(_, two)| *two == b"\n\n").map(|(at, _)| at + 2);
    let mut start = 0;
    ends.map(|end| answer.slice(std::mem::replace(&mut start, end)..end)).collect()
}

/// Cuts a streamed answer behind its first words and in front of its `[DONE]`.
pub(super) fn pieces(events: &[Bytes]) -> Vec<(&'static str, Bytes)> {
    let (first_words, rest) = events.split_at(FIRST_EVENTS);
    let (done, last_words) = rest.split_last().expect("a stream has an end");
    let pieces = [first_words, last_words, std::slice::from_ref(done)];
    PIECES.into_iter().zip(pieces.map(|piece| Bytes::from(piece.concat()))).collect()
}

/// Names a request to the table by what it is for, where a stream has `events` events.
/// One that is not known here goes by its operation.
pub(super) fn table_request(headers: &HeaderMap, body: &[u8], events: usize) -> String {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();

    match operation {
        "Query" if text("/ExpressionAttributeValues/:pk/S").starts_with("S#") => "read log".to_owned(),
        "Query" if text("/ExpressionAttributeValues/:pk/S").starts_with("C#") => {
            let queue = text("/KeyConditionExpression").contains(":queue");
            if queue { "read queue" } else { "read conversation" }.to_owned()
        }
        "Query" if !text("/IndexName").is_empty() => "sweep".to_owned(),
        "GetItem" if text("/Key/sk/S").starts_with("T#") => "read turn".to_owned(),
        // From memory, with the version to go by.
        "GetItem" if text("/Key/sk/S") == "META" => "read conversation".to_owned(),
        "UpdateItem" if text("/UpdateExpression").contains("logged = ") => "heartbeat".to_owned(),
        "PutItem" if text("/Item/pk/S").starts_with("S#") => {
            let first = text("/Item/sk/S").rsplit('#').next().and_then(|digits| digits.parse().ok());
            let count: usize = text("/Item/count/N").parse().unwrap_or(0);
            let finished = first.map(|first: usize| first + count) == Some(events);
            if finished { "log: finish" } else { "log: words" }.to_owned()
        }
        "TransactWriteItems" => match state_written(&body) {
            Some("PROCESSING") => "T1".to_owned(),
            Some("COMPLETED") => "T2".to_owned(),
            Some("FAILED") => "T2f".to_owned(),
            Some(_) | None => operation.to_owned(),
        },
        _ => operation.to_owned(),
    }
}

/// The state a transaction brings its turn to.
fn state_written(body: &Value) -> Option<&str> {
    let members = body["TransactItems"].as_array()?;
    members.iter().find_map(|member| member.pointer("/Put/Item/state/S")?.as_str())
}
