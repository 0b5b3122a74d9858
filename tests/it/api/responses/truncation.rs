//! A conversation goes along whole, or as much of it as the request allows to be cut.

use serde_json::{Value, json};
use turnwise_core::json::RawMap;
use turnwise_core::limits::MAX_HISTORY_TURNS;
use turnwise_core::tokens::count;
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::Script;

use super::{CHAT, RESPONSES, after, asking, check_error, get, ok, respond, sent, with};

/// Tokens of the model's context, and as many of an estimate as its error may explain.
const CONTEXT: u64 = 128_000;
const SURELY: u64 = 192_000;

fn in_conversation(text: &str, truncation: &str) -> Value {
    with(with(asking(text), "conversation", "s"), "truncation", truncation)
}

/// A conversation `s` of so many turns, each named by its number.
async fn talked(turns: usize) -> TestApp {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::answer("yes"));
    for number in 1..=turns {
        let turn = json!({"message": format!("turn {number}"), "session_id": "s", "history_turns": 0});
        assert_eq!(app.post(CHAT, &turn).await.status, 200);
    }
    app
}

fn check_too_long(reply: &Reply) {
    check_error(reply, 400, "context_length_exceeded", "input");
    for way_out in ["truncation is \"auto\"", "POST /v1/responses/compact"] {
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains(way_out), "{}", reply.text());
    }
}

#[tokio::test]
async fn as_many_turns_as_one_request_takes_go_along_and_more_are_refused() {
    let app = talked(MAX_HISTORY_TURNS).await;
    let key = [("idempotency-key", "k")];
    let last = respond(&app, &in_conversation("next", "disabled")).await;
    assert_eq!(last["truncation"], "disabled");
    assert_eq!(sent(&app).len(), 2 * MAX_HISTORY_TURNS + 1);

    // There are 101 now.
    let (calls, rows) = (app.provider.calls(), app.table.rows().await.len());
    for body in [
        in_conversation("more", "disabled"),
        with(asking("more"), "conversation", "s"),
        after(&last, "more"),
        with(after(&last, "more"), "store", false),
    ] {
        for headers in [&[][..], &key] {
            check_too_long(&app.post_with(RESPONSES, headers, &body).await);
        }
    }
    assert_eq!((app.provider.calls(), app.table.rows().await.len()), (calls, rows), "no key is burnt");

    let auto = app.post_with(RESPONSES, &key, &in_conversation("more", "auto")).await;
    assert_eq!(ok(&auto)["truncation"], "auto");
    assert_eq!((sent(&app).len(), sent(&app)[0].as_str()), (2 * MAX_HISTORY_TURNS + 1, "user: turn 2"));
}

#[tokio::test]
async fn more_turns_than_a_chat_remembers_go_along() {
    for process in [false, true] {
        let app = talked(30).await;
        let app = if process { app.second_process().await } else { app };
        for truncation in ["disabled", "auto"] {
            respond(&app, &in_conversation("next", truncation)).await;
            assert_eq!(sent(&app)[0], "user: turn 1", "{truncation}");
        }
        app.post(CHAT, &json!({"message": "next", "session_id": "s"})).await;
        assert_eq!(sent(&app).len(), 41, "a chat remembers as it did");
    }
}

/// A text that makes a request of so many tokens, as estimated.
fn text_of(tokens: u64) -> String {
    let estimated = |words: usize| {
        let messages = [json!({"role": "user", "content": "x ".repeat(words)})];
        count(&messages, &RawMap::new()).total()
    };
    // A word is three quarters of a token, so that none is passed over.
    let (mut few, mut many) = (0, usize::try_from(tokens).unwrap() * 2);
    while few < many {
        let middle = usize::midpoint(few, many);
        if estimated(middle) < tokens { few = middle + 1 } else { many = middle }
    }
    assert_eq!(estimated(few), tokens);
    "x ".repeat(few)
}

#[tokio::test]
async fn what_the_model_may_take_goes_along_and_what_it_surely_does_not_is_refused() {
    let app = TestApp::start().await;
    let unstored = |tokens: u64| with(asking(text_of(tokens)), "store", false);
    let fits = unstored(SURELY);
    respond(&app, &fits).await;
    let too_long = unstored(SURELY + 1);
    for headers in [&[][..], &[("idempotency-key", "k")]] {
        let reply = app.post_with(RESPONSES, headers, &too_long).await;
        check_too_long(&reply);
        assert!(reply.text().contains("128000"), "{}", reply.text());
    }
    // What is said before everything, and what goes beside it, counts too.
    let tools = json!([{"type": "function", "name": "f", "description": "d".repeat(100)}]);
    check_too_long(&app.post(RESPONSES, &with(fits.clone(), "tools", tools)).await);
    check_too_long(&app.post(RESPONSES, &with(fits, "instructions", "Be brief.")).await);
    assert_eq!(app.provider.calls(), 1);
    // What is new is never cut, and to leave out what was said before does not help.
    let alone = app.post(RESPONSES, &with(too_long.clone(), "truncation", "auto")).await;
    check_error(&alone, 400, "context_length_exceeded", "input");
    assert!(alone.text().contains("The input and what goes with it are about 192001 tokens"), "{}", alone.text());
    assert_eq!(app.provider.calls(), 1);
    // Nobody knows what another model takes.
    respond(&app, &with(too_long, "model", "openai/unheard-of")).await;
}

#[tokio::test]
async fn an_image_counts_as_one_however_long_it_is() {
    let app = TestApp::start().await;
    let image = json!({"type": "input_image", "image_url": format!("data:image/png;base64,{}", "A".repeat(700_000))});
    let input = json!([{"role": "user", "content": [image]}]);
    respond(&app, &with(asking(input), "store", false)).await;
}

/// Base64 that cannot be packed any shorter than its bytes.
fn picture(seed: u32) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // Numerical Recipes' generator; its high bits are random enough for a packer.
    let states =
        std::iter::successors(Some(seed), |state| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
    let digits = states.skip(1).take(240_000).map(|state| char::from(DIGITS[(state >> 26) as usize]));
    format!("data:image/png;base64,{}", digits.collect::<String>())
}

#[tokio::test]
async fn what_fills_more_than_a_page_of_the_table_goes_along_whole() {
    const TURNS: u32 = 8;
    let app = TestApp::start().await;
    app.post(CHAT, &json!({"message": "first", "session_id": "s"})).await;
    for seed in 0..TURNS {
        let image = json!({"type": "input_image", "image_url": picture(seed)});
        let input = json!([{"role": "user", "content": [image]}]);
        respond(&app, &with(asking(input), "conversation", "s")).await;
    }
    let other = app.second_process().await;
    respond(&other, &in_conversation("next", "disabled")).await;
    let request = other.provider.requests().pop().unwrap();
    assert!(request.raw.len() > 8 * 240_000, "more than a page of a megabyte, packed");
    assert_eq!((request.body["messages"][0]["content"].as_str(), sent(&other).len()), (Some("first"), 19));
}

#[tokio::test]
async fn what_was_said_before_counts_as_well() {
    let app = TestApp::start().await;
    // Two of them may fit, three do not.
    let half = text_of(CONTEXT * 11 / 20);
    let first = respond(&app, &asking(half.clone())).await;
    let second = respond(&app, &after(&first, half.clone())).await;
    check_too_long(&app.post(RESPONSES, &after(&second, half.clone())).await);
    let auto = respond(&app, &with(after(&second, half), "truncation", "auto")).await;
    // With three quarters of the context nothing older fits beside the new message.
    assert_eq!((sent(&app).len(), &auto["status"]), (1, &json!("completed")));
    respond(&app, &after(&second, "short")).await;
    assert_eq!(sent(&app).len(), 5);
}

#[tokio::test]
async fn in_the_queue_it_is_the_end_of_the_turn() {
    let mut app = talked(MAX_HISTORY_TURNS).await;
    let calls = app.provider.calls();
    let ask = |text: &str| with(in_conversation(text, "disabled"), "background", true);
    let (fits, fails) = (respond(&app, &ask("fits")).await, respond(&app, &ask("fails")).await);
    app.work();
    let failed = once_ended(&app, &fails).await;
    assert_eq!(get(&app, &fits).await["status"], "completed");
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("invalid_prompt")));
    assert!(failed["error"]["message"].as_str().unwrap().contains("truncation"), "{failed}");
    assert_eq!(app.provider.calls(), calls + 1);
    // The queue goes on behind it.
    let next = respond(&app, &with(ask("next"), "truncation", "auto")).await;
    assert_eq!(once_ended(&app, &next).await["status"], "completed");
    let letters = app.get("/admin/dead-letters").await.json();
    assert_eq!(letters["data"].as_array().map(Vec::len), Some(1), "{letters}");
}

/// The response once it has ended.
async fn once_ended(app: &TestApp, response: &Value) -> Value {
    let looking = async {
        loop {
            let now = get(app, response).await;
            if now["status"] != "queued" && now["status"] != "in_progress" {
                return now;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(turnwise_tests::app::PATIENCE, looking).await.expect("it ends")
}
