//! Vectors in an upstream's answer, read and checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use turnwise_core::embedding::{Request, Vector};

use crate::call::Target;
use crate::embedding::{Embeddings, no_vector};
use crate::error::{self, Error};

/// One embedding, its vector not yet read: as a JSON value it would take many times its bytes.
#[derive(Deserialize)]
struct Item<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// The embeddings in `body`. Vectors may be written as numbers or as base64, whatever was
/// asked for: some upstreams know only one of them.
///
/// # Errors
/// When it is an error, or not the embeddings of `request`.
pub(super) fn read(target: &Target, request: &Request, body: &[u8]) -> Result<Embeddings, Error> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(body)
        .map_err(|cause| error::malformed(target, "is no JSON object").with_source(cause))?;
    // All but the vectors, which may be long.
    let said: Value = fields
        .iter()
        .filter(|(name, _)| *name != "data")
        .map(|(name, raw)| (name.clone(), serde_json::from_str::<Value>(raw.get()).unwrap_or_default()))
        .collect();
    if error::is_error(&said) {
        return Err(error::in_body(target, &said));
    }
    let data = fields.get("data").ok_or_else(|| error::malformed(target, "has no embeddings"))?;
    let items: Vec<Item<'_>> = serde_json::from_str(data.get())
        .map_err(|cause| error::malformed(target, "has no list of embeddings").with_source(cause))?;
    let vectors = in_order(target, items)?.into_iter().map(|raw| vector(target, raw));
    let vectors = vectors.collect::<Result<Vec<Vector>, Error>>()?;

    let tokens = ["/usage/prompt_tokens", "/usage/total_tokens"];
    let tokens = tokens.iter().find_map(|path| said.pointer(path).and_then(Value::as_u64));
    let embeddings = Embeddings::checked(target, request, vectors, tokens)?;
    let model = said.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    Ok(match model {
        Some(model) => Embeddings { model: model.to_owned(), ..embeddings },
        None => embeddings,
    })
}

/// The vectors in the order of their inputs: by their indexes, or as they stand where they
/// have none.
fn in_order<'a>(target: &Target, items: Vec<Item<'a>>) -> Result<Vec<&'a RawValue>, Error> {
    let mut numbered: Vec<(usize, &RawValue)> =
        items.iter().enumerate().map(|(at, item)| (item.index.unwrap_or(at), item.embedding)).collect();
    numbered.sort_by_key(|(index, _)| *index);
    if numbered.iter().enumerate().any(|(at, (index, _))| at != *index) {
        return Err(error::malformed(target, "has embeddings whose indexes are not those of the inputs"));
    }
    Ok(numbered.into_iter().map(|(_, raw)| raw).collect())
}

fn vector(target: &Target, raw: &RawValue) -> Result<Vector, Error> {
    let not_one = |cause| no_vector(target).with_source(cause);
    let vector = if raw.get().starts_with('"') {
        Vector::from_base64(serde_json::from_str(raw.get()).map_err(not_one)?)
    } else {
        Vector::new(serde_json::from_str(raw.get()).map_err(not_one)?)
    };
    vector.ok_or_else(|| no_vector(target))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnwise_core::category::Category;
    use turnwise_core::embedding::{Encoding, Written};

    use super::*;
    use crate::embedding::tests::request;

    fn read_two(body: &str) -> Result<Embeddings, Error> {
        let target = Target { provider: "openai".to_owned(), model: "m".to_owned() };
        read(&target, &request(&["a", "b"]), body.as_bytes())
    }

    fn values(embeddings: &Embeddings) -> Vec<&[f32]> {
        embeddings.vectors.iter().map(Vector::values).collect()
    }

    #[test]
    fn vectors_stand_in_the_order_of_their_inputs() {
        let rows = [
            json!([{"index": 0, "embedding": [1, 0.5]}, {"index": 1, "embedding": [-2e0, 3.0]}]),
            json!([{"index": 1, "embedding": [-2.0, 3.0]}, {"index": 0, "embedding": [1.0, 0.5]}]),
            json!([{"embedding": [1.0, 0.5]}, {"embedding": [-2.0, 3.0]}]),
            json!([{"index": 0, "embedding": "AACAPwAAAD8="}, {"index": 1, "embedding": [-2.0, 3.0]}]),
        ];
        for data in rows {
            let embeddings = read_two(&json!({"data": data, "model": "m-2"}).to_string()).unwrap();
            assert_eq!(values(&embeddings), [[1.0, 0.5], [-2.0, 3.0]], "{data}");
            assert_eq!(embeddings.model, "m-2");
        }
    }

    #[test]
    fn base64_is_passed_on_as_it_came() {
        let data = json!([{"index": 0, "embedding": "AACAPw"}, {"index": 1, "embedding": "AAAAPw=="}]);
        let mut vectors = read_two(&json!({ "data": data }).to_string()).unwrap().vectors;
        assert_eq!(vectors.remove(0).written(Encoding::Base64), Written::Base64("AACAPw".to_owned()));
        assert_eq!(vectors.remove(0).written(Encoding::Float), Written::Floats(vec![0.5]));
    }

    #[test]
    fn what_is_not_asked_for_is_an_error() {
        let rows = [
            "<html>".to_owned(),
            "[]".to_owned(),
            json!({}).to_string(),
            json!({"data": null}).to_string(),
            json!({"data": [{"index": 0, "embedding": [1]}]}).to_string(),
            json!({"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}).to_string(),
            json!({"data": [{"index": 1, "embedding": [1]}, {"index": 2, "embedding": [1]}]}).to_string(),
            json!({"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}).to_string(),
            json!({"data": [{"index": 0, "embedding": [1]}, {"index": 1}]}).to_string(),
            json!({"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [null]}]}).to_string(),
            json!({"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": "%"}]}).to_string(),
            r#"{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1e39]}]}"#.to_owned(),
        ];
        for body in rows {
            let error = read_two(&body).unwrap_err();
            assert_eq!((error.category, &*error.code), (Category::ApiError, "malformed_answer"), "{body}");
        }
        let error = read_two(r#"{"error": {"code": 429}}"#).unwrap_err();
        assert_eq!(error.category, Category::RateLimitError);
        let error = read_two(r#"{"object": "error", "code": 400, "message": "no"}"#).unwrap_err();
        assert_eq!(error.category, Category::ValidationError);
    }

    #[test]
    fn tokens_are_those_of_the_prompt() {
        let usage = |usage: Value| {
            let data = json!([{"embedding": [1]}, {"embedding": [1]}]);
            read_two(&json!({"data": data, "usage": usage, "error": null}).to_string()).unwrap().usage.input
        };
        assert_eq!(usage(json!({"prompt_tokens": 7, "total_tokens": 9})), 7);
        assert_eq!(usage(json!({"total_tokens": 9})), 9);
        assert_eq!(usage(json!({"prompt_tokens": -1})), 2);
        assert_eq!(usage(Value::Null), 2);
    }
}
