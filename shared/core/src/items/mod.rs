//! OpenAI's items, the parts a response or a conversation is a list of, and the
//! bridge between them and the inner shape, chat messages and `chat.completion`.
//!
//! - [`ItemId`], [`with_ids`]: names of items that need not be stored

mod id;
mod kind;

pub use id::{ItemId, RowId, with_ids};
pub use kind::Kind;
