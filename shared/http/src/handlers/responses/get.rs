//! `GET /v1/responses/{id}`: a response read back.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use turnwise_core::fault::Fault;
use utoipa::IntoParams;

use super::body;
use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::{Params, Segment};

/// How to answer.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResponseQuery {
    /// Only `false`: streaming is not available yet.
    #[param(value_type = Option<bool>)]
    stream: Option<String>,
}

/// Reads a response back, whether it has its answer or not.
#[utoipa::path(
    get, path = "/v1/responses/{id}", tag = "responses",
    params(("id" = String, Path, description = "The response"), ResponseQuery),
    responses(
        (status = 200, description = "OpenAI's response object", body = Object),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such response", body = ErrorBody),
        (status = 410, description = "Its content is no longer kept", body = ErrorBody),
    ),
)]
pub(crate) async fn get_response(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
    Params(query): Params<ResponseQuery>,
) -> Result<Response, Error> {
    match query.stream.as_deref() {
        None | Some("false") => {}
        Some("true") => {
            let message = "Streaming of /v1/responses is not available yet.";
            return Err(Error::Invalid(Fault::new("stream", message).into()));
        }
        Some(other) => {
            let message = format!("Expected true or false, got {other:?}.");
            return Err(Error::Invalid(Fault::new("stream", message).into()));
        }
    }
    let found = app.engine.response(&principal.tenant, &id).await?;
    context.note(|line| line.turn = Some(found.found.turn.key.to_string()));
    Ok(body::found(&found))
}
