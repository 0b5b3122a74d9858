//! `POST /v1/responses`: a turn that comes in as items.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::Response;
use turnwise_core::id::TurnKey;
use turnwise_engine::responses::Responded;

use super::super::Manner;
use super::super::turn_responses::TurnResponses;
use super::body;
use super::request::request;
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::params::TurnHeaders;
use crate::render;
use crate::sse::{self, Resume};

/// Makes a response, in OpenAI's shape.
///
/// A response is a turn of a conversation: of the one named by `conversation`, of the
/// one that `previous_response_id` belongs to or a fork of it, or of a new one. With
/// `background` it is answered at once, with status `queued`. Every field of OpenAI's
/// request is accepted, and `project_id`, `delivery`, `on_busy` and `wait_timeout_s` as
/// on `/v1/chat`; `on_busy` says nothing beside `previous_response_id`, as a response
/// never waits for another one there: it forks.
///
/// What was said before goes along whole, up to 100 turns; what is more than that, or surely
/// more than the model takes, is refused with `context_length_exceeded`. With `truncation` `auto`
/// the newest turns go along that fill no more than three quarters of the model's context.
#[utoipa::path(
    post, path = "/v1/responses", tag = "responses", request_body = Object,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Names the turn: a retry gets the same bytes."),
        ("If-Match" = Option<String>, Header, description = "The number the turn must have in its conversation."),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: as `background`. `wait=n`: seconds to wait for the same request when it is running."),
        ("Turnwise-Delivery" = Option<String>, Header, description = "`at-least-once` or `at-most-once`."),
        ("Turnwise-Task" = Option<String>, Header, description = "What the request is for: a label of 1 to 64 of `a-z`, `0-9`, `_`, `.`, `-`. Usage is summed up by it."),
        ("Turnwise-On-Busy" = Option<String>, Header, description = "`wait`, `reject`, `enqueue` or `interrupt`."),
    ),
    responses(
        (status = 200, description = "OpenAI's response object; of a turn that waits or runs, too, where the client will come back; or its stream",
            content((Object = "application/json"), (String = "text/event-stream"))),
        (status = 404, description = "Unknown model, conversation or previous response", body = ErrorBody),
        (status = 409, description = "The conversation is busy, or the same request is running", body = ErrorBody),
        (status = 410, description = "The answer, or the conversation, is no longer kept", body = ErrorBody),
        (status = 412, description = "The turn has another number", body = ErrorBody),
        TurnResponses,
    ),
)]
pub(crate) async fn create_response(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let mut body = JsonBody::read(body).await?;
    let turn_headers = TurnHeaders::read(&headers, &mut body.faults);
    let manner = Manner::read(&turn_headers, &mut body);
    let request = request(&principal, &context, turn_headers, body)?;
    let responded = Box::pin(app.engine.respond(request)).await.inspect_err(|error| note_failed(&context, error))?;
    reply(&app, context, manner, responded).await
}

async fn reply(app: &App, context: RequestContext, manner: Manner, responded: Responded) -> Result<Response, Error> {
    let context = &context;
    match responded {
        Responded::Answered { key, facts, replayed, answer } => {
            note_turn(context, facts.key.as_ref());
            context.note(|line| line.answered(&facts, &answer, replayed));
            Ok(render::reply(&facts, &answer, replayed, body::answered(&key, &answer)))
        }
        Responded::Streamed { head, facts, replayed, frames } => {
            note_turn(context, facts.key.as_ref());
            let (shape, resume) = (sse::ResponseShape::new(*head), Resume { after: None, ..manner.resume });
            let stream = sse::Stream { frames, shape, facts, replayed, resume, refuses: true };
            sse::reply(stream, context.clone(), &app.engine.clock).await
        }
        Responded::Pending(found) => {
            note_turn(context, Some(&found.found.turn.key));
            let mut response = body::found(&found);
            if manner.prefer.respond_async {
                let applied = (HeaderName::from_static("preference-applied"), "respond-async".to_owned());
                render::put_headers(&mut response, vec![applied]);
            }
            Ok(response)
        }
    }
}

pub(super) fn note_failed(context: &RequestContext, error: &turnwise_engine::Error) {
    if let turnwise_engine::Error::Failed { facts: Some(facts), .. } = error {
        note_turn(context, facts.key.as_ref());
    }
}

pub(super) fn note_turn(context: &RequestContext, key: Option<&TurnKey>) {
    context.note(|line| line.turn = key.map(ToString::to_string));
}
