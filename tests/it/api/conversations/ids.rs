//! Names of conversations and items that are nobody's.

use http::Method;
use serde_json::json;
use turnwise_tests::app::{Reply, TestApp};

use super::{add, check_error, create, items_of, path, say, user};
use crate::api::{COMPLETIONS, ask};

/// Every operation on a conversation by its name.
async fn all_of(app: &TestApp, id: &str) -> Vec<(String, Reply)> {
    let items = json!({"items": [user("a")]});
    let metadata = json!({"metadata": {}});
    let send = async |method: Method, path: String, body: Option<&serde_json::Value>| {
        let request = app.request(method.clone(), &path);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        (format!("{method} {path}"), Reply::of(request).await)
    };
    vec![
        send(Method::GET, path(id), None).await,
        send(Method::POST, path(id), Some(&metadata)).await,
        send(Method::GET, items_of(id), None).await,
        send(Method::POST, items_of(id), Some(&items)).await,
        send(Method::GET, format!("{}/msg_1", items_of(id)), None).await,
        send(Method::DELETE, format!("{}/msg_1", items_of(id)), None).await,
        send(Method::DELETE, path(id), None).await,
    ]
}

#[tokio::test]
async fn a_conversation_that_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    app.post_with(COMPLETIONS, &[("idempotency-key", "hidden")], &ask(COMPLETIONS, "hello")).await;
    let before = app.table.rows().await.len();
    let long = "x".repeat(300);
    for id in ["conv_00000000000000000000000000000000", "nobody", "~hidden", "a%23b", "%00", &long] {
        for (operation, reply) in all_of(&app, id).await {
            assert_eq!(reply.outcome(), (404, "conversation_not_found".to_owned()), "{operation}");
        }
        for reply in [app.get(&format!("/v1/threads/{id}")).await, app.delete(&format!("/v1/threads/{id}")).await] {
            check_error(&reply, 404, "thread_not_found", "");
        }
    }
    assert_eq!(app.table.rows().await.len(), before, "nothing is made by asking");
    assert_eq!(app.get("/v1/turns/hidden").await.json()["status"], "COMPLETED");
}

#[tokio::test]
async fn items_that_are_not_there_are_not_found() {
    let app = TestApp::start().await;
    let id = create(&app, &["a"]).await;
    say(&app, &id, "hello").await;
    let mark = add(&app, &id, &["b"]).await[0].split('_').nth(1).unwrap().to_owned();
    let foreign = add(&app, &create(&app, &[]).await, &["x"]).await.remove(0);
    for item in [
        "x".to_owned(),
        "msg".to_owned(),
        foreign,
        format!("fc_{mark}_1_0_0"),
        format!("msg_{mark}_1_0_2"),
        format!("msg_{mark}_2_0_0"),
        format!("msg_{mark}_0_2_0"),
        format!("msg_{mark}_0_1_1"),
        format!("msg_{mark}_01_0_0"),
        format!("msg_{mark}_18446744073709551615_18446744073709551615_0"),
        format!("msg_{mark}_1_0_18446744073709551615"),
    ] {
        let path = format!("{}/{item}", items_of(&id));
        check_error(&app.get(&path).await, 404, "item_not_found", "");
        check_error(&app.delete(&path).await, 404, "item_not_found", "");
    }
    assert_eq!(app.get(&format!("{}/msg_{mark}_1_0_1", items_of(&id))).await.status, 200);
    assert_eq!(app.get(&format!("{}/msg_{mark}_0_1_0", items_of(&id))).await.status, 200);
}

#[tokio::test]
async fn nobody_comes_in_without_a_key() {
    let app = TestApp::start().await;
    let id = create(&app, &["a"]).await;
    for (method, path) in [
        (Method::POST, "/v1/conversations".to_owned()),
        (Method::GET, path(&id)),
        (Method::DELETE, path(&id)),
        (Method::GET, items_of(&id)),
        (Method::DELETE, format!("/v1/threads/{id}")),
    ] {
        check_error(&Reply::of(app.request_without_key(method, &path)).await, 401, "invalid_api_key", "");
    }
    assert_eq!(app.get(&path(&id)).await.status, 200);
    let wrong = Reply::of(app.request(Method::PUT, &path(&id))).await;
    check_error(&wrong, 405, "method_not_allowed", "");
}
