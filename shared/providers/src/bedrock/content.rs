//! Turns in Converse's blocks.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use turnwise_core::fault::Faults;

use super::family::Family;
use crate::prompt::{Called, Part, Prompt, Source, Speaker, Text, Turn};

/// What stands where a message would say nothing, or a document would stand alone: Converse
/// wants a text in both.
const NOTHING: &str = ".";

/// What stands for a tool that gave nothing.
const NO_OUTPUT: &str = "(no output)";

/// Longest id of a call, and longest name of a document, in characters.
const MAX_ID_CHARS: usize = 64;
const MAX_NAME_CHARS: usize = 200;

/// What Converse can be given, by the media type that a client calls it.
const IMAGES: [(&str, &str); 5] =
    [("image/png", "png"), ("image/jpeg", "jpeg"), ("image/jpg", "jpeg"), ("image/gif", "gif"), ("image/webp", "webp")];
const DOCUMENTS: [(&str, &str); 10] = [
    ("application/pdf", "pdf"),
    ("text/csv", "csv"),
    ("application/msword", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("text/html", "html"),
    ("text/plain", "txt"),
    ("text/markdown", "md"),
    ("text/x-markdown", "md"),
];

/// Writes turns down, and notes what is wrong with them.
pub(super) struct Writer<'a> {
    family: Family,
    pub(super) faults: &'a mut Faults,
    /// Fields that had to be left out.
    pub(super) dropped: BTreeSet<&'static str>,
    /// Names of the documents so far: no two may be the same.
    documents: BTreeSet<String>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(family: Family, faults: &'a mut Faults) -> Self {
        Self { family, faults, dropped: BTreeSet::new(), documents: BTreeSet::new() }
    }

    /// `system`, one block for each text.
    pub(super) fn system(&mut self, texts: &[Text]) -> Vec<Value> {
        let mut blocks = Vec::new();
        for text in texts {
            blocks.push(json!({"text": text.text}));
            blocks.extend(self.cache_point(text.cache_control.as_ref()));
        }
        blocks
    }

    /// `messages`.
    pub(super) fn messages(&mut self, prompt: &Prompt) -> Vec<Value> {
        let last = prompt.turns.len().saturating_sub(1);
        let turns = prompt.turns.iter().enumerate();
        turns.map(|(index, turn)| self.message(turn, index == last && prompt.is_prefilled())).collect()
    }

    fn message(&mut self, turn: &Turn, is_prefill: bool) -> Value {
        let mut content = Vec::new();
        for part in &turn.parts {
            self.part(part, &mut content);
        }
        let said = content.iter().any(|block| block.get("text").is_some());
        let shown = content.iter().any(|block| block.get("document").is_some());
        if content.is_empty() || (shown && !said) {
            content.push(json!({ "text": NOTHING }));
        }
        // Words to go on with may not end in white space.
        if let Some(Value::String(text)) = content.last_mut().and_then(|block| block.get_mut("text"))
            && is_prefill
        {
            text.truncate(text.trim_end().len());
        }
        let role = match turn.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        };
        json!({"role": role, "content": content})
    }

    fn part(&mut self, part: &Part, content: &mut Vec<Value>) {
        let cache_control = match part {
            Part::Text(Text { text, cache_control }) => {
                content.push(json!({ "text": text }));
                cache_control
            }
            Part::Image { source, cache_control } => {
                content.extend(self.image(source));
                cache_control
            }
            Part::File { source, name, cache_control } => {
                content.extend(self.document(source, name.as_deref()));
                cache_control
            }
            Part::Sound { .. } => {
                self.faults.add("messages", "Bedrock takes no sounds. Leave input_audio out, or ask another provider.");
                &None
            }
            Part::Thought { text, signature } => {
                let thought = json!({"reasoningText": {"text": text, "signature": signature}});
                content.extend(self.thought(&thought));
                &None
            }
            Part::SecretThought(data) => {
                content.extend(self.thought(&json!({ "redactedContent": data })));
                &None
            }
            Part::Call(Called { id, name, arguments, thought_signature: _, cache_control }) => {
                content.push(json!({"toolUse": {"toolUseId": call_id(id), "name": name, "input": arguments}}));
                cache_control
            }
            Part::Result { id, name: _, parts, is_error, cache_control } => {
                content.push(self.result(id, parts, *is_error));
                cache_control
            }
        };
        content.extend(self.cache_point(cache_control.as_ref()));
    }

    /// A thought, for models that take theirs back; the others never had one.
    fn thought(&self, thought: &Value) -> Option<Value> {
        self.family.takes_thoughts().then(|| json!({ "reasoningContent": thought }))
    }

    fn result(&mut self, id: &str, parts: &[Part], is_error: bool) -> Value {
        let mut content = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => content.push(json!({"text": text.text})),
                Part::Image { source, .. } => content.extend(self.image(source)),
                Part::File { source, name, .. } => content.extend(self.document(source, name.as_deref())),
                Part::Sound { .. }
                | Part::Thought { .. }
                | Part::SecretThought(_)
                | Part::Call(_)
                | Part::Result { .. } => {
                    self.faults.add("messages", "What a tool gave can be texts, images and documents.");
                }
            }
        }
        if content.is_empty() {
            content.push(json!({ "text": NO_OUTPUT }));
        }
        let mut result = json!({"toolUseId": call_id(id), "content": content});
        // Success is what it means without a word, and not every model takes the field.
        if is_error {
            result["status"] = json!("error");
        }
        json!({ "toolResult": result })
    }

    fn image(&mut self, source: &Source) -> Option<Value> {
        let (format, bytes) = self.bytes(source, &IMAGES, "an image")?;
        Some(json!({"image": {"format": format, "source": {"bytes": bytes}}}))
    }

    fn document(&mut self, source: &Source, name: Option<&str>) -> Option<Value> {
        let (format, bytes) = self.bytes(source, &DOCUMENTS, "a document")?;
        let name = self.document_name(name.unwrap_or("document"));
        Some(json!({"document": {"format": format, "name": name, "source": {"bytes": bytes}}}))
    }

    /// The format, as Converse calls it, and the bytes of a source, in base64.
    fn bytes<'s>(
        &mut self,
        source: &'s Source,
        formats: &[(&str, &'static str)],
        what: &str,
    ) -> Option<(&'static str, &'s str)> {
        let (media_type, base64) = match source {
            Source::Data { media_type, base64 } => (media_type, base64),
            Source::Url(_) => {
                let message = format!("Bedrock fetches nothing: give {what} by its bytes, as a data: URL.");
                self.faults.add("messages", message);
                return None;
            }
        };
        let known = formats.iter().find(|(known, _)| media_type.eq_ignore_ascii_case(known));
        if known.is_none() {
            self.faults.add("messages", format!("Bedrock takes no {media_type:?} as {what}."));
        }
        known.map(|(_, format)| (*format, base64.as_str()))
    }

    /// A document's name, of the characters that it may have and different from all others.
    fn document_name(&mut self, name: &str) -> String {
        let allowed = |char: char| char.is_ascii_alphanumeric() || "-()[]".contains(char);
        let words: String = name.chars().map(|char| if allowed(char) { char } else { ' ' }).collect();
        let words: Vec<&str> = words.split_whitespace().collect();
        let name: String = words.join(" ").chars().take(MAX_NAME_CHARS - 4).collect();
        let name = if name.is_empty() { "document".to_owned() } else { name.trim_end().to_owned() };
        let numbered = (2..).map(|number| format!("{name} {number}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        let fresh = names.find(|name| !self.documents.contains(name)).unwrap_or(name);
        self.documents.insert(fresh.clone());
        fresh
    }

    /// The breakpoint of the cache that `control` asks for.
    pub(super) fn cache_point(&mut self, control: Option<&Value>) -> Option<Value> {
        let control = control?;
        if !self.family.caches() {
            self.dropped.insert("cache_control");
            return None;
        }
        let mut point = json!({"type": "default"});
        let ttl = control.get("ttl").and_then(Value::as_str);
        // Five minutes are what it is without a word, and all that Nova has.
        if ttl == Some("1h") && matches!(self.family, Family::Claude(..) | Family::Unknown) {
            point["ttl"] = json!("1h");
        }
        Some(json!({ "cachePoint": point }))
    }
}

/// A call's id, of the characters that it may have. Ids of other providers come here with a
/// conversation that began there.
fn call_id(id: &str) -> String {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "_-".contains(char);
    id.chars().take(MAX_ID_CHARS).map(|char| if allowed(char) { char } else { '_' }).collect()
}
