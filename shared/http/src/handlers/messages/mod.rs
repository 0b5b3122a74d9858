//! Anthropic's routes over the same engine.

pub(crate) mod count_tokens;
pub(crate) mod create;
mod request;
mod responses;
