//! `GET /v1/models`: what can be asked for, in OpenAI's shape, and for Anthropic's clients in
//! theirs.

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use turnwise_core::catalogue::Mode;
use turnwise_core::fault::Fault;
use turnwise_core::prices::Prices;
use turnwise_core::time::Timestamp;
use turnwise_engine::models::ListedModel;
use utoipa::ToSchema;

use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody, MessageErrorBody, Standard};
use crate::extract::{Params, Segment};

/// OpenAI's list of models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelList {
    /// `list`.
    pub object: &'static str,
    /// The models.
    pub data: Vec<ModelBody>,
}

/// One model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelBody {
    /// `provider/model`.
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// OpenAI's field; 0, as providers do not say.
    pub created: u64,
    /// The provider's name.
    pub owned_by: String,
    /// `chat` or `embedding`; null of a model that only its upstream knows.
    pub mode: Option<&'static str>,
    /// Length of its vectors unless asked otherwise; null of what makes none.
    pub dimensions: Option<u64>,
    /// Most tokens in and out together.
    pub context_tokens: Option<u64>,
    /// Most tokens out.
    pub max_output_tokens: Option<u64>,
    /// `tools`, `vision`, `json_schema` ...
    pub capabilities: Vec<String>,
    /// USD for a million input tokens.
    pub input_usd_per_mtok: Option<f64>,
    /// USD for a million output tokens.
    pub output_usd_per_mtok: Option<f64>,
}

/// Anthropic's list of models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageModelList {
    /// The models.
    pub data: Vec<MessageModelBody>,
    /// Whether there are more behind the last one, or before the first where `before_id` was given.
    pub has_more: bool,
    /// The first model's name.
    pub first_id: Option<String>,
    /// The last model's name.
    pub last_id: Option<String>,
}

/// One model, in Anthropic's shape.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageModelBody {
    /// `model`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `provider/model`.
    pub id: String,
    /// The same: providers give no other name.
    pub display_name: String,
    /// The epoch, as providers do not say.
    pub created_at: &'static str,
    /// Most tokens in.
    pub max_input_tokens: Option<u64>,
    /// Most tokens out.
    pub max_tokens: Option<u64>,
}

/// The list in either shape.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum AnyModelList {
    OpenAi(ModelList),
    Anthropic(MessageModelList),
}

/// One model in either shape.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum AnyModelBody {
    OpenAi(ModelBody),
    Anthropic(MessageModelBody),
}

/// What Anthropic's clients say of the page they want.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PageQuery {
    after_id: Option<String>,
    before_id: Option<String>,
    limit: Option<String>,
}

/// What Anthropic's standard gives for a model whose release is not known.
const UNKNOWN_RELEASE: &str = "1970-01-01T00:00:00Z";

/// Most models on a page, as Anthropic has it.
const MAX_PAGE: usize = 1_000;

/// Lists the models that can be asked for, those for messages and those for embeddings.
///
/// With a header `anthropic-version` in Anthropic's shape, all on one page unless a `limit`
/// is given.
#[utoipa::path(
    get, path = "/v1/models", tag = "models",
    params(
        ("anthropic-version" = Option<String>, Header, description = "Asks for Anthropic's shape."),
        ("after_id" = Option<String>, Query, description = "In Anthropic's shape: the models behind this one."),
        ("before_id" = Option<String>, Query, description = "In Anthropic's shape: the models before this one."),
        ("limit" = Option<usize>, Query, description = "In Anthropic's shape: how many, 1 to 1,000."),
    ),
    responses(
        (status = 200, description = "The models", body = AnyModelList),
        (status = 400, description = "In Anthropic's shape: no such page", body = MessageErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
    ),
)]
pub(crate) async fn list_models(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Params(query): Params<PageQuery>,
) -> Result<Json<AnyModelList>, Error> {
    let mut models = app.engine.models().await;
    models.retain(|model| principal.grant.may_use(&model.name));
    match context.standard() {
        Standard::OpenAi => {
            let prices = app.engine.prices_to_show(&principal.tenant).await;
            let now = app.engine.clock.now();
            let data = models.into_iter().map(|model| body(model, &prices, now)).collect();
            Ok(Json(AnyModelList::OpenAi(ModelList { object: "list", data })))
        }
        Standard::Anthropic => {
            // Its clients know no others.
            models.retain(|model| model.mode != Some(Mode::Embedding));
            Ok(Json(AnyModelList::Anthropic(page(models, &query)?)))
        }
    }
}

/// Shows one model. Its name may contain slashes.
#[utoipa::path(
    get, path = "/v1/models/{id}", tag = "models",
    params(
        ("id" = String, Path, description = "`provider/model` or a bare name"),
        ("anthropic-version" = Option<String>, Header, description = "Asks for Anthropic's shape."),
    ),
    responses(
        (status = 200, description = "The model", body = AnyModelBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such model", body = ErrorBody),
    ),
)]
pub(crate) async fn get_model(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
) -> Result<Json<AnyModelBody>, Error> {
    let model = app.engine.model(&id).await?;
    if !principal.grant.may_use(&model.name) {
        return Err(turnwise_engine::Error::NotFound { what: "model", name: id }.into());
    }
    Ok(Json(match context.standard() {
        Standard::OpenAi => {
            let prices = app.engine.prices_to_show(&principal.tenant).await;
            AnyModelBody::OpenAi(body(model, &prices, app.engine.clock.now()))
        }
        Standard::Anthropic => AnyModelBody::Anthropic(message_body(model)),
    }))
}

/// The page of `models` that `query` asks for.
fn page(models: Vec<ListedModel>, query: &PageQuery) -> Result<MessageModelList, Error> {
    let invalid = |field: &str, message: String| Error::Invalid(Fault::new(field, message).into());
    let limit = match query.limit.as_deref() {
        None => MAX_PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_PAGE).contains(limit))
            .ok_or_else(|| invalid("limit", format!("Expected a number from 1 to {MAX_PAGE}, got {text:?}.")))?,
    };
    let place = |field: &str, name: Option<&str>| match name {
        None => Ok(None),
        Some(name) => models
            .iter()
            .position(|model| model.name == name)
            .map(Some)
            .ok_or_else(|| invalid(field, format!("No page has the model {name:?}."))),
    };
    let after = place("after_id", query.after_id.as_deref())?.map_or(0, |place| place + 1);
    let before = place("before_id", query.before_id.as_deref())?;
    let end = before.unwrap_or(models.len()).max(after);
    // What comes before a model is read from its end.
    let shown = match before {
        Some(_) => after.max(end.saturating_sub(limit))..end,
        None => after..end.min(after + limit),
    };
    let has_more = shown.len() < end - after;
    let data: Vec<_> = models.into_iter().skip(shown.start).take(shown.len()).map(message_body).collect();
    let name = |model: &MessageModelBody| model.id.clone();
    Ok(MessageModelList { first_id: data.first().map(name), last_id: data.last().map(name), has_more, data })
}

fn message_body(model: ListedModel) -> MessageModelBody {
    MessageModelBody {
        kind: "model",
        display_name: model.name.clone(),
        id: model.name,
        created_at: UNKNOWN_RELEASE,
        max_input_tokens: model.facts.and_then(|facts| facts.context_tokens),
        max_tokens: model.facts.and_then(|facts| facts.max_output_tokens),
    }
}

pub(super) fn body(model: ListedModel, prices: &Prices, now: Timestamp) -> ModelBody {
    /// A price in pico-USD a token is a millionth of that in USD for a million tokens.
    #[expect(clippy::cast_precision_loss, reason = "prices are far below 2^53 pico-USD")]
    fn per_million(pico: i128) -> f64 {
        pico as f64 / 1e6
    }
    let id = model.name.split_once('/').map_or("", |(_, id)| id);
    let price = prices.of(&model.provider, id, now).map(|quote| quote.price());
    ModelBody {
        id: model.name,
        object: "model",
        created: 0,
        owned_by: model.provider,
        mode: model.mode.map(Mode::name),
        dimensions: model.dimensions,
        context_tokens: model.facts.and_then(|facts| facts.context_tokens),
        max_output_tokens: model.facts.and_then(|facts| facts.max_output_tokens),
        capabilities: model.facts.map(|facts| facts.capabilities.clone()).unwrap_or_default(),
        input_usd_per_mtok: price.map(|price| per_million(price.input)),
        output_usd_per_mtok: price.map(|price| per_million(price.output)),
    }
}
