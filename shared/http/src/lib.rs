//! The HTTP surface: one axum router, served by Lambda and by the local runner.
//!
//! - [`routes`]: the route table, and which function serves which row
//! - [`app`]: what handlers share, and the router with its middleware
//! - [`access`]: who may come in; `refused`: who may not, counted; [`rates`]: how often they may;
//!   [`context`]: request ids, deadlines, the log line
//! - [`edge`]: what answers say to browsers
//! - `handlers`: one file an operation
//! - [`params`]: headers and ids of a turn; [`body`]: bodies read strictly
//! - [`sse`]: a turn's frames as server-sent events
//! - [`render`]: stored turns as JSON; [`error`]: every error's status and body
//! - [`openapi`]: the document

pub mod access;
mod allowance;
pub mod app;
pub mod body;
pub mod context;
pub mod edge;
pub mod error;
mod extract;
mod handlers;
pub mod openapi;
pub mod params;
pub mod rates;
mod refused;
pub mod render;
pub mod routes;
pub mod sse;

pub use access::{Access, Principal};
pub use app::{App, router};
pub use context::Deadline;
pub use error::Error;
pub use refused::Source;
