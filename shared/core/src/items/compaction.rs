//! Compaction items: what a conversation came to, written by `POST /v1/responses/compact`
//! and kept by its client in place of the conversation.
//!
//! The standards call the content encrypted. Here it is only packed: it says nothing but
//! what its client's own conversation said, and clients are not to rely on its form. The
//! digest in it tells damage; it is no signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kind::Kind;
use super::response::usage;
use crate::digest::Digest;
use crate::limits::MAX_COMPACTION_BYTES;
use crate::time::Timestamp;
use crate::usage::Usage;

/// The form of the content; another one is another number.
const VERSION: u32 = 1;

/// Digits of the summary's digest in it: one damage in 2^48 slips through.
const CHECK_CHARS: usize = 12;

/// Effort of compression, of 10: beyond it the time doubles for a percent.
const LEVEL: u8 = 6;

/// What the model reads before the summary.
const INTRODUCTION: &str =
    "This is a summary of the earlier conversation; of what it covers, nothing else may be shown.";

/// The content of an item: base64url over raw deflate (RFC 1951) over JSON.
#[derive(Serialize, Deserialize)]
struct Packed {
    v: u32,
    check: String,
    summary: String,
}

/// An item that holds `summary`, without an id.
#[must_use]
pub fn compaction_item(summary: &str) -> Value {
    json!({"type": Kind::Compaction.name(), "encrypted_content": pack(summary)})
}

/// The answer of `POST /v1/responses/compact`; equal arguments give equal bytes.
#[must_use]
pub fn compaction_object(id: &str, created_at: Timestamp, output: &[Value], used: &Usage) -> Value {
    json!({
        "id": id,
        "object": "response.compaction",
        "created_at": created_at.as_secs(),
        "output": output,
        "usage": usage(used),
    })
}

/// The summary in an item's `encrypted_content`; `None` where it was not made here, or is
/// damaged.
pub(super) fn unpack(content: &str) -> Option<String> {
    let deflated = URL_SAFE_NO_PAD.decode(content).ok()?;
    let json = decompress_to_vec_with_limit(&deflated, MAX_COMPACTION_BYTES).ok()?;
    let packed: Packed = serde_json::from_slice(&json).ok()?;
    let whole = packed.v == VERSION && packed.check == check(&packed.summary);
    whole.then_some(packed.summary)
}

/// What a model is told in place of what `item` covers.
pub(super) fn told(item: &Value) -> Option<String> {
    let summary = item["encrypted_content"].as_str().and_then(unpack)?;
    Some(format!("{INTRODUCTION}\n\n{summary}"))
}

fn pack(summary: &str) -> String {
    let packed = Packed { v: VERSION, check: check(summary), summary: summary.to_owned() };
    let json = serde_json::to_vec(&packed).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(compress_to_vec(&json, LEVEL))
}

fn check(summary: &str) -> String {
    Digest::of(summary).as_str().chars().take(CHECK_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(json: &Value) -> String {
        URL_SAFE_NO_PAD.encode(compress_to_vec(json.to_string().as_bytes(), LEVEL))
    }

    #[test]
    fn only_what_was_made_here_is_read() {
        // printf a | sha256sum
        let whole = json!({"v": 1, "check": "ca978112ca1b", "summary": "a"});
        assert_eq!(unpack(&packed(&whole)).as_deref(), Some("a"));
        for (field, other) in [("v", json!(2)), ("check", json!("ca978112ca1c")), ("summary", json!("b"))] {
            let mut changed = whole.clone();
            changed[field] = other;
            assert_eq!(unpack(&packed(&changed)), None, "{field}");
        }
        for foreign in ["", "gAAAAABpM0Yj-...=", "gAAAAABpM0Yj", "not base64", &packed(&json!("a"))] {
            assert_eq!(unpack(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_content_that_unfolds_to_more_than_any_of_ours_is_not_unfolded() {
        let long = "a".repeat(MAX_COMPACTION_BYTES);
        assert!(pack(&long).len() < 1000);
        assert_eq!(unpack(&pack(&long)), None);
    }

    #[test]
    fn the_model_is_told_that_it_is_a_summary() {
        let told = told(&compaction_item("Ada asked.")).unwrap();
        assert!(told.contains("summary") && told.ends_with("\n\nAda asked."), "{told}");
    }

    proptest! {
        #[test]
        fn a_summary_comes_back(summary in "\\PC{0,200}") {
            let item = compaction_item(&summary);
            let content = item["encrypted_content"].as_str().unwrap();
            prop_assert!(content.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'));
            prop_assert_eq!(unpack(content), Some(summary));
        }

        #[test]
        fn no_text_breaks_the_reading(text in "[A-Za-z0-9_-]{0,60}") {
            prop_assert_eq!(unpack(&text), None);
        }

        #[test]
        fn what_is_damaged_is_not_taken_for_another_summary(summary in "[a-z ]{20,80}", at in 0usize..60, to in "[A-Za-z0-9]") {
            let content = pack(&summary);
            let at = at % content.len();
            let damaged = format!("{}{to}{}", &content[..at], &content[at + 1..]);
            let read = unpack(&damaged);
            prop_assert!(read.is_none() || read == Some(summary), "{read:?}");
        }
    }
}
