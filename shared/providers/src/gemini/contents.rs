//! Turns into `contents`.

use serde_json::{Value, json};
use turnwise_core::fault::Faults;

use super::thinking::Control;
use crate::prompt::{Called, Part, Source, Speaker, Turn};

/// What Google documents as the signature of a call that another model made
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>): models of Gemini 3 and
/// later refuse a turn whose first call has none.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// Media types by the end of a URL's path: the API has nothing else to go by.
const ENDINGS: [(&str, &str); 7] = [
    (".png", "image/png"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".webp", "image/webp"),
    (".gif", "image/gif"),
    (".heic", "image/heic"),
    (".pdf", "application/pdf"),
];

/// What a generation of models wants of its contents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// A turn's first call is signed.
    signed_calls: bool,
    /// What a function gave that is no text stands in its response, not beside it.
    media_in_responses: bool,
}

impl Rules {
    /// Those of models whose thinking is controlled by `control`: levels came with Gemini
    /// 3, and so did both rules.
    pub(super) const fn of(control: Control) -> Self {
        let is_third = matches!(control, Control::Level { .. });
        Self { signed_calls: is_third, media_in_responses: is_third }
    }
}

/// `turns` as `contents`.
pub(super) fn write(turns: &[Turn], rules: Rules, faults: &mut Faults) -> Vec<Value> {
    let content = |turn: &Turn| {
        let (role, parts) = match turn.speaker {
            Speaker::User => ("user", asked(&turn.parts, rules, faults)),
            Speaker::Assistant => ("model", said(&turn.parts, rules)),
        };
        json!({"role": role, "parts": parts})
    };
    turns.iter().map(content).collect()
}

/// What the user says, results of calls first.
fn asked(parts: &[Part], rules: Rules, faults: &mut Faults) -> Vec<Value> {
    let (mut written, mut beside) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Result { id, name, parts, is_error, cache_control: _ } => match name {
                Some(name) => written.push(response(id, name, parts, *is_error, rules, &mut beside)),
                None => faults.add(
                    "messages",
                    format!("The tool message for {id:?} answers no call among the messages, and has no name."),
                ),
            },
            other @ (Part::Text(_)
            | Part::Image { .. }
            | Part::File { .. }
            | Part::Sound { .. }
            | Part::Thought { .. }
            | Part::SecretThought(_)
            | Part::Call(_)) => {
                // What functions gave stands before what else the user says.
                written.append(&mut beside);
                written.extend(plain(other));
            }
        }
    }
    written.append(&mut beside);
    written
}

/// What a call gave. Its text goes out as it is, also where it looks like JSON: read and
/// written again, its numbers could be other ones.
fn response(id: &str, name: &str, parts: &[Part], is_error: bool, rules: Rules, beside: &mut Vec<Value>) -> Value {
    let (mut texts, mut inside) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text(text) => texts.push(text.text.as_str()),
            other @ (Part::Image { .. }
            | Part::File { .. }
            | Part::Sound { .. }
            | Part::Thought { .. }
            | Part::SecretThought(_)
            | Part::Call(_)
            | Part::Result { .. }) => match plain(other) {
                Some(data) if rules.media_in_responses && data.get("inlineData").is_some() => inside.push(data),
                Some(part) => beside.push(part),
                None => {}
            },
        }
    }
    let key = if is_error { "error" } else { "result" };
    let mut response = json!({"id": id, "name": name, "response": {key: texts.join("\n")}});
    if !inside.is_empty() {
        response["parts"] = Value::Array(inside);
    }
    json!({"functionResponse": response})
}

/// What the model said. A signature without a thought belongs to the text behind it.
fn said(parts: &[Part], rules: Rules) -> Vec<Value> {
    let (mut written, mut signature): (Vec<Value>, Option<&str>) = (Vec::new(), None);
    let mut has_called = false;
    for part in parts {
        match part {
            Part::SecretThought(data) => written.extend(signature.replace(data).map(signed_nothing)),
            Part::Text(text) => {
                let mut part = json!({"text": text.text});
                if let Some(signature) = signature.take() {
                    part["thoughtSignature"] = json!(signature);
                }
                written.push(part);
            }
            Part::Call(called) => {
                written.extend(signature.take().map(signed_nothing));
                written.push(call(called, rules.signed_calls && !has_called));
                has_called = true;
            }
            other @ (Part::Image { .. }
            | Part::File { .. }
            | Part::Sound { .. }
            | Part::Thought { .. }
            | Part::Result { .. }) => written.extend(plain(other)),
        }
    }
    written.extend(signature.map(signed_nothing));
    written
}

/// A signature that came with no text.
fn signed_nothing(signature: &str) -> Value {
    json!({"text": "", "thoughtSignature": signature})
}

fn call(called: &Called, must_be_signed: bool) -> Value {
    let call = json!({"id": called.id, "name": called.name, "args": called.arguments});
    let mut part = json!({ "functionCall": call });
    let signature = called.thought_signature.as_deref().filter(|signature| !signature.is_empty());
    if let Some(signature) = signature.or(must_be_signed.then_some(UNSIGNED)) {
        part["thoughtSignature"] = json!(signature);
    }
    part
}

/// A part that looks the same whoever says it; `None` of one that only one can say.
fn plain(part: &Part) -> Option<Value> {
    match part {
        Part::Text(text) => Some(json!({"text": text.text})),
        Part::Image { source, cache_control: _ } | Part::File { source, name: _, cache_control: _ } => {
            Some(media(source))
        }
        Part::Sound { media_type, base64 } => Some(json!({"inlineData": {"mimeType": media_type, "data": base64}})),
        Part::Thought { text, signature } => {
            Some(json!({"text": text, "thought": true, "thoughtSignature": signature}))
        }
        Part::SecretThought(_) | Part::Call(_) | Part::Result { .. } => None,
    }
}

fn media(source: &Source) -> Value {
    match source {
        Source::Data { media_type, base64 } => json!({"inlineData": {"mimeType": media_type, "data": base64}}),
        Source::Url(url) => {
            let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
            match ENDINGS.iter().find(|(ending, _)| path.ends_with(ending)) {
                Some((_, kind)) => json!({"fileData": {"mimeType": kind, "fileUri": url}}),
                None => json!({"fileData": {"fileUri": url}}),
            }
        }
    }
}
