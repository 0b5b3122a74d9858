//! How many tokens a request would be, for who asks before making it.

use serde_json::Value;
use turnwise_core::generation::Generation;
use turnwise_core::json::RawMap;
use turnwise_core::tokens::count;
use turnwise_providers::Resolved;
use turnwise_providers::count::Count;

use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// How many input tokens a chat completion request to `model` is whose fields are
    /// `generation_fields`, `messages` among them. Exact where a tokenizer of the model is at
    /// hand, else estimated. Nothing is stored or written.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub async fn count_tokens(&self, model: Option<&str>, generation_fields: &RawMap) -> Result<Count, Error> {
        let resolved = self.providers.resolve(model).map_err(Error::Model)?;
        self.count_for(&resolved, generation_fields.clone()).await
    }

    /// As [`Self::count_tokens`], for a model that is known.
    pub(crate) async fn count_for(&self, resolved: &Resolved, fields: RawMap) -> Result<Count, Error> {
        let generation = Generation { model: resolved.model.clone(), fields };
        let (counter, scale) = (self.counter, self.measure(resolved).scale);
        let provider = resolved.provider.name().to_owned();
        // A tokenizer takes 0.2 s at its first use, and longer for megabytes: in a thread that
        // nobody else waits for.
        let counting = tokio::task::spawn_blocking(move || {
            counter(&provider, &generation.model, &generation).unwrap_or_else(|| {
                let messages: Vec<Value> = serde_json::from_str(generation.input_text()).unwrap_or_default();
                Count::estimated(count(&messages, &generation.fields).scaled(scale))
            })
        });
        Ok(counting.await?)
    }
}
