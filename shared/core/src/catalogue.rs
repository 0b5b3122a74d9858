//! The models Turnwise knows: what they can do and what they cost.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::money::Price;
use crate::prices::Batch;

/// Shipped facts; see the file's own `about` for their source and date.
const MODELS_JSON: &str = include_str!("../data/models.json");

/// Names offered when a model is unknown.
const MAX_SUGGESTIONS: usize = 3;

/// How like a name must be to be offered, from 0 (nothing) to 1 (the same).
const LIKENESS: f64 = 0.6;

/// One model of one provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The provider's name, as in `provider/model`.
    pub provider: String,
    /// The provider's own name of the model.
    pub id: String,
    /// What it does.
    pub mode: Mode,
    /// Most tokens in and out together.
    pub context_tokens: Option<u64>,
    /// Most tokens out.
    pub max_output_tokens: Option<u64>,
    /// `tools`, `vision`, `json_schema` ...
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What it refuses, though its provider takes it from others.
    #[serde(default)]
    pub rejects: Vec<Rejection>,
    /// Whether it thinks also where nobody asks it to.
    #[serde(default)]
    pub thinks_always: bool,
    /// Length of its vectors, of an embedding model.
    #[serde(default)]
    pub dimensions: Option<u64>,
    /// Prices in pico-USD a token.
    pub price: Price,
    /// Prices of requests that may wait for hours.
    #[serde(default)]
    pub batch: Option<Batch>,
    /// The day from which on its provider may take it away: `2027-04-01`.
    #[serde(default)]
    pub deprecation_date: Option<String>,
}

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It answers messages.
    Chat,
    /// It makes vectors of texts.
    Embedding,
}

impl Mode {
    /// Its name in the catalogue and in lists of models.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
        }
    }
}

/// What a model may refuse that its provider takes from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// `temperature`, `top_p`, `top_k`.
    SamplingParams,
    /// A last message of the assistant's, to be gone on with.
    AssistantPrefill,
    /// A `tool_choice` that forces a call.
    ForcedToolUse,
}

impl Model {
    /// Whether it refuses `what`.
    #[must_use]
    pub fn rejects(&self, what: Rejection) -> bool {
        self.rejects.contains(&what)
    }

    /// Whether it can do `what`: `tools`, `vision`, `json_schema` ...
    #[must_use]
    pub fn can(&self, what: &str) -> bool {
        self.capabilities.iter().any(|capability| capability == what)
    }

    /// The model's full name, `provider/model`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.id)
    }
}

/// All known models with the version of their prices.
#[derive(Debug, Clone, Deserialize)]
pub struct Catalogue {
    /// Stored with every charge.
    pub price_version: String,
    /// In the file's order, which is the order of preference among equals.
    pub models: Vec<Model>,
}

impl Catalogue {
    /// The shipped catalogue.
    #[must_use]
    pub fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<Catalogue> = LazyLock::new(|| {
            // The file is part of the program and a test reads it: an unreadable
            // one can only mean that no model is known.
            serde_json::from_str(MODELS_JSON)
                .unwrap_or_else(|_| Catalogue { price_version: "none".to_owned(), models: Vec::new() })
        });
        &SHIPPED
    }

    /// The model `id` of `provider`.
    #[must_use]
    pub fn get(&self, provider: &str, id: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.provider == provider && model.id == id)
    }

    /// The first model with the bare name `id`.
    #[must_use]
    pub fn by_bare_name(&self, id: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id == id)
    }
}

/// The names among `known` that are most like `name`, best first.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = known
        .map(|candidate| {
            let bare = candidate.rsplit('/').next().unwrap_or(candidate);
            (strsim::jaro_winkler(name, candidate).max(strsim::jaro_winkler(name, bare)), candidate)
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(MAX_SUGGESTIONS).map(|(_, candidate)| candidate.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_is_read_whole() {
        let catalogue = Catalogue::shipped();
        assert_eq!(catalogue.models.len(), 47);
        let model = catalogue.get("openai", "gpt-4o-mini").unwrap();
        assert_eq!((model.price.input, model.price.output, model.price.cache_read), (150_000, 600_000, Some(75_000)));
        assert_eq!(catalogue.by_bare_name("gpt-4o-mini"), Some(model));
        let embedding: Vec<&Model> = catalogue.models.iter().filter(|model| model.mode == Mode::Embedding).collect();
        assert_eq!(embedding.len(), 6);
        for model in embedding {
            assert!(model.dimensions.is_some() && model.price.output == 0, "{}", model.name());
        }
    }

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let known = ["openai/gpt-4o-mini", "openai/gpt-4.1", "local/echo"];
        assert_eq!(nearest("gpt4o-mini", known.into_iter())[0], "openai/gpt-4o-mini");
        assert!(nearest("zzz", known.into_iter()).is_empty());
    }
}
