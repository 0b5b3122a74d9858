//! Anthropic's messages, and the bridge between them and the inner shape, chat messages
//! and `chat.completion`.
//!
//! - [`chat_fields`]: a request, checked whole and translated
//! - [`message_object`]: an answer; [`message_id`]: its name
//! - [`MessageStream`]: the events of an answer while it is made
//!
//! One place decides what blocks an answer has, `stream/blocks.rs`: a whole answer is told
//! to it as a stream is.

mod answer;
mod request;
mod stream;

pub use answer::{MessageAnswer, message_id, message_object};
pub use request::{Purpose, chat_fields};
pub use stream::{MessageEvent, MessageHead, MessageStream};

/// The `format` of a detail of what was thought that Anthropic signed or encrypted.
const THOUGHT_FORMAT: &str = "anthropic-claude-v1";
