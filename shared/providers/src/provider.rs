//! One provider, ready to be called.

use turnwise_core::fault::Faults;
use turnwise_core::generation::{Completion, Generation};

use crate::anthropic::Anthropic;
use crate::call::{Call, EventStream};
use crate::echo::Echo;
use crate::endpoint::Place;
use crate::error::Error;
use crate::gemini::Gemini;
use crate::openai::OpenAi;

/// One provider, by wire format.
#[derive(Debug)]
pub enum Provider {
    /// Ourselves.
    Echo(Echo),
    /// Any upstream that speaks OpenAI's chat completions.
    OpenAi(OpenAi),
    /// Google's Gemini API.
    Gemini(Gemini),
    /// Anthropic's Messages API.
    Anthropic(Anthropic),
}

impl Provider {
    /// Its name, as in `provider/model`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Echo(_) => Echo::PROVIDER,
            Self::OpenAi(upstream) => upstream.name(),
            Self::Anthropic(upstream) => upstream.name(),
            Self::Gemini(upstream) => upstream.name(),
        }
    }

    /// A digest of our key there, short and not to be reversed: what is refused to one key
    /// may be given to another.
    #[must_use]
    pub fn credential(&self) -> &str {
        match self {
            Self::Echo(_) => "",
            Self::OpenAi(upstream) => upstream.credential(),
            Self::Anthropic(upstream) => upstream.credential(),
            Self::Gemini(upstream) => upstream.credential(),
        }
    }

    /// Where it is called; `None` of ourselves.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Echo(_) => None,
            Self::OpenAi(upstream) => Some(upstream.place()),
            Self::Anthropic(upstream) => Some(upstream.place()),
            Self::Gemini(upstream) => Some(upstream.place()),
        }
    }

    /// This provider as a server at an address of the operator's own, which takes names of
    /// models that only it knows.
    pub(crate) fn own_server(&self) -> Option<&OpenAi> {
        match self {
            Self::OpenAi(upstream) => Some(upstream).filter(|upstream| upstream.is_at_own_address()),
            Self::Echo(_) | Self::Anthropic(_) | Self::Gemini(_) => None,
        }
    }

    /// What `generation` asks for that this provider does not have, as far as an answer
    /// without it is still one: the names of the fields that will not go out.
    ///
    /// # Errors
    /// Everything in it that this provider cannot be asked at all, each with its place.
    pub fn check(&self, generation: &Generation) -> Result<Vec<String>, Faults> {
        match self {
            // What an OpenAI-compatible upstream does not know it judges itself.
            Self::Echo(_) | Self::OpenAi(_) => Ok(Vec::new()),
            Self::Gemini(_) => Gemini::check(generation),
            Self::Anthropic(upstream) => upstream.check(generation),
        }
    }

    /// The whole answer to `call`. Not retried here, beyond what cannot reach the
    /// upstream twice.
    ///
    /// # Errors
    /// See [`Error`]; its `dispatched` says whether the upstream may have run the call.
    pub async fn complete(&self, call: &Call) -> Result<Completion, Error> {
        match self {
            Self::Echo(echo) => echo.complete(call).await,
            Self::OpenAi(upstream) => upstream.complete(call).await,
            Self::Gemini(upstream) => upstream.complete(call).await,
            Self::Anthropic(upstream) => upstream.complete(call).await,
        }
    }

    /// The answer to `call` as it is made. Returns when the upstream has accepted
    /// the call, before its first chunk.
    ///
    /// # Errors
    /// As [`Provider::complete`]; trouble after the acceptance is an item of the stream.
    pub async fn stream(&self, call: &Call) -> Result<EventStream, Error> {
        match self {
            Self::Echo(echo) => echo.stream(call),
            Self::OpenAi(upstream) => upstream.stream(call).await,
            Self::Gemini(upstream) => upstream.stream(call).await,
            Self::Anthropic(upstream) => upstream.stream(call).await,
        }
    }

    /// The provider's own list of its models, asked for now: the cheapest call that
    /// proves address and key.
    ///
    /// # Errors
    /// As [`Provider::complete`].
    pub async fn models(&self) -> Result<Vec<String>, Error> {
        match self {
            Self::Echo(_) => Ok(vec![Echo::MODEL.to_owned()]),
            Self::OpenAi(upstream) => upstream.models().await,
            Self::Anthropic(upstream) => upstream.models().await,
            Self::Gemini(upstream) => upstream.models().await,
        }
    }

    /// [`Self::models`], where only an accepted key gets them: an error of the category
    /// `AUTHENTICATION_ERROR` says that ours is not.
    ///
    /// # Errors
    /// As [`Provider::complete`].
    pub async fn check_key(&self) -> Result<Vec<String>, Error> {
        match self {
            Self::OpenAi(upstream) => upstream.check_key().await,
            Self::Echo(_) | Self::Anthropic(_) | Self::Gemini(_) => self.models().await,
        }
    }

    /// How many input tokens `call` is, as the provider itself counts them; `None` of one
    /// that does not count. It runs no model and costs nothing.
    ///
    /// # Errors
    /// As [`Provider::complete`].
    pub async fn count(&self, call: &Call) -> Option<Result<u64, Error>> {
        match self {
            Self::Echo(_) | Self::OpenAi(_) => None,
            Self::Gemini(upstream) => Some(upstream.count(call).await),
            Self::Anthropic(upstream) => Some(upstream.count(call).await),
        }
    }
}
