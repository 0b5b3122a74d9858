//! What can be asked for, and whether a turn could run.

use turnwise_core::catalogue::{Catalogue, Model};

use crate::engine::Engine;
use crate::error::Error;

/// A model that can be asked for.
#[derive(Debug, Clone)]
pub struct ListedModel {
    /// `provider/model`.
    pub name: String,
    /// The provider's name.
    pub provider: String,
    /// What the catalogue knows of it.
    pub facts: Option<&'static Model>,
}

impl Engine {
    /// The models that can be asked for.
    pub async fn models(&self) -> Vec<ListedModel> {
        let listed = self.providers.models().await;
        listed
            .into_iter()
            .map(|model| ListedModel { name: model.name, provider: model.provider, facts: model.facts })
            .collect()
    }

    /// The model that a request for `name` would get.
    ///
    /// # Errors
    /// [`Error::Model`] when nobody serves it.
    pub async fn model(&self, name: &str) -> Result<ListedModel, Error> {
        let resolved = self.providers.resolve(Some(name)).map_err(Error::Model)?;
        let provider = resolved.provider.name().to_owned();
        let facts = Catalogue::shipped().get(&provider, &resolved.model);
        Ok(ListedModel { name: resolved.name, provider, facts })
    }

    /// Whether a turn could run.
    ///
    /// # Errors
    /// What is missing, as a clause for people.
    pub async fn ready(&self) -> Result<(), String> {
        self.store.ping().await.map_err(|error| format!("the table: {error}"))?;
        self.queue.ping().await.map_err(|error| format!("the queue: {error}"))?;
        if self.providers.configured().next().is_none() {
            return Err("no provider is configured".to_owned());
        }
        Ok(())
    }
}
