//! What can be asked for, and whether a turn could run.

use turnwise_core::catalogue::{Mode, Model};
use turnwise_providers::Listed;

use crate::engine::Engine;
use crate::error::Error;

/// A model that can be asked for.
#[derive(Debug, Clone)]
pub struct ListedModel {
    /// `provider/model`.
    pub name: String,
    /// The provider's name.
    pub provider: String,
    /// What it does, where that is known.
    pub mode: Option<Mode>,
    /// Length of its vectors unless asked otherwise, of an embedding model.
    pub dimensions: Option<u64>,
    /// What the catalogue knows of it.
    pub facts: Option<&'static Model>,
}

impl From<Listed> for ListedModel {
    fn from(model: Listed) -> Self {
        let Listed { name, provider, mode, dimensions, facts } = model;
        Self { name, provider, mode, dimensions, facts }
    }
}

impl Engine {
    /// The models that can be asked for.
    pub async fn models(&self) -> Vec<ListedModel> {
        self.providers.models().await.into_iter().map(ListedModel::from).collect()
    }

    /// The model that a request for `name` would get, of messages or of embeddings.
    ///
    /// # Errors
    /// [`Error::Model`] when nobody serves it.
    pub async fn model(&self, name: &str) -> Result<ListedModel, Error> {
        self.providers.find(name).map(ListedModel::from).map_err(Error::Model)
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
