//! `GET /v1/value`: what was saved against a named model, and lost. `POST /v1/roi`: the same
//! for work that somebody assumes.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::ledger::groups::Days;
use turnwise_core::ledger::metrics::{METHOD, Value as Metrics};
use turnwise_core::ledger::{Baseline, UsageTotals};
use turnwise_core::money::PicoUsd;
use turnwise_core::roi::{Assumed, MAX_MIX, Part, Roi};
use utoipa::{IntoParams, ToSchema};

use super::caller;
use super::usage::{SavingsBody, usd};
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Params;

/// The model that work is compared with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BaselineBody {
    /// `provider/model`.
    pub model: String,
    /// The price table that its prices are from; they stay as they were there.
    pub price_version: String,
    /// USD for a million input tokens.
    pub input_usd_per_mtok: f64,
    /// USD for a million output tokens.
    pub output_usd_per_mtok: f64,
}

impl From<&Baseline> for BaselineBody {
    fn from(baseline: &Baseline) -> Self {
        // A million tokens at so many pico-USD.
        let of_million = |price: i128| usd(PicoUsd(price.saturating_mul(1_000_000)));
        Self {
            model: baseline.model.clone(),
            price_version: baseline.price_version.clone(),
            input_usd_per_mtok: of_million(baseline.price.input),
            output_usd_per_mtok: of_million(baseline.price.output),
        }
    }
}

/// What a period was worth, in USD.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValueBody {
    /// `value`.
    pub object: &'static str,
    /// The first day, in UTC.
    pub from: String,
    /// The last day.
    pub to: String,
    /// What new answers are compared with; null where there is none.
    pub baseline: Option<BaselineBody>,
    /// What it would have cost, of the answers that are compared with it.
    pub baseline_cost_usd: f64,
    /// What these answers cost.
    pub actual_cost_usd: f64,
    /// Everything that was paid: that, and what is subtracted.
    pub paid_usd: f64,
    /// What was saved, by what saved it.
    pub savings_usd: SavingsBody,
    /// What is subtracted.
    pub subtracted_usd: SubtractedBody,
    /// What is left; negative where more was paid than the baseline costs.
    pub net_savings_usd: f64,
    /// The same, exactly.
    pub total_net_savings_usd: String,
    /// The same as a part of the baseline's cost; null without one.
    pub net_savings_rate: Option<f64>,
    /// Answers that are compared.
    pub compared: u64,
    /// Calls of models without a price; they are in no amount.
    pub unpriced: u64,
    /// How all this is reckoned.
    pub method: Vec<&'static str>,
}

/// What no baseline stands against.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubtractedBody {
    /// Answers that broke off or came too late.
    pub failed_attempts: f64,
    /// Answers that were replaced.
    pub regenerations: f64,
    /// Embeddings.
    pub embeddings: f64,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ValueQuery {
    /// The first day in UTC, or an instant in it; 29 days before `to` unless given.
    from: Option<String>,
    /// The last day, or an instant in it; today unless given. At most 366 days.
    to: Option<String>,
}

/// Tells what a period saved against the baseline model, by what saved it.
#[utoipa::path(
    get, path = "/v1/value", tag = "usage", params(ValueQuery),
    responses(
        (status = 200, description = "What was saved and lost, and how it is reckoned", body = ValueBody),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
    ),
)]
pub(crate) async fn get_value(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Params(query): Params<ValueQuery>,
) -> Result<Json<ValueBody>, Error> {
    let days = Days::parse(query.from.as_deref(), query.to.as_deref(), app.engine.clock.now());
    let days = days.map_err(Error::Invalid)?;
    let caller = caller(&principal, &context);
    let rows = app.engine.usage(&caller, Vec::new(), days).await?;
    let mut totals = UsageTotals::default();
    rows.iter().flat_map(|(_, rows)| rows).for_each(|row| totals.add(&row.totals));
    let settings = app.engine.settings_of(&caller.tenant).await?;
    let baseline = app.engine.baseline_of(&settings);
    Ok(Json(value(days, baseline.as_ref(), &totals)))
}

fn value(days: Days, baseline: Option<&Baseline>, totals: &UsageTotals) -> ValueBody {
    let metrics = Metrics::of(totals);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = metrics.net_millionths.map(|millionths| millionths as f64 / 1e6);
    ValueBody {
        object: "value",
        from: days.from.date(),
        to: days.to.date(),
        baseline: baseline.map(BaselineBody::from),
        baseline_cost_usd: usd(metrics.baseline),
        actual_cost_usd: usd(metrics.actual),
        paid_usd: usd(metrics.paid),
        savings_usd: SavingsBody {
            routing: usd(metrics.routing),
            response_cache: usd(metrics.response_cache),
            provider_cache: usd(metrics.provider_cache),
            total: usd(totals.saved()),
        },
        subtracted_usd: SubtractedBody {
            failed_attempts: usd(metrics.failed_attempts),
            regenerations: usd(metrics.regenerations),
            embeddings: usd(metrics.embeddings),
        },
        net_savings_usd: usd(metrics.net),
        total_net_savings_usd: metrics.net.to_string(),
        net_savings_rate: rate,
        compared: metrics.compared,
        unpriced: metrics.unpriced,
        method: METHOD.to_vec(),
    }
}

/// The work that is assumed.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body, which is read field by field")]
pub(crate) struct RoiRequest {
    /// Requests a month.
    pub requests_per_month: u64,
    /// Input tokens of one, on average.
    pub input_tokens: u64,
    /// Output tokens of one, on average.
    pub output_tokens: u64,
    /// What would answer without the gateway, `provider/model`; the tenant's baseline unless given.
    pub baseline_model: Option<String>,
    /// What answers with it: `[{"model": "provider/model", "share": 0.8}]`; the baseline alone unless given.
    #[schema(value_type = Option<Vec<Object>>)]
    pub mix: Option<Value>,
    /// The part of the requests that the response cache answers, 0 to 1.
    pub cache_hit_rate: Option<f64>,
    /// Answers that are paid for once more, as a part of those that are paid for, 0 to 1.
    pub retry_rate: Option<f64>,
    /// What running the gateway costs in a month, in USD.
    pub infrastructure_usd_per_month: Option<f64>,
    /// Hours of work before it runs.
    pub setup_hours: Option<f64>,
    /// What one of them costs, in USD.
    pub hourly_rate_usd: Option<f64>,
}

/// What comes of it, in a month unless it says otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoiBody {
    /// `roi`.
    pub object: &'static str,
    /// What the baseline costs.
    pub baseline_usd: f64,
    /// What the models of the mix cost.
    pub models_usd: f64,
    /// That and the infrastructure.
    pub actual_usd: f64,
    /// The baseline less that; negative where it does not pay.
    pub net_savings_usd: f64,
    /// Saved by one request before infrastructure.
    pub savings_per_request_usd: f64,
    /// What setting it up costs, once.
    pub setup_usd: f64,
    /// Months until that is paid back; null where it never is.
    pub payback_months: Option<f64>,
    /// Requests a month at which the savings are the infrastructure's cost; null where no number is enough.
    pub break_even_requests: Option<u64>,
    /// The net savings of twelve months less the setup.
    pub first_year_usd: f64,
    /// Everything that was assumed, defaults included.
    #[schema(value_type = Object)]
    pub assumptions: Value,
    /// How it is reckoned.
    pub method: &'static str,
}

const ROI_FIELDS: [&str; 10] = [
    "requests_per_month",
    "input_tokens",
    "output_tokens",
    "baseline_model",
    "mix",
    "cache_hit_rate",
    "retry_rate",
    "infrastructure_usd_per_month",
    "setup_hours",
    "hourly_rate_usd",
];

const ROI_METHOD: &str = "baseline = requests x the baseline model's cost of a mean request; models = requests x the \
    mean cost over the mix x (1 - cache_hit_rate) x (1 + retry_rate), list prices, no prompt cache; net = baseline - \
    models - infrastructure; payback = setup / net; break_even = infrastructure / savings per request. A mean request \
    stands for all: prices for long contexts apply only where the mean itself is long.";

/// Reckons whether the gateway pays for work that is assumed. Nothing is stored.
#[utoipa::path(
    post, path = "/v1/roi", tag = "usage", request_body = RoiRequest,
    responses(
        (status = 200, description = "What comes of it, and everything that was assumed", body = RoiBody),
        (status = 400, description = "Every fault of the request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "Unknown model", body = ErrorBody),
    ),
)]
pub(crate) async fn reckon_roi(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    body: Body,
) -> Result<Json<RoiBody>, Error> {
    let mut body = JsonBody::read(body).await?;
    let caller = caller(&principal, &context);
    let prices = app.engine.prices_of(&caller.tenant).await?;
    let priced = |name: &str| app.engine.listed_price(&prices, name);
    let settings = app.engine.settings_of(&caller.tenant).await?;
    let assumed = assumed(&mut body, app.engine.baseline_of(&settings), priced)?;
    let roi = assumed.roi().map_err(Error::Invalid)?;
    Ok(Json(told(&assumed, &roi)))
}

/// Reads the body; tells all that is wrong with it.
fn assumed(
    body: &mut JsonBody,
    default: Option<Baseline>,
    priced: impl Fn(&str) -> Result<Baseline, Fault>,
) -> Result<Assumed, Error> {
    for name in body.fields.keys().filter(|name| !ROI_FIELDS.contains(&name.as_str())) {
        body.faults.add(name, format!("There is no such field; there are {}.", ROI_FIELDS.join(", ")));
    }
    let mut whole = |name: &str| {
        let number = body.count(name);
        if number.is_none() && body.fields.get(name).is_none_or(Value::is_null) {
            body.faults.add(name, "A number is required.");
        }
        number.unwrap_or(1)
    };
    let (requests, input_tokens, output_tokens) = (whole(ROI_FIELDS[0]), whole(ROI_FIELDS[1]), whole(ROI_FIELDS[2]));
    let baseline = match body.text("baseline_model") {
        Some(name) => {
            body.faults.keep(priced(&name).map_err(|fault| Fault { field: "baseline_model".to_owned(), ..fault }))
        }
        None => default,
    };
    let mut exact = |name: &str, decimals: u32| decimal(&body.fields, name, decimals, &mut body.faults);
    let (hits, retries) = (exact("cache_hit_rate", 6), exact("retry_rate", 6));
    let (infrastructure, rate) = (exact("infrastructure_usd_per_month", 12), exact("hourly_rate_usd", 12));
    let setup = exact("setup_hours", 2);
    let mix = mix(body, baseline.as_ref(), priced);
    let Some(baseline) = baseline.filter(|_| body.faults.0.is_empty()) else {
        if body.faults.0.is_empty() {
            body.faults.add("baseline_model", "There is no baseline here: name a model.");
        }
        return Err(Error::Invalid(std::mem::take(&mut body.faults)));
    };
    let small = |number: i128| u64::try_from(number).unwrap_or(u64::MAX);
    Ok(Assumed {
        requests,
        input_tokens,
        output_tokens,
        baseline,
        mix,
        cache_hit_millionths: small(hits),
        retry_millionths: small(retries),
        infrastructure: PicoUsd(infrastructure),
        setup_centihours: small(setup),
        hourly_rate: PicoUsd(rate),
    })
}

/// A number from 0 in units of so many decimals; 0 where it is not given.
fn decimal(fields: &Map<String, Value>, name: &str, decimals: u32, faults: &mut Faults) -> i128 {
    let text = match fields.get(name) {
        None | Some(Value::Null) => return 0,
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => String::new(),
    };
    // Amounts have 12 decimals; what is left out here must be zero.
    let unit = 10_i128.pow(12 - decimals.min(12));
    let amount = PicoUsd::parse_usd(&text).filter(|amount| amount.0 % unit == 0);
    if amount.is_none() {
        faults.add(name, format!("Expected a number from 0 with at most {decimals} decimals."));
    }
    amount.map_or(0, |amount| amount.0 / unit)
}

fn mix(
    body: &mut JsonBody,
    baseline: Option<&Baseline>,
    priced: impl Fn(&str) -> Result<Baseline, Fault>,
) -> Vec<Part> {
    let parts = match body.fields.get("mix") {
        None | Some(Value::Null) => {
            let whole = |one: &Baseline| Part { model: one.model.clone(), price: one.price, millionths: 1_000_000 };
            return baseline.map(whole).into_iter().collect();
        }
        Some(Value::Array(parts)) => parts.clone(),
        Some(_) => {
            body.faults.add("mix", "Expected an array of objects with model and share.");
            return Vec::new();
        }
    };
    if parts.len() > MAX_MIX {
        body.faults.add("mix", format!("Expected 1 to {MAX_MIX} models."));
        return Vec::new();
    }
    let read = |(index, part): (usize, Value)| {
        let field = |name: &str| format!("mix[{index}].{name}");
        let Some(fields) = part.as_object() else {
            body.faults.add(format!("mix[{index}]"), "Expected an object with model and share.");
            return None;
        };
        let mut faults = Faults::default();
        let share = decimal(fields, "share", 6, &mut faults);
        let share = if faults.0.is_empty() { u64::try_from(share).ok() } else { None };
        if share.is_none() {
            body.faults.add(field("share"), "Expected a part from 0 to 1 with at most 6 decimals.");
        }
        let named = fields.get("model").and_then(Value::as_str);
        let named = named.ok_or_else(|| Fault::new("", "A model is required."));
        let found = named.and_then(&priced).map_err(|fault| Fault { field: field("model"), ..fault });
        let found = body.faults.keep(found)?;
        Some(Part { model: found.model, price: found.price, millionths: share? })
    };
    parts.into_iter().enumerate().filter_map(read).collect()
}

fn told(assumed: &Assumed, roi: &Roi) -> RoiBody {
    #[expect(clippy::cast_precision_loss, reason = "numbers for people")]
    let hundredths = |number: i128| number as f64 / 100.0;
    #[expect(clippy::cast_precision_loss, reason = "rates for people")]
    let millionths = |number: u64| number as f64 / 1e6;
    let mix = assumed.mix.iter().map(|part| json!({"model": part.model, "share": millionths(part.millionths)}));
    RoiBody {
        object: "roi",
        baseline_usd: usd(roi.baseline),
        models_usd: usd(roi.models),
        actual_usd: usd(roi.actual),
        net_savings_usd: usd(roi.net),
        savings_per_request_usd: usd(roi.saved_a_request),
        setup_usd: usd(roi.setup),
        payback_months: roi.payback_centimonths.map(hundredths),
        break_even_requests: roi.break_even_requests.and_then(|requests| u64::try_from(requests).ok()),
        first_year_usd: usd(roi.first_year),
        assumptions: json!({
            "requests_per_month": assumed.requests,
            "input_tokens": assumed.input_tokens,
            "output_tokens": assumed.output_tokens,
            "baseline_model": assumed.baseline.model,
            "baseline_price_version": assumed.baseline.price_version,
            "mix": mix.collect::<Vec<_>>(),
            "cache_hit_rate": millionths(assumed.cache_hit_millionths),
            "retry_rate": millionths(assumed.retry_millionths),
            "infrastructure_usd_per_month": usd(assumed.infrastructure),
            "setup_hours": hundredths(assumed.setup_centihours.into()),
            "hourly_rate_usd": usd(assumed.hourly_rate),
        }),
        method: ROI_METHOD,
    }
}
