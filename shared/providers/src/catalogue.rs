//! The providers we know, as data.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// Shipped facts; see the file's own `about` for the meaning of its fields.
const PROVIDERS_JSON: &str = include_str!("../data/providers.json");

/// What we know of one provider before anyone configures it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Its name, as in `provider/model`.
    pub name: String,
    /// What it speaks.
    #[serde(default)]
    pub format: Format,
    /// Where it lives, without a trailing slash; `None` if only its user knows.
    pub base_url: Option<String>,
    /// Whether it can be called without a key.
    pub key: KeyRule,
    /// Conventional environment variable of its key.
    pub key_variable: String,
    /// Conventional environment variable of its base URL.
    pub base_url_variable: String,
    /// Whether a base URL of the user's own makes it the place for any model name
    /// that nothing else knows.
    #[serde(default)]
    pub takes_any_model_at_own_address: bool,
    /// What differs from OpenAI's requests.
    #[serde(default)]
    pub quirks: Quirks,
}

impl Known {
    /// The environment variable that has to be set for the provider to be configured.
    #[must_use]
    pub fn configured_by(&self) -> &str {
        if matches!(self.key, KeyRule::None) { &self.base_url_variable } else { &self.key_variable }
    }
}

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OpenAI's chat completions.
    #[default]
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// Amazon Bedrock's Converse.
    Bedrock,
}

impl Known {
    /// What has to be set for it to be configured, as a clause for people.
    pub(crate) fn wanted(&self) -> &str {
        match self.format {
            Format::Bedrock => "AWS_REGION, with AWS credentials or AWS_BEARER_TOKEN_BEDROCK",
            Format::OpenAi | Format::Anthropic | Format::Gemini if self.base_url.is_some() => &self.key_variable,
            Format::OpenAi | Format::Anthropic | Format::Gemini => &self.base_url_variable,
        }
    }
}

/// Whether a provider can be called without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRule {
    /// Never.
    Required,
    /// At a base URL of the user's own: a vLLM in the same network, say.
    OptionalAtOwnAddress,
    /// Always; a key is sent if there is one.
    None,
}

/// What differs from OpenAI's requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Refuses `stream_options`; reports usage unasked.
    pub refuses_stream_options: bool,
    /// Fields it knows by another name: OpenAI's name to its own.
    pub renames: BTreeMap<String, String>,
    /// Names of fields, of the request or of its messages, that other formats have and that
    /// it refuses at its own address.
    pub refuses: Vec<String>,
    /// Takes back what a model thought, signed, as other formats give it.
    pub takes_thoughts: bool,
    /// Path below the base URL of what only an accepted key can read, where the list of
    /// models is open to everybody and proves nothing.
    pub key_check_path: Option<String>,
}

/// The shipped providers, in the file's order.
#[must_use]
pub fn known() -> &'static [Known] {
    #[derive(Deserialize)]
    struct File {
        providers: Vec<Known>,
    }
    static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
        // The file is part of the program and a test reads it: an unreadable one
        // can only mean that no provider is known.
        serde_json::from_str(PROVIDERS_JSON).map_or_else(|_| Vec::new(), |file: File| file.providers)
    });
    &KNOWN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_is_read_whole() {
        let names: Vec<&str> = known().iter().map(|known| known.name.as_str()).collect();
        let own = ["openai", "anthropic", "openrouter", "groq", "mistral", "deepseek", "xai", "gemini", "ollama"];
        assert_eq!(names, [&own[..], &["bedrock"]].concat());
    }

    #[test]
    fn each_provider_is_configured_by_its_key_unless_only_its_user_knows_where_it_is() {
        for known in known() {
            let expected = if known.name == "ollama" { "OLLAMA_BASE_URL" } else { known.key_variable.as_str() };
            assert_eq!(known.configured_by(), expected);
            assert!(known.quirks.key_check_path.as_deref().is_none_or(|path| path.starts_with('/')), "{}", known.name);
        }
    }

    #[test]
    fn base_urls_follow_the_convention() {
        for known in known() {
            let Some(base_url) = &known.base_url else { continue };
            let end = match known.format {
                Format::OpenAi => "/v1",
                Format::Anthropic => ".com",
                Format::Gemini => "/v1beta",
                // Its address depends on the region.
                Format::Bedrock => "",
            };
            assert!(base_url.starts_with("https://") && base_url.ends_with(end), "{base_url}");
        }
    }
}
