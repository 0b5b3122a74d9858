//! `GET /v1/providers`: who is configured, and how they are.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use turnwise_core::prices::Prices;
use turnwise_core::time::Timestamp;
use turnwise_engine::providers::{BreakerState, ModelState, ProviderState};
use utoipa::ToSchema;

use super::models::{ModelBody, body as model_body};
use crate::access::Principal;
use crate::app::App;
use crate::error::{Error, ErrorBody};

/// The configured providers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderList {
    /// `list`.
    pub object: &'static str,
    /// The providers, by name.
    pub data: Vec<ProviderBody>,
}

/// One provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderBody {
    /// `provider`.
    pub object: &'static str,
    /// Its name, as in `provider/model`.
    pub id: String,
    /// `ok`, or `degraded` where one of its models is left alone.
    pub status: &'static str,
    /// What calling it took today, in UTC, all processes together; what each has counted in
    /// its last minute may be missing.
    pub today: CallCountsBody,
    /// Its models.
    pub models: Vec<ProviderModelBody>,
}

/// What calling a provider took.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallCountsBody {
    /// Calls.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that repeated an earlier one of the same request, there or elsewhere.
    pub retries: u64,
    /// Requests that such a call answered.
    pub recovered: u64,
    /// Requests whose last call it was, and that got no answer.
    pub given_up: u64,
    /// Milliseconds waited before such calls.
    pub slept_ms: u64,
}

/// One model, with what is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderModelBody {
    /// What is known of it.
    #[serde(flatten)]
    pub model: ModelBody,
    /// How its breaker is.
    pub breaker: BreakerBody,
    /// How long each part of a call may take.
    pub timeouts: TimeoutsBody,
}

/// How a breaker is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BreakerBody {
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// Until when nobody calls the model, RFC 3339; null where it is closed.
    pub until: Option<String>,
    /// How often it has opened since it was closed.
    pub times: u32,
}

/// How long each part of a call may take, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimeoutsBody {
    /// Until the connection stands.
    pub connect_ms: u64,
    /// Until the first event of a stream.
    pub first_token_ms: u64,
    /// Between two events of a stream.
    pub between_tokens_ms: u64,
    /// Until the whole answer is there.
    pub total_ms: u64,
}

/// Lists the configured providers with their models, prices, health and what calling them took.
#[utoipa::path(
    get, path = "/v1/providers", tag = "models",
    responses(
        (status = 200, description = "The providers", body = ProviderList),
        (status = 401, description = "No valid key", body = ErrorBody),
    ),
)]
pub(crate) async fn list_providers(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<ProviderList>, Error> {
    let prices = app.engine.prices_to_show(&principal.tenant).await;
    let now = app.engine.clock.now();
    let states = app.engine.provider_states().await?;
    let data = states.into_iter().map(|provider| body(provider, &prices, now)).collect();
    Ok(Json(ProviderList { object: "list", data }))
}

fn body(provider: ProviderState, prices: &Prices, now: Timestamp) -> ProviderBody {
    let is_degraded = provider.models.iter().any(|model| model.breaker != BreakerState::Closed);
    let today = provider.today;
    ProviderBody {
        object: "provider",
        id: provider.name,
        status: if is_degraded { "degraded" } else { "ok" },
        today: CallCountsBody {
            calls: today.calls,
            failures: today.failures,
            retries: today.retries,
            recovered: today.recovered,
            given_up: today.given_up,
            slept_ms: today.slept_ms,
        },
        models: provider.models.into_iter().map(|state| model(state, prices, now)).collect(),
    }
}

fn model(model: ModelState, prices: &Prices, now: Timestamp) -> ProviderModelBody {
    let (until, times) = match model.breaker {
        BreakerState::Closed => (None, 0),
        BreakerState::Open(opened) | BreakerState::HalfOpen(opened) => (Some(opened.until), opened.times),
    };
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    ProviderModelBody {
        breaker: BreakerBody {
            state: model.breaker.name(),
            until: until.map(|until: Timestamp| until.to_string()),
            times,
        },
        timeouts: TimeoutsBody {
            connect_ms: millis(model.timeouts.connect),
            first_token_ms: millis(model.timeouts.first_token),
            between_tokens_ms: millis(model.timeouts.between_tokens),
            total_ms: millis(model.timeouts.total),
        },
        model: model_body(model.listed, prices, now),
    }
}
