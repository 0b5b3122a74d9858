//! API keys: who a request comes from, and how keys are made, changed and taken back.
//!
//! - `cache`: the keys seen lately, and the look at a key that is presented
//! - `manage`: what administrators do

mod cache;
mod manage;

pub use cache::{KEY_CACHE_TTL, KeyCache, Known};
pub(crate) use manage::check_tenant;
pub use manage::{Created, KEY_USAGE_DAYS, KeySpec, MAX_ROTATION_GRACE};
