//! Fields of `/v1/chat/completions` that every upstream would refuse.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;

use super::super::{COMPLETIONS, ask, check_untouched, with};
use super::{check_invalid, check_invalid_with};

async fn check_field(app: &TestApp, field: &str, wrong: Value) {
    check_invalid(app, COMPLETIONS, &with(ask(COMPLETIONS, "hello"), field, wrong), field).await;
}

#[tokio::test]
async fn a_model_and_messages_are_required() {
    let app = TestApp::start().await;
    check_invalid(&app, COMPLETIONS, &json!({}), "model").await;
    check_invalid(&app, COMPLETIONS, &json!({"messages": [{"role": "user", "content": "a"}]}), "model").await;
    check_invalid(&app, COMPLETIONS, &json!({"model": "gpt-4o-mini"}), "messages").await;
    for wrong in [json!(""), json!("  "), json!(7), json!(["gpt-4o-mini"]), json!({})] {
        check_field(&app, "model", wrong).await;
    }
    for wrong in [json!(null), json!([]), json!("hello"), json!({"role": "user"}), json!(7)] {
        check_field(&app, "messages", wrong).await;
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_faulty_message_is_named_by_its_place() {
    let app = TestApp::start().await;
    let check = async |wrong: Value, part: &str| {
        let messages = json!([{"role": "user", "content": "hello"}, wrong]);
        let body = with(ask(COMPLETIONS, ""), "messages", messages);
        check_invalid(&app, COMPLETIONS, &body, &format!("messages[1]{part}")).await;
    };
    for no_message in [json!("hello"), json!(7), json!(null), json!([])] {
        check(no_message, "").await;
    }
    for wrong in [json!(7), json!(null), json!("robot"), json!("User"), json!(["user"])] {
        check(json!({"role": wrong, "content": "a"}), ".role").await;
    }
    check(json!({"content": "a"}), ".role").await;
    for wrong in [json!(7), json!(true), json!({"text": "a"})] {
        check(json!({"role": "user", "content": wrong}), ".content").await;
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn numbers_flags_and_lists_have_their_types() {
    let app = TestApp::start().await;
    for field in ["temperature", "top_p", "presence_penalty", "frequency_penalty"] {
        for wrong in [json!("1"), json!(true), json!([1])] {
            check_field(&app, field, wrong).await;
        }
    }
    for field in ["max_tokens", "max_completion_tokens", "n", "top_logprobs"] {
        for wrong in [json!("1"), json!(-1), json!(1.5), json!({})] {
            check_field(&app, field, wrong).await;
        }
    }
    for wrong in [json!("a"), json!({}), json!(1)] {
        check_field(&app, "tools", wrong).await;
    }
    for wrong in [json!("true"), json!(1), json!({})] {
        check_field(&app, "stream", wrong).await;
    }
    for wrong in [json!(true), json!([]), json!("include_usage")] {
        check_field(&app, "stream_options", wrong).await;
    }
    let body = with(ask(COMPLETIONS, "hello"), "stream_options", json!({"include_usage": "yes"}));
    check_invalid(&app, COMPLETIONS, &body, "stream_options.include_usage").await;
    check_untouched(&app).await;
}

#[tokio::test]
async fn headers_are_checked_as_on_the_other_route() {
    let app = TestApp::start().await;
    let body = ask(COMPLETIONS, "hello");
    check_invalid_with(&app, COMPLETIONS, &[("if-match", "first")], &body, "if-match").await;
    check_invalid_with(&app, COMPLETIONS, &[("turnwise-delivery", "once")], &body, "turnwise-delivery").await;
    check_invalid_with(&app, COMPLETIONS, &[("turnwise-on-busy", "never")], &body, "turnwise-on-busy").await;
    check_untouched(&app).await;
}
