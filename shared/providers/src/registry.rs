//! All providers that are configured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use turnwise_core::catalogue::{Catalogue, Mode, Model};
use turnwise_core::fault::{Fault, Faults};

use crate::anthropic::{self, Anthropic};
use crate::bedrock::Bedrock;
use crate::catalogue::{Format, KeyRule, Known, known};
use crate::echo::Echo;
use crate::endpoint::Endpoint;
use crate::gemini::{self, Gemini};
use crate::local;
use crate::openai::OpenAi;
use crate::provider::Provider;
use crate::resolve::Resolved;
use crate::settings::{ProviderSettings, Secret, Settings};
use crate::transport::Transport;

/// All providers that are configured; our own always is.
#[derive(Debug)]
pub struct Providers {
    pub(crate) by_name: BTreeMap<String, Arc<Provider>>,
    pub(crate) default_model: Option<String>,
}

/// One model that can be asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// `provider/model`.
    pub name: String,
    /// The provider's name.
    pub provider: String,
    /// What it does; `None` of a model that only its upstream knows.
    pub mode: Option<Mode>,
    /// Length of its vectors unless asked otherwise, of an embedding model.
    pub dimensions: Option<u64>,
    /// What the catalogue says of it; nothing of a model that only its upstream knows.
    pub facts: Option<&'static Model>,
}

impl Listed {
    /// The model that a name stands for.
    pub(crate) fn of(resolved: &Resolved) -> Self {
        Self::known(resolved.provider.name(), &resolved.model)
    }

    /// The model `id` of `provider`, with whatever is known of it.
    fn known(provider: &str, id: &str) -> Self {
        let facts = Catalogue::shipped().get(provider, id);
        let own = local::mode_of(id).filter(|_| provider == local::PROVIDER);
        Self {
            name: format!("{provider}/{id}"),
            provider: provider.to_owned(),
            mode: own.or(facts.map(|model| model.mode)),
            dimensions: own.and_then(local::dimensions_of).or(facts.and_then(|model| model.dimensions)),
            facts,
        }
    }
}

impl Providers {
    /// The providers that `settings` configure. Opens no connection.
    ///
    /// # Errors
    /// All that is malformed in the settings, each under the name of its
    /// environment variable; a fault never shows a key.
    pub fn new(settings: &Settings) -> Result<Self, Faults> {
        let transport = Arc::new(Transport::default());
        let mut faults = Faults::default();
        let mut by_name = BTreeMap::from([(Echo::PROVIDER.to_owned(), Arc::new(Provider::Echo(Echo)))]);
        for (name, settings) in &settings.providers {
            let Some(known) = known().iter().find(|known| known.name == *name) else {
                faults.add(name, "There is no provider of this name.");
                continue;
            };
            if let Some(provider) = configure(known, settings, &transport, &mut faults) {
                by_name.insert(name.clone(), Arc::new(provider));
            }
        }
        let providers = Self { by_name, default_model: settings.default_model.clone() };
        providers.check_default(&mut faults);
        faults.into_result().map(|()| providers)
    }

    /// The providers that are configured, by name.
    pub fn configured(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.by_name.values()
    }

    /// All models that can be asked for: our own, the catalogue's of the configured
    /// providers, and what upstreams at an address of the operator's
    /// own list themselves. Those lists are asked for at most once a minute, and left
    /// out when they cannot be had within 3 s.
    pub async fn models(&self) -> Vec<Listed> {
        let mut models = self.catalogued();
        let own = self.by_name.values().filter_map(|provider| provider.own_server());
        let lists = join_all(own.map(async |upstream| (upstream.name(), upstream.models_if_any().await))).await;

        let mut seen: BTreeSet<String> = models.iter().map(|model| model.name.clone()).collect();
        for (provider, list) in lists {
            for id in list {
                let model = Listed::known(provider, &id);
                if seen.insert(model.name.clone()) {
                    models.push(model);
                }
            }
        }
        models
    }

    /// [`Self::models`] as far as they are known without asking anyone.
    pub(crate) fn catalogued(&self) -> Vec<Listed> {
        let own = local::MODELS.iter().map(|(id, _)| Listed::known(local::PROVIDER, id));
        let shipped = Catalogue::shipped().models.iter();
        let served = |model: &Model| {
            let provider = self.by_name.get(&model.provider);
            provider.is_some_and(|provider| model.mode == Mode::Chat || provider.embeds())
        };
        let configured = shipped.filter(|model| served(model));
        own.chain(configured.map(|model| Listed::known(&model.provider, &model.id))).collect()
    }

    fn check_default(&self, faults: &mut Faults) {
        let Some(name) = self.default_model.as_deref() else { return };
        if name == crate::resolve::AUTO {
            faults.add("default_model", "The default model cannot be \"auto\": that means the default model.");
        } else if let Err(unknown) = self.resolve(Some(name)) {
            faults.add("default_model", unknown.to_string());
        }
    }
}

/// The provider, or `None` if it is not configured or at fault.
fn configure(
    known: &'static Known,
    settings: &ProviderSettings,
    transport: &Arc<Transport>,
    faults: &mut Faults,
) -> Option<Provider> {
    let given = settings.base_url.as_deref().map(|url| base_url(known, url));
    let given = given.and_then(|checked| faults.keep(checked));
    let key = settings.key.as_ref().map(|key| key_header(known, key));
    let key = key.and_then(|checked| faults.keep(checked));
    match known.format {
        Format::OpenAi => endpoint(known, given, key, transport).map(OpenAi::new).map(Provider::OpenAi),
        Format::Anthropic => endpoint(known, given, key, transport).map(Anthropic::new).map(Provider::Anthropic),
        Format::Gemini => endpoint(known, given, key, transport).map(Gemini::new).map(Provider::Gemini),
        Format::Bedrock => Bedrock::configured(known, given, key, &settings.aws, transport)
            .unwrap_or_else(|found| {
                faults.0.extend(found.0);
                None
            })
            .map(Provider::Bedrock),
    }
}

/// The way to a provider whose address and key are `given` and `key`, if they are enough.
fn endpoint(
    known: &'static Known,
    given: Option<String>,
    key: Option<(HeaderName, HeaderValue)>,
    transport: &Arc<Transport>,
) -> Option<Endpoint> {
    let at_own_address = given.is_some() && given != known.base_url;
    let needs_no_key = match known.key {
        KeyRule::Required => false,
        KeyRule::OptionalAtOwnAddress => at_own_address,
        KeyRule::None => true,
    };
    let base_url = given.or_else(|| known.base_url.clone())?;
    if key.is_none() && !needs_no_key {
        return None;
    }
    let version = match known.format {
        Format::OpenAi | Format::Gemini | Format::Bedrock => None,
        Format::Anthropic => Some(anthropic::VERSION),
    };
    Some(Endpoint::new(known, base_url, key.into_iter().chain(version), Arc::clone(transport)))
}

/// `url` without trailing slashes, if requests can be sent below it.
fn base_url(known: &Known, url: &str) -> Result<String, Fault> {
    let fault = |message: &str| Fault::new(&known.base_url_variable, message);
    let parsed = Url::parse(url).map_err(|cause| fault(&format!("This is not a URL ({cause}).")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(fault("A base URL starts with https:// or http://."));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(fault("A base URL holds no user name and no password; the key has its own variable."));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(fault("A base URL has no query and no fragment."));
    }
    let trimmed = url.trim().trim_end_matches('/');
    let (path, version) = match known.format {
        Format::OpenAi => ("/chat/completions", ""),
        // The convention leaves the version out; whoever adds it means the same.
        Format::Anthropic => ("/v1/messages", "/v1"),
        Format::Gemini => ("/models", ""),
        Format::Bedrock => ("/model", ""),
    };
    if trimmed.ends_with(path) {
        return Err(fault(&format!("A base URL ends where {path} begins.")));
    }
    Ok(trimmed.strip_suffix(version).unwrap_or(trimmed).trim_end_matches('/').to_owned())
}

/// The header that carries `key`, marked as one that no log shows.
fn key_header(known: &Known, key: &Secret) -> Result<(HeaderName, HeaderValue), Fault> {
    let plain = key.expose().bytes().all(|byte| byte.is_ascii_graphic()) && !key.expose().is_empty();
    let (name, value) = match known.format {
        Format::OpenAi | Format::Bedrock => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        Format::Gemini => (gemini::KEY_HEADER, key.expose().to_owned()),
        Format::Anthropic => (anthropic::KEY_HEADER, key.expose().to_owned()),
    };
    let value = HeaderValue::from_str(&value).ok().filter(|_| plain);
    let mut value =
        value.ok_or_else(|| Fault::new(&known.key_variable, "A key consists of visible ASCII characters."))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Providers from `(provider, key, base URL)`, empty meaning absent.
    pub(crate) fn providers(rows: &[(&str, &str, &str)], default_model: Option<&str>) -> Result<Providers, Faults> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let providers = rows
            .iter()
            .map(|(name, key, base_url)| {
                let (key, base_url) = (given(key).map(Secret::new), given(base_url));
                let settings = ProviderSettings { key, base_url, ..ProviderSettings::default() };
                ((*name).to_owned(), settings)
            })
            .collect();
        Providers::new(&Settings { providers, default_model: default_model.map(str::to_owned) })
    }

    fn configured(rows: &[(&str, &str, &str)]) -> Vec<String> {
        providers(rows, None).unwrap().configured().map(|provider| provider.name().to_owned()).collect()
    }

    #[test]
    fn a_provider_needs_its_key_unless_it_is_your_own() {
        assert_eq!(configured(&[]), ["local"]);
        assert_eq!(configured(&[("openai", "sk", "")]), ["local", "openai"]);
        assert_eq!(configured(&[("openai", "", "http://localhost:8000/v1/")]), ["local", "openai"]);
        assert_eq!(configured(&[("openai", "", "https://api.openai.com/v1/")]), ["local"]);
        assert_eq!(configured(&[("groq", "", "http://localhost:8000/v1")]), ["local"]);
        assert_eq!(configured(&[("ollama", "", "http://localhost:11434/v1")]), ["local", "ollama"]);
        assert_eq!(configured(&[("ollama", "key", "")]), ["local"]);
    }

    #[test]
    fn all_faults_are_listed_at_once() {
        let rows = [
            ("openai", "sk secret", "api.openai.com/v1"),
            ("groq", "ü", "ftp://host"),
            ("xai", "k", "https://user:pass@host/v1"),
            ("mistral", "k", "https://host/v1?key=1"),
            ("deepseek", "k", "https://host/v1/chat/completions"),
            ("nobody", "k", ""),
        ];
        let faults = providers(&rows, Some("gpt-nonsense-xyz")).unwrap_err();
        let fields: Vec<&str> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "DEEPSEEK_BASE_URL",
                "GROQ_BASE_URL",
                "GROQ_API_KEY",
                "MISTRAL_BASE_URL",
                "nobody",
                "OPENAI_BASE_URL",
                "OPENAI_API_KEY",
                "XAI_BASE_URL",
                "default_model"
            ]
        );
        assert!(!faults.to_string().contains("secret"));
    }

    #[test]
    fn the_default_model_must_be_there() {
        assert!(providers(&[], Some("local/echo")).is_ok());
        assert!(providers(&[], Some("auto")).is_err());
        assert!(providers(&[], Some("openai/gpt-4o")).is_err());
        assert!(providers(&[("openai", "sk", "")], Some("gpt-4o-mini")).is_ok());
    }

    #[test]
    fn of_an_address_only_the_host_is_shown() {
        let rows =
            [("openai", "", "http://localhost:8000/team/v1"), ("groq", "k", ""), ("xai", "k", "https://[::1]:8443/v1")];
        let providers = providers(&rows, None).unwrap();
        let places: Vec<_> = providers.configured().filter_map(|provider| provider.place()).collect();
        let shown = places.iter().map(|place| (place.host.as_str(), place.own_address, place.sends_key));
        let expected = [("api.groq.com", false, true), ("localhost:8000", true, false), ("[::1]:8443", true, true)];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_key_is_never_shown() {
        let providers = providers(&[("openai", "sk-very-secret", "")], None).unwrap();
        assert!(!format!("{providers:?}").contains("secret"));
    }

    #[test]
    fn calls_can_move_between_threads() {
        fn check<T: Send>(_: &T) {}
        let providers = providers(&[], None).unwrap();
        check(&providers.models());
        let provider = providers.resolve(None).unwrap().provider;
        check(&provider.models());
        let call = crate::Call {
            generation: turnwise_core::generation::Generation { model: "echo".to_owned(), fields: BTreeMap::new() },
            id: String::new(),
            created_s: 0,
            connect_timeout: None,
        };
        check(&provider.complete(&call));
        check(&provider.stream(&call));
    }

    #[tokio::test]
    async fn only_models_of_configured_providers_are_listed() {
        let names = async |rows| {
            let models = providers(rows, None).unwrap().models().await;
            models.into_iter().map(|model| model.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]).await, ["local/echo", "local/hash-embedding"]);
        let with_groq = names(&[("groq", "k", "")]).await;
        assert!(with_groq.len() > 2 && with_groq[2..].iter().all(|name| name.starts_with("groq/")), "{with_groq:?}");
    }
}
