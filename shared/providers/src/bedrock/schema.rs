//! How a model is held to JSON: by Bedrock where it can, else by a tool, else by words.

use serde_json::{Value, json};

use super::family::Family;
use crate::prompt::{Format, Prompt};

/// The tool whose input is the answer, where nothing else holds a model to a schema. No
/// client has one of this name.
pub(super) const ANSWER_TOOL: &str = "turnwise_json_answer";

/// What asks a model for JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// Nothing: it may write as it likes.
    None,
    /// `outputConfig.textFormat`.
    Native(Value),
    /// The one tool there is, which it has to call.
    Tool(Value),
    /// A sentence behind what the system says.
    Words(String),
}

impl Wish {
    /// How `prompt` asks a model of `family` for its format. A tool can stand for the answer
    /// only where there are no others and the model may be made to call it, which one that
    /// thinks may not; `may_force` says so.
    pub(super) fn of(prompt: &Prompt, family: Family, may_force: bool) -> Self {
        match &prompt.format {
            Format::Text => Self::None,
            // Converse knows no JSON without a schema.
            Format::Json => Self::Words(
                "Answer with one JSON object and nothing else: no words around it, no code fence.".to_owned(),
            ),
            // The schema goes out as a text of JSON.
            Format::Schema { name, schema } if family.keeps_to_schemas() => Self::Native(json!({
                "type": "json_schema",
                "structure": {"jsonSchema": {"name": name, "schema": schema.to_string()}},
            })),
            Format::Schema { name, schema } if prompt.tools.is_empty() && family.forces_a_tool() && may_force => {
                Self::Tool(
                    json!({"toolSpec": {"name": ANSWER_TOOL, "description": format!("Gives the answer: {name}."),
                                               "inputSchema": {"json": schema}}}),
                )
            }
            Format::Schema { schema, .. } => Self::Words(format!(
                "Answer with one JSON value of this JSON schema and nothing else, no words around it, no code fence: \
                 {schema}"
            )),
        }
    }
}
