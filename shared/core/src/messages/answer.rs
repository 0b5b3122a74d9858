//! The answer of `POST /v1/messages`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::stream::{Block, BlockEvents, MessageHead};
use crate::generation::Event;
use crate::id::{KEY_SEPARATOR, TurnKey};
use crate::json;
use crate::rebuild;
use crate::usage::Usage;

/// What a message's id begins with, as Anthropic's own do.
const PREFIX: &str = "msg_";

/// Reasons to stop that an upstream may give in Anthropic's own words.
const STOP_REASONS: [&str; 7] =
    ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"];

/// A committed answer.
#[derive(Debug, Clone, Copy)]
pub struct MessageAnswer<'a> {
    /// The `chat.completion` object.
    pub completion: &'a Value,
    /// Tokens.
    pub usage: Usage,
}

/// The id of the message that is the turn `key`.
#[must_use]
pub fn message_id(key: &TurnKey) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(format!("{}{KEY_SEPARATOR}{}", key.conversation, key.turn)))
}

/// The message object; equal arguments give equal bytes.
#[must_use]
pub fn message_object(head: &MessageHead, answer: &MessageAnswer<'_>) -> Value {
    let content: Vec<Value> = blocks(answer.completion).iter().map(Block::whole).collect();
    json!({
        "id": head.id,
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": content,
        "stop_reason": stop_reason(answer.completion),
        "stop_sequence": stop_sequence(answer.completion),
        "usage": usage(&answer.usage),
    })
}

/// The blocks of an answer: those that its stream would have.
fn blocks(completion: &Value) -> Vec<Block> {
    let mut blocks = BlockEvents::default();
    for event in rebuild::events(&json::raw(completion)) {
        match event {
            Event::Chunk(chunk) => _ = blocks.chunk(&serde_json::from_str(chunk.get()).unwrap_or_default()),
            Event::Finished => {}
        }
    }
    let _ = blocks.finish();
    blocks.into_blocks()
}

/// Why the answer ended: in the upstream's own words where they are Anthropic's.
pub(super) fn stop_reason(completion: &Value) -> Value {
    let choice = &completion["choices"][0];
    let message = &choice["message"];
    let has = |list: &str| message[list].as_array().is_some_and(|list| !list.is_empty());
    let refused = message["refusal"].as_str().is_some_and(|text| !text.is_empty());
    let native = choice["native_finish_reason"].as_str().filter(|reason| STOP_REASONS.contains(reason));
    let reason = match choice["finish_reason"].as_str() {
        _ if native.is_some() => native.unwrap_or_default(),
        _ if refused => "refusal",
        Some("content_filter") => "refusal",
        Some("length") => "max_tokens",
        // Some upstreams stop at a call as at any other end.
        _ if has("tool_calls") => "tool_use",
        _ if !stop_sequence(completion).is_null() => "stop_sequence",
        Some(_) | None => "end_turn",
    };
    json!(reason)
}

/// The sequence at which the answer stopped, where the upstream says so.
pub(super) fn stop_sequence(completion: &Value) -> Value {
    completion["choices"][0].get("stop_sequence").filter(|sequence| sequence.is_string()).cloned().unwrap_or_default()
}

/// Tokens as Anthropic counts them: what a cache served or was written to it stands beside
/// the input, not in it.
pub(super) fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.total_output(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Source;

    fn check(choice: &Value, reason: &str, sequence: &Value) {
        let completion = json!({"choices": [choice]});
        assert_eq!(
            (stop_reason(&completion), stop_sequence(&completion)),
            (json!(reason), sequence.clone()),
            "{choice}"
        );
    }

    #[test]
    fn the_reason_to_stop_is_told_in_anthropics_words() {
        let none = Value::Null;
        let calls = json!({"tool_calls": [{"id": "a"}]});
        check(&json!({"finish_reason": "stop"}), "end_turn", &none);
        check(&json!({"finish_reason": null}), "end_turn", &none);
        check(&json!({"finish_reason": "length"}), "max_tokens", &none);
        check(&json!({"finish_reason": "length", "message": calls}), "max_tokens", &none);
        check(&json!({"finish_reason": "tool_calls", "message": calls}), "tool_use", &none);
        check(&json!({"finish_reason": "stop", "message": calls}), "tool_use", &none);
        check(&json!({"finish_reason": "content_filter"}), "refusal", &none);
        check(&json!({"finish_reason": "stop", "message": {"refusal": "No."}}), "refusal", &none);
        check(&json!({"finish_reason": "stop", "stop_sequence": "END"}), "stop_sequence", &json!("END"));
        check(&json!({"finish_reason": "length", "native_finish_reason": "pause_turn"}), "pause_turn", &none);
        check(
            &json!({"finish_reason": "length", "native_finish_reason": "model_context_window_exceeded"}),
            "model_context_window_exceeded",
            &none,
        );
        check(&json!({"finish_reason": "length", "native_finish_reason": "MAX_TOKENS"}), "max_tokens", &none);
    }

    #[test]
    fn tokens_of_a_cache_stand_beside_the_input() {
        let counted = Usage {
            input: 1,
            cache_read: 2,
            cache_write: 4,
            cache_write_1h: 8,
            output: 16,
            reasoning: 32,
            source: Source::Reported,
        };
        assert_eq!(
            usage(&counted),
            json!({"input_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 12, "output_tokens": 48,
                   "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 8}})
        );
    }

    #[test]
    fn a_turn_has_one_message_id() {
        let hidden = message_id(&TurnKey::hidden("key", "s:1").unwrap());
        let named = message_id(&TurnKey::parse("key", "s:1").unwrap().unwrap());
        assert!(hidden.starts_with("msg_") && hidden != named);
    }
}
