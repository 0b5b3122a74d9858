//! Which provider serves a model's name.

use std::fmt;
use std::sync::Arc;

use turnwise_core::catalogue::{Catalogue, Mode, Model, nearest};
use turnwise_core::money::Price;
use turnwise_core::prices::Prices;
use turnwise_core::time::Timestamp;

use crate::call::{MAX_NAME_CHARS, cut};
use crate::catalogue::known;
use crate::echo::Echo;
use crate::local;
use crate::provider::Provider;
use crate::registry::{Listed, Providers};

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
    quoted: Option<Quoted>,
}

/// What a model charges whoever asked for it.
#[derive(Debug, Clone)]
struct Quoted {
    price: Option<Price>,
    version: String,
}

impl Resolved {
    /// The same model at `prices`, as they are at `at`: whatever becomes of the request is
    /// charged so.
    #[must_use]
    pub fn priced_by(mut self, prices: &Prices, at: Timestamp) -> Self {
        let quote = prices.of(self.provider.name(), &self.model, at);
        let version = quote.map_or_else(|| prices.version(at), |quote| quote.version).to_owned();
        self.quoted = Some(Quoted { price: quote.map(|quote| quote.price()), version });
        self
    }

    /// The version of the table that its price is from.
    #[must_use]
    pub fn price_version(&self) -> String {
        let shipped = || Catalogue::shipped().price_version.clone();
        self.quoted.as_ref().map_or_else(shipped, |quoted| quoted.version.clone())
    }

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

    /// Whether it is one of our own, which need no provider.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.provider.name() == Echo::PROVIDER
    }

    /// What the model charges: by the tables it was [`Self::priced_by`], else by the catalogue;
    /// `None` where they do not say. Our own cost nothing.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        if self.is_local() {
            return Some(Price::of(0, 0));
        }
        match &self.quoted {
            Some(quoted) => quoted.price,
            None => self.facts().map(|model| model.price),
        }
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
    /// It does something else than what was asked of it.
    OtherMode(Mode),
    /// Its provider cannot be asked for embeddings.
    NoEmbeddings {
        /// The provider's name.
        provider: String,
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
            Self::OtherMode(Mode::Chat) => {
                f.write_str(" for embeddings: it answers messages, at POST /v1/chat/completions")
            }
            Self::OtherMode(Mode::Embedding) => {
                f.write_str(" for messages: it makes embeddings, at POST /v1/embeddings")
            }
            Self::NoEmbeddings { provider } => write!(f, " for embeddings: {provider} makes none here"),
            Self::NoSuchModel => Ok(()),
        }
    }
}

fn suggestion(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" Did you mean {}?", nearest.join(", ")) }
}

impl Providers {
    /// Who serves the model `name` in a chat; `None` and `auto` mean the default.
    ///
    /// | name | goes to |
    /// |---|---|
    /// | `provider/model`, the provider configured | there; the model's name is not checked |
    /// | any other name in the catalogue, slashes included | its first configured provider |
    /// | `echo` | `local/echo` |
    /// | any other name | an OpenAI-compatible server at the operator's own address, if there is one |
    ///
    /// Only the first slash splits, as model names may contain more. A model that the
    /// catalogue knows as one for embeddings goes nowhere.
    ///
    /// # Errors
    /// [`Unknown`], with the reason and the nearest names.
    pub fn resolve(&self, name: Option<&str>) -> Result<Resolved, Unknown> {
        match name {
            None | Some(AUTO) => self.default(),
            Some(name) => self.named(name, Mode::Chat),
        }
    }

    /// Who serves the model `name` in a request for embeddings: as [`Self::resolve`], but
    /// that there is no default, as vectors of different models cannot be compared.
    ///
    /// # Errors
    /// As there.
    pub fn resolve_embedding(&self, name: &str) -> Result<Resolved, Unknown> {
        if name == AUTO {
            return Err(self.unknown(name, Reason::NoSuchModel, Mode::Embedding));
        }
        let resolved = self.named(name, Mode::Embedding)?;
        if resolved.provider.embeds() {
            return Ok(resolved);
        }
        let reason = Reason::NoEmbeddings { provider: resolved.provider.name().to_owned() };
        Err(self.unknown(name, reason, Mode::Embedding))
    }

    /// The model that a request for `name` would get, whatever it does.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn find(&self, name: &str) -> Result<Listed, Unknown> {
        match self.resolve(Some(name)) {
            Ok(resolved) => Ok(Listed::of(&resolved)),
            Err(Unknown { reason: Reason::OtherMode(_), .. }) => {
                self.resolve_embedding(name).map(|resolved| Listed::of(&resolved))
            }
            Err(unknown) => Err(Unknown { nearest: self.nearest(name, |_| true), ..unknown }),
        }
    }

    fn default(&self) -> Result<Resolved, Unknown> {
        if let Some(name) = self.default_model.as_deref().filter(|name| *name != AUTO) {
            return self.resolve(Some(name)).map(|resolved| Resolved { why: "it is the default model", ..resolved });
        }
        let openai = self.pick("openai", OPENAI_DEFAULT, "it is the default where openai is configured");
        Ok(openai.unwrap_or_else(|| Self::local(Echo::MODEL, "no provider is configured for a default model")))
    }

    fn named(&self, name: &str, mode: Mode) -> Result<Resolved, Unknown> {
        let own = name.strip_prefix(local::PROVIDER).and_then(|rest| rest.strip_prefix('/'));
        if own.is_some() || local::mode_of(name).is_some() {
            let model = own.unwrap_or(name);
            return match local::mode_of(model) {
                Some(served) if served == mode => Ok(Self::local(model, "the name says so")),
                Some(other) => Err(self.unknown(name, Reason::OtherMode(other), mode)),
                None => Err(self.unknown(name, Reason::NoSuchModel, mode)),
            };
        }
        match name.split_once('/') {
            Some((_, "")) => Err(self.unknown(name, Reason::NoSuchModel, mode)),
            Some((provider, model)) => self.full(name, provider, model, mode),
            None => self.bare(name, mode),
        }
    }

    fn full(&self, name: &str, provider: &str, model: &str, mode: Mode) -> Result<Resolved, Unknown> {
        let known = Catalogue::shipped().get(provider, model);
        if let Some(other) = known.map(|model| model.mode).filter(|known| *known != mode) {
            return Err(self.unknown(name, Reason::OtherMode(other), mode));
        }
        let named = self.pick(provider, model, "the name says so");
        // Models' own names contain slashes too.
        if let Some(resolved) = named.or_else(|| self.listed(name, mode)) {
            return Ok(resolved);
        }
        match not_configured(provider) {
            Some(reason) => Err(self.unknown(name, reason, mode)),
            None => self.anywhere(name, Reason::NoSuchModel, mode),
        }
    }

    fn bare(&self, name: &str, mode: Mode) -> Result<Resolved, Unknown> {
        if let Some(resolved) = self.listed(name, mode) {
            return Ok(resolved);
        }
        let known = || Catalogue::shipped().models.iter().filter(|model| model.id == name);
        let not_configured = models(name, mode).find_map(|model| not_configured(&model.provider));
        match known().find(|model| model.mode != mode) {
            Some(other) if known().all(|model| model.mode != mode) => {
                Err(self.unknown(name, Reason::OtherMode(other.mode), mode))
            }
            Some(_) | None => self.anywhere(name, not_configured.unwrap_or(Reason::NoSuchModel), mode),
        }
    }

    /// The first configured provider that the catalogue lists `model` under.
    fn listed(&self, model: &str, mode: Mode) -> Option<Resolved> {
        let why = "the catalogue lists it under this provider";
        models(model, mode).find_map(|model| self.pick(&model.provider, &model.id, why))
    }

    /// The place for any name that nothing else knows, if there is one.
    fn anywhere(&self, name: &str, reason: Reason, mode: Mode) -> Result<Resolved, Unknown> {
        let taker = known()
            .iter()
            .filter(|known| known.takes_any_model_at_own_address && !name.is_empty())
            .find(|known| self.by_name.get(&known.name).is_some_and(|provider| provider.own_server().is_some()));
        let why = "a server at an address of its own takes any model";
        let taken = taker.and_then(|known| self.pick(&known.name, name, why));
        taken.ok_or_else(|| self.unknown(name, reason, mode))
    }

    fn pick(&self, provider: &str, model: &str, why: &'static str) -> Option<Resolved> {
        let served = self.by_name.get(provider)?;
        let name = format!("{provider}/{model}");
        Some(Resolved { provider: Arc::clone(served), model: model.to_owned(), name, why, quoted: None })
    }

    /// A model of our own.
    fn local(model: &str, why: &'static str) -> Resolved {
        let name = format!("{}/{model}", local::PROVIDER);
        Resolved { provider: Arc::new(Provider::Echo(Echo)), model: model.to_owned(), name, why, quoted: None }
    }

    fn unknown(&self, name: &str, reason: Reason, mode: Mode) -> Unknown {
        let nearest = match reason {
            // It is no misspelt one.
            Reason::OtherMode(_) | Reason::NoEmbeddings { .. } => Vec::new(),
            Reason::NotConfigured { .. } | Reason::NoSuchModel => self.nearest(name, |model| model.mode == Some(mode)),
        };
        Unknown { name: name.to_owned(), reason, nearest }
    }

    fn nearest(&self, name: &str, among: impl Fn(&Listed) -> bool) -> Vec<String> {
        let selectable = self.catalogued();
        nearest(name, selectable.iter().filter(|model| among(model)).map(|model| model.name.as_str()))
    }
}

fn models(id: &str, mode: Mode) -> impl Iterator<Item = &'static Model> {
    Catalogue::shipped().models.iter().filter(move |model| model.id == id && model.mode == mode)
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

    fn check_embedding(rows: &[(&str, &str, &str)], name: &str, expected: &str) {
        match providers(rows, None).unwrap().resolve_embedding(name) {
            Ok(resolved) => {
                assert_eq!(resolved.name, expected);
                assert_eq!(resolved.name, format!("{}/{}", resolved.provider.name(), resolved.model));
            }
            Err(unknown) => assert_eq!(unknown.to_string(), expected),
        }
    }

    #[test]
    fn models_for_embeddings_are_found_as_those_for_chats_are() {
        check_embedding(&[], "local/hash-embedding", "local/hash-embedding");
        check_embedding(&[], "hash-embedding", "local/hash-embedding");
        check_embedding(&[OPENAI], "openai/text-embedding-3-small", "openai/text-embedding-3-small");
        check_embedding(&[OPENAI], "text-embedding-3-small", "openai/text-embedding-3-small");
        check_embedding(&[OPENAI], "openai/unheard-of", "openai/unheard-of");
        check_embedding(&[OWN], "nomic-embed-text", "openai/nomic-embed-text");
        check_embedding(&[OPENAI], "zzz", "There is no model \"zzz\".");
        let unknown = providers(&[], None).unwrap().resolve_embedding("text-embedding-3-small").unwrap_err();
        assert!(unknown.to_string().contains("(set OPENAI_API_KEY)"), "{unknown}");
        check_embedding(
            &[],
            "local/hash-embeding",
            "There is no model \"local/hash-embeding\". Did you mean local/hash-embedding?",
        );
        // Nobody chooses a model for vectors.
        check_embedding(&[OWN], "auto", "There is no model \"auto\".");
    }

    #[test]
    fn a_model_that_does_something_else_is_told_its_route() {
        let embeds = "for messages: it makes embeddings, at POST /v1/embeddings.";
        let answers = "for embeddings: it answers messages, at POST /v1/chat/completions.";
        for rows in [&[][..], &[OPENAI], &[OWN]] {
            for name in
                ["text-embedding-3-small", "openai/text-embedding-3-small", "hash-embedding", "local/hash-embedding"]
            {
                check(rows, Some(name), &format!("There is no model \"{name}\" {embeds}"));
            }
            for name in ["gpt-4o-mini", "openai/gpt-4o-mini", "echo", "local/echo"] {
                check_embedding(rows, name, &format!("There is no model \"{name}\" {answers}"));
            }
        }
    }

    #[test]
    fn any_model_is_found_whatever_it_does() {
        let providers = providers(&[OPENAI], None).unwrap();
        let check = |name: &str, expected: &str, mode, dimensions| {
            let found = providers.find(name).unwrap();
            assert_eq!((found.name.as_str(), found.mode, found.dimensions), (expected, mode, dimensions));
        };
        check("echo", "local/echo", Some(Mode::Chat), None);
        check("hash-embedding", "local/hash-embedding", Some(Mode::Embedding), Some(256));
        check("gpt-4o-mini", "openai/gpt-4o-mini", Some(Mode::Chat), None);
        check("text-embedding-3-large", "openai/text-embedding-3-large", Some(Mode::Embedding), Some(3072));
        check("openai/unheard-of", "openai/unheard-of", None, None);
        assert_eq!(providers.find("local/hash-embeding").unwrap_err().nearest[0], "local/hash-embedding");
    }

    #[test]
    fn prices_come_from_the_catalogue() {
        let providers = providers(&[OPENAI], None).unwrap();
        let price = |name| providers.resolve(Some(name)).unwrap().price();
        assert_eq!(price("gpt-4o-mini").map(|price| price.input), Some(150_000));
        assert_eq!(price("echo").map(|price| (price.input, price.output)), Some((0, 0)));
        assert_eq!(price("openai/unheard-of"), None);
        let price = |name| providers.resolve_embedding(name).unwrap().price();
        assert_eq!(price("text-embedding-3-small").map(|price| (price.input, price.output)), Some((20_000, 0)));
        assert_eq!(price("hash-embedding").map(|price| (price.input, price.output)), Some((0, 0)));
    }
}
