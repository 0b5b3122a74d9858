//! Models that nobody serves.

use turnwise_tests::app::{Reply, TestApp};

use super::super::{ROUTES, ask_as, check_error, check_untouched, redacted, with};

async fn check_unknown(model: &str, part: &str) {
    let app = TestApp::builder().without_openai().start().await;
    let check = |reply: Reply| {
        check_error(&reply, 404, "model_not_found", "model");
        assert!(reply.text().contains(part), "{}", reply.text());
    };
    for path in ROUTES {
        for stream in [false, true] {
            let body = with(ask_as(path, "hello", stream), "model", model);
            check(app.post(path, &body).await);
            check(app.post_with(path, &[("idempotency-key", "k:1")], &body).await);
        }
    }
    check(app.get(&format!("/v1/models/{model}")).await);
    check_untouched(&app).await;
}

#[tokio::test]
async fn an_unknown_model_is_told_its_neighbours() {
    check_unknown("local/eco", "Did you mean local/echo").await;
    check_unknown("zzz", "There is no model \\\"zzz\\\".").await;
    check_unknown("nobody/zzz", "There is no model \\\"nobody/zzz\\\".").await;
}

#[tokio::test]
async fn a_known_provider_that_is_not_configured_is_told_its_variable() {
    check_unknown("openai/gpt-4o-mini", "set OPENAI_API_KEY").await;
    check_unknown("gpt-4o-mini", "set OPENAI_API_KEY").await;
    check_unknown("groq/llama", "set GROQ_API_KEY").await;
}

#[tokio::test]
async fn the_error_is_openais_with_what_its_clients_ignore() {
    let app = TestApp::builder().without_openai().start().await;
    let reply = app.get("/v1/models/local/eco").await;
    insta::assert_json_snapshot!(redacted(reply.json()), @r#"
    {
      "error": {
        "category": "NOT_FOUND_ERROR",
        "code": "model_not_found",
        "message": "There is no model \"local/eco\". Did you mean local/echo, local/hash-embedding?",
        "param": "model",
        "request_id": "[request_id]",
        "retry_after_s": null,
        "retryable": false,
        "severity": "LOW",
        "type": "not_found_error",
        "user_message": "We couldn't find the model."
      }
    }
    "#);
}
