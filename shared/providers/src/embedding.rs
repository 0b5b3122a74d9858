//! Embeddings, asked of a provider, and checked.

use std::time::Duration;

use turnwise_core::category::Category;
use turnwise_core::embedding::{Input, Request, Vector, reported};
use turnwise_core::fault::Fault;
use turnwise_core::usage::Usage;

use crate::call::Target;
use crate::error::{self, Dispatched, Error};

/// One call of a provider for embeddings.
#[derive(Debug, Clone)]
pub struct EmbedCall {
    /// What is asked; its `model` is the provider's own name, as in
    /// [`Resolved::model`](crate::Resolved).
    pub request: Request,
    /// How long making a connection may take; `None` takes the usual time.
    pub connect_timeout: Option<Duration>,
}

/// What a provider made of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The model as the provider names it.
    pub model: String,
    /// One for each input, in its order, all equally long.
    pub vectors: Vec<Vector>,
    /// What they took.
    pub usage: Usage,
}

impl EmbedCall {
    /// The texts of the call, for a provider that takes nothing else.
    ///
    /// # Errors
    /// When it has token ids: they mean something to one model's tokenizer alone.
    pub(crate) fn texts(&self, target: &Target) -> Result<&[String], Error> {
        match &self.request.input {
            Input::Texts(texts) => Ok(texts),
            Input::Tokens(_) => {
                let message = format!("{target} embeds texts; it does not take token ids.");
                Err(invalid(target, Fault::new("input", message)))
            }
        }
    }
}

impl Embeddings {
    /// The embeddings of `request` from the numbers that a provider gave for it, and from how
    /// many tokens it says they took.
    ///
    /// # Errors
    /// When they are not what was asked for.
    pub(crate) fn of_values(
        target: &Target,
        request: &Request,
        values: Vec<Vec<f32>>,
        tokens: Option<u64>,
    ) -> Result<Self, Error> {
        let vectors: Option<Vec<Vector>> = values.into_iter().map(Vector::new).collect();
        let vectors = vectors.ok_or_else(|| no_vector(target))?;
        Self::checked(target, request, vectors, tokens)
    }

    /// The same, from vectors.
    ///
    /// # Errors
    /// When there are more or fewer of them than inputs, or they differ in length.
    pub(crate) fn checked(
        target: &Target,
        request: &Request,
        vectors: Vec<Vector>,
        tokens: Option<u64>,
    ) -> Result<Self, Error> {
        let (given, asked) = (vectors.len(), request.input.count());
        if given != asked {
            return Err(error::malformed(target, &format!("has {given} embeddings for {asked} inputs")));
        }
        let mut lengths = vectors.iter().map(Vector::dimensions);
        let first = lengths.next();
        if lengths.any(|length| Some(length) != first) {
            return Err(error::malformed(target, "has embeddings of different lengths"));
        }
        // Nothing that can be embedded takes no tokens: 0 is no report.
        let usage = tokens.filter(|tokens| *tokens > 0).map_or_else(|| request.input.estimate(), reported);
        Ok(Self { model: request.model.clone(), vectors, usage })
    }
}

/// The error for numbers that are none, or are not there.
pub(crate) fn no_vector(target: &Target) -> Error {
    error::malformed(target, "has an embedding that is no vector of finite numbers")
}

/// The error for a provider that makes no embeddings.
pub(crate) fn not_here(target: &Target) -> Error {
    invalid(target, Fault::new("model", format!("{} makes no embeddings here.", target.provider)))
}

/// The error for what a provider cannot be asked.
pub(crate) fn invalid(target: &Target, fault: Fault) -> Error {
    let error = Error::new(target, Category::ValidationError, "invalid_request", fault.message, Dispatched::No);
    Error { param: Some(fault.field.into()), ..error }
}

#[cfg(test)]
pub(crate) mod tests {
    use turnwise_core::embedding::Encoding;
    use turnwise_core::usage::Source;

    use super::*;

    /// A request for the embeddings of `texts`.
    pub(crate) fn request(texts: &[&str]) -> Request {
        Request {
            model: "m".to_owned(),
            input: Input::Texts(texts.iter().map(|text| (*text).to_owned()).collect()),
            dimensions: None,
            encoding: Encoding::Float,
            fields: turnwise_core::json::RawMap::new(),
        }
    }

    fn target() -> Target {
        Target { provider: "openai".to_owned(), model: "m".to_owned() }
    }

    fn of(values: &[&[f32]], tokens: Option<u64>) -> Result<Embeddings, Error> {
        let values = values.iter().map(|values| values.to_vec()).collect();
        Embeddings::of_values(&target(), &request(&["abcde", "b"]), values, tokens)
    }

    #[test]
    fn there_is_one_vector_for_each_input_and_all_are_equally_long() {
        assert!(of(&[&[1.0, 2.0], &[3.0, 4.0]], None).is_ok());
        let faulty: [&[&[f32]]; 6] =
            [&[], &[&[1.0]], &[&[1.0], &[2.0], &[3.0]], &[&[1.0], &[2.0, 3.0]], &[&[], &[]], &[&[1.0], &[f32::NAN]]];
        for values in faulty {
            let error = of(values, None).unwrap_err();
            assert_eq!((error.category, &*error.code), (Category::ApiError, "malformed_answer"), "{values:?}");
        }
    }

    #[test]
    fn tokens_are_reported_or_estimated() {
        let usage = |tokens| of(&[&[1.0], &[2.0]], tokens).unwrap().usage;
        assert_eq!((usage(Some(7)).input, usage(Some(7)).source), (7, Source::Reported));
        for none in [None, Some(0)] {
            assert_eq!((usage(none).input, usage(none).source), (4, Source::Estimated));
        }
    }

    #[test]
    fn token_ids_are_no_texts() {
        let call = EmbedCall { request: request(&["a"]), connect_timeout: None };
        assert_eq!(call.texts(&target()).unwrap(), ["a"]);
        let request = Request { input: Input::Tokens(vec![vec![1]]), ..call.request };
        let error = EmbedCall { request, ..call }.texts(&target()).unwrap_err();
        assert_eq!((error.category, error.param.as_deref()), (Category::ValidationError, Some("input")));
        assert_eq!((error.dispatched, error.retryable), (Dispatched::No, false));
    }
}
