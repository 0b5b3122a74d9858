//! The blocks of an answer.

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

/// The only field of a call's input whose arguments are no JSON object: what the model
/// wrote instead. An input without fields would look like a call that needs none.
const INVALID: &str = "invalid_arguments";

/// A block of an answer, as far as it is told.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::messages) enum Block {
    /// What the model said.
    Text(String),
    /// What it thought, with the signature of whoever may be told so again.
    Thinking { text: String, signature: String },
    /// What it thought, encrypted.
    Redacted(String),
    /// What it calls.
    ToolUse {
        id: String,
        name: String,
        arguments: String,
        /// What the upstream wants back with the call.
        extra: Option<Value>,
    },
}

impl Block {
    /// The block when nothing is known of it but that it comes.
    pub(in crate::messages) fn begun(&self) -> Value {
        match self {
            Self::Text(_) => Self::Text(String::new()).whole(),
            Self::Thinking { .. } => Self::Thinking { text: String::new(), signature: String::new() }.whole(),
            // It comes in one piece.
            Self::Redacted(_) => self.whole(),
            Self::ToolUse { id, name, extra, .. } => {
                Self::ToolUse { id: id.clone(), name: name.clone(), arguments: String::new(), extra: extra.clone() }
                    .whole()
            }
        }
    }

    /// The block with what it says so far.
    pub(in crate::messages) fn whole(&self) -> Value {
        match self {
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::Thinking { text, signature } => {
                json!({"type": "thinking", "thinking": text, "signature": signature})
            }
            Self::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
            Self::ToolUse { id, name, arguments, extra } => {
                let mut block = json!({"type": "tool_use", "id": id, "name": name, "input": input(arguments)});
                if let Some(extra) = extra {
                    block["extra_content"] = extra.clone();
                }
                block
            }
        }
    }

    /// Whether nothing more can come of it once another block's piece has come.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Text(_) | Self::Thinking { .. } | Self::Redacted(_) => true,
            Self::ToolUse { arguments, .. } => {
                // Reading it all is worth while only where it may be whole.
                arguments.trim_end().ends_with('}')
                    && serde_json::from_str::<std::collections::BTreeMap<String, IgnoredAny>>(arguments).is_ok()
            }
        }
    }
}

/// A call's arguments as its input, an object; none at all are an empty one.
fn input(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    let object: Result<Map<String, Value>, _> = serde_json::from_str(arguments);
    object.map_or_else(|_| json!({ INVALID: arguments }), Value::Object)
}
