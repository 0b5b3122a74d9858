//! Bodies as a whole: JSON, its depth, its size.

use turnwise_core::limits::{MAX_BODY_BYTES, MAX_JSON_DEPTH, MAX_MESSAGE_BYTES};
use turnwise_tests::app::TestApp;

use super::super::{CHAT, ROUTES, ask, check_error, check_untouched, text_of};
use super::post_raw;

#[tokio::test]
async fn what_is_no_json_object_is_refused() {
    let app = TestApp::start().await;
    let bodies: [&[u8]; 14] = [
        b"",
        b"hello",
        b"{\"message\":",
        b"{\"message\":\"a\"} {}",
        b"{\"message\":\"\xFF\"}",
        b"{\"message\":\"\\ud800\"}",
        b"{\"message\":\"a\",\"n\":1e999}",
        b"{\"message\":\"a\",\"n\":NaN}",
        b"{\"message\":\"a\x01\"}",
        b"[]",
        b"[{\"message\":\"a\"}]",
        b"\"message\"",
        b"7",
        b"null",
    ];
    for path in ROUTES {
        for body in bodies {
            check_error(&post_raw(&app, path, body).await, 400, "invalid_request", "body");
        }
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_key_given_twice_is_refused_at_any_depth() {
    let app = TestApp::start().await;
    for path in ROUTES {
        for twice in
            [r#""model":"a","model":"a""#, r#""x":[{"deep":1,"deep":2}]"#, r#""message":"a","\u006dessage":"b""#]
        {
            let body = format!(r#"{{"messages":[{{"role":"user","content":"a"}}],{twice}}}"#);
            let reply = post_raw(&app, path, body).await;
            check_error(&reply, 400, "invalid_request", "body");
            assert!(reply.text().contains("given twice"), "{}", reply.text());
        }
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn nesting_has_a_limit() {
    let app = TestApp::start().await;
    // The body's own braces are one level.
    let nested = |path: &str, levels: usize| {
        let body = ask(path, "hello").to_string();
        let open = body.strip_suffix('}').unwrap();
        format!("{open},\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    for path in ROUTES {
        for levels in [MAX_JSON_DEPTH, 10_000, 400_000] {
            check_error(&post_raw(&app, path, nested(path, levels)).await, 400, "invalid_request", "body");
        }
    }
    check_error(&post_raw(&app, ROUTES[0], "[".repeat(MAX_BODY_BYTES)).await, 400, "invalid_request", "body");
    check_untouched(&app).await;
    for path in ROUTES {
        assert_eq!(post_raw(&app, path, nested(path, MAX_JSON_DEPTH - 1)).await.status, 200);
    }
}

#[tokio::test]
async fn a_body_may_have_a_megabyte_and_no_more() {
    let app = TestApp::start().await;
    let padded = |path: &str, bytes: usize| {
        let body = ask(path, "hello").to_string();
        let padding = " ".repeat(bytes - body.len());
        body + &padding
    };
    for path in ROUTES {
        for bytes in [MAX_BODY_BYTES + 1, 3 * MAX_BODY_BYTES] {
            let reply = post_raw(&app, path, padded(path, bytes)).await;
            check_error(&reply, 413, "body_too_large", "body");
        }
    }
    check_untouched(&app).await;
    for path in ROUTES {
        assert_eq!(post_raw(&app, path, padded(path, MAX_BODY_BYTES)).await.status, 200);
    }
}

#[tokio::test]
async fn a_message_may_have_256_kib_and_no_more() {
    let app = TestApp::start().await;
    // Of many characters in no order, so that it hardly compresses.
    let mut state = 1_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b' ' + u8::try_from((state >> 33) % 94).unwrap())
    };
    let longest: String = (0..MAX_MESSAGE_BYTES).map(|_| letter()).collect();

    let reply = app.post(CHAT, &ask(CHAT, &format!("{longest}x"))).await;
    check_error(&reply, 413, "field_too_large", "message");
    check_untouched(&app).await;

    let reply = app.post(CHAT, &ask(CHAT, &longest)).await;
    assert_eq!(text_of(&reply), "Hello from the script.");
    assert_eq!(app.provider.requests()[0].last_text(), longest);
}
