//! Which provider serves a model's name.

use std::fmt;
use std::sync::Arc;

use turnwise_core::catalogue::{Catalogue, Model, nearest};
use turnwise_core::money::Price;

use crate::call::{MAX_NAME_CHARS, cut};
use crate::catalogue::known;
use crate::echo::Echo;
use crate::provider::Provider;
use crate::registry::Providers;

/// The name that leaves the choice to us.
pub(crate) const AUTO: &str = "auto";

/// The default model where OpenAI is configured: the cheapest that handles tools
/// and images well.
const OPENAI_DEFAULT: &str = "gpt-4o-mini";

/// A model's name, resolved.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Who serves it.
    pub provider: Arc<Provider>,
    /// The provider's own name of the model.
    pub model: String,
    /// `provider/model`.
    pub name: String,
    /// Why this one, as a clause for people: `the name says so`.
    pub why: &'static str,
}

impl Resolved {
    /// What the catalogue says of the model.
    #[must_use]
    pub fn facts(&self) -> Option<&'static Model> {
        Catalogue::shipped().get(self.provider.name(), &self.model)
    }

    /// Tokens that the model takes in and gives in all, where the catalogue says so.
    #[must_use]
    pub fn context_tokens(&self) -> Option<u64> {
        self.facts().and_then(|model| model.context_tokens)
    }

    /// Whether the model thinks before it writes, as far as the catalogue says.
    #[must_use]
    pub fn reasons(&self) -> bool {
        self.facts().is_some_and(|model| model.can("reasoning"))
    }

    /// What the model charges; `None` where the catalogue does not say. `local/echo`
    /// costs nothing.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        if self.provider.name() == Echo::PROVIDER {
            return Some(Price::of(0, 0));
        }
        self.facts().map(|model| model.price)
    }
}

/// A name that no configured provider serves. Its text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("There is no model \"{}\"{reason}.{}", cut(name, MAX_NAME_CHARS).escape_debug(), suggestion(nearest))]
pub struct Unknown {
    /// As it was asked for.
    pub name: String,
    /// Why nobody serves it.
    pub reason: Reason,
    /// Selectable names most like it, best first; at most three.
    pub nearest: Vec<String>,
}

/// Why nobody serves a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its provider is known, but not configured.
    NotConfigured {
        /// The provider's name.
        provider: String,
        /// The environment variable that configures it, or all of them as a clause.
        variable: String,
    },
    /// Nobody knows it.
    NoSuchModel,
}

/// Goes on after `There is no model "x"`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured { provider, variable } => {
                write!(f, " here: the provider {provider} is not configured (set {variable})")
            }
            Self::NoSuchModel => Ok(()),
        }
    }
}

fn suggestion(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" Did you mean {}?", nearest.join(", ")) }
}

impl Providers {
    /// Who serves the model `name`; `None` and `auto` mean the default.
    ///
    /// | name | goes to |
    /// |---|---|
    /// | `provider/model`, the provider configured | there; the model's name is not checked |
    /// | any other name in the catalogue, slashes included | its first configured provider |
    /// | `echo` | `local/echo` |
    /// | any other name | an OpenAI-compatible server at the operator's own address, if there is one |
    ///
    /// Only the first slash splits, as model names may contain more.
    ///
    /// # Errors
    /// [`Unknown`], with the reason and the nearest names.
    pub fn resolve(&self, name: Option<&str>) -> Result<Resolved, Unknown> {
        let name = name.unwrap_or(AUTO);
        if name == AUTO {
            return self.default();
        }
        if name == Echo::MODEL {
            return Ok(self.echo("the name says so"));
        }
        match name.split_once('/') {
            Some((provider, model)) => self.full(name, provider, model),
            None => self.bare(name),
        }
    }

    fn default(&self) -> Result<Resolved, Unknown> {
        if let Some(name) = self.default_model.as_deref().filter(|name| *name != AUTO) {
            return self.resolve(Some(name)).map(|resolved| Resolved { why: "it is the default model", ..resolved });
        }
        let openai = self.pick("openai", OPENAI_DEFAULT, "it is the default where openai is configured");
        Ok(openai.unwrap_or_else(|| self.echo("no provider is configured for a default model")))
    }

    fn full(&self, name: &str, provider: &str, model: &str) -> Result<Resolved, Unknown> {
        let is_echo = provider == Echo::PROVIDER;
        if model.is_empty() || (is_echo && model != Echo::MODEL) {
            return Err(self.unknown(name, Reason::NoSuchModel));
        }
        let named = self.pick(provider, model, "the name says so");
        // Models' own names contain slashes too.
        if let Some(resolved) = named.or_else(|| self.listed(name)) {
            return Ok(resolved);
        }
        match not_configured(provider) {
            Some(reason) => Err(self.unknown(name, reason)),
            None => self.anywhere(name, Reason::NoSuchModel),
        }
    }

    fn bare(&self, name: &str) -> Result<Resolved, Unknown> {
        if let Some(resolved) = self.listed(name) {
            return Ok(resolved);
        }
        let reason = chat_models(name).find_map(|model| not_configured(&model.provider));
        self.anywhere(name, reason.unwrap_or(Reason::NoSuchModel))
    }

    /// The first configured provider that the catalogue lists `model` under.
    fn listed(&self, model: &str) -> Option<Resolved> {
        let why = "the catalogue lists it under this provider";
        chat_models(model).find_map(|model| self.pick(&model.provider, &model.id, why))
    }

    /// The place for any name that nothing else knows, if there is one.
    fn anywhere(&self, name: &str, reason: Reason) -> Result<Resolved, Unknown> {
        let taker = known()
            .iter()
            .filter(|known| known.takes_any_model_at_own_address && !name.is_empty())
            .find(|known| self.by_name.get(&known.name).is_some_and(|provider| provider.own_server().is_some()));
        let why = "a server at an address of its own takes any model";
        taker.and_then(|known| self.pick(&known.name, name, why)).ok_or_else(|| self.unknown(name, reason))
    }

    fn pick(&self, provider: &str, model: &str, why: &'static str) -> Option<Resolved> {
        let served = self.by_name.get(provider)?;
        let name = format!("{provider}/{model}");
        Some(Resolved { provider: Arc::clone(served), model: model.to_owned(), name, why })
    }

    fn echo(&self, why: &'static str) -> Resolved {
        self.pick(Echo::PROVIDER, Echo::MODEL, why).unwrap_or_else(|| Resolved {
            provider: Arc::new(Provider::Echo(Echo)),
            model: Echo::MODEL.to_owned(),
            name: format!("{}/{}", Echo::PROVIDER, Echo::MODEL),
            why,
        })
    }

    fn unknown(&self, name: &str, reason: Reason) -> Unknown {
        let selectable = self.catalogued();
        let nearest = nearest(name, selectable.iter().map(|model| model.name.as_str()));
        Unknown { name: name.to_owned(), reason, nearest }
    }
}

fn chat_models(id: &str) -> impl Iterator<Item = &'static Model> {
    Catalogue::shipped().models.iter().filter(move |model| model.id == id && model.mode == "chat")
}

/// That `provider` is not configured, if it is one we could call.
fn not_configured(provider: &str) -> Option<Reason> {
    let known = known().iter().find(|known| known.name == provider)?;
    Some(Reason::NotConfigured { provider: known.name.clone(), variable: known.wanted().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::providers;

    const OPENAI: (&str, &str, &str) = ("openai", "sk", "");
    const OWN: (&str, &str, &str) = ("openai", "", "http://localhost:8000/v1");
    const OPENROUTER: (&str, &str, &str) = ("openrouter", "k", "");
    const GROQ: (&str, &str, &str) = ("groq", "k", "");

    fn check(rows: &[(&str, &str, &str)], name: Option<&str>, expected: &str) {
        match providers(rows, None).unwrap().resolve(name) {
            Ok(resolved) => {
                assert_eq!(resolved.name, expected);
                assert_eq!(resolved.name, format!("{}/{}", resolved.provider.name(), resolved.model));
            }
            Err(unknown) => assert_eq!(unknown.to_string(), expected),
        }
    }

    #[test]
    fn a_full_name_goes_to_its_provider() {
        check(&[OPENAI], Some("openai/gpt-4o-mini"), "openai/gpt-4o-mini");
        check(&[OPENAI], Some("openai/ft:gpt-4o:me"), "openai/ft:gpt-4o:me");
        check(&[OPENROUTER], Some("openrouter/anthropic/claude-x"), "openrouter/anthropic/claude-x");
        check(&[], Some("local/echo"), "local/echo");
        check(&[], Some("local/other"), "There is no model \"local/other\". Did you mean local/echo?");
        let unnamed = providers(&[OPENAI], None).unwrap().resolve(Some("openai/")).unwrap_err();
        assert_eq!(unnamed.reason, Reason::NoSuchModel);
    }

    #[test]
    fn a_bare_name_goes_to_the_provider_that_lists_it() {
        check(&[OPENAI], Some("gpt-4o-mini"), "openai/gpt-4o-mini");
        check(&[], Some("echo"), "local/echo");
        // A model of groq's whose own name has a slash, and what looks like a provider before it.
        check(&[GROQ], Some("openai/gpt-oss-20b"), "groq/openai/gpt-oss-20b");
        check(&[GROQ, OPENAI], Some("openai/gpt-oss-20b"), "openai/gpt-oss-20b");
    }

    #[test]
    fn the_default_depends_on_what_is_configured() {
        for name in [None, Some("auto")] {
            check(&[], name, "local/echo");
            check(&[GROQ], name, "local/echo");
            check(&[OPENAI], name, "openai/gpt-4o-mini");
            let set = providers(&[OPENAI, GROQ], Some("groq/x")).unwrap();
            assert_eq!(set.resolve(name).unwrap().name, "groq/x");
        }
    }

    #[test]
    fn a_server_of_your_own_takes_any_name() {
        check(&[OWN], Some("my-model"), "openai/my-model");
        check(&[OWN], Some("meta-llama/llama-3"), "openai/meta-llama/llama-3");
        check(&[OPENAI], Some("zzz"), "There is no model \"zzz\".");
        check(&[OWN], Some(""), "There is no model \"\".");
        check(
            &[OWN],
            Some("groq/x"),
            "There is no model \"groq/x\" here: the provider groq is not configured (set GROQ_API_KEY).",
        );
    }

    #[test]
    fn what_is_not_configured_is_named_with_its_variable() {
        let unknown = providers(&[], None).unwrap().resolve(Some("gpt-4o-mini")).unwrap_err();
        let expected = Reason::NotConfigured { provider: "openai".to_owned(), variable: "OPENAI_API_KEY".to_owned() };
        assert_eq!(unknown.reason, expected);
        let unknown = providers(&[], None).unwrap().resolve(Some("ollama/llama3")).unwrap_err();
        assert!(unknown.to_string().contains("OLLAMA_BASE_URL"), "{unknown}");
    }

    #[test]
    fn a_misspelt_name_is_told_its_neighbours() {
        let unknown = providers(&[OPENAI], None).unwrap().resolve(Some("gpt4o-mini")).unwrap_err();
        assert_eq!(unknown.reason, Reason::NoSuchModel);
        assert_eq!(unknown.nearest[0], "openai/gpt-4o-mini");
    }

    #[test]
    fn prices_come_from_the_catalogue() {
        let providers = providers(&[OPENAI], None).unwrap();
        let price = |name| providers.resolve(Some(name)).unwrap().price();
        assert_eq!(price("gpt-4o-mini").map(|price| price.input), Some(150_000));
        assert_eq!(price("echo").map(|price| (price.input, price.output)), Some((0, 0)));
        assert_eq!(price("openai/unheard-of"), None);
    }
}
