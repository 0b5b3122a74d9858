//! Faults between the SDK and the table: requests lost, replies lost after the
//! write was applied, delays, duplicates, throttling, conflicts, token mismatch,
//! and whole processes that stop in the middle of a request.
//!
//! - [`Net`]: the faults of one run, drawn from its seed, and what was hit
//! - `connector`: the HTTP client of one process, with its faults
//! - [`Cut`]: the HTTP client of a process to which something happens at one of its requests
//! - [`Away`]: the HTTP client of a process that does not reach some rows
//! - [`kinds`]: what can go wrong, and with which operation
//! - [`courier`]: hints between the processes, lost, doubled, late and out of order

mod away;
mod connector;
pub mod courier;
mod cut;
pub mod kinds;
mod net;

pub use away::Away;
pub use connector::Process;
pub use cut::{Cut, Happens};
pub use net::{Coverage, Net};
