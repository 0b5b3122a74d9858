//! Responses read back.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;
use turnwise_tests::table::{TABLE, text as attribute};

use super::{CHAT, RESPONSES, asking, check_error, ok, respond, text, with};

const KEY: [(&str, &str); 1] = [("idempotency-key", "k")];

#[tokio::test]
async fn what_no_response_is_called_is_not_found() {
    let app = TestApp::start().await;
    for id in ["resp_unknown", "resp_", "x", "resp_Yzp0", "resp_Yzp0%3D", "%00", "resp_fms6dHVybg"] {
        check_error(&app.get(&format!("{RESPONSES}/{id}")).await, 404, "response_not_found", "");
        check_error(&app.get(&format!("{RESPONSES}/{id}?stream=true")).await, 404, "response_not_found", "");
        check_error(&app.get(&format!("{RESPONSES}/{id}/input_items")).await, 404, "response_not_found", "");
    }
}

#[tokio::test]
async fn a_response_is_read_whole_unless_its_stream_is_asked_for() {
    let app = TestApp::start().await;
    let response = respond(&app, &asking("hello")).await;
    let path = super::path(&response);
    for (query, field) in [
        ("stream=maybe", "stream"),
        ("stream=true&restartable=1", "restartable"),
        ("starting_after=0", "starting_after"),
        ("stream=true&starting_after=-1", "starting_after"),
        ("stream=true&starting_after=x", "starting_after"),
        ("stream=true&starting_after=", "starting_after"),
        ("stream=true&starting_after=99999", "starting_after"),
        ("stream=true&starting_after=18446744073709551615", "starting_after"),
        ("stream=true&starting_after=18446744073709551616", "starting_after"),
    ] {
        check_error(&app.get(&format!("{path}?{query}")).await, 400, "invalid_request", field);
    }
    assert_eq!(ok(&app.get(&format!("{path}?stream=false&include[]=reasoning.encrypted_content")).await), response);
}

#[tokio::test]
async fn a_failed_response_says_why_and_what_was_asked() {
    for (status, code) in [(400, "invalid_prompt"), (429, "rate_limit_exceeded"), (500, "server_error")] {
        let app = TestApp::start().await;
        app.provider.otherwise(Script::refuse(status));
        let asked = with(asking("hello"), "temperature", 0.5);
        let failed = app.post_with(RESPONSES, &KEY, &asked).await;
        let key = failed.header("turnwise-turn").to_owned();
        let key = turnwise_core::id::TurnKey::parse("key", &key).unwrap().unwrap();
        let id = turnwise_core::items::response_id(&key);
        let response = ok(&app.get(&format!("{RESPONSES}/{id}")).await);
        assert_eq!((&response["status"], &response["error"]["code"]), (&json!("failed"), &json!(code)));
        assert!(response["error"]["message"].as_str().unwrap().len() > 10);
        assert_eq!((&response["temperature"], &response["output"]), (&json!(0.5), &json!([])));
    }
}

#[tokio::test]
async fn a_response_whose_content_is_gone_is_gone() {
    let app = TestApp::start().await;
    let response = ok(&app.post_with(RESPONSES, &KEY, &asking("hello")).await);
    let rows = app.table.rows().await;
    let row = rows.iter().find(|row| attribute(row, "sk").starts_with("M#")).unwrap();
    let delete = app.table.client().delete_item().table_name(TABLE);
    delete.key("pk", row["pk"].clone()).key("sk", row["sk"].clone()).send().await.unwrap();
    check_error(&app.get(&super::path(&response)).await, 410, "turn_gone", "");
    check_error(&app.get(&format!("{}/input_items", super::path(&response))).await, 410, "turn_gone", "");
    check_error(&app.post_with(RESPONSES, &KEY, &asking("hello")).await, 410, "turn_gone", "");
}

#[tokio::test]
async fn a_turn_of_another_route_reads_as_a_response_too() {
    let app = TestApp::start().await;
    app.post(CHAT, &json!({"message": "hello", "session_id": "s", "turn_id": "1"})).await;
    let key = turnwise_core::id::TurnKey::parse("key", "s:1").unwrap().unwrap();
    let response = json!({"id": turnwise_core::items::response_id(&key)});
    let read = super::get(&app, &response).await;
    assert_eq!((text(&read), &read["previous_response_id"]), ("Hello from the script.", &Value::Null));
    respond(&app, &super::after(&read, "and?")).await;
    assert_eq!(super::sent(&app).len(), 3);
}
