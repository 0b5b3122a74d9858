//! OpenAI's items, the parts a response or a conversation is a list of, and the
//! bridge between them and the inner shape, chat messages and `chat.completion`.
//!
//! - [`parse_input`], [`parse_items`]: a request's items, checked and made whole
//! - [`messages_of_items`], [`items_of_messages`], [`output_items`]: the bridge
//! - [`ItemId`], [`with_ids`]: names of items that need not be stored

mod content;
mod from_messages;
mod id;
mod kind;
mod parse;
mod reader;
mod to_messages;

pub use from_messages::{items_of_messages, output_items};
pub use id::{ItemId, RowId, with_ids};
pub use kind::Kind;
pub use parse::{InputItem, Reference, parse_input, parse_items, resolve};
pub use to_messages::messages_of_items;
