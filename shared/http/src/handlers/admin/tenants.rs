//! `/admin/tenants`: what holds for all keys of a tenant.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use turnwise_core::access::TenantSettings;
use turnwise_core::fault::Faults;
use turnwise_core::id::Tenant;
use turnwise_engine::StoredSettings;
use utoipa::ToSchema;

use super::allowance::{BudgetBody, LimitsBody, Over, budget, limits};
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Segment;
use crate::handlers::caller;

/// Longest address of a webhook, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// Most days that what is said is kept: ten years, which is for ever to most laws.
const MAX_RETENTION_DAYS: u64 = 3653;

/// What a body about a tenant may contain.
const FIELDS: [&str; 4] = ["limits", "budget", "alert_webhook", "retention_days"];

/// What holds for all keys of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantBody {
    /// `tenant`.
    pub object: &'static str,
    /// Its name.
    pub id: String,
    /// Limits of all its keys together.
    pub limits: LimitsBody,
    /// What all its keys together may spend.
    pub budget: BudgetBody,
    /// Where alerts about its budgets go; null for the operator's address.
    pub alert_webhook: Option<String>,
    /// Days that what is said is kept; null for the operator's setting, 0 for ever.
    pub retention_days: Option<u32>,
    /// How often this was changed.
    pub version: u64,
}

/// What is to change: a field that is not there stays as it is, a null takes it away.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body, which is read field by field")]
pub(crate) struct TenantRequest {
    /// Limits of all its keys together.
    pub limits: Option<LimitsBody>,
    /// What all its keys together may spend.
    pub budget: Option<BudgetBody>,
    /// Where alerts about its budgets go: `https`, to a public address.
    pub alert_webhook: Option<String>,
    /// Days that what is said from now on is kept, 0 to 3653; 0 keeps it for ever.
    pub retention_days: Option<u32>,
}

/// Shows what holds for all keys of a tenant; a tenant that nobody has set anything for is
/// there as any other.
#[utoipa::path(
    get, path = "/admin/tenants/{tenant}", tag = "admin",
    params(("tenant" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "Its settings", body = TenantBody),
        (status = 400, description = "No tenant can have this name", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key, or another tenant's", body = ErrorBody),
    ),
)]
pub(crate) async fn get_tenant(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(tenant): Segment,
) -> Result<Json<TenantBody>, Error> {
    let tenant = Tenant::parse("tenant", &tenant).map_err(|fault| Error::Invalid(fault.into()))?;
    let stored = app.engine.tenant(&caller(&principal, &context), &tenant).await?;
    Ok(Json(body(&tenant, &stored)))
}

/// Changes what holds for all keys of a tenant; the operator's keys alone may.
#[utoipa::path(
    post, path = "/admin/tenants/{tenant}", tag = "admin", request_body = TenantRequest,
    params(("tenant" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "Its settings as they are now", body = TenantBody),
        (status = 400, description = "Every fault of the request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not the operator's key", body = ErrorBody),
    ),
)]
pub(crate) async fn update_tenant(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(tenant): Segment,
    request: Body,
) -> Result<Json<TenantBody>, Error> {
    let request = JsonBody::read(request).await?;
    let tenant = Tenant::parse("tenant", &tenant).map_err(|fault| Error::Invalid(fault.into()))?;
    let change = |before| settings(&request.fields, before);
    let stored = app.engine.change_tenant(&caller(&principal, &context), &tenant, change).await?;
    Ok(Json(body(&tenant, &stored)))
}

fn settings(fields: &Map<String, Value>, before: TenantSettings) -> Result<TenantSettings, Faults> {
    let whole = Value::Object(fields.clone());
    let mut over = Over::new("", Some(&whole), &FIELDS);
    let alert_webhook =
        over.read("alert_webhook", before.alert_webhook, "an address that begins with https://", |value| {
            let url = value.as_str()?;
            (url.starts_with("https://") && url.len() <= MAX_URL_BYTES).then(|| url.to_owned())
        });
    let days = format!("0 to {MAX_RETENTION_DAYS} days");
    let retention_days = over.read("retention_days", before.retention_days, &days, |value| {
        value.as_u64().filter(|days| *days <= MAX_RETENTION_DAYS).and_then(|days| u32::try_from(days).ok())
    });
    let mut faults = over.faults;
    let limits = limits(fields.get("limits"), before.limits, &mut faults);
    let budget = budget(fields.get("budget"), before.budget, &mut faults);
    faults.into_result()?;
    Ok(TenantSettings { limits, budget, alert_webhook, retention_days })
}

fn body(tenant: &Tenant, stored: &StoredSettings) -> TenantBody {
    let TenantSettings { limits, budget, alert_webhook, retention_days } = &stored.settings;
    TenantBody {
        object: "tenant",
        id: tenant.to_string(),
        limits: LimitsBody::from(limits),
        budget: BudgetBody::from(budget),
        alert_webhook: alert_webhook.clone(),
        retention_days: *retention_days,
        version: stored.version,
    }
}
