//! The one integration test binary.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests run no Lambda, and their helpers may panic as tests do"
)]

mod api;
mod cli;
mod crash;
mod error_codes;
mod faults;
mod house;
mod lambda;
mod matrix;
mod memory;
mod once;
mod providers;
mod routes;
mod secrets;
mod security;
mod units;
mod verify_keys;
