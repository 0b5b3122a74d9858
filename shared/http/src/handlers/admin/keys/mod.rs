//! `/admin/keys`: API keys made, looked at, changed and taken back.

mod request;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use turnwise_core::access::{Budget, KeyId, KeyText, Limits, Scope};
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::id::Tenant;
use turnwise_core::time::Timestamp;
use turnwise_engine::StoredKey;
use turnwise_engine::audit::MAX_REASON_CHARS;
use turnwise_engine::keys::{KEY_USAGE_DAYS, KeySpec};
use utoipa::{IntoParams, ToSchema};

use super::allowance::{BudgetBody, BudgetUseBody, LimitsBody};
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::{Params, Segment, page_size};
use crate::handlers::caller;
use crate::params::idempotency_key;

/// What a new key is for unless its request says otherwise.
const USUAL_SCOPES: [Scope; 2] = [Scope::Generate, Scope::Read];

/// An API key. Its text is told once, by the request that made it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyBody {
    /// `api_key`.
    pub object: &'static str,
    /// Its id, which is no secret: it stands in logs and in the ledger.
    pub id: String,
    /// The key itself: only here, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What people call it.
    pub name: String,
    /// Who uses it: whose list of conversations it shows.
    pub owner: String,
    /// Whose data it opens.
    pub tenant: String,
    /// What it is for.
    pub scopes: Vec<&'static str>,
    /// The models it may ask; null for all.
    pub models: Option<Vec<String>>,
    /// How much of it.
    pub limits: LimitsBody,
    /// What it may spend.
    pub budget: BudgetBody,
    /// `active`, `expired` or `revoked`.
    pub status: &'static str,
    /// When it was created, RFC 3339.
    pub created_at: String,
    /// The id of the key that created it.
    pub created_by: String,
    /// From when on it is not accepted any more, RFC 3339.
    pub expires_at: Option<String>,
    /// When it was given its newest secret, if not at its creation.
    pub rotated_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// When it was last seen in use, to the minute.
    pub last_used_at: Option<String>,
    /// What the work that it asked for came to, today and the 29 days before: only where one
    /// key is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<KeyUsageBody>,
    /// What was spent of its budget: only where one key is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_used: Option<BudgetUseBody>,
}

/// What the work that a key asked for came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyUsageBody {
    /// Days summed up.
    pub days: u32,
    /// Committed turns, and answered requests that are no turns.
    pub requests: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// Exact cost in USD, as far as the models have prices.
    pub cost_usd: String,
    /// Answers that were paid for and thrown away; their tokens and cost are among the above.
    pub wasted: u64,
}

/// One page of keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// `list`.
    pub object: &'static str,
    /// The keys.
    pub data: Vec<KeyBody>,
    /// Whether there are more.
    pub has_more: bool,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// A key to be made, or what is to change: a field that is not there stays as it is, a null
/// takes a limit away.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body, which is read field by field")]
pub(crate) struct KeyRequest {
    /// What people call it, 1 to 100 characters; needed for a new one.
    pub name: Option<String>,
    /// Who uses it; `owner` unless given.
    pub owner: Option<String>,
    /// Whose data it opens; that of the key that makes it, unless the operator names another.
    /// Cannot be changed.
    pub tenant: Option<String>,
    /// `generate`, `read`, `reports`, `admin`; the first two unless given.
    pub scopes: Option<Vec<String>>,
    /// The models it may ask, as `provider/model`, or the beginning of such names and a `*`;
    /// all unless given.
    pub models: Option<Vec<String>>,
    /// How much of it.
    pub limits: Option<LimitsBody>,
    /// What it may spend.
    pub budget: Option<BudgetBody>,
    /// From when on it is not accepted any more, RFC 3339; never unless given.
    pub expires_at: Option<String>,
}

/// How a key is given another secret.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body, which is read field by field")]
pub(crate) struct RotateRequest {
    /// Seconds for which the secret before stays good, 0 to 604800; 0 unless given.
    pub grace_s: Option<u64>,
}

/// Why a key is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body, which is read field by field")]
pub(crate) struct RevokeRequest {
    /// For the audit log, at most 500 characters.
    pub reason: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyQuery {
    /// Whose keys; the operator may name any tenant.
    tenant: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows, 1 to 100.
    #[param(value_type = Option<u64>)]
    limit: Option<String>,
}

/// Makes a key and tells it, this once. With an `Idempotency-Key` a retry finds the key that
/// was made, without its text: rotate it if that was lost.
#[utoipa::path(
    post, path = "/admin/keys", tag = "admin", request_body = KeyRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes one key, whatever is retried")),
    responses(
        (status = 200, description = "A retry: the key that was made, without its text", body = KeyBody),
        (status = 201, description = "The key, with its text", body = KeyBody),
        (status = 400, description = "Every fault of the request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key, or another tenant's", body = ErrorBody),
        (status = 422, description = "The idempotency key was used for another key", body = ErrorBody),
    ),
)]
pub(crate) async fn create_key(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let body = JsonBody::read(body).await?;
    let mut faults = Faults::default();
    let usual = KeySpec {
        name: String::new(),
        owner: principal.user.clone(),
        scopes: USUAL_SCOPES.into_iter().collect(),
        models: None,
        limits: Limits::default(),
        budget: Budget::default(),
        expires_at: None,
    };
    if !body.fields.contains_key("name") {
        faults.add("name", "This field is required.".to_owned());
    }
    let spec = request::spec(&body.fields, usual, app.engine.clock.now());
    let spec = spec.map_err(|found| faults.0.extend(found.0)).ok();
    let tenant = match body.fields.get("tenant").filter(|tenant| !tenant.is_null()) {
        None => Some(principal.tenant.clone()),
        Some(tenant) => faults.keep(Tenant::parse("tenant", tenant.as_str().unwrap_or_default())),
    };
    let idempotency_key = idempotency_key(&headers, &mut faults);
    let (Some(spec), Some(tenant), true) = (spec, tenant, faults.0.is_empty()) else {
        return Err(Error::Invalid(faults));
    };
    let caller = caller(&principal, &context);
    let created = app.engine.create_key(&caller, &tenant, spec, idempotency_key.as_deref()).await?;
    let shown = Json(KeyBody::told(&created.stored, created.text.as_ref(), app.engine.clock.now()));
    Ok(match created.text {
        Some(_) => (StatusCode::CREATED, shown).into_response(),
        None => (StatusCode::OK, [("idempotent-replayed", "true")], shown).into_response(),
    })
}

/// Lists keys, newest first, revoked ones too.
#[utoipa::path(
    get, path = "/admin/keys", tag = "admin", params(KeyQuery),
    responses(
        (status = 200, description = "The keys", body = KeyList),
        (status = 400, description = "Every fault of the query", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key, or another tenant's", body = ErrorBody),
    ),
)]
pub(crate) async fn list_keys(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Params(query): Params<KeyQuery>,
) -> Result<Json<KeyList>, Error> {
    let mut faults = Faults::default();
    let limit = faults.keep(page_size(query.limit.as_deref()));
    let tenant =
        query.tenant.as_deref().map_or_else(|| Ok(principal.tenant.clone()), |name| Tenant::parse("tenant", name));
    let (Some(limit), Some(tenant)) = (limit, faults.keep(tenant)) else { return Err(Error::Invalid(faults)) };
    let page = app.engine.keys(&caller(&principal, &context), &tenant, query.after.as_deref(), limit).await?;
    let now = app.engine.clock.now();
    let data = page.keys.iter().map(|stored| KeyBody::told(stored, None, now)).collect();
    Ok(Json(KeyList { object: "list", data, has_more: page.next.is_some(), next: page.next }))
}

/// Shows one key with what it was used for and has spent, without its text.
#[utoipa::path(
    get, path = "/admin/keys/{id}", tag = "admin",
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 200, description = "The key", body = KeyBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
        (status = 404, description = "No such key, or another tenant's", body = ErrorBody),
    ),
)]
pub(crate) async fn get_key(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
) -> Result<Json<KeyBody>, Error> {
    let stored = app.engine.key(&caller(&principal, &context), &key_id(&id)?).await?;
    let totals = app.engine.key_usage(&stored).await?;
    let usage = KeyUsageBody {
        days: KEY_USAGE_DAYS,
        requests: totals.requests,
        input_tokens: totals.input_tokens,
        output_tokens: totals.output_tokens,
        cost_usd: totals.cost.to_string(),
        wasted: totals.wasted,
    };
    let used = app.engine.budget_use(&stored.key.tenant, Some(stored.id.as_str())).await?;
    let (usage, budget_used) = (Some(usage), Some(used.into()));
    Ok(Json(KeyBody { usage, budget_used, ..KeyBody::told(&stored, None, app.engine.clock.now()) }))
}

/// Changes a key. Takes effect at once in this process, within a minute in others.
#[utoipa::path(
    post, path = "/admin/keys/{id}", tag = "admin", request_body = KeyRequest,
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 200, description = "The key as it is now", body = KeyBody),
        (status = 400, description = "Every fault of the request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
        (status = 404, description = "No such key, or another tenant's", body = ErrorBody),
    ),
)]
pub(crate) async fn update_key(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
    body: Body,
) -> Result<Json<KeyBody>, Error> {
    let body = JsonBody::read(body).await?;
    if body.fields.contains_key("tenant") {
        return Err(Error::Invalid(Fault::new("tenant", "A key stays with its tenant.").into()));
    }
    let now = app.engine.clock.now();
    let change = |before| request::spec(&body.fields, before, now);
    let stored = app.engine.change_key(&caller(&principal, &context), &key_id(&id)?, change).await?;
    Ok(Json(KeyBody::told(&stored, None, now)))
}

/// Gives a key another secret and tells it, this once. Its id, limits and history stay.
#[utoipa::path(
    post, path = "/admin/keys/{id}/rotate", tag = "admin", request_body = RotateRequest,
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 200, description = "The key, with its new text", body = KeyBody),
        (status = 400, description = "Every fault of the request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
        (status = 404, description = "No such key, or another tenant's", body = ErrorBody),
    ),
)]
pub(crate) async fn rotate_key(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
    body: Body,
) -> Result<Json<KeyBody>, Error> {
    let body = JsonBody::read_if_any(body).await?;
    let grace = request::grace(&body.fields).map_err(Error::Invalid)?;
    let (stored, text) = app.engine.rotate_key(&caller(&principal, &context), &key_id(&id)?, grace).await?;
    Ok(Json(KeyBody::told(&stored, Some(&text), app.engine.clock.now())))
}

/// Takes a key back, for good: at once in this process, within a minute in others.
#[utoipa::path(
    post, path = "/admin/keys/{id}/revoke", tag = "admin", request_body = RevokeRequest,
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 200, description = "The key, revoked now or before", body = KeyBody),
        (status = 400, description = "Every fault of the request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
        (status = 404, description = "No such key, or another tenant's", body = ErrorBody),
    ),
)]
pub(crate) async fn revoke_key(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
    body: Body,
) -> Result<Json<KeyBody>, Error> {
    let mut body = JsonBody::read_if_any(body).await?;
    let reason = body.text("reason").unwrap_or_default();
    if reason.chars().count() > MAX_REASON_CHARS {
        body.faults.add("reason", format!("At most {MAX_REASON_CHARS} characters go to the audit log."));
    }
    body.faults.into_result().map_err(Error::Invalid)?;
    let stored = app.engine.revoke_key(&caller(&principal, &context), &key_id(&id)?, &reason).await?;
    Ok(Json(KeyBody::told(&stored, None, app.engine.clock.now())))
}

/// The id that a path names. What has another form is no key's.
fn key_id(text: &str) -> Result<KeyId, Error> {
    KeyId::parse(text).ok_or_else(|| turnwise_engine::Error::NotFound { what: "key", name: text.to_owned() }.into())
}

impl KeyBody {
    fn told(stored: &StoredKey, text: Option<&KeyText>, now: Timestamp) -> Self {
        let key = &stored.key;
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            object: "api_key",
            id: stored.id.to_string(),
            key: text.map(|text| text.expose().to_owned()),
            name: key.name.clone(),
            owner: key.owner.clone(),
            tenant: key.tenant.to_string(),
            scopes: key.scopes.iter().map(Scope::name).collect(),
            models: key.models.clone(),
            limits: LimitsBody::from(&key.limits),
            budget: BudgetBody::from(&key.budget),
            status: key.standing(now).name(),
            created_at: key.created_at.to_string(),
            created_by: key.created_by.clone(),
            expires_at: time(key.expires_at),
            rotated_at: time(key.rotated_at),
            revoked_at: time(key.revoked_at),
            last_used_at: time(stored.last_used_at),
            usage: None,
            budget_used: None,
        }
    }
}
