//! Items of every kind, in and out.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{RESPONSES, after, asking, check_error, parrot, respond, sent, with};

fn messages(app: &TestApp) -> Value {
    app.provider.requests().pop().unwrap().body["messages"].clone()
}

#[tokio::test]
async fn a_function_is_called_and_gives_back() {
    let app = TestApp::start().await;
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}});
    let answer = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": null, "tool_calls": [call]}, "logprobs": null, "finish_reason": "tool_calls"}]});
    app.provider.enqueue(Script::pieces(&[answer.to_string().as_bytes()]));
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
    let calling = respond(&app, &with(asking("use f"), "tools", tools.clone())).await;
    let item = &calling["output"][0];
    assert_eq!(
        (&item["type"], &item["name"], &item["arguments"]),
        (&json!("function_call"), &json!("f"), &json!("{\"x\": 1}"))
    );
    assert_eq!((&item["call_id"], &item["status"]), (&json!("call_1"), &json!("completed")));
    assert_eq!(app.provider.requests()[0].body["tools"][0]["function"]["name"], "f");

    let output = json!([{"type": "function_call_output", "call_id": "call_1", "output": "7"}]);
    respond(&app, &with(after(&calling, output.clone()), "tools", tools)).await;
    let tool = json!({"role": "tool", "tool_call_id": "call_1", "content": "7"});
    assert_eq!(messages(&app)[1]["tool_calls"], json!([call]));
    assert_eq!(messages(&app)[2], tool);

    // The same without a stored response: the client sends the call along.
    let whole = json!([{"role": "user", "content": "use f"}, item, output[0]]);
    respond(&app, &with(asking(whole), "store", false)).await;
    assert_eq!(messages(&app)[2], tool);
}

#[tokio::test]
async fn images_are_seen_and_remembered() {
    let app = TestApp::start().await;
    let image = json!({"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"});
    let said = json!([{"role": "user", "content": [{"type": "input_text", "text": "what is it?"}, image]}]);
    let first = respond(&app, &asking(said)).await;
    let parts = json!([{"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}]);
    assert_eq!(messages(&app)[0]["content"], parts);
    respond(&app, &after(&first, "and now?")).await;
    assert_eq!(messages(&app)[0]["content"], parts);
}

#[tokio::test]
async fn an_item_can_be_mentioned_by_its_id() {
    let app = parrot(&["one", "two", "three"]).await;
    let one = respond(&app, &asking("one")).await;
    let two = respond(&app, &after(&one, "two")).await;
    let fork = respond(&app, &after(&one, "fork")).await;
    let input = app.get(&format!("{}/input_items", super::path(&one))).await.json();
    let (asked, said) = (&input["data"][0]["id"], &one["output"][0]["id"]);
    for (previous, history) in [(&two, 4), (&fork, 2)] {
        let mention =
            json!([{"type": "item_reference", "id": asked}, {"id": said}, {"role": "user", "content": "three"}]);
        respond(&app, &after(previous, mention)).await;
        let sent = sent(&app);
        assert_eq!(sent[sent.len() - 3..], ["user: one", "assistant: re-one", "user: three"]);
        assert!(sent.len() > history);
    }
    // Of the sibling line, of nowhere, and where there is no conversation.
    let of_fork = json!([{"type": "item_reference", "id": fork["output"][0]["id"]}]);
    let made_up = json!([{"role": "user", "content": "a"}, {"type": "item_reference", "id": "msg_made_up"}]);
    for (asked, field) in [
        (after(&two, of_fork.clone()), "input[0].id"),
        (after(&two, made_up), "input[1].id"),
        (asking(of_fork), "input[0].id"),
    ] {
        check_error(&app.post(RESPONSES, &asked).await, 400, "invalid_request", field);
    }
}

#[tokio::test]
async fn a_retry_that_mentions_an_item_is_answered_although_the_item_is_gone() {
    let app = parrot(&["one", "two"]).await;
    let one = respond(&app, &asking("one")).await;
    let mention = json!([{"id": one["output"][0]["id"]}, {"role": "user", "content": "two"}]);
    let (key, request) = ([("idempotency-key", "k")], after(&one, mention));
    let first = app.post_with(RESPONSES, &key, &request).await;
    super::delete(&app, &one).await;
    let again = app.post_with(RESPONSES, &key, &request).await;
    assert_eq!((again.is_replay(), &again.body), (true, &first.body), "{}", again.text());
}

#[tokio::test]
async fn an_item_is_called_the_same_in_its_conversation() {
    let app = TestApp::start().await;
    let conversation =
        app.post("/v1/conversations", &json!({"items": [{"role": "user", "content": "before"}]})).await.json();
    let response = respond(&app, &with(asking("hello"), "conversation", conversation["id"].clone())).await;
    assert_eq!(response["conversation"], json!({"id": conversation["id"]}));
    assert_eq!(sent(&app), ["user: before", "user: hello"]);
    let ids = |list: &Value| -> Vec<Value> {
        list["data"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
    };
    let items = format!("/v1/conversations/{}/items", conversation["id"].as_str().unwrap());
    let all = ids(&app.get(&format!("{items}?order=asc")).await.json());
    let own = ids(&app.get(&format!("{}/input_items", super::path(&response))).await.json());
    assert_eq!(all[1..], [own[0].clone(), response["output"][0]["id"].clone()]);

    // What is deleted from the conversation is gone from the response, too.
    let delete = |id: &Value| app.request(http::Method::DELETE, &format!("{items}/{}", id.as_str().unwrap()));
    assert_eq!(turnwise_tests::app::Reply::of(delete(&own[0])).await.status, 200);
    assert_eq!(super::get(&app, &response).await, response);
    let left = app.get(&format!("{}/input_items", super::path(&response))).await.json();
    assert_eq!(left["data"], json!([]));
    assert_eq!(turnwise_tests::app::Reply::of(delete(&all[2])).await.status, 200);
    check_error(&app.get(&super::path(&response)).await, 410, "turn_gone", "");
}
