//! A durable turn, from its key to its answer.
//!
//! - [`request`]: what a route asks for
//! - `claim`: read, decide, write T1; `ancestors`: what came before a fork
//! - `produce`: the task that owns a running turn; `keep`: lease and stream log
//!   meanwhile; `settle`: T2 or T2f; `refused`: failures of our own making
//! - `enqueue`: T0; `revoke`: turns cancelled and interrupted
//! - `run`: the use cases, `answer` and `stream`

mod ancestors;
mod claim;
mod enqueue;
mod keep;
mod observe;
mod produce;
mod refused;
pub(crate) mod remember;
pub mod request;
mod revoke;
mod run;
mod settle;

pub(crate) use claim::must_end_by;
pub(crate) use refused::without_text;
pub use request::{Answer, Caller, Facts, Input, TurnRequest};
pub(crate) use revoke::Forbidden;
pub use run::Started;
pub(crate) use run::{Source, facts_of};
pub(crate) use settle::failure;
