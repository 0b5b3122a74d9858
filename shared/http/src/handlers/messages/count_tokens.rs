//! `POST /v1/messages/count_tokens`: what a request would send, counted.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Serialize;
use turnwise_core::messages::Purpose;
use utoipa::ToSchema;

use super::request::{fields, model};
use super::responses::Refusals;
use crate::app::App;
use crate::body::JsonBody;
use crate::error::Error;

/// How many tokens a request would send.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageTokens {
    /// The tokens.
    pub input_tokens: u64,
}

/// Counts what `POST /v1/messages` with the same body would send to the model: system
/// prompt, messages, tools, the form of the answer. No model is called, nothing is stored.
#[utoipa::path(
    post, path = "/v1/messages/count_tokens", tag = "messages", request_body = Object,
    responses((status = 200, description = "The count", body = MessageTokens), Refusals),
)]
pub(crate) async fn count_message_tokens(State(app): State<App>, body: Body) -> Result<Json<MessageTokens>, Error> {
    let mut body = JsonBody::read(body).await?;
    let (model, fields) = (model(&mut body), fields(&mut body, Purpose::Count));
    body.faults.into_result().map_err(Error::Invalid)?;
    let count = app.engine.count_tokens(model.as_deref(), &fields).await?;
    Ok(Json(MessageTokens { input_tokens: count.tokens }))
}
