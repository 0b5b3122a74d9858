//! `POST /v1/embeddings`: texts as vectors.

mod answers;
mod bad_input;
mod failed;
mod ledger;
mod local;
mod models;

use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};

use super::{check_error, check_untouched, with};

const EMBEDDINGS: &str = "/v1/embeddings";

/// The model of the catalogue that most tests ask for.
const MODEL: &str = "openai/text-embedding-3-small";

/// A request for the embeddings of `input`.
fn asking(input: impl Into<Value>) -> Value {
    with(json!({ "model": MODEL }), "input", input)
}

/// The same, of the built-in embedder.
fn asking_local(input: impl Into<Value>) -> Value {
    with(asking(input), "model", "local/hash-embedding")
}

/// What stands for each vector in an answer.
fn written(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["object"], "list");
    let data = body["data"].as_array().expect("a list of embeddings");
    for (index, item) in data.iter().enumerate() {
        assert_eq!((&item["object"], &item["index"]), (&json!("embedding"), &json!(index)), "{body}");
    }
    data.iter().map(|item| item["embedding"].clone()).collect()
}

/// The vectors of an answer in numbers.
fn vectors(reply: &Reply) -> Vec<Vec<f64>> {
    let numbers = |vector: Value| {
        let numbers = vector.as_array().expect("an array of numbers").clone();
        numbers.iter().map(|number| number.as_f64().expect("a number")).collect()
    };
    written(reply).into_iter().map(numbers).collect()
}

async fn embed(app: &TestApp, body: &Value) -> Reply {
    app.post(EMBEDDINGS, body).await
}
