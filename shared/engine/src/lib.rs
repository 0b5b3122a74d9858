//! What Turnwise does: the use cases, over the store and the providers.
//!
//! - [`Engine`]: everything a use case needs, built once by composition
//! - [`turn`]: a durable turn from its key to its answer or stream
//! - [`stateless`]: a request without a key
//! - [`history`]: conversations and turns read back
//! - [`models`]: what can be asked for, and whether a turn could run
//! - [`recover`]: turns whose attempts died
//! - [`live`]: turns running in this process; [`follow`]: their events as a stream
//! - [`clock`], [`random`], [`tasks`]: time, chance and background work, so that
//!   tests can hold them in their hands
//! - [`error`]: what a use case can answer instead

pub mod clock;
mod engine;
pub mod error;
pub mod follow;
pub mod history;
pub mod live;
pub mod models;
pub mod random;
pub mod recover;
mod retry;
pub mod stateless;
pub mod tasks;
pub mod turn;

pub use engine::Engine;
pub use error::Error;
pub use turnwise_store::{CommittedTurn, Error as StoreError};
