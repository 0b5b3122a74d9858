//! What the tests share.
//!
//! - [`app`]: a whole Turnwise on a loopback port
//! - [`table`]: an embedded DynamoDB engine for each test
//! - [`rig`]: an engine over it
//! - [`faults`]: faults between the SDK and the table
//! - [`process`]: the real program, started, killed and started again
//! - [`proxy`]: what stands between the program and all it talks to, and stops it there
//! - [`lambda`]: a Runtime API, for the real binaries of the functions
//! - [`scripted`]: an LLM provider that does as it is told, in place of paid ones

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support: it runs no Lambda, and a broken premise should stop the test where it breaks"
)]

pub mod app;
pub mod faults;
pub mod lambda;
pub mod process;
pub mod proxy;
pub mod rig;
pub mod scripted;
pub mod table;

/// Taken by tests that use all of the machine for a while: two at once would only
/// show that a starved process is slow.
pub fn heavy() -> &'static tokio::sync::Mutex<()> {
    static HEAVY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    &HEAVY
}
