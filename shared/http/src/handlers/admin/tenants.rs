//! `/admin/tenants`: what holds for all keys of a tenant.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use turnwise_core::access::TenantSettings;
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::id::Tenant;
use turnwise_core::ledger::Baseline;
use turnwise_engine::StoredSettings;
use utoipa::ToSchema;

use super::allowance::{BudgetBody, BudgetUseBody, LimitsBody, Over, budget, limits};
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Segment;
use crate::handlers::caller;
use crate::handlers::value::BaselineBody;

/// Longest address of a webhook, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// Most days that what is said is kept: ten years, which is for ever to most laws.
const MAX_RETENTION_DAYS: u64 = 3653;

/// What a body about a tenant may contain.
const FIELDS: [&str; 5] = ["limits", "budget", "alert_webhook", "retention_days", "baseline_model"];

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
    /// What all its keys together have spent of it.
    pub budget_used: BudgetUseBody,
    /// Where alerts about its budgets go; null for the operator's address.
    pub alert_webhook: Option<String>,
    /// Days that what is said is kept; null for the operator's setting, 0 for ever.
    pub retention_days: Option<u32>,
    /// What its answers are compared with; null for the deployment's baseline.
    pub baseline: Option<BaselineBody>,
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
    /// The model that its answers are compared with from now on, `provider/model`, at today's prices.
    pub baseline_model: Option<String>,
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
    shown(&app, &tenant, &stored).await
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
    let caller = caller(&principal, &context);
    let prices = app.engine.prices_of(&tenant).await?;
    let change = |before| {
        let changed = settings(&request.fields, before, |name| app.engine.listed_price(&prices, name))?;
        let checked = changed.alert_webhook.as_deref().map_or(Ok(()), |url| app.engine.check_webhook(url));
        checked.map_err(|refused| Fault::new("alert_webhook", format!("{refused}.")))?;
        Ok(changed)
    };
    let stored = app.engine.change_tenant(&caller, &tenant, change).await?;
    shown(&app, &tenant, &stored).await
}

fn settings(
    fields: &Map<String, Value>,
    before: TenantSettings,
    priced: impl Fn(&str) -> Result<Baseline, Fault>,
) -> Result<TenantSettings, Faults> {
    let whole = Value::Object(fields.clone());
    let mut over = Over::new("", Some(&whole), &FIELDS);
    let address = format!("an address of at most {MAX_URL_BYTES} bytes");
    let alert_webhook = over.read("alert_webhook", before.alert_webhook, &address, |value| {
        value.as_str().filter(|url| url.len() <= MAX_URL_BYTES).map(str::to_owned)
    });
    let days = format!("0 to {MAX_RETENTION_DAYS} days");
    let retention_days = over.read("retention_days", before.retention_days, &days, |value| {
        value.as_u64().filter(|days| *days <= MAX_RETENTION_DAYS).and_then(|days| u32::try_from(days).ok())
    });
    let mut baseline_faults = Faults::default();
    let baseline = over.read("baseline_model", before.baseline, "a model with a price, as provider/model", |value| {
        let named = priced(value.as_str()?);
        baseline_faults.keep(named.map(Box::new).map_err(|fault| Fault::new("baseline_model", fault.message)))
    });
    let mut faults = over.faults;
    if !baseline_faults.0.is_empty() {
        // It says more than that a model was expected.
        faults.0.retain(|fault| fault.field != "baseline_model");
        faults.0.extend(baseline_faults.0);
    }
    let limits = limits(fields.get("limits"), before.limits, &mut faults);
    let budget = budget(fields.get("budget"), before.budget, &mut faults);
    faults.into_result()?;
    Ok(TenantSettings { limits, budget, alert_webhook, retention_days, baseline })
}

async fn shown(app: &App, tenant: &Tenant, stored: &StoredSettings) -> Result<Json<TenantBody>, Error> {
    let TenantSettings { limits, budget, alert_webhook, retention_days, baseline } = &stored.settings;
    Ok(Json(TenantBody {
        object: "tenant",
        id: tenant.to_string(),
        limits: LimitsBody::from(limits),
        budget: BudgetBody::from(budget),
        budget_used: app.engine.budget_use(tenant, None).await?.into(),
        alert_webhook: alert_webhook.clone(),
        retention_days: *retention_days,
        baseline: baseline.as_deref().map(BaselineBody::from),
        version: stored.version,
    }))
}
