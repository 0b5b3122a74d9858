//! `GET /healthz` and `GET /readyz`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{Error, ErrorBody};

/// A service that lives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    pub status: &'static str,
    /// Turnwise's version.
    pub version: &'static str,
}

const HEALTHY: Health = Health { status: "ok", version: env!("CARGO_PKG_VERSION") };

/// Says that the process lives; touches nothing else.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "Alive", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(HEALTHY)
}

/// Says whether a turn could run: the table and the queue answer, and there is a
/// provider.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "Ready", body = Health),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 503, description = "Not ready", body = ErrorBody),
    ),
)]
pub(crate) async fn readyz(State(app): State<App>) -> Result<Json<Health>, Error> {
    app.engine.ready().await.map_err(Error::NotReady)?;
    Ok(Json(HEALTHY))
}
