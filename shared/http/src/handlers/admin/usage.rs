//! `/admin/usage/check`: whether the usage counters say what the ledger says.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use turnwise_core::id::Tenant;
use turnwise_core::ledger::check::Difference;
use turnwise_core::ledger::groups::Days;
use utoipa::ToSchema;

use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::handlers::caller;

/// What a body may contain.
const FIELDS: [&str; 4] = ["from", "to", "tenant", "repair"];

/// What is to be checked.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body, which is read field by field")]
pub(crate) struct UsageCheckRequest {
    /// The first day in UTC; 29 days before `to` unless given.
    pub from: Option<String>,
    /// The last day; today unless given. At most 31 days at once.
    pub to: Option<String>,
    /// Another tenant: for keys of the deployment itself.
    pub tenant: Option<String>,
    /// Whether counters that differ are made what the ledger says.
    pub repair: Option<bool>,
}

/// What a check came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageCheckBody {
    /// `usage.check`.
    pub object: &'static str,
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
    /// Lines of the ledger that were read.
    pub lines: u64,
    /// Counters that were compared with them.
    pub counters: u64,
    /// Counters that differ from them.
    pub differences: Vec<DifferenceBody>,
    /// Those among them that were repaired.
    pub repaired: u64,
    /// Counters that changed while they were looked at; check again.
    pub busy: u64,
    /// Counters of lines that were written before lines told everything that is counted.
    pub untold: u64,
}

/// A counter that is not what its lines come to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DifferenceBody {
    /// The day, in UTC.
    pub day: String,
    /// `provider/model`.
    pub model: String,
    /// The project; null for none.
    pub project: Option<String>,
    /// The API key's id.
    pub key: String,
    /// The task; null for none.
    pub task: Option<String>,
    /// The numbers that differ.
    pub numbers: Vec<NumberBody>,
}

/// A number that differs. Amounts are pico-USD.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NumberBody {
    /// Its name.
    pub name: &'static str,
    /// What was counted.
    pub counted: String,
    /// What the ledger says.
    pub in_ledger: String,
}

impl From<Difference> for DifferenceBody {
    fn from(difference: Difference) -> Self {
        let number = |(name, counted, in_ledger): (&'static str, i128, i128)| NumberBody {
            name,
            counted: counted.to_string(),
            in_ledger: in_ledger.to_string(),
        };
        let numbers = difference.numbers().into_iter().map(number).collect();
        let row = difference.row;
        Self {
            day: row.day.date(),
            model: format!("{}/{}", row.provider, row.model),
            project: row.project.map(|project| project.to_string()),
            key: row.api_key,
            task: row.task.map(|task| task.to_string()),
            numbers,
        }
    }
}

/// Compares usage counters with the ledger, and repairs them if asked to. Each repair is an
/// entry of the audit log.
#[utoipa::path(
    post, path = "/admin/usage/check", tag = "admin", request_body = UsageCheckRequest,
    responses(
        (status = 200, description = "Where they differ", body = UsageCheckBody),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key, or another tenant's", body = ErrorBody),
    ),
)]
pub(crate) async fn check_usage(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    request: Body,
) -> Result<Json<UsageCheckBody>, Error> {
    let mut body = JsonBody::read_if_any(request).await?;
    for name in body.fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        body.faults.add(name, format!("There is no such field; there are {}.", FIELDS.join(", ")));
    }
    let (from, to, tenant) = (body.text("from"), body.text("to"), body.text("tenant"));
    let repairs = body.flag("repair").unwrap_or(false);
    let tenant = tenant.and_then(|tenant| body.faults.keep(Tenant::parse("tenant", &tenant)));
    let days = Days::parse(from.as_deref(), to.as_deref(), app.engine.clock.now());
    let days = days.map_err(|found| body.faults.0.extend(found.0)).ok();
    let Some(days) = days.filter(|_| body.faults.0.is_empty()) else { return Err(Error::Invalid(body.faults)) };
    let caller = caller(&principal, &context);
    let tenant = tenant.unwrap_or_else(|| caller.tenant.clone());
    let check = Box::pin(app.engine.check_usage(&caller, &tenant, days, repairs)).await?;
    Ok(Json(UsageCheckBody {
        object: "usage.check",
        from: days.from.date(),
        to: days.to.date(),
        lines: check.lines,
        counters: check.counters,
        differences: check.differences.into_iter().map(DifferenceBody::from).collect(),
        repaired: check.repaired,
        busy: check.busy,
        untold: check.untold,
    }))
}
