//! `GET /admin/turns`: turns as they happen.

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use turnwise_core::fault::Fault;
use turnwise_core::ledger::LedgerLine;
use turnwise_core::time::Timestamp;
use turnwise_engine::HeldTurn;
use utoipa::{IntoParams, ToSchema};

use crate::access::Principal;
use crate::app::App;
use crate::error::{Error, ErrorBody};
use crate::extract::Params;

/// Attempts that have ended lately, and those at work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecentTurns {
    /// `list`.
    pub object: &'static str,
    /// Attempts that have ended, in the order of their ends. One that was told before may
    /// come again, with the same `attempt` and `outcome`.
    pub data: Vec<EndedAttempt>,
    /// Attempts at work, oldest first.
    pub running: Vec<RunningAttempt>,
    /// `since` of the next request.
    pub next: u64,
}

/// An attempt that has ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedAttempt {
    /// Its id.
    pub attempt: String,
    /// `settled` and `estimated`: answered, with tokens reported or estimated. `wasted`: paid for
    /// and thrown away. `released`: failed, and cost nothing that is known.
    pub outcome: &'static str,
    /// The turn's key; null for a request that is no turn.
    pub key: Option<String>,
    /// `provider/model`.
    pub model: String,
    /// The project's UUID.
    pub project_id: Option<String>,
    /// The id of the API key.
    pub api_key: String,
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// Cost in USD; null when it is not known.
    pub cost_usd: Option<f64>,
    /// When it ended, RFC 3339.
    pub at: String,
}

/// An attempt at work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunningAttempt {
    /// The turn's key.
    pub key: String,
    /// When it began, RFC 3339.
    pub began_at: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RecentQuery {
    /// `next` of the request before; milliseconds since 1970. Two minutes ago unless given.
    #[param(value_type = Option<u64>)]
    since: Option<String>,
}

/// Tells what has happened lately: attempts that have ended, and those at work.
#[utoipa::path(
    get, path = "/admin/turns", tag = "admin", params(RecentQuery),
    responses(
        (status = 200, description = "What has happened", body = RecentTurns),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
    ),
)]
pub(crate) async fn list_recent_turns(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Params(query): Params<RecentQuery>,
) -> Result<Json<RecentTurns>, Error> {
    let since = query.since.as_deref().map(parse_instant).transpose().map_err(|fault| Error::Invalid(fault.into()))?;
    let recent = app.engine.recent(&principal.tenant, since).await?;
    Ok(Json(RecentTurns {
        object: "list",
        data: recent.ended.iter().map(ended).collect(),
        running: recent.running.iter().map(running).collect(),
        next: recent.next.as_millis(),
    }))
}

fn parse_instant(text: &str) -> Result<Timestamp, Fault> {
    let fault = || Fault::new("since", format!("Expected the \"next\" of an earlier answer, got {text:?}."));
    text.parse().map(Timestamp).map_err(|_| fault())
}

fn ended(line: &LedgerLine) -> EndedAttempt {
    EndedAttempt {
        attempt: line.attempt.to_string(),
        outcome: line.phase.name(),
        key: line.turn.clone(),
        model: line.model.clone(),
        project_id: line.project.as_ref().map(ToString::to_string),
        api_key: line.api_key.clone(),
        input_tokens: line.usage.total_input(),
        output_tokens: line.usage.total_output(),
        cost_usd: line.cost.and_then(|cost| cost.to_string().parse().ok()),
        at: line.at.to_string(),
    }
}

fn running(held: &HeldTurn) -> RunningAttempt {
    RunningAttempt { key: held.key.to_string(), began_at: held.began_at.to_string() }
}
