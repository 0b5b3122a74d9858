//! Texts into vectors.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Gemini, RESOURCE, path};
use crate::call::Target;
use crate::embedding::{EmbedCall, Embeddings};
use crate::endpoint;
use crate::error::{self, Error};

/// Most texts in one request: the API's own limit.
const MAX_BATCH: usize = 100;

/// Longest answer to one request, in bytes. A hundred vectors of 3,072 numbers, each on a
/// line of its own as the API writes them, take half of it.
const MAX_VECTORS_BYTES: usize = 16 * 1024 * 1024;

/// An answer with vectors, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    embeddings: Vec<Vector>,
    #[serde(default)]
    usage_metadata: Value,
}

/// One vector.
#[derive(Debug, Deserialize)]
struct Vector {
    values: Vec<f32>,
}

impl Gemini {
    /// See [`Provider::embed`](crate::Provider::embed).
    pub(crate) async fn embed_all(&self, call: &EmbedCall) -> Result<Embeddings, Error> {
        let request = &call.request;
        let target = self.endpoint.target(&request.model);
        let texts = call.texts(&target)?;
        let (vectors, tokens) = self.embed(&request.model, texts, request.dimensions).await?;
        Embeddings::of_values(&target, request, vectors, tokens)
    }

    /// The vectors of `texts`, in their order, of length 1 and with as many `dimensions`
    /// as asked for or as `model` makes; and the tokens they took, where the upstream says
    /// so for all of them. Above a hundred texts these are several calls, one after
    /// another.
    ///
    /// # Errors
    /// As [`Provider::complete`](crate::Provider::complete).
    pub async fn embed(
        &self,
        model: &str,
        texts: &[String],
        dimensions: Option<u64>,
    ) -> Result<(Vec<Vec<f32>>, Option<u64>), Error> {
        let target = self.endpoint.target(model);
        let (mut vectors, mut tokens) = (Vec::with_capacity(texts.len()), Some(0_u64));
        for batch in texts.chunks(MAX_BATCH) {
            let body = body(model, batch, dimensions).to_string().into_bytes();
            let request = self.endpoint.post(&target, &path(model, "batchEmbedContents"), body, None)?;
            let response = self.endpoint.send(&target, request).await?;
            let answer = endpoint::read(&target, response, MAX_VECTORS_BYTES).await?;
            let (more, took) = read(&target, &answer, batch.len())?;
            vectors.extend(more);
            tokens = tokens.zip(took).and_then(|(tokens, took)| tokens.checked_add(took));
        }
        Ok((vectors, tokens.filter(|_| !texts.is_empty())))
    }
}

fn body(model: &str, texts: &[String], dimensions: Option<u64>) -> Value {
    let request = |text: &String| {
        let mut request = json!({"model": format!("{RESOURCE}{model}"), "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = dimensions {
            request["outputDimensionality"] = json!(dimensions);
        }
        request
    };
    json!({"requests": texts.iter().map(request).collect::<Vec<_>>()})
}

/// The vectors in `answer`, which are to be `count`, and their tokens.
fn read(target: &Target, answer: &[u8], count: usize) -> Result<(Vec<Vec<f32>>, Option<u64>), Error> {
    let vectors: Vectors = match serde_json::from_slice(answer) {
        Ok(vectors) => vectors,
        Err(cause) => {
            let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
            return Err(if error::is_error(&answer) {
                error::in_body(target, &answer)
            } else {
                error::malformed(target, "has no vectors").with_source(cause)
            });
        }
    };
    if vectors.embeddings.len() != count {
        return Err(error::malformed(target, "has not one vector for each text"));
    }
    let tokens = vectors.usage_metadata.get("promptTokenCount").and_then(Value::as_u64);
    Ok((vectors.embeddings.into_iter().map(|vector| unit(vector.values)).collect(), tokens))
}

/// `vector` with a length of 1, as OpenAI's are and clients rely on when they compare two:
/// Gemini's lose it when their dimensions are cut.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    if length.is_finite() && length > 0.0 {
        for number in &mut vector {
            #[expect(clippy::cast_possible_truncation, reason = "a number of at most 1 fits")]
            let shortened = (f64::from(*number) / length) as f32;
            *number = shortened;
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::tests::target;

    #[test]
    fn every_text_is_asked_for_by_itself() {
        let texts = ["a".to_owned(), "b".to_owned()];
        let request = |text: &str| json!({"model": "models/m", "content": {"parts": [{"text": text}]}});
        assert_eq!(body("m", &texts, None), json!({"requests": [request("a"), request("b")]}));
        assert_eq!(body("m", &texts[..1], Some(768))["requests"][0]["outputDimensionality"], 768);
    }

    #[test]
    fn every_text_has_a_vector_of_length_1() {
        let answer =
            br#"{"embeddings": [{"values": [3, 4.0]}, {"values": [0, 0]}], "usageMetadata": {"promptTokenCount": 5}}"#;
        assert_eq!(read(&target(), answer, 2).unwrap(), (vec![vec![0.6, 0.8], vec![0.0, 0.0]], Some(5)));
        assert_eq!(read(&target(), br#"{"embeddings": []}"#, 0).unwrap(), (Vec::new(), None));
        assert_eq!(&*read(&target(), answer, 3).unwrap_err().code, "malformed_answer");
    }

    #[test]
    fn what_holds_no_vectors_is_an_error() {
        for bad in ["", "7", "{}", r#"{"embeddings": [{"values": ["x"]}]}"#, r#"{"embeddings": [{"values": null}]}"#] {
            assert_eq!(&*read(&target(), bad.as_bytes(), 1).unwrap_err().code, "malformed_answer", "{bad}");
        }
        assert_eq!(&*read(&target(), br#"{"error": {"code": 503}}"#, 1).unwrap_err().code, "upstream_error");
    }
}
