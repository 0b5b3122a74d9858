//! What Turnwise does: the use cases, over the store and the providers.
//!
//! - [`Engine`]: everything a use case needs, built once by composition
//! - [`turn`]: a durable turn from its key to its answer or stream
//! - [`responses`]: turns that come in as items and follow one another by their ids
//! - [`admission`]: work that costs, let in and left
//! - [`once`]: work that is no turn, done once
//! - [`stateless`]: a request without a key
//! - [`embeddings`]: texts as vectors
//! - [`history`]: conversations and turns read back
//! - [`memory`]: conversations read lately
//! - [`conversations`]: created, looked at, changed by hand, erased
//! - [`stats`]: what some days came to; [`usage`]: the same by whatever somebody wants to see it by
//! - `measure`: what a model takes, and what was learned about its tokens; `count`: tokens
//!   of a request that is not made
//! - [`models`]: what can be asked for, and whether a turn could run
//! - [`work`]: turns of the queue and turns whose attempts died; [`sweep`]: due rows
//!   without a message; [`locks`], [`dead_letters`]: what an operator sees and does;
//!   [`audit`]: what they have done
//! - [`keys`]: API keys, and who a request comes from; [`tenants`]: what holds for all keys of one;
//!   [`prices`]: what models charge
//! - [`live`]: turns running in this process; [`follow`]: their events as a stream
//! - [`rates`]: whether a request may come in
//! - [`recent`]: turns as they happen
//! - [`health`]: what the service stands on, asked one by one
//! - [`clock`], [`random`], [`tasks`]: time, chance and background work, so that
//!   tests can hold them in their hands
//! - [`error`]: what a use case can answer instead; [`log_by_severity`]: its line in the log

pub mod admission;
pub mod audit;
pub mod clock;
pub mod conversations;
mod count;
pub mod dead_letters;
pub mod embeddings;
mod engine;
pub mod error;
pub mod follow;
pub mod health;
pub mod history;
pub mod keys;
mod ledger;
pub mod live;
pub mod locks;
mod log;
mod measure;
pub mod memory;
pub mod models;
pub mod once;
pub mod prices;
pub mod providers;
pub mod random;
pub mod rates;
pub mod recent;
pub mod responses;
mod retry;
pub mod stateless;
pub mod stats;
pub mod sweep;
pub mod tasks;
pub mod tenants;
pub mod turn;
pub mod upstream;
pub mod usage;
pub mod work;

pub use engine::Engine;
pub use error::Error;
pub use turnwise_store::queue::{Message, Receiver};
pub use turnwise_store::{CommittedTurn, Content, Error as StoreError};
pub use turnwise_store::{HeldTurn, KeyPage, StoredKey, StoredPrices, StoredSettings};
