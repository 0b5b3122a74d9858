//! `GET /v1/models`: what can be asked for, in OpenAI's shape.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use turnwise_core::catalogue::Mode;
use turnwise_engine::models::ListedModel;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{Error, ErrorBody};
use crate::extract::Segment;

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

/// Lists the models that can be asked for, those for messages and those for embeddings.
#[utoipa::path(
    get, path = "/v1/models", tag = "models",
    responses(
        (status = 200, description = "The models", body = ModelList),
        (status = 401, description = "No valid key", body = ErrorBody),
    ),
)]
pub(crate) async fn list_models(State(app): State<App>) -> Json<ModelList> {
    let data = app.engine.models().await.into_iter().map(body).collect();
    Json(ModelList { object: "list", data })
}

/// Shows one model. Its name may contain slashes.
#[utoipa::path(
    get, path = "/v1/models/{id}", tag = "models",
    params(("id" = String, Path, description = "`provider/model` or a bare name")),
    responses(
        (status = 200, description = "The model", body = ModelBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such model", body = ErrorBody),
    ),
)]
pub(crate) async fn get_model(State(app): State<App>, Segment(id): Segment) -> Result<Json<ModelBody>, Error> {
    Ok(Json(body(app.engine.model(&id).await?)))
}

fn body(model: ListedModel) -> ModelBody {
    /// A price in pico-USD a token is a millionth of that in USD for a million tokens.
    #[expect(clippy::cast_precision_loss, reason = "prices are far below 2^53 pico-USD")]
    fn per_million(pico: i128) -> f64 {
        pico as f64 / 1e6
    }
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
        input_usd_per_mtok: model.facts.map(|facts| per_million(facts.price.input)),
        output_usd_per_mtok: model.facts.map(|facts| per_million(facts.price.output)),
    }
}
