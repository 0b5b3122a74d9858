//! OpenAI's items, the parts a response or a conversation is a list of, and the
//! bridge between them and the inner shape, chat messages and `chat.completion`.
//!
//! - [`parse_input`], [`parse_items`]: a request's items, checked and made whole
//! - [`messages_of_items`], [`items_of_messages`], [`output_items`]: the bridge
//! - [`ItemId`], [`with_ids`]: names of items that need not be stored
//! - [`chat_fields`], [`check_metadata`]: a response's parameters, checked and translated; [`Metadata`]
//! - [`ResponseStream`]: the events of a response while it is made
//! - [`ResponseObject`]: the answer of `POST /v1/responses`; [`response_id`], [`parse_response_id`]: its name;
//!   [`echoed`]: what it repeats of its request
//! - [`compaction_item`]: what an earlier conversation came to, as an item; [`compaction_object`]: the answer
//!   of `POST /v1/responses/compact`

mod chat_fields;
mod compaction;
mod content;
mod echo;
mod from_messages;
mod id;
mod kind;
mod metadata;
mod parse;
mod response;
mod response_id;
mod stream;
mod to_messages;
mod tools;

pub use chat_fields::chat_fields;
pub use compaction::{compaction_item, compaction_object};
pub use echo::echoed;
pub use from_messages::{items_of_messages, output_items};
pub use id::{ItemId, RowId, with_ids};
pub use kind::Kind;
pub use metadata::{Metadata, check_metadata, read_metadata};
pub use parse::{InputItem, Reference, parse_input, parse_items, resolve};
pub use response::{IncompleteReason, ResponseError, ResponseObject, ResponseState};
pub use response_id::{parse_response_id, response_id};
pub use stream::{Answered, ResponseEvent, ResponseHead, ResponseStream};
pub use to_messages::messages_of_items;
