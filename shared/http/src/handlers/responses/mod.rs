//! `/v1/responses`: turns in the shape of OpenAI's Responses and of Open Responses.

mod body;
pub(crate) mod cancel;
pub(crate) mod compact;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod input_items;
pub(crate) mod input_tokens;
mod request;
