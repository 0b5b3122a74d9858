//! `GET /openapi.json`.

use axum::http::header;
use axum::response::IntoResponse;

use crate::openapi;

/// The OpenAPI document.
#[utoipa::path(get, path = "/openapi.json", tag = "health", responses((status = 200, description = "This document", body = Object)))]
pub(crate) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document())
}
