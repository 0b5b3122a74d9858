//! What is no request for embeddings.

use http::Method;
use serde_json::{Value, json};
use turnwise_core::limits::{MAX_BODY_BYTES, MAX_EMBEDDED_BYTES, MAX_EMBEDDED_INPUTS, MAX_EMBEDDED_TOKENS};
use turnwise_tests::app::{Reply, TestApp};

use super::{EMBEDDINGS, asking, check_error, check_untouched, embed, vectors, with};

/// The fields at fault, in order.
fn fields(reply: &Reply) -> Vec<String> {
    let faults = reply.json()["error"]["faults"].as_array().cloned().unwrap_or_default();
    faults.iter().map(|fault| fault["field"].as_str().expect("a field").to_owned()).collect()
}

#[tokio::test]
async fn all_faults_are_listed_at_once() {
    let app = TestApp::start().await;
    let body = json!({"input": ["a", "", 7], "dimensions": -1, "encoding_format": "int8", "user": {}});
    let reply = embed(&app, &body).await;
    check_error(&reply, 400, "invalid_request", "model");
    assert_eq!(fields(&reply), ["model", "input[1]", "input[2]", "dimensions", "encoding_format", "user"]);
    assert_eq!(fields(&embed(&app, &json!({})).await), ["model", "input"]);
    check_untouched(&app).await;
}

#[tokio::test]
async fn each_field_has_its_type() {
    let app = TestApp::start().await;
    let check = async |field: &str, wrong: Value, named: &str| {
        let reply = embed(&app, &with(asking("hello"), field, wrong.clone())).await;
        check_error(&reply, 400, "invalid_request", named);
        assert_eq!(fields(&reply), [named], "{wrong}");
    };
    for wrong in [json!(null), json!(""), json!(" "), json!(7), json!(["m"]), json!("auto")] {
        check("model", wrong, "model").await;
    }
    for wrong in [json!(null), json!(""), json!(7), json!({"text": "a"}), json!(true), json!([])] {
        check("input", wrong, "input").await;
    }
    for wrong in [json!([null]), json!([{"text": "a"}]), json!([""]), json!([[]]), json!([-1]), json!([1.5])] {
        check("input", wrong, "input[0]").await;
    }
    check("input", json!([[1], [2, "a"]]), "input[1][1]").await;
    for wrong in [json!(0), json!(-1), json!(1.5), json!("256"), json!([])] {
        check("dimensions", wrong, "dimensions").await;
    }
    for wrong in [json!("hex"), json!(1), json!([])] {
        check("encoding_format", wrong, "encoding_format").await;
    }
    check("user", json!(7), "user").await;
    check_untouched(&app).await;
}

#[tokio::test]
async fn inputs_are_so_many_and_so_long_and_no_more() {
    let app = TestApp::start().await;
    let check = async |input: Value, named: &str| {
        let reply = embed(&app, &asking(input)).await;
        check_error(&reply, 400, "invalid_request", named);
    };
    check(json!(vec!["a"; MAX_EMBEDDED_INPUTS + 1]), "input").await;
    check(json!(["a", "b".repeat(MAX_EMBEDDED_BYTES + 1)]), "input[1]").await;
    check(json!([vec![7; MAX_EMBEDDED_TOKENS + 1]]), "input[0]").await;
    check_untouched(&app).await;

    let most = embed(&app, &asking(vec!["a"; MAX_EMBEDDED_INPUTS])).await;
    assert_eq!(vectors(&most).len(), MAX_EMBEDDED_INPUTS);
    assert_eq!(embed(&app, &asking("b".repeat(MAX_EMBEDDED_BYTES))).await.status, 200);
}

#[tokio::test]
async fn a_body_is_a_json_object_of_at_most_a_megabyte() {
    let app = TestApp::start().await;
    let post = async |body: Vec<u8>| Reply::of(app.request(Method::POST, EMBEDDINGS).body(body)).await;
    for body in [&b""[..], b"[]", b"{", b"\"a\"", b"{\"input\":\"a\",\"input\":\"b\"}", b"{\"input\":\"\xFF\"}"] {
        check_error(&post(body.to_vec()).await, 400, "invalid_request", "body");
    }
    let long = asking("a").to_string() + &" ".repeat(MAX_BODY_BYTES);
    check_error(&post(long.into_bytes()).await, 413, "body_too_large", "body");
    check_untouched(&app).await;
}
