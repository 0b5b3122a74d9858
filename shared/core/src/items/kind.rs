//! The types of items that are understood here.

use serde_json::Value;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Something said, by whomever.
    Message,
    /// The model's call of a function.
    FunctionCall,
    /// What a function gave back.
    FunctionCallOutput,
    /// What the model thought.
    Reasoning,
    /// What an earlier conversation came to.
    Compaction,
    /// Anything else: kept and shown, not sent to a model.
    Other,
}

impl Kind {
    /// All that a request may bring.
    pub(super) const IN_REQUESTS: [Self; 5] =
        [Self::Message, Self::FunctionCall, Self::FunctionCallOutput, Self::Reasoning, Self::Compaction];

    /// All kinds.
    const ALL: [Self; 6] =
        [Self::Message, Self::FunctionCall, Self::FunctionCallOutput, Self::Reasoning, Self::Compaction, Self::Other];

    /// What `item` is, by its `type`.
    #[must_use]
    pub fn of(item: &Value) -> Self {
        let name = item.get("type").and_then(Value::as_str);
        Self::IN_REQUESTS.into_iter().find(|kind| Some(kind.name()) == name).unwrap_or(Self::Other)
    }

    /// An item's `type`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::FunctionCall => "function_call",
            Self::FunctionCallOutput => "function_call_output",
            Self::Reasoning => "reasoning",
            Self::Compaction => "compaction",
            Self::Other => "other",
        }
    }

    /// What an item's id begins with, as OpenAI's own do.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Message => "msg",
            Self::FunctionCall => "fc",
            Self::FunctionCallOutput => "fco",
            Self::Reasoning => "rs",
            Self::Compaction => "cmp",
            Self::Other => "item",
        }
    }

    /// The kind whose ids begin with `prefix`.
    pub(super) fn from_prefix(prefix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.prefix() == prefix)
    }

    /// Whether the schema of such an item requires a `status`.
    pub(super) const fn has_status(self) -> bool {
        match self {
            Self::Message | Self::FunctionCall | Self::FunctionCallOutput => true,
            Self::Reasoning | Self::Compaction | Self::Other => false,
        }
    }
}
