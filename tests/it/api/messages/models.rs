//! Anthropic's clients list models in their own shape.

use http::Method;
use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};

use super::check_error;

async fn get(app: &TestApp, path: &str) -> Reply {
    Reply::of(app.request(Method::GET, path).header("anthropic-version", "2023-06-01")).await
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn models_are_listed_in_anthropics_shape() {
    let app = TestApp::start().await;
    let all = get(&app, "/v1/models").await.json();
    let names = ids(&all);
    assert!(names.contains(&"local/echo".to_owned()), "{names:?}");
    assert_eq!(
        (&all["has_more"], &all["first_id"], &all["last_id"]),
        (&json!(false), &json!(names[0]), &json!(names.last()))
    );
    insta::assert_json_snapshot!(get(&app, "/v1/models/gpt-4o-mini").await.json(), @r#"
    {
      "created_at": "1970-01-01T00:00:00Z",
      "display_name": "openai/gpt-4o-mini",
      "id": "openai/gpt-4o-mini",
      "max_input_tokens": 128000,
      "max_tokens": 16384,
      "type": "model"
    }
    "#);
    assert_eq!(app.get("/v1/models").await.json()["object"], "list", "without the header it is OpenAI's");
}

#[tokio::test]
async fn pages_lead_through_all_models_both_ways() {
    let app = TestApp::start().await;
    let all = ids(&get(&app, "/v1/models").await.json());
    let (mut there, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = get(&app, &format!("/v1/models?{query}")).await.json();
        there.extend(ids(&page));
        if page["has_more"] == json!(false) {
            break;
        }
        query = format!("limit=2&after_id={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(there, all);
    let last = all.last().unwrap();
    let before = get(&app, &format!("/v1/models?limit=1&before_id={last}")).await.json();
    assert_eq!((ids(&before), &before["has_more"]), (vec![all[all.len() - 2].clone()], &json!(all.len() > 2)));
    let behind = get(&app, &format!("/v1/models?after_id={last}")).await.json();
    assert_eq!(behind, json!({"data": [], "has_more": false, "first_id": null, "last_id": null}));
}

#[tokio::test]
async fn errors_are_in_the_shape_that_was_asked_for() {
    let app = TestApp::builder().without_openai().start().await;
    for path in ["/v1/models?limit=0", "/v1/models?limit=1001", "/v1/models?after_id=none"] {
        check_error(&get(&app, path).await, 400, "invalid_request_error", "invalid_request");
    }
    check_error(&get(&app, "/v1/models/no/such").await, 404, "not_found_error", "model_not_found");
    let request = app.request_without_key(Method::GET, "/v1/models").header("anthropic-version", "x");
    check_error(&Reply::of(request).await, 401, "authentication_error", "invalid_api_key");
}
