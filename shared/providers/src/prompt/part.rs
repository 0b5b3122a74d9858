//! What a turn consists of.

use serde_json::{Map, Value};
use turnwise_core::fault::{Fault, Faults};

/// A piece of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// Anthropic's breakpoint of the prompt cache behind it, as it was written.
    pub(crate) cache_control: Option<Value>,
}

/// Where the bytes of an image, a document or a sound are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Here.
    Data {
        /// `image/png` ...
        media_type: String,
        /// In base64.
        base64: String,
    },
    /// At an `https:` URL that the provider itself may fetch; we never do.
    Url(String),
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Map<String, Value>,
    /// Gemini's signature of the thought behind it, to be given back unchanged.
    pub(crate) thought_signature: Option<String>,
    pub(crate) cache_control: Option<Value>,
}

/// A part of a turn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// What somebody said; never empty.
    Text(Text),
    /// An image.
    Image { source: Source, cache_control: Option<Value> },
    /// A document.
    File { source: Source, name: Option<String>, cache_control: Option<Value> },
    /// A sound.
    Sound { media_type: String, base64: String },
    /// What the model thought, with its provider's signature.
    Thought { text: String, signature: String },
    /// What the model thought, for its provider's eyes only.
    SecretThought(String),
    /// A call of the assistant's.
    Call(Called),
    /// What a call gave.
    Result {
        /// The call's id.
        id: String,
        /// The function's name, where the call is among the messages.
        name: Option<String>,
        /// What it gave: texts, images, documents.
        parts: Vec<Part>,
        /// Whether the call failed.
        is_error: bool,
        cache_control: Option<Value>,
    },
}

impl Part {
    /// The text `text`, if it says something.
    pub(super) fn text(text: &str, cache_control: Option<Value>) -> Option<Self> {
        (!text.trim().is_empty()).then(|| Self::Text(Text { text: text.to_owned(), cache_control }))
    }
}

/// The parts of a message's `content`, which stands at `place`.
pub(super) fn content(content: &Value, place: &str, faults: &mut Faults) -> Vec<Part> {
    match content {
        Value::Null => Vec::new(),
        Value::String(text) => Part::text(text, None).into_iter().collect(),
        Value::Array(parts) => {
            let parts = parts.iter().enumerate();
            parts.filter_map(|(index, part)| faults.keep(read(part, &format!("{place}[{index}]")))?).collect()
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            faults.add(place, "Expected a string or an array of parts.");
            Vec::new()
        }
    }
}

/// One part; `None` for a text that says nothing.
fn read(part: &Value, place: &str) -> Result<Option<Part>, Fault> {
    let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str);
    let cache_control = part.get("cache_control").filter(|control| control.is_object()).cloned();
    let missing = |field: &str| Fault::new(format!("{place}.{field}"), "A string is required.");
    match text("/type") {
        Some("text") => Ok(Part::text(text("/text").ok_or_else(|| missing("text"))?, cache_control)),
        Some("refusal") => Ok(Part::text(text("/refusal").ok_or_else(|| missing("refusal"))?, cache_control)),
        Some("image_url") => {
            let url = text("/image_url/url").ok_or_else(|| missing("image_url.url"))?;
            let source = source(url, &format!("{place}.image_url.url"))?;
            Ok(Some(Part::Image { source, cache_control }))
        }
        Some("input_audio") => {
            let base64 = text("/input_audio/data").ok_or_else(|| missing("input_audio.data"))?.to_owned();
            let format = text("/input_audio/format").ok_or_else(|| missing("input_audio.format"))?;
            Ok(Some(Part::Sound { media_type: format!("audio/{format}"), base64 }))
        }
        Some("file") => {
            let data = text("/file/file_data").or_else(|| text("/file/file_url"));
            let data = data.ok_or_else(|| {
                let message = "A file is given by its bytes, as a data: URL in file_data. Uploaded files are known \
                               only to the provider that has them.";
                Fault::new(format!("{place}.file.file_data"), message)
            })?;
            let source = source(data, &format!("{place}.file.file_data"))?;
            Ok(Some(Part::File { source, name: text("/file/filename").map(str::to_owned), cache_control }))
        }
        Some(other) => {
            Err(Fault::new(format!("{place}.type"), format!("This provider takes no part of type {other:?}.")))
        }
        None => Err(missing("type")),
    }
}

/// A `data:` URL taken apart, or an `https:` one as it is.
fn source(url: &str, place: &str) -> Result<Source, Fault> {
    let fault = |message: &str| Fault::new(place, message);
    if url.starts_with("https://") {
        return Ok(Source::Url(url.to_owned()));
    }
    let data = url.strip_prefix("data:").ok_or_else(|| fault("Expected a data: URL or an https: one."))?;
    let (kind, base64) = data.split_once(',').ok_or_else(|| fault("This data: URL has no data."))?;
    let media_type = kind.strip_suffix(";base64").ok_or_else(|| fault("A data: URL's data is given in base64."))?;
    let media_type = media_type.split(';').next().unwrap_or_default();
    if !media_type.contains('/') || base64.is_empty() {
        return Err(fault("A data: URL names a media type and has data."));
    }
    Ok(Source::Data { media_type: media_type.to_owned(), base64: base64.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(part: &Value, expected: Result<Part, &str>) {
        let mut faults = Faults::default();
        let read = content(&json!([part]), "c", &mut faults);
        match expected {
            Ok(part) => assert_eq!((read, faults.0.len()), (vec![part], 0)),
            Err(field) => assert_eq!(faults.first_field(), Some(field), "{part}"),
        }
    }

    #[test]
    fn images_are_bytes_or_addresses() {
        let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
        let data = Source::Data { media_type: "image/png".to_owned(), base64: "AAAA".to_owned() };
        check(&image("data:image/png;base64,AAAA"), Ok(Part::Image { source: data, cache_control: None }));
        let url = Source::Url("https://x/y.png".to_owned());
        check(&image("https://x/y.png"), Ok(Part::Image { source: url, cache_control: None }));
        for bad in ["http://x/y", "data:image/png,AAAA", "data:;base64,AA", "data:image/png;base64,", "file:///etc"] {
            check(&image(bad), Err("c[0].image_url.url"));
        }
    }

    #[test]
    fn files_bring_their_bytes() {
        let source = Source::Data { media_type: "application/pdf".to_owned(), base64: "AA==".to_owned() };
        check(
            &json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}}),
            Ok(Part::File { source, name: Some("a.pdf".to_owned()), cache_control: None }),
        );
        check(&json!({"type": "file", "file": {"file_id": "file-1"}}), Err("c[0].file.file_data"));
    }

    #[test]
    fn empty_texts_are_left_out() {
        let mut faults = Faults::default();
        let parts = json!([{"type": "text", "text": " \n"}, {"type": "text", "text": "a", "cache_control": {"x": 1}}]);
        let read = content(&parts, "c", &mut faults);
        assert_eq!(read, [Part::Text(Text { text: "a".to_owned(), cache_control: Some(json!({"x": 1})) })]);
        assert!(content(&json!(""), "c", &mut faults).is_empty());
    }

    #[test]
    fn unknown_parts_are_faults() {
        check(&json!({"type": "video_url"}), Err("c[0].type"));
        check(&json!({"text": "a"}), Err("c[0].type"));
        check(&json!({"type": "text"}), Err("c[0].text"));
    }
}
