//! `GET /v1/turns/{key}` and `POST /v1/turns/{key}/cancel`: one turn by its key.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use turnwise_core::turn::State as TurnState;
use turnwise_engine::history::FoundTurn;

use super::caller;
use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Segment;
use crate::render::{self, TurnBody};

/// Reads a turn by its key: `session:turn`, or the idempotency key of a stateless
/// request. A failed turn shows its error.
#[utoipa::path(
    get, path = "/v1/turns/{key}", tag = "conversations",
    params(("key" = String, Path, description = "The turn's key")),
    responses(
        (status = 200, description = "The turn", body = TurnBody),
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
) -> Result<Response, Error> {
    let found = app.engine.find_turn(&principal.tenant, &key).await?;
    context.note(|line| line.turn = Some(key));
    let facts = found.facts();
    let mut response = match &found.turn.state {
        TurnState::Failed(failure) => {
            let error = Error::Engine(turnwise_engine::Error::Failed {
                failure: failure.clone().into(),
                facts: None,
                replayed: false,
            });
            let object = error.object(context.id());
            let mut body = serde_json::json!(body(&found));
            body["error"] = serde_json::json!(object);
            Json(body).into_response()
        }
        TurnState::Queued { .. } | TurnState::Processing | TurnState::Completed(_) => {
            Json(body(&found)).into_response()
        }
    };
    render::put_headers(&mut response, render::turn_headers(&facts));
    Ok(response)
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
    get_turn(State(app), Extension(principal), Extension(context), Segment(key)).await
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
