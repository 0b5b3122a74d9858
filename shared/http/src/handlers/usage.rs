//! `GET /v1/usage`: tokens and money, by whatever somebody wants to see them by.

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::id::Tenant;
use turnwise_core::ledger::UsageTotals;
use turnwise_core::ledger::groups::{Days, Dimension, grouped};
use turnwise_core::money::PicoUsd;
use utoipa::{IntoParams, ToSchema};

use super::admin::audit_format::harmless;
use super::caller;
use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Params;

/// Most tenants of one query: each is as many reads as one.
const MAX_TENANTS: usize = 20;

/// Most groups of one answer: more is a report, and too much for one reply.
const MAX_GROUPS: usize = 10_000;

/// What some work came to. Amounts ending in `_usd` are USD, exact to 12 decimals where they
/// are strings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageTotalsBody {
    /// Everything that was paid, as a decimal string.
    pub total_cost_usd: String,
    /// The same as a number, as far as models have prices.
    pub cost_usd: f64,
    /// Answers that were kept.
    pub requests: u64,
    /// Answers that were paid for and thrown away.
    pub wasted: u64,
    /// Answers that were paid for and replaced, as they repeated what had been said.
    pub regenerated: u64,
    /// Calls of models without a price; they are in no amount.
    pub unpriced: u64,
    /// Answers whose tokens are estimated.
    pub estimated: u64,
    /// Kept answers that were embeddings.
    pub embeddings: u64,
    /// Answers from the response cache.
    pub cache_hits: u64,
    /// Answers that repeated what had been said.
    pub echoes: u64,
    /// Calls of providers beyond the first.
    pub retries: u64,
    /// Answers that another model gave than the one that was asked first.
    pub fallbacks: u64,
    /// All input tokens, those of thrown-away answers included.
    pub input_tokens: u64,
    /// Of these, read from a provider's prompt cache.
    pub cache_read_tokens: u64,
    /// Of these, written to a provider's prompt cache for minutes.
    pub cache_write_tokens: u64,
    /// Of these, written to a provider's prompt cache for an hour.
    pub cache_write_1h_tokens: u64,
    /// All output tokens, reasoning included.
    pub output_tokens: u64,
    /// Of these, reasoning.
    pub reasoning_tokens: u64,
    /// Tokens that the response cache saved.
    pub saved_tokens: u64,
    /// What was paid for answers that were thrown away.
    pub wasted_cost_usd: f64,
    /// What was paid for answers that were replaced.
    pub regenerated_cost_usd: f64,
    /// What was paid for embeddings.
    pub embedding_cost_usd: f64,
    /// What the baseline model would have cost, of the answers that are compared with it.
    pub baseline_cost_usd: f64,
    /// What was saved against it.
    pub savings_usd: SavingsBody,
    /// Conversations that began.
    pub conversations: u64,
    /// Messages and items that came in, and answers.
    pub messages: u64,
}

/// What was saved, by what saved it; negative where more was paid.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SavingsBody {
    /// By the choice of the model.
    pub routing: f64,
    /// By the response cache.
    pub response_cache: f64,
    /// By providers' prompt caches.
    pub provider_cache: f64,
    /// All three.
    pub total: f64,
}

/// Usage of a period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageReport {
    /// `usage`.
    pub object: &'static str,
    /// The first day, in UTC.
    pub from: String,
    /// The last day.
    pub to: String,
    /// What the groups are by.
    pub group_by: Vec<&'static str>,
    /// Everything that was paid, as a decimal string.
    pub total_cost_usd: String,
    /// All of it.
    pub totals: UsageTotalsBody,
    /// One for each combination that there is, in their order: the values of `group_by` beside
    /// the same numbers. A null is work of no project or no task.
    #[schema(value_type = Vec<Object>)]
    pub groups: Vec<Value>,
}

/// Which period, by what.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// The first day in UTC, or an instant in it; 29 days before `to` unless given.
    from: Option<String>,
    /// The last day, or an instant in it; today unless given. At most 366 days.
    to: Option<String>,
    /// Some of `day`, `model`, `provider`, `project`, `key`, `tenant`, `task`, separated by commas.
    group_by: Option<String>,
    /// Other tenants, separated by commas: for keys of the deployment itself.
    tenant: Option<String>,
    /// `json` or `csv`; `json` unless given.
    format: Option<String>,
}

/// Tells what a period came to, in all and by groups. Fresh: what is committed is in it.
#[utoipa::path(
    get, path = "/v1/usage", tag = "usage", params(UsageQuery),
    responses(
        (status = 200, description = "The sums. In CSV the groups, or one line of all",
            content((UsageReport = "application/json"), (String = "text/csv"))),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Another tenant's", body = ErrorBody),
    ),
)]
pub(crate) async fn get_usage(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Params(query): Params<UsageQuery>,
) -> Result<Response, Error> {
    let Asked { days, group_by, tenants, as_csv } = Asked::read(&app, &query)?;
    let rows = app.engine.usage(&caller(&principal, &context), tenants, days).await?;
    let groups = grouped(&rows, &group_by);
    if groups.len() > MAX_GROUPS {
        let message =
            format!("There are {} groups, and at most {MAX_GROUPS} are told: ask for fewer days.", groups.len());
        return Err(Error::Invalid(Fault::new("group_by", message).into()));
    }
    if as_csv {
        let text = table(&group_by, &groups).map_err(Error::Unwritten)?;
        return Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response());
    }
    let totals = sum(&groups);
    let groups = if group_by.is_empty() { Vec::new() } else { groups };
    let report = UsageReport {
        object: "usage",
        from: days.from.date(),
        to: days.to.date(),
        total_cost_usd: totals.cost.to_string(),
        totals: UsageTotalsBody::from(&totals),
        groups: groups.iter().map(|(values, totals)| group(&group_by, values, totals)).collect(),
        group_by: group_by.into_iter().map(Dimension::name).collect(),
    };
    Ok(axum::Json(report).into_response())
}

struct Asked {
    days: Days,
    group_by: Vec<Dimension>,
    tenants: Vec<Tenant>,
    as_csv: bool,
}

impl Asked {
    /// Reads the query; tells all that is wrong with it.
    fn read(app: &App, query: &UsageQuery) -> Result<Self, Error> {
        let mut faults = Faults::default();
        let days = Days::parse(query.from.as_deref(), query.to.as_deref(), app.engine.clock.now());
        let days = days.map_err(|found| faults.0.extend(found.0)).ok();
        let group_by = Dimension::parse_list("group_by", query.group_by.as_deref().unwrap_or_default());
        let group_by = group_by.map_err(|found| faults.0.extend(found.0)).unwrap_or_default();
        let tenants = tenants(query.tenant.as_deref(), &mut faults);
        let as_csv = match query.format.as_deref() {
            None | Some("json") => false,
            Some("csv") => true,
            Some(other) => {
                faults.add("format", format!("Expected json or csv, got {other:?}."));
                false
            }
        };
        match days {
            Some(days) if faults.0.is_empty() => Ok(Self { days, group_by, tenants, as_csv }),
            _ => Err(Error::Invalid(faults)),
        }
    }
}

/// The tenants that `text` names, each once.
fn tenants(text: Option<&str>, faults: &mut Faults) -> Vec<Tenant> {
    let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut tenants: Vec<Tenant> = names.filter_map(|name| faults.keep(Tenant::parse("tenant", name))).collect();
    tenants.sort();
    tenants.dedup();
    if tenants.len() > MAX_TENANTS {
        faults.add("tenant", format!("At most {MAX_TENANTS} tenants."));
    }
    tenants
}

fn sum(groups: &[(Vec<Option<String>>, UsageTotals)]) -> UsageTotals {
    let mut totals = UsageTotals::default();
    groups.iter().for_each(|(_, group)| totals.add(group));
    totals
}

/// A group's values beside its numbers.
fn group(group_by: &[Dimension], values: &[Option<String>], totals: &UsageTotals) -> Value {
    let named =
        group_by.iter().zip(values).map(|(dimension, value)| (dimension.name().to_owned(), value.clone().into()));
    let mut fields: Map<String, Value> = named.collect();
    if let Ok(Value::Object(numbers)) = serde_json::to_value(UsageTotalsBody::from(totals)) {
        fields.extend(numbers);
    }
    Value::Object(fields)
}

fn table(group_by: &[Dimension], groups: &[(Vec<Option<String>>, UsageTotals)]) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let heading = group_by.iter().map(|dimension| dimension.name());
    writer.write_record(heading.chain(["cost_usd"]).chain(UsageTotals::NAMES.iter().copied()))?;
    for (values, totals) in groups {
        let values = values.iter().map(|value| harmless(value.clone().unwrap_or_default()));
        let numbers = totals.counters().into_iter().map(|(_, number)| number.to_string());
        writer.write_record(values.chain([totals.cost.to_string()]).chain(numbers))?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// An amount as a number, for people.
pub(super) fn usd(amount: PicoUsd) -> f64 {
    amount.to_string().parse().unwrap_or_default()
}

impl From<&UsageTotals> for UsageTotalsBody {
    fn from(totals: &UsageTotals) -> Self {
        Self {
            total_cost_usd: totals.cost.to_string(),
            cost_usd: usd(totals.cost),
            requests: totals.requests,
            wasted: totals.wasted,
            regenerated: totals.regenerated,
            unpriced: totals.unpriced,
            estimated: totals.estimated,
            embeddings: totals.embeddings,
            cache_hits: totals.cache_hits,
            echoes: totals.echoes,
            retries: totals.retries,
            fallbacks: totals.fallbacks,
            input_tokens: totals.input_tokens,
            cache_read_tokens: totals.cache_read_tokens,
            cache_write_tokens: totals.cache_write_tokens,
            cache_write_1h_tokens: totals.cache_write_1h_tokens,
            output_tokens: totals.output_tokens,
            reasoning_tokens: totals.reasoning_tokens,
            saved_tokens: totals.saved_tokens,
            wasted_cost_usd: usd(totals.wasted_cost),
            regenerated_cost_usd: usd(totals.regenerated_cost),
            embedding_cost_usd: usd(totals.embedding_cost),
            baseline_cost_usd: usd(totals.baseline),
            savings_usd: SavingsBody {
                routing: usd(totals.saved_routing),
                response_cache: usd(totals.saved_response_cache),
                provider_cache: usd(totals.saved_provider_cache),
                total: usd(totals.saved()),
            },
            conversations: totals.conversations,
            messages: totals.messages,
        }
    }
}
