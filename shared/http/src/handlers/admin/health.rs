//! `GET /admin/health`: what the service stands on, one by one, with times.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use turnwise_engine::health::Part;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{Error, ErrorBody};

/// What the service stands on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthReport {
    /// `health`.
    pub object: &'static str,
    /// `ok`, or `degraded` when a part does not answer.
    pub status: &'static str,
    /// The table: a round trip to it, a strong read.
    pub table: PartBody,
    /// The queue of hints.
    pub queue: PartBody,
    /// Locks that are held.
    pub locks_held: Option<usize>,
    /// Locks whose owner is dead: the next sweep sees to them.
    pub locks_lapsed: Option<usize>,
    /// Turns running in the process that answers.
    pub tasks_running: usize,
}

/// One part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartBody {
    /// Whether it answered.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub latency_ms: f64,
    /// What kept it from answering.
    pub error: Option<String>,
}

impl From<Part> for PartBody {
    fn from(part: Part) -> Self {
        Self { ok: part.error.is_none(), latency_ms: part.took.as_secs_f64() * 1000.0, error: part.error }
    }
}

/// Asks everything that the service stands on, and tells of each how it is.
#[utoipa::path(
    get, path = "/admin/health", tag = "admin",
    responses(
        (status = 200, description = "What answered and what did not", body = HealthReport),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
    ),
)]
pub(crate) async fn check_health(State(app): State<App>) -> Result<Json<HealthReport>, Error> {
    let health = Box::pin(app.engine.health()).await;
    let status = if health.is_ok() { "ok" } else { "degraded" };
    Ok(Json(HealthReport {
        object: "health",
        status,
        locks_held: health.locks.map(|locks| locks.held),
        locks_lapsed: health.locks.map(|locks| locks.lapsed),
        tasks_running: app.engine.tasks.running(),
        table: health.table.into(),
        queue: health.queue.into(),
    }))
}
