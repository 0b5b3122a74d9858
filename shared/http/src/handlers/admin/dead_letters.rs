//! `/admin/dead-letters`: turns of a queue that ended without an answer.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use turnwise_core::fault::Faults;
use turnwise_core::id::TurnKey;
use turnwise_core::limits::PAGE_SIZE;
use utoipa::{IntoParams, ToSchema};

use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody, turn_location};
use crate::extract::{Params, page_size};
use crate::handlers::caller;

/// One page of dead letters, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterList {
    /// `list`.
    pub object: &'static str,
    /// The letters.
    pub data: Vec<DeadLetterBody>,
    /// Whether there are more.
    pub has_more: bool,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// A turn of a queue that ended without an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterBody {
    /// `dead_letter`.
    pub object: &'static str,
    /// The turn's key.
    pub key: String,
    /// Where the turn is read.
    pub location: String,
    /// Its failure's code.
    pub code: String,
    /// Its failure's message.
    pub message: String,
    /// When it failed, RFC 3339.
    pub failed_at: String,
}

/// Which letters are put back.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RedriveRequest {
    /// One turn's key; missing or null puts back the oldest, as many as one request does.
    #[expect(dead_code, reason = "documents the body, which is read field by field")]
    pub key: Option<String>,
}

/// What a redrive did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedriveBody {
    /// `redrive`.
    pub object: &'static str,
    /// Keys of turns that wait in their queues again.
    pub turns: Vec<String>,
    /// Keys of turns that could not be put back: they have changed, or were erased.
    pub skipped: Vec<String>,
    /// Hints that had failed too often and are in the queue again.
    pub messages: usize,
    /// Whether there are more.
    pub has_more: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadLetterQuery {
    /// `next` of the page before.
    after: Option<String>,
    /// Rows, 1 to 100.
    #[param(value_type = Option<u64>)]
    limit: Option<String>,
}

/// Lists dead letters, oldest first.
#[utoipa::path(
    get, path = "/admin/dead-letters", tag = "admin", params(DeadLetterQuery),
    responses(
        (status = 200, description = "One page", body = DeadLetterList),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
    ),
)]
pub(crate) async fn list_dead_letters(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Params(query): Params<DeadLetterQuery>,
) -> Result<Json<DeadLetterList>, Error> {
    let mut faults = Faults::default();
    let limit = faults.keep(page_size(query.limit.as_deref())).unwrap_or(PAGE_SIZE);
    faults.into_result().map_err(Error::Invalid)?;
    let after = query.after.as_deref().filter(|after| !after.is_empty());
    let page = app.engine.dead_letters(&caller(&principal, &context), after, limit).await?;
    let data = page.letters.into_iter().map(|letter| DeadLetterBody {
        object: "dead_letter",
        location: turn_location(&letter.key.to_string()),
        key: letter.key.to_string(),
        code: letter.code,
        message: letter.message,
        failed_at: letter.failed_at.to_string(),
    });
    Ok(Json(DeadLetterList { object: "list", data: data.collect(), has_more: page.next.is_some(), next: page.next }))
}

/// Puts dead letters back at the ends of their queues, with all attempts before them,
/// and hints that failed too often back on the queue of hints.
#[utoipa::path(
    post, path = "/admin/dead-letters/redrive", tag = "admin", request_body = RedriveRequest,
    responses(
        (status = 200, description = "What was put back", body = RedriveBody),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
        (status = 503, description = "The queue does not answer", body = ErrorBody),
    ),
)]
pub(crate) async fn redrive(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    request: Body,
) -> Result<Json<RedriveBody>, Error> {
    let mut request = JsonBody::read(request).await?;
    let key = request.text("key").and_then(|key| {
        let named = request.faults.keep(TurnKey::parse("key", &key)).flatten();
        named.or_else(|| request.faults.keep(TurnKey::hidden("key", &key)))
    });
    request.faults.into_result().map_err(Error::Invalid)?;
    let done = app.engine.redrive(&caller(&principal, &context), key.as_ref()).await?;
    Ok(Json(RedriveBody {
        object: "redrive",
        turns: done.turns.iter().map(ToString::to_string).collect(),
        skipped: done.skipped.iter().map(ToString::to_string).collect(),
        messages: done.messages,
        has_more: done.more,
    }))
}
