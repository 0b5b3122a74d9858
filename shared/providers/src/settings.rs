//! Keys and addresses, passed in by whoever composes the program.

use std::collections::BTreeMap;
use std::fmt;

use crate::catalogue::{self, Format};

/// Bedrock's region; `AWS_DEFAULT_REGION` where it is not set.
pub(crate) const AWS_REGION: &str = "AWS_REGION";
const AWS_DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
pub(crate) const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
pub(crate) const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
pub(crate) const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// What Bedrock takes beside a key and a base URL.
const AWS: [&str; 5] = [AWS_REGION, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN];

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
    /// Of Bedrock alone.
    pub aws: Aws,
}

/// What tells Amazon Web Services where we ask and who we are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aws {
    /// `us-east-1` ...
    pub region: Option<String>,
    /// Names the pair of keys.
    pub access_key_id: Option<String>,
    /// Signs requests; is never sent.
    pub secret_access_key: Option<Secret>,
    /// Sent with keys that are good for some hours only.
    pub session_token: Option<Secret>,
}

impl Aws {
    fn find(find: impl Fn(&'static str) -> Option<String>) -> Self {
        Self {
            region: find(AWS_REGION).or_else(|| find(AWS_DEFAULT_REGION)),
            access_key_id: find(AWS_ACCESS_KEY_ID),
            secret_access_key: find(AWS_SECRET_ACCESS_KEY).map(Secret::new),
            session_token: find(AWS_SESSION_TOKEN).map(Secret::new),
        }
    }
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
    /// Variables of what else it takes.
    pub others: &'static [&'static str],
}

/// The variables of all known providers.
pub fn environment() -> impl Iterator<Item = Variables> {
    catalogue::known().iter().map(|known| Variables {
        provider: &known.name,
        key: &known.key_variable,
        base_url: &known.base_url_variable,
        others: if known.format == Format::Bedrock { &AWS } else { &[] },
    })
}

impl Settings {
    /// The settings that `lookup` finds under the names of [`environment`]. Empty
    /// values count as absent and white space around a value is taken off, since
    /// both are what shells and `.env` files leave behind. `default_model` stays unset.
    #[must_use]
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let find =
            |variable: &str| lookup(variable).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let providers = environment()
            .map(|variables| {
                let settings = ProviderSettings {
                    key: find(variables.key).map(Secret::new),
                    base_url: find(variables.base_url),
                    aws: Aws::find(|name| Some(name).filter(|name| variables.others.contains(name)).and_then(find)),
                };
                (variables.provider.to_owned(), settings)
            })
            .filter(|(_, settings)| {
                settings.key.is_some() || settings.base_url.is_some() || settings.aws != Aws::default()
            })
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
    fn bedrocks_settings_are_those_of_amazons_own_tools() {
        let aws = |rows: &[(&str, &str)]| {
            let settings = Settings::read(|name| rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned()));
            settings.providers.get("bedrock").map(|settings| settings.aws.clone())
        };
        assert_eq!(aws(&[]), None);
        let regions = [("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_REGION", "us-east-1")];
        assert_eq!(aws(&regions).unwrap().region.as_deref(), Some("us-east-1"));
        assert_eq!(aws(&regions[..1]).unwrap().region.as_deref(), Some("eu-west-1"));
        let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_SESSION_TOKEN", "token")];
        let keys = aws(&keys).unwrap();
        assert_eq!(keys.access_key_id.as_deref(), Some("id"));
        assert_eq!(keys.secret_access_key.as_ref().map(Secret::expose), Some("secret"));
        assert_eq!(keys.session_token.as_ref().map(Secret::expose), Some("token"));
        assert!(!format!("{keys:?}").contains("secret\""));
        assert_eq!(Settings::read(|_| Some("x".to_owned())).providers["openai"].aws, Aws::default());
    }

    #[test]
    fn a_secret_is_never_shown() {
        let settings = Settings::read(|_| Some("sk-very-secret".to_owned()));
        assert!(!format!("{:?}", settings.providers["openai"].key).contains("secret"));
    }
}
