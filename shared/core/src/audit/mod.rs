//! The audit log: what people with power over others' data have done, and what was tried
//! and refused.
//!
//! - [`Action`]: what was done; [`Entry`]: one act
//! - [`Range`]: the time that a reader asks for; [`Cursor`]: where it goes on
//! - [`Failures`]: when refused keys are a pattern

mod action;
mod cursor;
mod failures;
mod range;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

pub use self::action::Action;
pub use self::cursor::{Cursor, id_before, id_behind, instant_of, lowest_id};
pub use self::failures::{Failures, Pattern, Who};
pub use self::range::{MAX_RANGE_DAYS, RANGE_DAYS, Range};
use crate::digest::Digest;
use crate::id::Tenant;
use crate::json;
use crate::time::Timestamp;

/// One act. It never changes once it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// A UUIDv7 of the instant [`at`](Self::at): entries sort by time, and a second write of
    /// one is refused.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Whose data it touched.
    pub tenant: Tenant,
    /// What was done: the name of an [`Action`], or of one that only a newer version knows.
    pub action: String,
    /// To what: a conversation, a key's id, a turn's key, a person.
    pub subject: String,
    /// The id of the API key that did it; empty where nobody has come in.
    pub actor: String,
    /// Why, in the words of who did it.
    pub reason: Option<String>,
    /// The request, to be found in the log.
    pub request_id: String,
    /// Digest of the subject before it, as [`state_digest`] makes it.
    pub before: Option<Digest>,
    /// Digest of the subject after it.
    pub after: Option<Digest>,
    /// What else an auditor wants to know: a few short fields, never a secret, never a prompt.
    pub detail: Map<String, Value>,
}

impl Entry {
    /// The same, with a reason.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// The same, with the subject's states before and after it; `None` where there was none,
    /// or is none any more.
    #[must_use]
    pub fn changed<T: Serialize>(self, before: Option<&T>, after: Option<&T>) -> Self {
        Self { before: before.and_then(state_digest), after: after.and_then(state_digest), ..self }
    }

    /// The same, with one more field of its detail.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }
}

/// SHA-256 of the canonical JSON of `state`: who has a copy of it can show that it is the one.
#[must_use]
pub fn state_digest(state: &impl Serialize) -> Option<Digest> {
    let value = serde_json::to_value(state).ok()?;
    Some(Digest::of(json::canonical(&value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_has_one_digest_whatever_the_order_of_its_fields() {
        let first: Value = serde_json::from_str(r#"{"b": 1, "a": [true]}"#).unwrap();
        assert_eq!(state_digest(&first), Some(Digest::of(r#"{"a":[true],"b":1}"#)));
        assert_ne!(state_digest(&first), state_digest(&json!({"a": [true], "b": 2})));
    }
}
