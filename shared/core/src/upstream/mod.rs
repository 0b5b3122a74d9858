//! How providers are called: how often, how long, and when not.
//!
//! - [`budget`]: the one budget of calls that retries and fallbacks share
//! - [`breaker`]: when a model is left alone for a while
//! - [`timeouts`]: how long each part of a call may take

pub mod breaker;
pub mod budget;
pub mod timeouts;

pub use self::breaker::{Admission, Breaker, Change, Opened, Verdict};
pub use self::budget::{Budget, GiveUp, Miss, Next, Remedy, RetryPolicy};
pub use self::timeouts::{TimeoutRules, Timeouts};
