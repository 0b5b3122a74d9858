//! All state of Turnwise: one DynamoDB table and one queue.
//!
//! The only crate that names the AWS SDK, DynamoDB's expressions and the table's
//! key strings. Locally the same calls go to an embedded engine.
//!
//! - [`Store`]: the table; its operations stand in one file each:
//!   `begin` (T1), `commit` (T2 and T2f), `enqueue` (T0), `revoke`, `delete`, `lease`, `locks`,
//!   `dead_letters`, `execution`, `conversation`, `overview`, `create`, `change`, `erase`, `history`,
//!   `stream_log`, `threads`, `ledger`, `accounts`, `audit`, `upstreams`, `api_keys`, `tenants`,
//!   `rates`
//! - [`client`]: how the SDK is set up; [`schema`]: the table's definition
//! - [`queue`]: the queue, SQS or in process; [`secrets`]: keys and peppers, from SSM
//! - [`error`]: what can go wrong, by what the caller can do about it

mod accounts;
mod api_keys;
mod audit;
mod begin;
mod change;
pub mod client;
mod commit;
mod conversation;
mod create;
mod dead_letters;
mod delete;
mod enqueue;
mod erase;
pub mod error;
mod execution;
mod history;
mod item;
mod keys;
mod lease;
mod ledger;
mod locks;
mod overview;
mod pack;
mod prices;
pub mod queue;
mod rates;
mod revoke;
pub mod schema;
pub mod secrets;
mod service;
mod stream_log;
mod tenants;
mod threads;
mod transact;
mod turn_row;
mod upstreams;
mod usage;

pub use accounts::{AccountId, AccountWritten};
pub use api_keys::{KeyPage, StoredKey};
pub use audit::{AUDIT_SHARDS, AuditFilter, AuditFound, AuditPart};
pub use begin::{BeginTurn, Begun};
pub use change::{AddItems, AddedUnderKey, Changed, ReplaceEntry};
pub use client::Store;
pub use commit::{CommitTurn, Committed, FailTurn};
pub use conversation::Opened;
pub use create::{CreateConversation, FIRST_VERSION};
pub use dead_letters::{DeadLetter, DeadLetterPage};
pub use delete::{DeleteResponse, Deleted, EmptyTurn};
pub use enqueue::{DueTurn, EnqueueTurn, Enqueued, QueueHead};
pub use erase::{HalfErased, Remains};
pub use error::Error;
pub use execution::{BeginExecution, ExecutionBegun, ExecutionId};
pub use history::{AddedItems, CommittedTurn, Content, Entry, PackedEntry};
pub use lease::{Beat, HeldTurn};
pub use ledger::RecordLedger;
pub use locks::ReleaseLock;
pub use overview::{Overview, Totals};
pub use prices::{MAX_TABLES, StoredPrices};
pub use rates::{BucketId, Leased};
pub use revoke::{RevokeTurn, Revoked};
pub use stream_log::{Batch, LogEnd, LogPage};
pub use tenants::StoredSettings;
pub use threads::{ThreadPage, ThreadRow};
pub use upstreams::{CallCounts, OpenBreaker};
