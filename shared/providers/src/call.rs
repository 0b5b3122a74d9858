//! What is asked of a provider, and the stream that answers.

use std::fmt;
use std::time::Duration;

use futures_util::stream::BoxStream;
use turnwise_core::generation::{Event, Generation};

use crate::error::Error;

/// One call of a provider.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked; its `model` is the provider's own name, as in
    /// [`Resolved::model`](crate::Resolved).
    pub generation: Generation,
    /// Id of the completion, for providers that do not give their own.
    pub id: String,
    /// When the call is made, in Unix seconds, for providers that do not say.
    pub created_s: u64,
    /// How long making a connection may take; `None` takes the usual time.
    pub connect_timeout: Option<Duration>,
}

/// The events of one answer.
///
/// Chunks, then exactly one [`Event::Finished`] or one error, then the end. An end
/// without either does not happen: an upstream that just stops is an error.
/// Dropping the stream closes the connection to the upstream.
pub type EventStream = BoxStream<'static, Result<Event, Error>>;

/// Who was asked for what; written as `provider/model`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) provider: String,
    pub(crate) model: String,
}

/// Longest model name repeated in a message, in characters; names come from clients.
pub(crate) const MAX_NAME_CHARS: usize = 100;

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, cut(&self.model, MAX_NAME_CHARS))
    }
}

/// The first `most` characters of `text`.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}
