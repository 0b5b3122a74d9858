//! `POST /v1/responses/input_tokens`: what a request would send, counted.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::request::counted;
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};

/// How many tokens a request would send.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InputTokens {
    /// `response.input_tokens`.
    pub object: &'static str,
    /// The tokens, exact or estimated.
    pub input_tokens: u64,
}

/// Counts what `POST /v1/responses` with the same body would send to the model:
/// instructions, what was said before, the input, tools, the format of the answer.
///
/// Counted by the model's own tokenizer where that is public (OpenAI's models, `local/echo`),
/// else estimated on the side of too many; 765 for an image or a file. Nothing is stored. What is more than the model takes is counted all the same,
/// unless it is more than 100 turns; with `truncation` `auto` what fits is counted.
#[utoipa::path(
    post, path = "/v1/responses/input_tokens", tag = "responses", request_body = Object,
    responses(
        (status = 200, description = "The count", body = InputTokens),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "Unknown model, conversation or previous response", body = ErrorBody),
        (status = 410, description = "The conversation is no longer kept", body = ErrorBody),
        (status = 413, description = "Too large", body = ErrorBody),
    ),
)]
pub(crate) async fn count_input_tokens(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    body: Body,
) -> Result<Json<InputTokens>, Error> {
    let request = counted(&principal, &context, JsonBody::read(body).await?)?;
    let input_tokens = app.engine.count_input(request).await?;
    Ok(Json(InputTokens { object: "response.input_tokens", input_tokens }))
}
