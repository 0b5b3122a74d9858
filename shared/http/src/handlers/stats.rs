//! `GET /v1/stats`: what the work of some days came to.

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use turnwise_core::fault::Fault;
use turnwise_engine::stats::{MAX_STATS_DAYS, STATS_DAYS};
use utoipa::{IntoParams, ToSchema};

use crate::access::Principal;
use crate::app::App;
use crate::error::{Error, ErrorBody};
use crate::extract::Params;

/// Characters of an RFC 3339 instant that are its date.
const DATE_CHARS: usize = 10;

/// What some days came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatsBody {
    /// `stats`.
    pub object: &'static str,
    /// The first of the days, in UTC: `2026-11-21`.
    pub since: String,
    /// Conversations that began.
    pub conversations: u64,
    /// Committed turns, and answered requests that are no turns.
    pub requests: u64,
    /// Messages and items that came in, and answers.
    pub messages: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// Cost in USD, as far as the models have prices.
    pub cost_usd: f64,
    /// Answers that were paid for and thrown away; their tokens and cost are among the above.
    pub wasted: u64,
    /// How often a turn found its conversation in its process's memory.
    pub memory: MemoryBody,
}

/// How well the memory of conversations serves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemoryBody {
    /// Turns that found their conversation there.
    pub hits: u64,
    /// Turns that had to read it.
    pub misses: u64,
    /// The part of them that found it, 0 to 1; null where there were none.
    pub hit_rate: Option<f64>,
    /// Conversations in the memory of the process that answers.
    pub conversations_here: usize,
    /// Their bytes.
    pub bytes_here: u64,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsQuery {
    /// Days, today included, 1 to 366; 30 unless given.
    #[param(value_type = Option<u64>)]
    days: Option<String>,
}

/// Sums up what some days came to: conversations, messages, tokens, cost, memory.
#[utoipa::path(
    get, path = "/v1/stats", tag = "conversations", params(StatsQuery),
    responses(
        (status = 200, description = "The sums", body = StatsBody),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
    ),
)]
pub(crate) async fn get_stats(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Params(query): Params<StatsQuery>,
) -> Result<Json<StatsBody>, Error> {
    let days = parse_days(query.days.as_deref()).map_err(|fault| Error::Invalid(fault.into()))?;
    let stats = app.engine.stats(&principal.tenant, days).await?;
    let totals = stats.totals;
    let looks = totals.memory_hits + totals.memory_misses;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people; counts beyond 2^52 are far away")]
    let hit_rate = (looks > 0).then(|| totals.memory_hits as f64 / looks as f64);
    Ok(Json(StatsBody {
        object: "stats",
        since: stats.since.to_string().chars().take(DATE_CHARS).collect(),
        conversations: totals.conversations,
        requests: totals.requests,
        messages: totals.messages,
        input_tokens: totals.input_tokens,
        output_tokens: totals.output_tokens,
        cost_usd: totals.cost.to_string().parse().unwrap_or_default(),
        wasted: totals.wasted,
        memory: MemoryBody {
            hits: totals.memory_hits,
            misses: totals.memory_misses,
            hit_rate,
            conversations_here: stats.memory.conversations,
            bytes_here: stats.memory.bytes,
        },
    }))
}

fn parse_days(text: Option<&str>) -> Result<u64, Fault> {
    let Some(text) = text else { return Ok(STATS_DAYS) };
    let days = text.parse().ok().filter(|days| (1..=MAX_STATS_DAYS).contains(days));
    days.ok_or_else(|| Fault::new("days", format!("Expected a number from 1 to {MAX_STATS_DAYS}, got {text:?}.")))
}
