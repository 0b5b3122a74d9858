//! `POST /v1/messages`: Anthropic's route. Stateless, and idempotent with a key.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;
use turnwise_core::messages::{MessageAnswer, MessageHead, Purpose, message_id, message_object};
use turnwise_engine::turn::{Answer, Facts};

use super::super::Manner;
use super::super::keyed::{self, Keyed};
use super::request::{fields, input_hash, model};
use super::responses::{Failures, Refusals};
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::Error;
use crate::params::TurnHeaders;
use crate::sse;

/// Makes a message, in Anthropic's shape, with any model.
///
/// Texts, images, documents, tools of your own, thinking and structured outputs are
/// translated for the model's provider; other fields go to an upstream of this format as
/// they are. Any `anthropic-version` and `anthropic-beta` is accepted. The input of a call
/// whose arguments are no JSON object is `{"invalid_arguments": "..."}`.
#[utoipa::path(
    post, path = "/v1/messages", tag = "messages", request_body = Object,
    params(
        ("anthropic-version" = Option<String>, Header, description = "Any; all are served the same."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request a durable turn: a retry gets the same bytes."),
        ("Prefer" = Option<String>, Header, description = "`wait=n`: seconds to wait for the same request when it is running."),
        ("Last-Event-ID" = Option<u64>, Header, description = "With `stream` and the same key: goes on behind this event."),
        ("Turnwise-Delivery" = Option<String>, Header, description = "`at-least-once` or `at-most-once`."),
        ("Turnwise-Task" = Option<String>, Header, description = "What the request is for: a label of 1 to 64 of `a-z`, `0-9`, `_`, `.`, `-`. Usage is summed up by it."),
    ),
    responses(
        (status = 200, description = "Anthropic's message object, or its stream",
            content((Object = "application/json"), (String = "text/event-stream"))),
        Refusals,
        Failures,
    ),
)]
pub(crate) async fn create_message(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let mut body = JsonBody::read(body).await?;
    let turn_headers = TurnHeaders::read(&headers, &mut body.faults);
    let stream = body.flag("stream").unwrap_or(false);
    let manner = Manner::read(&turn_headers, &mut body);
    let (model, fields) = (model(&mut body), fields(&mut body, Purpose::Answer));
    let key = keyed::key(&turn_headers, &mut body.faults);
    body.faults.clone().into_result().map_err(Error::Invalid)?;

    // Of a turn that runs elsewhere it is not known who answers; the same model does here.
    let expected = served_name(&app, model.as_deref()).await;
    let id = key.as_ref().map_or_else(|| unkeyed_id(&context), message_id);
    let headed = |model: String| MessageHead { id: id.clone(), model };
    let shape = |facts: &Facts| sse::Message::new(headed(facts.model.clone().unwrap_or(expected)));
    let whole = |_: &Facts, answer: &Answer| rendered(&headed(answer.model.clone()), answer);
    let request = Keyed { key, input_hash: input_hash(&body), headers: turn_headers, manner, model, fields, stream };
    keyed::answer(&app, &principal, context, request, shape, whole).await
}

async fn served_name(app: &App, asked: Option<&str>) -> String {
    let asked = asked.unwrap_or_default();
    app.engine.model(asked).await.map_or_else(|_| asked.to_owned(), |model| model.name)
}

/// The id of a message that is no turn: the same for its whole stream, as its request's is.
fn unkeyed_id(context: &RequestContext) -> String {
    format!("msg_{}", context.id().trim_start_matches("req_"))
}

/// The committed answer: the same bytes for the first reply and every later one.
fn rendered(head: &MessageHead, answer: &Answer) -> Vec<u8> {
    let completion: Value = serde_json::from_str(answer.output.get()).unwrap_or_default();
    let answer = MessageAnswer { completion: &completion, usage: answer.usage };
    message_object(head, &answer).to_string().into_bytes()
}
