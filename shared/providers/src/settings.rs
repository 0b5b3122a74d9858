//! Keys and addresses, passed in by whoever composes the program.

use std::collections::BTreeMap;
use std::fmt;

use crate::catalogue;

/// What the operator has set.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// By provider name; a provider without an entry is not configured.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// What `auto` and a request without a model mean; `provider/model` or a name
    /// the catalogue knows.
    pub default_model: Option<String>,
}

/// What the operator has set for one provider.
#[derive(Debug, Clone, Default)]
pub struct ProviderSettings {
    /// Sent as a bearer token, to this provider's base URL and nowhere else.
    pub key: Option<Secret>,
    /// Replaces the provider's own base URL. Ends where `/chat/completions` begins.
    pub base_url: Option<String>,
}

/// The environment variables that conventionally hold one provider's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variables {
    /// The provider's name.
    pub provider: &'static str,
    /// Variable of its key.
    pub key: &'static str,
    /// Variable of its base URL.
    pub base_url: &'static str,
}

/// The variables of all known providers.
pub fn environment() -> impl Iterator<Item = Variables> {
    catalogue::known().iter().map(|known| Variables {
        provider: &known.name,
        key: &known.key_variable,
        base_url: &known.base_url_variable,
    })
}

impl Settings {
    /// The settings that `lookup` finds under the names of [`environment`]. Empty
    /// values count as absent and white space around a value is taken off, since
    /// both are what shells and `.env` files leave behind. `default_model` stays unset.
    #[must_use]
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let find = |variable| lookup(variable).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let providers = environment()
            .map(|variables| {
                let settings =
                    ProviderSettings { key: find(variables.key).map(Secret::new), base_url: find(variables.base_url) };
                (variables.provider.to_owned(), settings)
            })
            .filter(|(_, settings)| settings.key.is_some() || settings.base_url.is_some())
            .collect();
        Self { providers, default_model: None }
    }
}

/// A text that no log and no message ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_variable() {
        let settings = Settings::read(|variable| match variable {
            "OPENAI_API_KEY" => Some(" sk-1\n".to_owned()),
            "OLLAMA_BASE_URL" => Some("http://localhost:11434/v1".to_owned()),
            "GROQ_API_KEY" => Some(String::new()),
            _ => None,
        });
        assert_eq!(settings.providers.keys().collect::<Vec<_>>(), ["ollama", "openai"]);
        assert_eq!(settings.providers["openai"].key, Some(Secret::new("sk-1")));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let settings = Settings::read(|_| Some("sk-very-secret".to_owned()));
        assert!(!format!("{:?}", settings.providers["openai"].key).contains("secret"));
    }
}
