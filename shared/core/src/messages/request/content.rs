//! Texts, images and documents as the parts of a chat message.

use serde_json::{Value, json};

use crate::fault::Faults;
use crate::reader::{Reader, one_of};

/// Images that the standard knows.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// What a document is called that has no title.
const UNTITLED: &str = "document.pdf";

/// The part that the block `block` of type `kind` is; `None` with a fault where it is none
/// that a model is sent, or not whole.
pub(super) fn part(block: &Reader<'_>, kind: &str, faults: &mut Faults) -> Option<Value> {
    let part = match kind {
        "text" => block.required_text("text", faults).map(text),
        "image" => image(block, faults),
        "document" => document(block, faults),
        other => {
            faults.add(block.at("type"), format!("Blocks of type {other:?} are not supported here."));
            None
        }
    };
    part.map(|part| cached(part, block, faults))
}

/// `part` with the breakpoint of the prompt cache that `block` has.
pub(super) fn cached(mut part: Value, block: &Reader<'_>, faults: &mut Faults) -> Value {
    if block.object("cache_control", faults).is_some() {
        part["cache_control"] = block.value("cache_control").cloned().unwrap_or_default();
    }
    part
}

/// The content of a message: of one text alone that text, which every upstream takes.
pub(super) fn content(mut parts: Vec<Value>) -> Value {
    match parts.as_mut_slice() {
        [part] if part["type"] == "text" && part.get("cache_control").is_none() => part["text"].take(),
        _ => Value::Array(parts),
    }
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn image(block: &Reader<'_>, faults: &mut Faults) -> Option<Value> {
    let (source, kind) = source(block, faults)?;
    let url = match kind {
        "base64" => {
            source.require("media_type", faults);
            let media_type = source.word("media_type", &IMAGES, faults);
            data_url(media_type, source.required_name("data", faults))?
        }
        "url" => source.required_name("url", faults)?.to_owned(),
        other => {
            faults.add(source.at("type"), one_of(&["base64", "url"], other));
            return None;
        }
    };
    Some(json!({"type": "image_url", "image_url": {"url": url}}))
}

/// A document of text is told as text, which every model reads.
fn document(block: &Reader<'_>, faults: &mut Faults) -> Option<Value> {
    let wants_citations = block.object("citations", faults).and_then(|citations| citations.value("enabled").cloned());
    if wants_citations == Some(json!(true)) {
        faults.add(block.at("citations"), "Citations are not supported.");
    }
    let title = block.text("title", faults);
    let context = block.text("context", faults);
    let (source, kind) = source(block, faults)?;
    match kind {
        "base64" => {
            source.require("media_type", faults);
            let media_type = source.word("media_type", &["application/pdf"], faults);
            let data = data_url(media_type, source.required_name("data", faults))?;
            Some(json!({"type": "file", "file": {"filename": title.unwrap_or(UNTITLED), "file_data": data}}))
        }
        "text" => {
            let _ = source.word("media_type", &["text/plain"], faults);
            let lines = [title, context, source.required_text("data", faults)];
            Some(text(&lines.into_iter().flatten().collect::<Vec<_>>().join("\n")))
        }
        other => {
            faults.add(source.at("type"), one_of(&["base64", "text"], other));
            None
        }
    }
}

/// Where a block has its bytes from, and how it says so.
fn source<'a>(block: &Reader<'a>, faults: &mut Faults) -> Option<(Reader<'a>, &'a str)> {
    block.require("source", faults);
    let source = block.object("source", faults)?;
    let kind = source.required_name("type", faults)?;
    Some((source, kind))
}

fn data_url(media_type: Option<&str>, data: Option<&str>) -> Option<String> {
    Some(format!("data:{};base64,{}", media_type?, data?))
}
