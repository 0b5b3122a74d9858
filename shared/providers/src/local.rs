//! The provider `local`, which needs no key and no network: `echo`, which answers messages,
//! and `hash-embedding`, which makes vectors by hashing words. That one is named so that
//! nobody takes it for a model that knows what words mean.

use turnwise_core::catalogue::Mode;
use turnwise_core::embedding::{HashDimensions, hash};
use turnwise_core::limits::HASH_DIMENSIONS;

use crate::call::Target;
use crate::echo::Echo;
use crate::embedding::{EmbedCall, Embeddings, invalid};
use crate::error::Error;

/// The provider's name.
pub(crate) const PROVIDER: &str = Echo::PROVIDER;

/// The model that embeds.
const HASH_EMBEDDING: &str = "hash-embedding";

/// The provider's models.
pub(crate) const MODELS: [(&str, Mode); 2] = [(Echo::MODEL, Mode::Chat), (HASH_EMBEDDING, Mode::Embedding)];

/// What the model `id` does, if there is one.
pub(crate) fn mode_of(id: &str) -> Option<Mode> {
    MODELS.iter().find(|(known, _)| *known == id).map(|(_, mode)| *mode)
}

/// Length of the vectors of a model that does this, unless asked otherwise.
pub(crate) fn dimensions_of(mode: Mode) -> Option<u64> {
    match mode {
        Mode::Chat => None,
        Mode::Embedding => u64::try_from(HASH_DIMENSIONS).ok(),
    }
}

/// See [`Provider::embed`](crate::Provider::embed).
pub(crate) fn embed(call: &EmbedCall) -> Result<Embeddings, Error> {
    let request = &call.request;
    let target = Target { provider: PROVIDER.to_owned(), model: request.model.clone() };
    let texts = call.texts(&target)?;
    let dimensions = HashDimensions::new(request.dimensions).map_err(|fault| invalid(&target, fault))?;
    let values = texts.iter().map(|text| hash::embed(text, dimensions)).collect();
    Embeddings::of_values(&target, request, values, None)
}

#[cfg(test)]
mod tests {
    use turnwise_core::embedding::Request;

    use super::*;
    use crate::embedding::tests::request;

    #[test]
    fn texts_become_vectors_of_the_length_asked_for() {
        for (asked, expected) in [(None, HASH_DIMENSIONS), (Some(3), 3)] {
            let request = Request { dimensions: asked, ..request(&["one", "two", "one"]) };
            let embeddings = embed(&EmbedCall { request, connect_timeout: None }).unwrap();
            assert_eq!((embeddings.vectors.len(), embeddings.vectors[0].dimensions()), (3, expected));
            assert_eq!(embeddings.vectors[0], embeddings.vectors[2]);
            assert_eq!(embeddings.usage.input, 3);
        }
        let request = Request { dimensions: Some(5_000), ..request(&["one"]) };
        let error = embed(&EmbedCall { request, connect_timeout: None }).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("dimensions"));
    }
}
