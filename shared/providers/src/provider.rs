//! One provider, ready to be called.

use turnwise_core::fault::Faults;
use turnwise_core::generation::{Completion, Generation};

use crate::call::{Call, EventStream};
use crate::echo::Echo;
use crate::embedding::{EmbedCall, Embeddings};
use crate::error::Error;
use crate::local;
use crate::openai::OpenAi;

/// One provider, by wire format.
#[derive(Debug)]
pub enum Provider {
    /// Ourselves: what echoes, and what embeds without a model.
    Echo(Echo),
    /// Any upstream that speaks OpenAI's chat completions.
    OpenAi(OpenAi),
}

impl Provider {
    /// Its name, as in `provider/model`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Echo(_) => Echo::PROVIDER,
            Self::OpenAi(upstream) => upstream.name(),
        }
    }

    /// This provider as a server at an address of the operator's own, which takes names of
    /// models that only it knows.
    pub(crate) fn own_server(&self) -> Option<&OpenAi> {
        match self {
            Self::OpenAi(upstream) => Some(upstream).filter(|upstream| upstream.is_at_own_address()),
            Self::Echo(_) => None,
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
            Self::Echo(_) | Self::OpenAi(_) => {
                let _ = generation;
                Ok(Vec::new())
            }
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
        }
    }
}
