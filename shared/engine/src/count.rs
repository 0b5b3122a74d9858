//! How many tokens a request would be, for who asks before making it.

use serde_json::Value;
use turnwise_core::generation::Generation;
use turnwise_core::json::RawMap;
use turnwise_core::tokens::count;
use turnwise_providers::count::Count;
use turnwise_providers::{Call, Resolved};

use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// How many input tokens a chat completion request to `model` is whose fields are
    /// `fields`, `messages` among them. Exact where the provider counts itself or a tokenizer
    /// of the model is at hand, else estimated. No model runs, nothing is stored.
    ///
    /// # Errors
    /// [`Error::Model`], and [`Error::Invalid`] for what the provider cannot be asked.
    pub async fn count_tokens(&self, model: Option<&str>, fields: &RawMap) -> Result<Count, Error> {
        let resolved = self.providers.resolve(model).map_err(Error::Model)?;
        self.count_for(&resolved, fields.clone()).await
    }

    /// As [`Self::count_tokens`], for a model that is known.
    pub(crate) async fn count_for(&self, resolved: &Resolved, fields: RawMap) -> Result<Count, Error> {
        let generation = Generation { model: resolved.model.clone(), fields };
        resolved.provider.check(&generation).map_err(Error::Invalid)?;
        if let Some(tokens) = self.counted_upstream(resolved, &generation).await {
            return Ok(Count::exact(tokens));
        }
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

    /// What the provider itself counts; nothing where it does not, or does not say so in time:
    /// an estimate is better than no answer.
    async fn counted_upstream(&self, resolved: &Resolved, generation: &Generation) -> Option<u64> {
        let timeouts = self.calls.timeouts.of(&resolved.name, resolved.facts());
        let call = Call {
            generation: generation.clone(),
            id: String::new(),
            created_s: self.clock.now().as_secs(),
            connect_timeout: Some(timeouts.connect),
        };
        match resolved.provider.count(&call).await? {
            Ok(tokens) => Some(tokens),
            Err(error) => {
                tracing::warn!(model.name = resolved.name, %error, "a provider did not count tokens; they are estimated");
                None
            }
        }
    }
}
