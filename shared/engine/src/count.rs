//! How many tokens a request would send.

use serde_json::Value;
use turnwise_core::json::RawMap;
use turnwise_core::usage;

use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// How many tokens `model` would be sent for a chat completion request of `messages` and
    /// `fields`. No model is called, nothing is stored.
    ///
    /// # Errors
    /// [`Error::Model`] when nobody serves the model.
    #[expect(clippy::unused_async, reason = "counts of a model's own come from its provider")]
    pub async fn count_tokens(&self, model: Option<&str>, messages: &[Value], fields: &RawMap) -> Result<u64, Error> {
        self.providers.resolve(model).map_err(Error::Model)?;
        Ok(usage::count(messages, fields))
    }
}
