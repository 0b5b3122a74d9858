//! Turns as Anthropic's messages and their content blocks.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use turnwise_core::fault::Faults;

use crate::prompt::{Called, Part, Source, Speaker, Text, Turn};

/// What Anthropic's models can see.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// The only document that is more than its text.
const PDF: &str = "application/pdf";

/// Texts that are no `text/...`, and can be read all the same.
const TEXTS: [&str; 4] = ["application/json", "application/xml", "application/yaml", "application/x-yaml"];

/// The field that faults of parts name: a turn no longer knows which message was whose.
const FIELD: &str = "messages";

/// What the system says.
pub(super) fn system(texts: &[Text]) -> Vec<Value> {
    texts.iter().map(text).collect()
}

/// Who said what.
pub(super) fn messages(turns: &[Turn], faults: &mut Faults) -> Vec<Value> {
    let message = |turn: &Turn, faults: &mut Faults| {
        let role = match turn.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        };
        json!({"role": role, "content": blocks(&turn.parts, faults)})
    };
    turns.iter().map(|turn| message(turn, faults)).collect()
}

fn blocks(parts: &[Part], faults: &mut Faults) -> Vec<Value> {
    parts.iter().filter_map(|part| block(part, faults)).collect()
}

fn block(part: &Part, faults: &mut Faults) -> Option<Value> {
    match part {
        Part::Text(said) => Some(text(said)),
        Part::Image { source, cache_control } => Some(cached(image(source, faults)?, cache_control.as_ref())),
        Part::File { source, name, cache_control } => {
            Some(cached(file(source, name.as_deref(), faults)?, cache_control.as_ref()))
        }
        Part::Sound { .. } => {
            faults.add(FIELD, "Anthropic's models do not hear: there is a part of type input_audio.");
            None
        }
        Part::Thought { text, signature } => {
            Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
        }
        Part::SecretThought(data) => Some(json!({"type": "redacted_thinking", "data": data})),
        Part::Call(Called { id, name, arguments, thought_signature: _, cache_control }) => {
            let call = json!({"type": "tool_use", "id": tool_id(id), "name": name, "input": arguments});
            Some(cached(call, cache_control.as_ref()))
        }
        Part::Result { id, name: _, parts, is_error, cache_control } => {
            let mut result = json!({"type": "tool_result", "tool_use_id": tool_id(id)});
            let content = blocks(parts, faults);
            if !content.is_empty() {
                result["content"] = Value::Array(content);
            }
            if *is_error {
                result["is_error"] = json!(true);
            }
            Some(cached(result, cache_control.as_ref()))
        }
    }
}

fn text(text: &Text) -> Value {
    cached(json!({"type": "text", "text": text.text}), text.cache_control.as_ref())
}

fn cached(mut block: Value, cache_control: Option<&Value>) -> Value {
    if let Some(control) = cache_control {
        block["cache_control"] = control.clone();
    }
    block
}

/// `id` of the characters that Anthropic takes: a conversation may have begun with another
/// provider. A call and its result are rewritten alike.
fn tool_id(id: &str) -> String {
    id.chars().map(|char| if char.is_ascii_alphanumeric() || "_-".contains(char) { char } else { '_' }).collect()
}

fn image(source: &Source, faults: &mut Faults) -> Option<Value> {
    match source {
        Source::Url(url) => Some(json!({"type": "image", "source": {"type": "url", "url": url}})),
        Source::Data { media_type, base64 } => {
            // A common slip, and there is only one thing it can mean.
            let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
            if !IMAGES.contains(&media_type) {
                faults.add(FIELD, format!("Anthropic takes JPEG, PNG, GIF and WebP images, not {media_type:?}."));
                return None;
            }
            Some(json!({"type": "image", "source": {"type": "base64", "media_type": media_type, "data": base64}}))
        }
    }
}

/// A document: a PDF as it is, of other files their text.
fn file(source: &Source, name: Option<&str>, faults: &mut Faults) -> Option<Value> {
    let source = match source {
        Source::Url(url) => json!({"type": "url", "url": url}),
        Source::Data { media_type, .. } if media_type.starts_with("image/") => return image(source, faults),
        Source::Data { media_type, base64 } if media_type == PDF => {
            json!({"type": "base64", "media_type": PDF, "data": base64})
        }
        Source::Data { media_type, base64 } if is_text(media_type) => {
            let text = BASE64_STANDARD.decode(base64).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let Some(text) = text else {
                faults.add(FIELD, format!("A file of type {media_type:?} is no UTF-8 text in base64."));
                return None;
            };
            json!({"type": "text", "media_type": "text/plain", "data": text})
        }
        Source::Data { media_type, .. } => {
            faults.add(FIELD, format!("Anthropic takes PDF files and texts, not {media_type:?}."));
            return None;
        }
    };
    let mut document = json!({"type": "document", "source": source});
    if let Some(name) = name {
        document["title"] = json!(name);
    }
    Some(document)
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || TEXTS.contains(&media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(media_type: &str, base64: &str) -> Source {
        Source::Data { media_type: media_type.to_owned(), base64: base64.to_owned() }
    }

    fn check(part: &Part, expected: Option<&Value>) {
        let mut faults = Faults::default();
        let block = block(part, &mut faults);
        assert_eq!((block.as_ref(), faults.0.is_empty()), (expected, expected.is_some()), "{part:?}");
    }

    #[test]
    fn images_are_bytes_or_addresses_that_anthropic_fetches() {
        let image = |source| Part::Image { source, cache_control: None };
        let jpeg = json!({"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}});
        check(&image(data("image/jpg", "AA==")), Some(&jpeg));
        check(&image(data("image/tiff", "AA==")), None);
        let url = json!({"type": "image", "source": {"type": "url", "url": "https://x/y"}});
        check(&image(Source::Url("https://x/y".to_owned())), Some(&url));
    }

    #[test]
    fn files_are_pdfs_or_texts() {
        let file = |source| Part::File { source, name: Some("n".to_owned()), cache_control: None };
        let document = |source: Value| json!({"type": "document", "title": "n", "source": source});
        let pdf = document(json!({"type": "base64", "media_type": PDF, "data": "AA=="}));
        check(&file(data(PDF, "AA==")), Some(&pdf));
        let text = document(json!({"type": "text", "media_type": "text/plain", "data": "a,b"}));
        check(&file(data("text/csv", "YSxi")), Some(&text));
        check(&file(data("text/plain", "/w==")), None);
        check(&file(data("text/plain", "!")), None);
        check(&file(data("application/zip", "AA==")), None);
        let url = document(json!({"type": "url", "url": "https://x/y.pdf"}));
        check(&file(Source::Url("https://x/y.pdf".to_owned())), Some(&url));
    }

    #[test]
    fn sounds_are_not_heard() {
        check(&Part::Sound { media_type: "audio/wav".to_owned(), base64: "AA==".to_owned() }, None);
    }

    #[test]
    fn an_id_of_another_providers_is_rewritten_in_call_and_result() {
        assert_eq!(tool_id("toolu_01-A"), "toolu_01-A");
        assert_eq!(tool_id("call:f.x/1é"), "call_f_x_1_");
    }
}
