//! All state of Turnwise: one DynamoDB table and one queue.
//!
//! The only crate that names the AWS SDK, DynamoDB's expressions and the table's
//! key strings. Locally the same calls go to an embedded engine.
//!
//! - [`Store`]: the table; its operations stand in one file each:
//!   `begin` (T1), `commit` (T2 and T2f), `lease`, `conversation`, `history`,
//!   `stream_log`, `threads`, `ledger`
//! - [`client`]: how the SDK is set up; [`schema`]: the table's definition
//! - [`queue`]: the queue, SQS or in process
//! - [`error`]: what can go wrong, by what the caller can do about it

mod begin;
pub mod client;
mod commit;
mod conversation;
pub mod error;
mod history;
mod item;
mod keys;
mod lease;
mod ledger;
mod pack;
pub mod queue;
pub mod schema;
mod stream_log;
mod threads;
mod transact;
mod turn_row;

pub use begin::{BeginTurn, Begun};
pub use client::Store;
pub use commit::{CommitTurn, Committed, FailTurn};
pub use conversation::Opened;
pub use error::Error;
pub use history::{CommittedTurn, PackedTurn};
pub use lease::{Beat, HeldTurn};
pub use ledger::{LedgerLine, Phase, RecordLedger};
pub use stream_log::{Batch, LogEnd, LogPage};
pub use threads::{ThreadPage, ThreadRow};
