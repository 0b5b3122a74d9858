//! One provider, ready to be called.

use turnwise_core::fault::Faults;
use turnwise_core::generation::{Completion, Event, Generation};

use crate::anthropic::Anthropic;
use crate::bedrock::Bedrock;
use crate::call::{Call, EventStream, Target};
use crate::echo::Echo;
use crate::embedding::{self, EmbedCall, Embeddings};
use crate::endpoint::Place;
use crate::error::Error;
use crate::gemini::Gemini;
use crate::local;
use crate::openai::OpenAi;

/// One provider, by wire format.
#[derive(Debug)]
pub enum Provider {
    /// Ourselves: what echoes, and what embeds without a model.
    Echo(Echo),
    /// Any upstream that speaks OpenAI's chat completions.
    OpenAi(OpenAi),
    /// Google's Gemini API.
    Gemini(Gemini),
    /// Anthropic's Messages API.
    Anthropic(Anthropic),
    /// Amazon Bedrock, by Converse.
    Bedrock(Bedrock),
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
            Self::Bedrock(upstream) => upstream.name(),
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
            Self::Bedrock(upstream) => upstream.credential(),
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
            Self::Bedrock(upstream) => Some(upstream.place()),
        }
    }

    /// This provider as a server at an address of the operator's own, which takes names of
    /// models that only it knows.
    pub(crate) fn own_server(&self) -> Option<&OpenAi> {
        match self {
            Self::OpenAi(upstream) => Some(upstream).filter(|upstream| upstream.is_at_own_address()),
            Self::Echo(_) | Self::Anthropic(_) | Self::Gemini(_) | Self::Bedrock(_) => None,
        }
    }

    /// Whether it takes back what a model thought, signed, as it gave it.
    #[must_use]
    pub fn takes_thoughts(&self) -> bool {
        match self {
            Self::Echo(_) => false,
            Self::OpenAi(upstream) => upstream.takes_thoughts(),
            Self::Anthropic(_) | Self::Gemini(_) | Self::Bedrock(_) => true,
        }
    }

    /// What `generation` asks for that this provider does not have, as far as an answer
    /// without it is still one: the names of the fields that will not go out.
    ///
    /// # Errors
    /// Everything in it that this provider cannot be asked at all, each with its place.
    pub fn check(&self, generation: &Generation) -> Result<Vec<String>, Faults> {
        match self {
            Self::Echo(_) => Ok(Vec::new()),
            Self::OpenAi(upstream) => Ok(upstream.check(generation)),
            Self::Anthropic(upstream) => upstream.check(generation),
            Self::Gemini(_) => Gemini::check(generation),
            Self::Bedrock(upstream) => upstream.check(generation),
        }
    }

    /// What `call` is in the provider's words: the body that goes out, without a network.
    /// `local/echo` has none.
    ///
    /// # Errors
    /// When it cannot be said to this provider.
    pub fn body(&self, call: &Call, streamed: bool) -> Result<Vec<u8>, Error> {
        match self {
            Self::Echo(_) => Ok(Vec::new()),
            Self::OpenAi(upstream) => upstream.body(call, streamed),
            Self::Anthropic(upstream) => upstream.body(call, streamed),
            Self::Gemini(upstream) => upstream.body(call),
            Self::Bedrock(upstream) => upstream.body(call),
        }
    }

    /// What `recorded`, the bytes of a streamed answer to `call`, amount to, without a
    /// network. Nothing of `local/echo`, which sends none.
    ///
    /// # Errors
    /// As those of the stream that [`Provider::stream`] gives.
    pub fn play(&self, call: &Call, recorded: &[u8]) -> Result<Vec<Event>, Error> {
        match self {
            Self::Echo(_) => Ok(Vec::new()),
            Self::OpenAi(upstream) => upstream.play(call, recorded),
            Self::Anthropic(upstream) => upstream.play(call, recorded),
            Self::Gemini(upstream) => upstream.play(call, recorded),
            Self::Bedrock(upstream) => upstream.play(call, recorded),
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
            Self::Bedrock(upstream) => upstream.complete(call).await,
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
            Self::Bedrock(upstream) => upstream.stream(call).await,
        }
    }

    /// Whether it can be asked for embeddings at all.
    #[must_use]
    pub fn embeds(&self) -> bool {
        match self {
            Self::Echo(_) | Self::OpenAi(_) | Self::Gemini(_) => true,
            // Anthropic has no such models; those of Bedrock each speak a format of their own.
            Self::Anthropic(_) | Self::Bedrock(_) => false,
        }
    }

    /// The embeddings that `call` asks for, checked: one for each input, in its order, all
    /// equally long. Not retried here, beyond what cannot reach the upstream twice.
    ///
    /// # Errors
    /// As [`Provider::complete`]; also for what this provider cannot embed, which is not sent.
    pub async fn embed(&self, call: &EmbedCall) -> Result<Embeddings, Error> {
        match self {
            Self::Echo(_) => local::embed(call),
            Self::OpenAi(upstream) => upstream.embed(call).await,
            Self::Gemini(upstream) => upstream.embed_all(call).await,
            Self::Anthropic(_) | Self::Bedrock(_) => {
                let (provider, model) = (self.name().to_owned(), call.request.model.clone());
                Err(embedding::not_here(&Target { provider, model }))
            }
        }
    }

    /// The provider's own list of its models, asked for now: the cheapest call that
    /// proves address and key.
    ///
    /// # Errors
    /// As [`Provider::complete`].
    pub async fn models(&self) -> Result<Vec<String>, Error> {
        match self {
            Self::Echo(_) => Ok(local::MODELS.iter().map(|(id, _)| (*id).to_owned()).collect()),
            Self::OpenAi(upstream) => upstream.models().await,
            Self::Anthropic(upstream) => upstream.models().await,
            Self::Gemini(upstream) => upstream.models().await,
            Self::Bedrock(upstream) => upstream.models().await,
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
            Self::Echo(_) | Self::Anthropic(_) | Self::Gemini(_) | Self::Bedrock(_) => self.models().await,
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
            Self::Bedrock(upstream) => Some(upstream.count(call).await),
        }
    }
}
