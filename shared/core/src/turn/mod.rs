//! The durable turn: what is stored of it, and what a request may do about it.
//!
//! ```text
//! absent --T1--> PROCESSING --T2--> COMPLETED
//!                    |  ^------.
//!                    |          \ takeover, when the lease has lapsed
//!                    `--T2f--> FAILED --retryable, same key--> PROCESSING
//! ```
//!
//! - [`record`]: the conversation with its lock, and the turn
//! - [`decide`]: what a request with a key is to do, from what is stored
//! - [`failure`]: how a turn ends without an answer

pub mod decide;
pub mod failure;
pub mod record;

pub use decide::{Acquire, Ask, Decision, Plan, Previous, begin, lease_until, plan};
pub use failure::{Failure, Outcome};
pub use record::{Claim, Commit, Conversation, Delivery, Holder, OnBusy, State, Turn};
