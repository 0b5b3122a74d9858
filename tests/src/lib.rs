//! What the tests share.
//!
//! - [`process`]: the real program, started, killed and started again
//! - [`proxy`]: what stands between the program and all it talks to, and stops it there
//! - [`scripted`]: an LLM provider that does as it is told, in place of paid ones

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support: it runs no Lambda, and a broken premise should stop the test where it breaks"
)]

pub mod process;
pub mod proxy;
pub mod scripted;
