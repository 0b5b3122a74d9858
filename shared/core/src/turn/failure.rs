//! How a turn ends without an answer.

use serde::{Deserialize, Serialize};

use crate::category::Category;

/// The code of whatever cannot go on because its conversation was deleted.
pub const CONVERSATION_DELETED: &str = "conversation_deleted";

/// What may still become of a failed turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The same key runs it again, while attempts are left.
    Retryable,
    /// The error is the turn's result.
    Final,
    /// Someone cancelled it.
    Cancelled,
    /// Whether the provider answered is not known, and it must not be asked twice.
    OutcomeUnknown,
}

/// A turn's error, stored with it and shown again to whoever retries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What may still become of the turn.
    pub outcome: Outcome,
    /// One of the twelve.
    pub category: Category,
    /// Machine-readable code within the category.
    pub code: String,
    /// What failed, for which input.
    pub message: String,
    /// The field at fault, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// What the provider asked us to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Whether as many calls as one request may cause were made: a client that tries again at
    /// once only multiplies them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_spent: bool,
    /// Which providers were asked, where any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Box<Asked>>,
    /// The request that failed, to be found in the log.
    pub request_id: String,
    /// What had arrived of the answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub partial: String,
}

/// Whom a failed turn had asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Who was asked last, as `provider/model`.
    pub model: String,
    /// How many calls were made of all of them.
    pub calls: u32,
}
