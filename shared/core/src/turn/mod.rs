//! The durable turn: what is stored of it, and what a request may do about it.
//!
//! ```text
//! absent --T1--> PROCESSING --T2--> COMPLETED
//!    |            ^  |  ^------.
//!    |            |  |          \ takeover, when the lease has lapsed
//!    |            |  `--T2f--> FAILED --retryable, same key--> PROCESSING
//!    |            |  |
//!    |            |  `--T2f, retryable, from the queue--> QUEUED
//!    `--T0--> QUEUED --cancel--> FAILED
//! ```
//!
//! - [`record`]: the conversation with its lock, and the turn
//! - [`decide`]: what a request with a key is to do, from what is stored
//! - [`queue`]: what a request that can wait is to do; [`revoke`]: how a turn is stopped from outside
//! - [`change`]: when items may be added and deleted by hand; [`erase`]: what is left of a turn then
//! - [`follow`]: in which conversation a turn runs that follows a given one
//! - [`failure`]: how a turn ends without an answer

pub mod change;
pub mod decide;
pub mod erase;
pub mod failure;
pub mod follow;
pub mod queue;
pub mod record;
pub mod revoke;

pub use change::{Change, change};
pub use decide::{Acquire, Ask, Decision, Plan, Previous, Standing, begin, lease_until, plan};
pub use erase::tombstone;
pub use failure::{Asked, CONVERSATION_DELETED, Failure, Outcome};
pub use follow::{Follow, Following, follow};
pub use queue::{Enqueue, Place, after_failure, enqueue};
pub use record::{Claim, Commit, Conversation, Delivery, Holder, Lineage, OnBusy, Parent, State, Streamed, Turn};
pub use revoke::{Revoke, revoke};
