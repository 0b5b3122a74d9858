//! `POST /v1/embeddings`: texts as vectors, in OpenAI's shape.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use turnwise_core::embedding::{Encoding, Request, Written};
use turnwise_core::usage::Usage;
use turnwise_engine::embeddings::{Embedded, Embeddings};
use utoipa::ToSchema;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};

use super::caller;
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::params::task;
use crate::render;

/// OpenAI's list of embeddings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingList {
    /// `list`.
    pub object: &'static str,
    /// One for each input, in its order.
    pub data: Vec<EmbeddingBody>,
    /// The model as its provider names it.
    pub model: String,
    /// Tokens.
    pub usage: EmbeddingUsage,
}

/// One embedding.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingBody {
    /// `embedding`.
    pub object: &'static str,
    /// Which input it is of.
    pub index: usize,
    /// See [`written`].
    #[schema(schema_with = written)]
    pub embedding: Written,
}

/// What an embedding is written as, for the OpenAPI document.
fn written() -> Schema {
    OneOfBuilder::new()
        .item(ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::Number)))
        .item(ObjectBuilder::new().schema_type(Type::String))
        .description(Some("An array of numbers, or a string of base64 over 32-bit little-endian floats."))
        .build()
        .into()
}

/// Tokens of a request for embeddings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingUsage {
    /// Tokens of the inputs, as the provider reports them or as estimated.
    pub prompt_tokens: u64,
    /// The same.
    pub total_tokens: u64,
}

/// Makes vectors of texts.
///
/// `input` is a string, an array of strings, an array of token ids or an array of such
/// arrays; at most 2,048 of them. `encoding_format` is `float` or `base64`, whatever the
/// provider knows. A `model` has to be named. Every field of the request is forwarded to
/// OpenAI-compatible providers. Stateless: an `Idempotency-Key` has no meaning here.
///
/// `local/hash-embedding` needs no provider: it hashes words, and knows nothing of what
/// they mean; `dimensions` of 1 to 4,096, texts only.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "embeddings", request_body = Object,
    params(
        ("Turnwise-Task" = Option<String>, Header, description = "What the request is for: a label of 1 to 64 of `a-z`, `0-9`, `_`, `.`, `-`. Usage is summed up by it."),
    ),
    responses(
        (status = 200, description = "The embeddings", body = EmbeddingList),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "Unknown model, or one that makes no embeddings", body = ErrorBody),
        (status = 413, description = "Too large", body = ErrorBody),
        (status = 429, description = "Too many requests: by a limit a minute, or for the provider", body = ErrorBody),
        (status = 502, description = "The provider failed", body = ErrorBody),
        (status = 503, description = "This server is going down", body = ErrorBody),
        (status = 504, description = "It took too long", body = ErrorBody),
    ),
)]
pub(crate) async fn create_embeddings(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let mut body = JsonBody::read(body).await?;
    let task = task(&headers, &mut body.faults);
    body.faults.into_result().map_err(Error::Invalid)?;
    let request = Request::read(&body.fields, body.raw).map_err(Error::Invalid)?;
    let encoding = request.encoding;
    let embedded = app.engine.embed(caller(&principal, &context), task, request).await?;
    let Embedded { facts, embeddings, cost } = embedded;
    context.note(|line| line.embedded(&facts, &embeddings, cost));
    Ok(render::stateless(&facts, cost, list(embeddings, encoding)))
}

fn list(embeddings: Embeddings, encoding: Encoding) -> Vec<u8> {
    let Embeddings { model, vectors, usage } = embeddings;
    let embedding = |(index, vector): (usize, turnwise_core::embedding::Vector)| EmbeddingBody {
        object: "embedding",
        index,
        embedding: vector.written(encoding),
    };
    let data = vectors.into_iter().enumerate().map(embedding).collect();
    let list = EmbeddingList { object: "list", data, model, usage: usage.into() };
    serde_json::to_vec(&list).unwrap_or_default()
}

impl From<Usage> for EmbeddingUsage {
    fn from(usage: Usage) -> Self {
        Self { prompt_tokens: usage.total_input(), total_tokens: usage.total_input() + usage.total_output() }
    }
}
