//! Limits that several keys share, and classes that share none.

use serde_json::json;
use turnwise_core::limits::READ_REQUESTS_PER_MINUTE;
use turnwise_core::rate::{Class, Standing, Whose};
use turnwise_engine::rates::Admission;
use turnwise_tests::rig;

use super::*;

#[tokio::test]
async fn all_keys_of_a_tenant_share_its_limit() {
    let (app, _time) = at_rest(&key_of(5)).await;
    limit_tenant(&app, 3).await;
    let second = app.second_process().await;
    assert_eq!(remaining(&complete(&app, LIMITED).await), 2);
    assert_eq!(remaining(&complete(&second, LIMITED).await), 1);
    assert_eq!(remaining(&complete(&app, OTHER).await), 0);
    for (app, key) in [(&app, LIMITED), (&second, LIMITED), (&second, OTHER)] {
        let refusal = complete(app, key).await;
        let text = refusal.text();
        assert_eq!(refusal.status, 429, "{text}");
        assert!(text.contains("with all keys of this tenant together, 3 a minute"), "{text}");
        assert_eq!(refusal.header("x-ratelimit-limit-requests"), "3");
    }
}

#[tokio::test]
async fn a_key_of_the_table_has_the_limit_it_was_made_with() {
    let app = TestApp::start().await;
    let made = app.post("/admin/keys", &json!({"name": "limited", "limits": {"requests_per_minute": 2}})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let key = made.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(remaining(&complete(&app, &key).await), 1);
    assert_eq!(remaining(&complete(&app, &key).await), 0);
    assert_eq!(complete(&app, &key).await.status, 429);
    let found = buckets(&app).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert!(found.len() == 1 && text(&found[0], "pk").contains(&id), "{found:?}");
}

#[tokio::test]
async fn a_keys_own_limit_is_its_own() {
    let (app, _time) = at_rest(&key_of(2)).await;
    limit_tenant(&app, 100).await;
    for expected in [200, 200, 429] {
        assert_eq!(complete(&app, LIMITED).await.status, expected);
    }
    let refusal = complete(&app, LIMITED).await.text();
    assert!(refusal.contains("requests for answers with this key, 2 a minute"), "{refusal}");
    assert_eq!(complete(&app, OTHER).await.status, 200);
}

/// How a key stands, as the engine says.
async fn standing(app: &TestApp, grant: &Grant, class: Class) -> Option<Standing> {
    match app.engine.admit(&rig::caller().tenant, "k", grant, class).await {
        Admission::Unlimited => None,
        Admission::Admitted(standing) => Some(standing),
        Admission::Refused(refusal) => {
            assert_eq!(refusal.standing.remaining, 0);
            None
        }
    }
}

#[tokio::test]
async fn what_the_tenants_limit_refuses_is_not_counted_by_the_keys() {
    let (app, time) = at_rest(&Grant::default()).await;
    let settings = TenantSettings { limits: limits(1), ..TenantSettings::default() };
    let both = Grant { settings, ..key_of(5) };
    assert!(standing(&app, &both, Class::Generate).await.is_some());
    for _ in 0..10 {
        assert_eq!(standing(&app, &both, Class::Generate).await, None);
    }
    // Two of five are out: one was used, one handed back, and this is that one.
    let alone = standing(&app, &key_of(5), Class::Generate).await;
    assert_eq!(alone.map(|standing| standing.remaining), Some(3));
    // One that was handed back too long ago is not good any more; it has come back.
    assert_eq!(standing(&app, &both, Class::Generate).await, None);
    time.pass(60_000).await;
    let later = standing(&app, &key_of(5), Class::Generate).await;
    assert_eq!(later.map(|standing| standing.remaining), Some(4));
}

#[tokio::test]
async fn classes_are_counted_apart() {
    let (app, _time) = at_rest(&key_of(1)).await;
    assert_eq!(complete(&app, LIMITED).await.status, 200);
    assert_eq!(complete(&app, LIMITED).await.status, 429);
    let embeddings = json!({"model": "local/hash-embedding", "input": "hello"});
    assert_eq!(post(&app, LIMITED, "/v1/embeddings", &embeddings).await.status, 200);
    let refusal = post(&app, LIMITED, "/v1/embeddings", &embeddings).await;
    assert!(refusal.text().contains("requests for embeddings with this key, 1 a minute"), "{}", refusal.text());
    let counting = json!({"model": "gpt-4o-mini", "input": "hello"});
    assert_eq!(post(&app, LIMITED, "/v1/responses/input_tokens", &counting).await.status, 200);
}

#[tokio::test]
async fn one_process_reads_as_often_as_the_limit_says() {
    let (app, _time) = at_rest(&Grant::default()).await;
    let caller = rig::caller();
    let read = || app.engine.admit(&caller.tenant, "reader", &caller.grant, Class::Read);
    for number in 1..=READ_REQUESTS_PER_MINUTE {
        let Admission::Admitted(standing) = read().await else { panic!("read number {number} is refused") };
        assert_eq!(standing.remaining, READ_REQUESTS_PER_MINUTE - number);
    }
    let Admission::Refused(refusal) = read().await else { panic!("one more is admitted") };
    assert_eq!((refusal.whose, refusal.standing.limit), (Whose::Key, READ_REQUESTS_PER_MINUTE));
    assert_eq!(buckets(&app).await.len(), 1);
}
