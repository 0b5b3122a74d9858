//! `/admin/prices`: what models charge, and tables of prices to come.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use turnwise_core::fault::Faults;
use turnwise_core::id::Tenant;
use turnwise_core::prices::import::numbers;
use turnwise_core::prices::{Change, Diff, Doubt, Layer, PriceTable, Quote};
use turnwise_engine::StoredPrices;
use turnwise_engine::prices::{Import, Imported};
use utoipa::{IntoParams, ToSchema};

use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Params;
use crate::handlers::caller;

/// What a body may contain.
const FIELDS: [&str; 4] = ["table", "tenant", "confirm", "dry_run"];

/// What models charge, and the tables that say so.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PriceList {
    /// `prices`.
    pub object: &'static str,
    /// Whom the prices are for.
    pub tenant: String,
    /// The version of the table that says most of them.
    pub version: String,
    /// Every model that has a price now, by name.
    pub data: Vec<PriceBody>,
    /// Tables that were imported, oldest first: the deployment's, then the tenant's. The shipped
    /// catalogue lies under all of them.
    pub tables: Vec<TableBody>,
}

/// What one model charges.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PriceBody {
    /// `provider/model`.
    pub model: String,
    /// The version of the table that says so.
    pub version: String,
    /// `tenant`, `deployment` or `shipped`.
    pub layer: &'static str,
    /// Pico-USD a token, by what is charged: `input`, `output`, `cache_read`, `cache_write_5m`,
    /// `cache_write_1h`, `reasoning`, `long_context.*`. What is not there is charged as the one before it.
    #[schema(value_type = Object)]
    pub pico_usd_per_token: Value,
    /// USD for a million input tokens.
    pub input_usd_per_mtok: f64,
    /// USD for a million output tokens.
    pub output_usd_per_mtok: f64,
    /// Pico-USD a token in batches, which are not sent here; null where not known.
    #[schema(value_type = Option<Object>)]
    pub batch_pico_usd_per_token: Value,
    /// The day from which on its provider may take it away.
    pub deprecation_date: Option<String>,
}

/// A table that was imported.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableBody {
    /// `tenant` or `deployment`.
    pub layer: &'static str,
    /// The how many-th of its layer it is.
    pub number: u64,
    /// Its name.
    pub version: String,
    /// From when on it holds, RFC 3339.
    pub effective_from: String,
    /// Whether models that it does not have keep the prices of the layer below.
    pub partial: bool,
    /// Where its prices are from.
    pub source: Option<String>,
    /// Its models.
    pub models: usize,
    /// When it was imported, RFC 3339.
    pub imported_at: String,
    /// The id of the key that did.
    pub imported_by: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PricesQuery {
    /// Another tenant: for keys of the deployment itself.
    tenant: Option<String>,
}

/// A table to be imported.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "documents the body, which is read field by field")]
pub(crate) struct PricesImportRequest {
    /// The table, as files have it: `version`, `effective_from`, `partial`, `source`, `models`.
    #[schema(value_type = Object)]
    pub table: Value,
    /// Whose it is; the deployment's unless given.
    pub tenant: Option<String>,
    /// Takes a table that loses more than 20 % of the models or changes a price more than 5 times.
    pub confirm: Option<bool>,
    /// Only tells what would change.
    pub dry_run: Option<bool>,
}

/// What a table changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PricesImportBody {
    /// `prices.import`.
    pub object: &'static str,
    /// Its name.
    pub version: String,
    /// From when on it holds, RFC 3339.
    pub effective_from: String,
    /// Whether it is stored.
    pub stored: bool,
    /// Models that get a price.
    pub added: Vec<String>,
    /// Models that have none any more.
    pub removed: Vec<String>,
    /// Prices that change, in pico-USD a token.
    pub changed: Vec<ChangeBody>,
    /// Why it has to be confirmed; empty where it need not be.
    pub doubts: Vec<String>,
}

/// A price that changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeBody {
    /// `provider/model`.
    pub model: String,
    /// Which price.
    pub field: &'static str,
    /// What it was; null where it had none of its own.
    pub before: Option<u64>,
    /// What it becomes.
    pub after: Option<u64>,
}

/// Lists what models charge now, and the tables that were imported.
#[utoipa::path(
    get, path = "/admin/prices", tag = "admin", params(PricesQuery),
    responses(
        (status = 200, description = "The prices", body = PriceList),
        (status = 400, description = "No tenant can have this name", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key, or another tenant's", body = ErrorBody),
    ),
)]
pub(crate) async fn list_prices(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Params(query): Params<PricesQuery>,
) -> Result<Json<PriceList>, Error> {
    let caller = caller(&principal, &context);
    let named = query.tenant.as_deref().map(|tenant| Tenant::parse("tenant", tenant));
    let named = named.transpose().map_err(|fault| Error::Invalid(fault.into()))?;
    let tenant = named.unwrap_or_else(|| caller.tenant.clone());
    let own = app.engine.price_tables(&caller, Some(&tenant)).await?;
    let deployment = app.engine.price_tables(&caller, None).await?;
    let prices = app.engine.prices_of(&tenant).await?;
    let now = app.engine.clock.now();
    let of_deployment = deployment.iter().map(|stored| table(Layer::Deployment, stored));
    let tables = of_deployment.chain(own.iter().map(|stored| table(Layer::Tenant, stored))).collect();
    Ok(Json(PriceList {
        object: "prices",
        tenant: tenant.to_string(),
        version: prices.version(now).to_owned(),
        data: prices.all(now).iter().map(price).collect(),
        tables,
    }))
}

/// Imports a table of prices: of the deployment, or of one tenant. Whatever is charged from its
/// first instant on is charged by it, within a minute in other processes. Only the operator's
/// keys may. The same table once more changes nothing.
///
/// A table that takes their price away from more than 20 % of the models, or makes a price more
/// than 5 times as much or as little, is refused unless it is confirmed.
#[utoipa::path(
    post, path = "/admin/prices", tag = "admin", request_body = PricesImportRequest,
    responses(
        (status = 200, description = "What it changes", body = PricesImportBody),
        (status = 400, description = "Every fault of the table, or why it has to be confirmed", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not the operator's key", body = ErrorBody),
    ),
)]
pub(crate) async fn import_prices(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    request: Body,
) -> Result<Json<PricesImportBody>, Error> {
    let import = import(JsonBody::read(request).await?)?;
    let imported = app.engine.import_prices(&caller(&principal, &context), &import).await?;
    Ok(Json(told(&import.table, imported)))
}

fn import(mut body: JsonBody) -> Result<Import, Error> {
    for name in body.fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        body.faults.add(name, format!("There is no such field; there are {}.", FIELDS.join(", ")));
    }
    let (confirm, dry_run) = (body.flag("confirm"), body.flag("dry_run"));
    let tenant = body.text("tenant");
    let tenant = tenant.and_then(|tenant| body.faults.keep(Tenant::parse("tenant", &tenant)));
    let table = PriceTable::parse("table", body.fields.get("table").unwrap_or(&Value::Null));
    let table = table.map_err(|Faults(found)| body.faults.0.extend(found)).ok();
    let Some(table) = table.filter(|_| body.faults.0.is_empty()) else { return Err(Error::Invalid(body.faults)) };
    let (is_confirmed, is_dry_run) = (confirm.unwrap_or(false), dry_run.unwrap_or(false));
    Ok(Import { tenant, table, is_confirmed, is_dry_run })
}

fn price(quote: &Quote<'_>) -> PriceBody {
    let price = quote.price();
    let given = numbers(&price).into_iter().filter_map(|(name, pico)| Some((name.to_owned(), whole(pico?))));
    let batch = quote.model.batch.map(|batch| json!({"input": whole(batch.input), "output": whole(batch.output)}));
    PriceBody {
        model: quote.model.name(),
        version: quote.version.to_owned(),
        layer: quote.layer.name(),
        pico_usd_per_token: Value::Object(given.collect::<Map<_, _>>()),
        input_usd_per_mtok: per_million(price.input),
        output_usd_per_mtok: per_million(price.output),
        batch_pico_usd_per_token: batch.unwrap_or(Value::Null),
        deprecation_date: quote.model.deprecation_date.clone(),
    }
}

/// A price as JSON's number; none is near 2^64.
fn whole(pico: i128) -> Value {
    json!(u64::try_from(pico).unwrap_or(u64::MAX))
}

/// A price in pico-USD a token is a millionth of that in USD for a million tokens.
#[expect(clippy::cast_precision_loss, reason = "prices are far below 2^53 pico-USD")]
fn per_million(pico: i128) -> f64 {
    pico as f64 / 1e6
}

fn table(layer: Layer, stored: &StoredPrices) -> TableBody {
    let table = &stored.table;
    TableBody {
        layer: layer.name(),
        number: stored.number,
        version: table.version.clone(),
        effective_from: table.effective_from.to_string(),
        partial: table.is_partial,
        source: table.source.clone(),
        models: table.models.len(),
        imported_at: stored.imported_at.to_string(),
        imported_by: stored.imported_by.clone(),
    }
}

fn told(table: &PriceTable, imported: Imported) -> PricesImportBody {
    let Imported { diff: Diff { added, removed, changed, .. }, doubts, is_stored } = imported;
    let number = |pico: Option<i128>| pico.and_then(|pico| u64::try_from(pico).ok());
    let change = |change: Change| ChangeBody {
        model: change.model,
        field: change.field,
        before: number(change.before),
        after: number(change.after),
    };
    let doubt = |doubt: Doubt| match doubt {
        Doubt::Shrinks { removed, before } => format!("{removed} of {before} models lose their price"),
        Doubt::Jumps(change) => format!("{} of {} changes more than 5 times", change.field, change.model),
    };
    PricesImportBody {
        object: "prices.import",
        version: table.version.clone(),
        effective_from: table.effective_from.to_string(),
        stored: is_stored,
        added,
        removed,
        changed: changed.into_iter().map(change).collect(),
        doubts: doubts.into_iter().map(doubt).collect(),
    }
}
