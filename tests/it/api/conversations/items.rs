//! Items added, read and deleted.

use futures_util::future::join_all;
use serde_json::{Value, json};
use turnwise_core::limits::MAX_ITEMS_PER_CALL;
use turnwise_tests::app::TestApp;
use turnwise_tests::table::text;

use super::{CHAT, add, check_error, create, good, ids_of, items_of, list, path, say, texts_of, user};

#[tokio::test]
async fn items_are_added_and_read_back() {
    let app = TestApp::start().await;
    let id = create(&app, &[]).await;
    let items = json!([
        {"role": "user", "content": [{"type": "input_text", "text": "look"},
                                     {"type": "input_image", "image_url": "data:,a"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": "I see."},
    ]);
    let added = good(&app.post(&items_of(&id), &json!({ "items": items })).await, "ConversationItemList");
    let ids = ids_of(&added);
    assert_eq!((&added["first_id"], &added["last_id"]), (&json!(ids[0]), &json!(ids[4])));
    assert_eq!((&added["has_more"], added["data"].as_array().unwrap().len()), (&json!(false), 5));
    let prefixes: Vec<&str> = ids.iter().map(|id| id.split_once('_').unwrap().0).collect();
    assert_eq!(prefixes, ["msg", "fc", "fco", "rs", "msg"]);
    assert_eq!(list(&app, &id, "?order=asc").await["data"], added["data"]);
    for (item_id, item) in ids.iter().zip(added["data"].as_array().unwrap()) {
        assert_eq!(&good(&app.get(&format!("{}/{item_id}", items_of(&id))).await, "ConversationItem"), item);
    }
    let mut shown = added["data"][4].clone();
    shown["id"] = json!("[id]");
    insta::assert_json_snapshot!(shown, @r#"
    {
      "content": [
        {
          "annotations": [],
          "logprobs": [],
          "text": "I see.",
          "type": "output_text"
        }
      ],
      "id": "[id]",
      "role": "assistant",
      "status": "completed",
      "type": "message"
    }
    "#);
}

#[tokio::test]
async fn the_items_of_a_turn_say_its_number() {
    let app = TestApp::start().await;
    say(&app, "s", "hello").await;
    // What a client wants to have included is not looked at.
    let page = list(&app, "s", "?order=asc&include[]=message.output_text.logprobs&include[]=what.ever").await;
    for item in page["data"].as_array().unwrap() {
        let path = format!("{}/{}", items_of("s"), item["id"].as_str().unwrap());
        assert_eq!(&good(&app.get(&path).await, "ConversationItem"), item);
    }
    insta::assert_json_snapshot!(page, @r#"
    {
      "data": [
        {
          "content": [
            {
              "text": "hello",
              "type": "input_text"
            }
          ],
          "id": "msg_043a718774c5_1_0_0",
          "role": "user",
          "status": "completed",
          "turn_number": 1,
          "type": "message"
        },
        {
          "content": [
            {
              "annotations": [],
              "logprobs": [],
              "text": "Hello from the script.",
              "type": "output_text"
            }
          ],
          "id": "msg_043a718774c5_1_0_1",
          "role": "assistant",
          "status": "completed",
          "turn_number": 1,
          "type": "message"
        }
      ],
      "first_id": "msg_043a718774c5_1_0_0",
      "has_more": false,
      "last_id": "msg_043a718774c5_1_0_1",
      "object": "list"
    }
    "#);
}

#[tokio::test]
async fn items_go_behind_the_newest_turn() {
    let app = TestApp::start().await;
    let id = create(&app, &["zero"]).await;
    add(&app, &id, &["zero and a half"]).await;
    say(&app, &id, "one").await;
    add(&app, &id, &["between", "still between"]).await;
    add(&app, &id, &["just before two"]).await;
    say(&app, &id, "two").await;
    let answer = "Hello from the script.";
    let expected =
        ["zero", "zero and a half", "one", answer, "between", "still between", "just before two", "two", answer];
    assert_eq!(texts_of(&list(&app, &id, "?order=asc").await), expected);
}

#[tokio::test]
async fn at_most_twenty_items_are_added_in_one_call() {
    let app = TestApp::start().await;
    let id = create(&app, &[]).await;
    let said: Vec<String> = (0..=MAX_ITEMS_PER_CALL).map(|n| n.to_string()).collect();
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    assert_eq!(add(&app, &id, &said[..MAX_ITEMS_PER_CALL]).await.len(), MAX_ITEMS_PER_CALL);
    let items: Vec<Value> = said.iter().map(|text| user(text)).collect();
    check_error(&app.post(&items_of(&id), &json!({ "items": items })).await, 400, "invalid_request", "items");
    for (body, param) in [
        (json!({}), "items"),
        (json!({"items": null}), "items"),
        (json!({"items": {}}), "items"),
        (json!({"items": [{"role": "user"}]}), "items[0].content"),
        (json!({"items": [user("a"), {"type": "item_reference", "id": "msg_0"}]}), "items[1].id"),
    ] {
        check_error(&app.post(&items_of(&id), &body).await, 400, "invalid_request", param);
    }
    let none = good(&app.post(&items_of(&id), &json!({"items": []})).await, "ConversationItemList");
    assert_eq!(none["data"], json!([]));
    assert_eq!(list(&app, &id, "?limit=100").await["data"].as_array().unwrap().len(), MAX_ITEMS_PER_CALL);
}

#[tokio::test]
async fn items_that_no_row_can_hold_are_refused() {
    let app = TestApp::start().await;
    let id = create(&app, &[]).await;
    // Digests: a text that does not compress to less than half.
    let noise: String = (0..13_500_u64).map(|n| turnwise_core::digest::Digest::of(n.to_string()).to_string()).collect();
    let body = json!({"items": [user(&noise)]});
    check_error(&app.post(&items_of(&id), &body).await, 400, "invalid_request", "items");
    check_error(&app.post("/v1/conversations", &body).await, 400, "invalid_request", "items");
    assert_eq!(list(&app, &id, "").await["data"], json!([]));
}

#[tokio::test]
async fn an_item_may_be_mentioned_by_its_id() {
    let app = TestApp::start().await;
    let id = create(&app, &["first"]).await;
    let first = ids_of(&list(&app, &id, "").await).remove(0);
    let items = json!([{"type": "item_reference", "id": first}, user("second")]);
    let added = good(&app.post(&items_of(&id), &json!({ "items": items })).await, "ConversationItemList");
    assert_eq!(texts_of(&added), ["first", "second"]);
    assert_ne!(added["data"][0]["id"], json!(first), "it is another item that says the same");
}

#[tokio::test]
async fn a_retry_with_the_same_key_adds_nothing() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let id = create(&app, &[]).await;
    let (path, key) = (items_of(&id), [("idempotency-key", "k")]);
    let body = json!({"items": [user("once")]});
    let replies = join_all((0..6).map(|n| {
        let process = if n % 2 == 0 { &app } else { &other };
        process.post_with(&path, &key, &body)
    }))
    .await;
    let first = good(&replies[0], "ConversationItemList");
    for reply in &replies {
        assert_eq!(reply.json(), first);
    }
    assert_eq!(replies.iter().filter(|reply| !reply.is_replay()).count(), 1);
    add(&app, &id, &["later"]).await;
    assert_eq!(app.post_with(&path, &key, &body).await.json(), first, "also when more has come since");
    assert_eq!(texts_of(&list(&app, &id, "?order=asc").await), ["once", "later"]);

    let different = app.post_with(&path, &key, &json!({"items": [user("twice")]})).await;
    check_error(&different, 422, "idempotency_key_reused", "Idempotency-Key");
    let another = create(&app, &[]).await;
    good(&app.post_with(&items_of(&another), &key, &body).await, "ConversationItemList");
    assert_eq!(texts_of(&list(&app, &another, "").await), ["once"], "a key belongs to its conversation");
}

#[tokio::test]
async fn items_added_at_once_are_all_there_once() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let id = create(&app, &[]).await;
    let said: Vec<String> = (0..12).map(|n| format!("<{n}>")).collect();
    let added = join_all(said.iter().enumerate().map(|(n, text)| {
        let (process, id) = (if n % 2 == 0 { &app } else { &other }, &id);
        async move { add(process, id, &[text]).await.remove(0) }
    }))
    .await;
    let page = list(&app, &id, "?limit=100").await;
    let (mut listed, mut expected) = (ids_of(&page), added);
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    let mut texts = texts_of(&page);
    texts.sort();
    let mut said = said;
    said.sort();
    assert_eq!(texts, said);
}

#[tokio::test]
async fn a_deleted_item_is_gone_and_the_others_keep_their_ids() {
    let app = TestApp::start().await;
    let id = create(&app, &[]).await;
    let ids = add(&app, &id, &["a", "b", "c"]).await;
    let gone = format!("{}/{}", items_of(&id), ids[1]);
    let conversation = good(&app.delete(&gone).await, "ConversationResource");
    assert_eq!(conversation, app.get(&path(&id)).await.json());
    let left = list(&app, &id, "?order=asc").await;
    assert_eq!(
        (texts_of(&left), ids_of(&left)),
        (vec!["a".to_owned(), "c".to_owned()], vec![ids[0].clone(), ids[2].clone()])
    );
    check_error(&app.get(&gone).await, 404, "item_not_found", "");
    check_error(&app.delete(&gone).await, 404, "item_not_found", "");
    for id in &ids[..1] {
        assert_eq!(app.delete(&gone.replace(&ids[1], id)).await.status, 200);
    }
    let more = add(&app, &id, &["d"]).await;
    assert!(!ids.contains(&more[0]), "an id is not given twice");
}

#[tokio::test]
async fn a_turn_whose_answer_was_deleted_cannot_be_replayed() {
    let app = TestApp::start().await;
    let turn = json!({"message": "hello", "session_id": "s", "turn_id": "1"});
    for stream in [false, true] {
        let body = super::with(turn.clone(), "stream", stream);
        let body = super::with(body, "turn_id", format!("{stream}"));
        app.open(CHAT, &[], &body).await;
        app.turn_in(&format!("s:{stream}"), "COMPLETED").await;
    }
    let page = list(&app, "s", "?order=asc").await;
    for answer in [1, 3] {
        let item = page["data"][answer]["id"].as_str().unwrap();
        good(&app.delete(&format!("/v1/conversations/s/items/{item}")).await, "ConversationResource");
    }
    for stream in [false, true] {
        check_error(&app.get(&format!("/v1/turns/s:{stream}")).await, 410, "turn_gone", "");
        let body = super::with(turn.clone(), "turn_id", format!("{stream}"));
        check_error(&app.post(CHAT, &body).await, 410, "turn_gone", "");
        check_error(&app.post(CHAT, &super::with(body, "stream", true)).await, 410, "turn_gone", "");
    }
    assert_eq!(texts_of(&list(&app, "s", "?order=asc").await), ["hello", "hello"]);
    let turns = app.get("/v1/threads/s/turns").await.json();
    assert_eq!((&turns["total"], &turns["data"][0]["message"]), (&json!(2), &json!("")));
    let logs = app.table.rows().await.iter().filter(|row| text(row, "pk").starts_with("S#")).count();
    assert_eq!(logs, 0, "the answer is not in a stream log either");
    assert_eq!(app.provider.calls(), 2);
}

#[tokio::test]
async fn a_turn_whose_question_was_deleted_is_replayed_still() {
    let app = TestApp::start().await;
    let body = json!({"message": "hello", "session_id": "s", "turn_id": "1"});
    let answered = app.post(CHAT, &body).await;
    let question = list(&app, "s", "?order=asc").await["data"][0]["id"].as_str().unwrap().to_owned();
    good(&app.delete(&format!("/v1/conversations/s/items/{question}")).await, "ConversationResource");
    let again = app.post(CHAT, &body).await;
    assert!(again.is_replay());
    assert_eq!(again.body, answered.body);
    assert_eq!(app.get("/v1/threads/s/turns").await.json()["data"][0]["input"], json!([]));
    assert_eq!(texts_of(&list(&app, "s", "").await), ["Hello from the script."]);
}
