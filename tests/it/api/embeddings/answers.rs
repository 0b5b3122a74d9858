//! What goes to an upstream, and what comes back.

use http::Method;
use serde_json::{Value, json};
use turnwise_core::embedding::Encoding;
use turnwise_tests::app::{PROVIDER_KEY, Reply, TestApp};
use turnwise_tests::scripted::Script;

use super::super::schema;
use super::{EMBEDDINGS, asking, embed, vectors, with, written};

/// A body with all kinds of fields, written as nobody's serializer would.
const EVERYTHING: &str = r#"{ "model": "text-embedding-3-small", "input": [ "gr\u00fc\u00df", "b" ],
 "dimensions": 3, "encoding_format": "float", "user": "u", "x_vendor": {"deep": [ 1.50 , 2 ]} }"#;

/// `[0, 3, 0.5]` as little-endian floats in base64, as the scripted provider embeds "one".
const ONE: &str = "AAAAAAAAQEAAAAA/";

#[tokio::test]
async fn every_field_is_forwarded_as_it_was_written() {
    let app = TestApp::start().await;
    let reply = Reply::of(app.request(Method::POST, EMBEDDINGS).body(EVERYTHING)).await;
    assert_eq!(vectors(&reply), [[0.0, 6.0, 0.5], [1.0, 1.0, 0.5]]);

    let sent = app.provider.requests().remove(0);
    assert_eq!(sent.model(), "text-embedding-3-small");
    assert_eq!(sent.headers["authorization"], format!("Bearer {PROVIDER_KEY}"));
    let ours = turnwise_core::json::raw_fields(EVERYTHING.as_bytes()).unwrap();
    let theirs = turnwise_core::json::raw_fields(sent.raw.as_bytes()).unwrap();
    let texts = |fields: &turnwise_core::json::RawMap| {
        fields.iter().map(|(name, raw)| (name.clone(), raw.get().to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(texts(&ours), texts(&theirs));
}

#[tokio::test]
async fn the_answer_has_openais_shape_and_says_what_it_cost() {
    let app = TestApp::start().await;
    let reply = embed(&app, &asking(json!(["one", "three"]))).await;
    schema::check(&reply.json(), "CreateEmbeddingResponse");
    insta::assert_json_snapshot!(reply.json(), @r#"
    {
      "data": [
        {
          "embedding": [
            0.0,
            3.0,
            0.5
          ],
          "index": 0,
          "object": "embedding"
        },
        {
          "embedding": [
            1.0,
            5.0,
            0.5
          ],
          "index": 1,
          "object": "embedding"
        }
      ],
      "model": "text-embedding-3-small",
      "object": "list",
      "usage": {
        "prompt_tokens": 20,
        "total_tokens": 20
      }
    }
    "#);
    assert_eq!(reply.header("turnwise-model"), "openai/text-embedding-3-small");
    // Twenty tokens at 0.02 USD a million.
    assert_eq!(reply.header("turnwise-cost-usd"), "0.0000004");
    assert_eq!(reply.header("content-type"), "application/json");
    super::super::check_request_id(&reply);
}

#[tokio::test]
async fn an_input_has_one_of_four_forms() {
    let rows = [
        (json!("one"), 1),
        (json!(["one"]), 1),
        (json!(["one", "two", "three"]), 3),
        (json!([1, 2, 3]), 1),
        (json!([[1, 2, 3], [4]]), 2),
    ];
    for (input, count) in rows {
        let app = TestApp::start().await;
        assert_eq!(vectors(&embed(&app, &asking(input.clone())).await).len(), count, "{input}");
        assert_eq!(app.provider.requests()[0].body["input"], input);
    }
}

#[tokio::test]
async fn the_encoding_is_the_clients_whatever_the_upstream_knows() {
    for always in [None, Some(Encoding::Float), Some(Encoding::Base64)] {
        let app = TestApp::start().await;
        if let Some(encoding) = always {
            app.provider.otherwise(Script::embeddings_as(encoding));
        }
        let check = async |asked: Value, expected: Value| {
            let reply = embed(&app, &with(asking("one"), "encoding_format", asked.clone())).await;
            assert_eq!(written(&reply), [expected], "{asked} of {always:?}");
        };
        check(json!("base64"), json!(ONE)).await;
        check(json!("float"), json!([0.0, 3.0, 0.5])).await;
        check(Value::Null, json!([0.0, 3.0, 0.5])).await;
    }
}

#[tokio::test]
async fn base64_is_passed_on_as_it_came() {
    let app = TestApp::start().await;
    // Without its padding, as some servers write it.
    let body = json!({"data": [{"index": 0, "embedding": "AACAPw"}]});
    app.provider.otherwise(Script::pieces(&[body.to_string().as_bytes()]));
    let reply = embed(&app, &with(asking("one"), "encoding_format", "base64")).await;
    assert_eq!(written(&reply), [json!("AACAPw")]);
    assert_eq!(vectors(&embed(&app, &asking("one")).await), [[1.0]]);
}

#[tokio::test]
async fn vectors_stand_in_the_order_of_their_inputs() {
    let app = TestApp::start().await;
    let item = |index: u8| json!({"object": "embedding", "index": index, "embedding": [index]});
    let body = json!({"object": "list", "data": [item(2), item(0), item(1)], "model": "own-7"});
    app.provider.otherwise(Script::pieces(&[body.to_string().as_bytes()]));
    let reply = embed(&app, &asking(json!(["a", "b", "c"]))).await;
    assert_eq!(vectors(&reply), [[0.0], [1.0], [2.0]]);
    assert_eq!(reply.json()["model"], "own-7", "what the upstream calls it");
}

#[tokio::test]
async fn a_long_answer_arrives_whole() {
    // More than a completion may have: 6 MB.
    let numbers: Vec<f32> = (0..600_u16).map(|number| f32::from(number) / 7.0 - 11.0).collect();
    let data: Vec<Value> = (0..1_024).map(|index| json!({"index": index, "embedding": numbers})).collect();
    let body = json!({ "data": data }).to_string();
    assert!(body.len() > turnwise_core::limits::MAX_ANSWER_BYTES);
    let app = TestApp::start().await;
    app.provider.otherwise(Script::pieces(&[body.as_bytes()]));
    let reply = embed(&app, &asking(vec!["a"; 1_024])).await;
    assert_eq!(vectors(&reply).len(), 1_024);
    let first: Vec<f32> = serde_json::from_value(reply.json()["data"][1_023]["embedding"].clone()).unwrap();
    assert_eq!(first, numbers, "no number has changed");
}
