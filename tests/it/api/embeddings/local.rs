//! `local/hash-embedding`: embeddings without a provider.

use serde_json::{Value, json};
use turnwise_core::limits::{HASH_DIMENSIONS, MAX_HASH_DIMENSIONS};
use turnwise_tests::app::TestApp;

use super::super::schema;
use super::{asking, asking_local, check_error, check_untouched, embed, vectors, with, written};

#[tokio::test]
async fn it_needs_no_key_and_costs_nothing() {
    let app = TestApp::builder().without_openai().start().await;
    for model in ["local/hash-embedding", "hash-embedding"] {
        let reply = embed(&app, &with(asking(json!(["some words", "some words", "others"])), "model", model)).await;
        schema::check(&reply.json(), "CreateEmbeddingResponse");
        let vectors = vectors(&reply);
        assert_eq!((vectors.len(), vectors[0].len()), (3, HASH_DIMENSIONS));
        assert_eq!(vectors[0], vectors[1], "equal texts have equal vectors");
        assert_ne!(vectors[0], vectors[2]);
        assert_eq!((reply.header("turnwise-model"), reply.header("turnwise-cost-usd")), ("local/hash-embedding", "0"));
        assert_eq!(reply.json()["model"], "hash-embedding");
        assert_eq!(reply.json()["usage"], json!({"prompt_tokens": 8, "total_tokens": 8}));
    }
}

#[tokio::test]
async fn its_vectors_never_change() {
    let app = TestApp::start().await;
    let body = with(asking_local("The quick brown fox"), "dimensions", 8);
    let fox = json!([0.0, -0.552_344_8, 0.0, 0.184_114_92, -0.368_229_84, 0.092_057_46, -0.460_287_3, 0.552_344_8]);
    assert_eq!(written(&embed(&app, &body).await), [fox]);
    let base64 = "AAAAAHhmDb8AAAAAn4g8Pp+IvL6fiLw9x6rrvnhmDT8=";
    assert_eq!(written(&embed(&app, &with(body, "encoding_format", "base64")).await), [json!(base64)]);
}

#[tokio::test]
async fn dimensions_have_their_limits() {
    let app = TestApp::start().await;
    for dimensions in [1, MAX_HASH_DIMENSIONS] {
        let reply = embed(&app, &with(asking_local("hello"), "dimensions", dimensions)).await;
        assert_eq!(vectors(&reply)[0].len(), dimensions);
    }
    let too_many = with(asking_local("hello"), "dimensions", MAX_HASH_DIMENSIONS + 1);
    check_error(&embed(&app, &too_many).await, 400, "invalid_request", "dimensions");
}

#[tokio::test]
async fn token_ids_are_refused() {
    let app = TestApp::start().await;
    for input in [json!([1, 2]), json!([[1], [2]])] {
        let reply = embed(&app, &asking_local(input)).await;
        check_error(&reply, 400, "invalid_request", "input");
        assert!(reply.text().contains("does not take token ids"), "{}", reply.text());
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn like_texts_are_nearer_than_others() {
    let app = TestApp::start().await;
    let texts: Value = json!(["How do I reset my password?", "password reset", "It is sunny in Berlin."]);
    let vectors = vectors(&embed(&app, &asking_local(texts)).await);
    let likeness =
        |one: usize, other: usize| -> f64 { vectors[one].iter().zip(&vectors[other]).map(|(a, b)| a * b).sum() };
    assert!(likeness(0, 1) > likeness(0, 2) + 0.2, "{} {}", likeness(0, 1), likeness(0, 2));
}
