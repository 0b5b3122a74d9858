//! project_id and thread_id.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;

use super::{CHAT, ask, check_error, with};

async fn say(app: &TestApp, project: &str, thread: &str) -> Value {
    let body = with(with(ask(CHAT, "hello"), "project_id", project), "thread_id", thread);
    let reply = app.post(CHAT, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn null_in_any_spelling_begins_a_conversation_that_is_named_to_the_client() {
    let app = TestApp::start().await;
    for thread in [json!(null), json!("null"), json!("NULL"), json!("Null")] {
        for field in ["thread_id", "session_id"] {
            let reply = app.post(CHAT, &with(ask(CHAT, "hello"), field, thread.clone())).await.json();
            let thread = reply["thread_id"].as_str().unwrap();
            let uuid = thread.strip_prefix("thread-").unwrap();
            assert!(uuid::Uuid::try_parse(uuid).is_ok(), "{thread}");
            assert_eq!(reply["conversation_id"], thread);
            let next = app.post(CHAT, &with(ask(CHAT, "more"), "thread_id", thread)).await.json();
            assert_eq!((&next["thread_id"], &next["turn_number"]), (&json!(thread), &json!(2)));
        }
    }
}

#[tokio::test]
async fn a_project_is_known_by_any_spelling_and_by_its_id() {
    let app = TestApp::start().await;
    let id = say(&app, "Straße 7", "t1").await["project_id"].clone();
    let uuid = uuid::Uuid::try_parse(id.as_str().unwrap()).unwrap();
    assert_eq!(uuid.get_version_num(), 5);
    for spelling in ["  straße 7\n", "STRASSE 7", "strasse 7", id.as_str().unwrap(), &uuid.to_string().to_uppercase()]
    {
        assert_eq!(say(&app, spelling, "t1").await["project_id"], id, "{spelling:?}");
    }
    assert_ne!(say(&app, "strasse 8", "t2").await["project_id"], id);
}

#[tokio::test]
async fn some_names_mean_no_project() {
    let app = TestApp::start().await;
    for (number, name) in ["", "   ", "system-master", " System-Master "].iter().enumerate() {
        assert_eq!(say(&app, name, &format!("t{number}")).await["project_id"], Value::Null, "{name:?}");
    }
}

#[tokio::test]
async fn conversations_are_listed_by_project() {
    let app = TestApp::start().await;
    say(&app, "alpha", "a1").await;
    say(&app, "", "none").await;
    say(&app, "beta", "b1").await;
    let id = say(&app, "Alpha", "a2").await["project_id"].clone();
    let check = async |query: &str, expected: &[&str]| {
        let page = app.get(&format!("/v1/threads{query}")).await.json();
        let ids: Vec<&str> = page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    };
    check("?project_id=ALPHA", &["a2", "a1"]).await;
    check(&format!("?project_id={}", id.as_str().unwrap()), &["a2", "a1"]).await;
    check("?project_id=beta", &["b1"]).await;
    check("?project_id=gamma", &[]).await;
    check("", &["a2", "b1", "none", "a1"]).await;
    check("?project_id=", &["a2", "b1", "none", "a1"]).await;
}

#[tokio::test]
async fn a_conversation_of_another_project_is_not_there() {
    let app = TestApp::start().await;
    say(&app, "alpha", "t").await;
    say(&app, "", "free").await;
    for (project, thread) in [("beta", "t"), ("alpha", "free")] {
        for stream in [false, true] {
            let body = json!({"message": "hello", "project_id": project, "thread_id": thread, "stream": stream});
            check_error(&app.post(CHAT, &body).await, 404, "thread_not_found", "");
        }
    }
    assert_eq!(app.provider.calls(), 2);
    let page = app.get("/v1/threads/t/turns").await.json();
    assert_eq!((&page["total"], page["project_id"].is_string()), (&json!(1), true));
}

#[tokio::test]
async fn a_running_turn_of_another_project_is_not_there() {
    use turnwise_tests::scripted::{Gate, Script};
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::answer("hello").gated(&gate));
    let body = |project: &str| json!({"message": "hello", "session_id": "s", "turn_id": "1", "project_id": project});
    drop(app.open(CHAT, &[], &with(body("alpha"), "stream", true)).await);
    gate.reached().await;
    for process in [&app, &other] {
        check_error(&process.post(CHAT, &body("beta")).await, 404, "thread_not_found", "");
    }
    gate.open();
    app.turn_in("s:1", "COMPLETED").await;
}
