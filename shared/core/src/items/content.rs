//! The content of a message: a text, or a list of parts.

use serde_json::{Map, Value, json};

use crate::fault::Faults;
use crate::reader::{Reader, expected, one_of};

/// How far an item is.
pub(super) const STATUSES: [&str; 3] = ["in_progress", "completed", "incomplete"];

const DETAILS: [&str; 4] = ["auto", "low", "high", "original"];

/// Which parts a content may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    /// What a user says, and what a function gives back.
    Input,
    /// What the operator says: text, as no upstream takes more.
    Instruction,
    /// What a model says.
    Output,
}

impl Parts {
    pub(super) const ROLES: [&str; 4] = ["user", "system", "developer", "assistant"];

    /// The parts of a message by `role`.
    pub(super) fn of_role(role: &str) -> Option<Self> {
        match role {
            "user" => Some(Self::Input),
            "system" | "developer" => Some(Self::Instruction),
            "assistant" => Some(Self::Output),
            _ => None,
        }
    }

    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Input => &["input_text", "input_image", "input_file"],
            Self::Instruction => &["input_text"],
            Self::Output => &["output_text", "refusal", "input_text"],
        }
    }

    /// The parts of `content`, each whole; a text is one part.
    pub(super) fn read(self, path: &str, content: &Value, faults: &mut Faults) -> Vec<Value> {
        match content {
            Value::String(text) => vec![self.text(text)],
            Value::Array(parts) => {
                let parts = parts.iter().enumerate().filter_map(|(index, part)| {
                    let part = Reader::of(format!("{path}[{index}]"), part, faults)?;
                    self.read_part(&part, faults)
                });
                parts.collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                faults.add(path, expected("a string or an array", content));
                Vec::new()
            }
        }
    }

    /// A text as a part.
    pub(super) fn text(self, text: &str) -> Value {
        match self {
            Self::Input | Self::Instruction => input_text(text),
            Self::Output => output_text(text, Vec::new(), Vec::new()),
        }
    }

    fn read_part(self, part: &Reader<'_>, faults: &mut Faults) -> Option<Value> {
        part.require("type", faults);
        let name = part.text("type", faults)?;
        if !self.names().contains(&name) {
            faults.add(part.at("type"), one_of(self.names(), name));
            return None;
        }
        let mut fields = part.without_nulls();
        match name {
            "input_image" => read_image(part, &mut fields, faults),
            "input_file" => read_file(part, faults),
            "refusal" => _ = part.required_text("refusal", faults),
            // The easy form of a message lets a model's words be called input.
            "input_text" if self == Self::Output => {
                return part.required_text("text", faults).map(|text| self.text(text));
            }
            "output_text" => read_output_text(part, &mut fields, faults),
            _ => _ = part.required_text("text", faults),
        }
        Some(Value::Object(fields))
    }
}

/// A part of what a user says.
pub(super) fn input_text(text: &str) -> Value {
    json!({"type": "input_text", "text": text})
}

/// A part of what a model says.
pub(super) fn output_text(text: &str, annotations: Vec<Value>, logprobs: Vec<Value>) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs})
}

/// A model's refusal.
pub(super) fn refusal(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}

fn read_output_text(part: &Reader<'_>, fields: &mut Map<String, Value>, faults: &mut Faults) {
    let _ = part.required_text("text", faults);
    for name in ["annotations", "logprobs"] {
        let _ = part.list(name, faults);
        fields.entry(name).or_insert_with(|| json!([]));
    }
}

fn read_image(part: &Reader<'_>, fields: &mut Map<String, Value>, faults: &mut Faults) {
    need_one(part, &["image_url", "file_id"], faults);
    let _ = part.word("detail", &DETAILS, faults);
    fields.entry("detail").or_insert_with(|| json!("auto"));
    // Required of an image that is shown, also where it is a file.
    fields.entry("image_url").or_insert(Value::Null);
}

fn read_file(part: &Reader<'_>, faults: &mut Faults) {
    need_one(part, &["file_id", "file_data", "file_url"], faults);
    let _ = part.text("filename", faults);
}

/// A fault for a part that has none of the texts it could be made of, or one that
/// is no text.
fn need_one(part: &Reader<'_>, names: &[&str], faults: &mut Faults) {
    for name in names {
        let _ = part.text(name, faults);
    }
    if !names.iter().any(|name| part.has(name)) {
        faults.add(part.path(), format!("One of {} is required.", names.join(", ")));
    }
}
