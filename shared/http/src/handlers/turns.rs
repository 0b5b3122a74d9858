//! `GET /v1/turns/{key}` and `POST /v1/turns/{key}/cancel`: one turn by its key.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use turnwise_core::fault::Faults;
use turnwise_core::messages::{MessageHead, message_id};
use turnwise_core::turn::State as TurnState;
use turnwise_engine::history::FoundTurn;

use super::caller;
use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody, Standard};
use crate::extract::{Params, Segment, flag};
use crate::params::{LAST_EVENT_ID, last_event};
use crate::render::{self, TurnBody};
use crate::sse::{self, Resume};
use utoipa::IntoParams;

/// How to answer.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TurnQuery {
    /// `true`: the turn's events, from the first one on, as they came and as they come. Where it is not given,
    /// `Accept: text/event-stream`, which is what browsers send, asks for the same.
    #[param(value_type = Option<bool>)]
    stream: Option<String>,
    /// With `stream`: whether another attempt's text may take the place of what was sent.
    #[param(value_type = Option<bool>)]
    restartable: Option<String>,
}

impl TurnQuery {
    /// How the stream is wanted; `None` where none is.
    fn resume(&self, headers: &HeaderMap) -> Result<Option<Resume>, Error> {
        let mut faults = Faults::default();
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
        let accepts = accept.is_some_and(|accept| accept.starts_with("text/event-stream"));
        let named = self.stream.as_deref().map(|stream| flag("stream", Some(stream)));
        let stream = named.map_or(accepts, |named| faults.keep(named).unwrap_or(false));
        let restartable = faults.keep(flag("restartable", self.restartable.as_deref())).unwrap_or(false);
        let after = last_event(headers, &mut faults);
        faults.into_result().map_err(Error::Invalid)?;
        Ok(stream.then_some(Resume { after, field: LAST_EVENT_ID, restartable }))
    }
}

/// Reads a turn by its key: `session:turn`, or the idempotency key of a stateless
/// request. A failed turn shows its error. As a stream it has the events of the route that
/// made it, and goes on behind `Last-Event-ID`: with a header `anthropic-version` a stateless
/// request's are those of `/v1/messages`, without it those of `/v1/chat/completions`.
#[utoipa::path(
    get, path = "/v1/turns/{key}", tag = "conversations",
    params(
        ("key" = String, Path, description = "The turn's key"),
        TurnQuery,
        ("anthropic-version" = Option<String>, Header, description = "With `stream`: the turn was made by `/v1/messages`."),
        ("Last-Event-ID" = Option<u64>, Header, description = "With `stream`: only the events behind this one."),
    ),
    responses(
        (status = 200, description = "The turn, or its stream",
            content((TurnBody = "application/json"), (String = "text/event-stream"))),
        (status = 400, description = "Invalid key", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such turn", body = ErrorBody),
        (status = 410, description = "Its answer is no longer kept", body = ErrorBody),
    ),
)]
pub(crate) async fn get_turn(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(key): Segment,
    Params(query): Params<TurnQuery>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let resume = query.resume(&headers)?;
    let found = app.engine.find_turn(&principal.tenant, &key).await?;
    context.note(|line| line.turn = Some(key));
    if let Some(resume) = resume {
        return stream_turn(&app, &principal, context, &found, resume).await;
    }
    Ok(shown(&found, &context))
}

async fn stream_turn(
    app: &App,
    principal: &Principal,
    context: RequestContext,
    found: &FoundTurn,
    resume: Resume,
) -> Result<Response, Error> {
    let key = found.turn.key.clone();
    let (facts, frames) = app.engine.stream_of(&caller(principal, &context), &key).await?;
    let (replayed, refuses, clock) = (false, false, &app.engine.clock);
    // Only stateless routes make turns of hidden conversations that have keys of clients.
    if key.conversation.is_hidden() && context.standard() == Standard::Anthropic {
        let head = MessageHead { id: message_id(&key), model: app.engine.model_of(found) };
        let shape = sse::Message::new(head);
        return sse::reply(sse::Stream { frames, shape, facts, replayed, resume, refuses }, context, clock).await;
    }
    if key.conversation.is_hidden() {
        let shape = sse::ChatCompletion::new(true);
        return sse::reply(sse::Stream { frames, shape, facts, replayed, resume, refuses }, context, clock).await;
    }
    let shape = sse::Chat::new(key, found.project.clone());
    sse::reply(sse::Stream { frames, shape, facts, replayed, resume, refuses }, context, clock).await
}

fn shown(found: &FoundTurn, context: &RequestContext) -> Response {
    let facts = found.facts();
    let mut response = match &found.turn.state {
        TurnState::Failed(failure) => {
            let error = Error::Engine(turnwise_engine::Error::Failed {
                failure: failure.clone().into(),
                facts: None,
                replayed: false,
            });
            let object = error.object(context.id());
            let mut body = serde_json::json!(body(found));
            body["error"] = serde_json::json!(object);
            Json(body).into_response()
        }
        TurnState::Queued { .. } | TurnState::Processing | TurnState::Completed(_) => Json(body(found)).into_response(),
    };
    render::put_headers(&mut response, render::turn_headers(&facts));
    response
}

/// Cancels a turn that waits or runs. The answer is final at once: whatever its attempt
/// still does, the turn has ended as cancelled, with what had arrived of its answer.
/// Cancelling it again gives the same answer.
#[utoipa::path(
    post, path = "/v1/turns/{key}/cancel", tag = "conversations",
    params(("key" = String, Path, description = "The turn's key")),
    responses(
        (status = 200, description = "The cancelled turn", body = TurnBody),
        (status = 400, description = "Invalid key", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such turn", body = ErrorBody),
        (status = 409, description = "The turn has ended", body = ErrorBody),
    ),
)]
pub(crate) async fn cancel_turn(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(key): Segment,
) -> Result<Response, Error> {
    let found = app.engine.find_turn(&principal.tenant, &key).await?;
    app.engine.cancel(&caller(&principal, &context), &found.turn.key).await?;
    let cancelled = app.engine.find_turn(&principal.tenant, &key).await?;
    context.note(|line| line.turn = Some(key));
    Ok(shown(&cancelled, &context))
}

fn body(found: &FoundTurn) -> TurnBody {
    let key = &found.turn.key;
    let project = found.project.as_ref().map(ToString::to_string);
    let body = match &found.answer {
        Some(answer) => TurnBody::committed(key, project, answer),
        None => TurnBody::unanswered(key, project, found.turn.state.name()),
    };
    TurnBody { input_hash: Some(found.turn.input_hash.to_string()), queue_position: found.position, ..body }
}
