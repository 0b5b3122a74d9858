//! `/admin/locks`: who holds which conversation's lock, and how it is taken away.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use turnwise_core::id::ConversationId;
use turnwise_engine::locks::Lock;
use utoipa::ToSchema;

use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Segment;
use crate::handlers::caller;

/// The locks that are held.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LockList {
    /// `list`.
    pub object: &'static str,
    /// The locks, oldest attempt first.
    pub data: Vec<LockBody>,
}

/// A conversation's lock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LockBody {
    /// `lock`.
    pub object: &'static str,
    /// Whose lock.
    pub conversation_id: String,
    /// Whether somebody holds it.
    pub held: bool,
    /// The attempt that holds it.
    pub owner: Option<String>,
    /// The turn it works on.
    pub turn_id: Option<String>,
    /// Attempts of that turn so far.
    pub attempts: Option<u32>,
    /// Seconds since the attempt began.
    pub age_s: Option<f64>,
    /// Until when it holds the lock unless it renews its lease, RFC 3339.
    pub lease_until: Option<String>,
    /// Whether the lease is over: the attempt is dead, or about to lose the lock.
    pub lapsed: Option<bool>,
    /// The fencing token: how often the lock was taken or taken away.
    pub fence: u64,
    /// Turns that wait in the conversation's queue.
    pub queued: u64,
}

/// Why a lock is taken away.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ReleaseRequest {
    /// For the audit log, 1 to 500 characters.
    #[expect(dead_code, reason = "documents the body, which is read field by field")]
    pub reason: String,
}

/// Lists the locks that are held.
#[utoipa::path(
    get, path = "/admin/locks", tag = "admin",
    responses(
        (status = 200, description = "The locks", body = LockList),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
    ),
)]
pub(crate) async fn list_locks(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<LockList>, Error> {
    let locks = app.engine.held_locks(&principal.tenant).await?;
    Ok(Json(LockList { object: "list", data: locks.iter().map(|lock| body(&app, lock)).collect() }))
}

/// Shows the lock of one conversation.
#[utoipa::path(
    get, path = "/admin/locks/{conversation}", tag = "admin",
    params(("conversation" = String, Path, description = "The conversation")),
    responses(
        (status = 200, description = "The lock", body = LockBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
    ),
)]
pub(crate) async fn get_lock(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Segment(conversation): Segment,
) -> Result<Json<LockBody>, Error> {
    let conversation = ConversationId::from_stored(conversation);
    let lock = app.engine.lock(&principal.tenant, &conversation).await?;
    Ok(Json(body(&app, &lock)))
}

/// Takes a lock away from its owner, dead or alive. What the owner still writes is
/// refused; its turn goes on with the next retry of its key or the next sweep.
#[utoipa::path(
    post, path = "/admin/locks/{conversation}/release", tag = "admin", request_body = ReleaseRequest,
    params(("conversation" = String, Path, description = "The conversation")),
    responses(
        (status = 200, description = "The lock, free or taken by the next turn", body = LockBody),
        (status = 400, description = "No reason", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
        (status = 409, description = "Nobody holds it", body = ErrorBody),
    ),
)]
pub(crate) async fn release_lock(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(conversation): Segment,
    request: Body,
) -> Result<Json<LockBody>, Error> {
    let mut request = JsonBody::read(request).await?;
    let reason = request.text("reason").unwrap_or_default();
    request.faults.into_result().map_err(Error::Invalid)?;
    let conversation = ConversationId::from_stored(conversation);
    let lock = app.engine.release_lock(&caller(&principal, &context), &conversation, &reason).await?;
    Ok(Json(body(&app, &lock)))
}

fn body(app: &App, lock: &Lock) -> LockBody {
    let now = app.engine.clock.now();
    let held = lock.held.as_ref();
    LockBody {
        object: "lock",
        conversation_id: lock.conversation.to_string(),
        held: held.is_some(),
        owner: held.map(|held| held.holder.attempt.to_string()),
        turn_id: held.map(|held| held.holder.turn.to_string()),
        attempts: held.map(|held| held.attempts),
        age_s: held.and_then(|held| held.since).map(|since| now.since(since).as_secs_f64()),
        lease_until: held.map(|held| held.holder.lease_until.to_string()),
        lapsed: held.map(|held| held.lapsed),
        fence: lock.fence,
        queued: lock.queued,
    }
}
