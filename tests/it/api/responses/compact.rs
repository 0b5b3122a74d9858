//! Conversations made short.

use serde_json::{Value, json};
use turnwise_core::id::Tenant;
use turnwise_core::items::{compaction_item, parse_input, resolve};
use turnwise_core::limits::{MAX_COMPACTION_ROUNDS, REASONING_TOKENS, SUMMARY_TOKENS};
use turnwise_engine::Error;
use turnwise_engine::responses::{Place, ResponseRequest};
use turnwise_engine::turn::{Caller, Input};
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::rig;
use turnwise_tests::scripted::{Gate, Script};
use turnwise_tests::table::text as attribute;

use super::schema::check;
use super::{CHAT, RESPONSES, after, asking, check_error, check_untouched, parrot, path, respond, sent, with};

const COMPACT: &str = "/v1/responses/compact";

const KEY: [(&str, &str); 1] = [("idempotency-key", "k")];

/// A model that the catalogue does not know: its context is assumed.
const UNKNOWN: &str = "openai/unheard-of";

/// About what one request to such a model holds of a transcript, in bytes.
const PART: usize = 85_000;

/// The compaction of a good reply, held against both standards.
fn compacted(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    check(&body, "CompactResource");
    check(&body, "openai.CompactResource");
    for item in body["output"].as_array().unwrap() {
        check(item, "ItemField");
        check(item, "ItemResource");
    }
    body
}

async fn compact(app: &TestApp, body: &Value) -> Value {
    compacted(&app.post(COMPACT, body).await)
}

/// The texts of the messages that a compaction keeps, and behind them its one summary.
fn kept(compaction: &Value) -> Vec<String> {
    let output = compaction["output"].as_array().unwrap();
    let (last, messages) = output.split_last().unwrap();
    assert!(last["type"] == "compaction" && last["id"].as_str().unwrap().starts_with("cmp_"), "{last}");
    let text = |item: &Value| {
        assert_eq!(
            (&item["type"], &item["role"], &item["status"]),
            (&json!("message"), &json!("user"), &json!("completed"))
        );
        item["content"][0]["text"].as_str().unwrap().to_owned()
    };
    messages.iter().map(text).collect()
}

/// What the model is told in place of what a compaction covers.
fn told(compaction: &Value) -> String {
    let items = parse_input("input", &compaction["output"]).unwrap();
    let items = resolve(items, |_| None).unwrap();
    let messages = turnwise_core::items::messages_of_items(&items);
    messages.last().unwrap()["content"].as_str().unwrap().to_owned()
}

/// The phases of the ledger's lines.
async fn ledger(app: &TestApp) -> Vec<String> {
    let rows = app.table.rows().await;
    let lines = rows.iter().filter(|row| attribute(row, "pk").starts_with("L#"));
    lines.map(|row| attribute(row, "sk").split_once('#').expect("attempt and phase").1.to_owned()).collect()
}

fn talk() -> Value {
    json!([
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello, Ada!"},
        {"type": "function_call", "call_id": "c", "name": "find", "arguments": "{\"q\":1}"},
        {"type": "function_call_output", "call_id": "c", "output": "found it"},
        {"role": "user", "content": "And now?"},
    ])
}

#[tokio::test]
async fn users_words_stay_and_everything_is_summarised() {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::answer("Ada said her name."));
    let asked = with(with(asking(talk()), "instructions", "Mind the names."), "prompt_cache_key", "p");
    let reply = app.post(COMPACT, &with(with(asked, "service_tier", "flex"), "temperature", 2)).await;
    for header in ["turnwise-model", "turnwise-cost-usd", "x-request-id"] {
        assert_ne!(reply.header(header), "", "{header}");
    }
    let compaction = compacted(&reply);
    assert!(compaction["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(kept(&compaction), ["My name is Ada.", "And now?"]);
    assert!(told(&compaction).ends_with("\n\nAda said her name."), "{}", told(&compaction));
    assert_eq!((&compaction["usage"]["input_tokens"], &compaction["usage"]["output_tokens"]), (&json!(10), &json!(4)));

    let request = app.provider.requests().remove(0).body;
    assert_eq!(request["max_completion_tokens"], SUMMARY_TOKENS);
    assert_eq!((&request["prompt_cache_key"], &request["service_tier"]), (&json!("p"), &json!("flex")));
    assert_eq!(request.get("temperature"), None, "the request to the model is ours");
    let messages = sent(&app);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].starts_with("system: You compress") && messages[0].ends_with("Mind the names."));
    for line in ["system: Be kind.", "assistant: Hello, Ada!", "assistant calls find with {\"q\":1}", "found it"] {
        assert!(messages[1].contains(line), "{line}: {}", messages[1]);
    }
    assert_eq!(ledger(&app).await, ["settled"]);
    // Nobody finds it.
    assert_eq!(app.get(&path(&compaction)).await.status, 404);
    check_error(
        &app.post(RESPONSES, &after(&compaction, "and?")).await,
        404,
        "previous_response_not_found",
        "previous_response_id",
    );
}

#[tokio::test]
async fn it_takes_the_place_of_the_conversation() {
    let app = parrot(&["next", "last"]).await;
    app.provider.on_text("Transcript", Script::answer("Ada said her name."));
    let compaction = compact(&app, &asking(talk())).await;
    let mut input = compaction["output"].clone();
    input.as_array_mut().unwrap().push(json!({"role": "user", "content": "next"}));
    let next = respond(&app, &asking(input)).await;
    let short =
        ["user: My name is Ada.".to_owned(), "user: And now?".to_owned(), format!("system: {}", told(&compaction))];
    let expected =
        |more: &[&str]| short.iter().cloned().chain(more.iter().map(|text| (*text).to_owned())).collect::<Vec<_>>();
    assert_eq!(sent(&app), expected(&["user: next"]));
    respond(&app, &after(&next, "last")).await;
    assert_eq!(sent(&app), expected(&["user: next", "assistant: re-next", "user: last"]));
    let items = app.get(&format!("{}/input_items?order=asc", path(&next))).await.json();
    assert_eq!(items["data"][2]["encrypted_content"], compaction["output"][2]["encrypted_content"]);
}

#[tokio::test]
async fn it_can_be_compacted_again() {
    let app = TestApp::start().await;
    app.provider.on_text("My name is", Script::answer("First summary."));
    app.provider.otherwise(Script::answer("Second summary."));
    let input = json!([{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hello!"}]);
    let mut again = compact(&app, &asking(input)).await["output"].clone();
    again.as_array_mut().unwrap()[0]["content"][0]["text"] = json!("I am Ada.");
    again.as_array_mut().unwrap().push(json!({"role": "user", "content": "More."}));
    let second = compact(&app, &asking(again)).await;
    assert!(sent(&app)[1].contains("First summary."), "{:?}", sent(&app));
    assert_eq!(kept(&second), ["I am Ada.", "More."]);
    assert!(told(&second).ends_with("Second summary.") && !told(&second).contains("First"));
}

#[tokio::test]
async fn the_whole_chain_before_it_is_taken_in() {
    let app = TestApp::start().await;
    let first = app.post(CHAT, &json!({"message": "turn 0", "session_id": "s"})).await;
    assert_eq!(first.status, 200);
    let mut last = respond(&app, &with(asking("turn 1"), "conversation", "s")).await;
    for number in 2..=23 {
        let next = respond(&app, &after(&last, format!("turn {number}"))).await;
        // Another one takes the place behind some, so that the next one forks.
        if number % 2 == 0 {
            respond(&app, &after(&next, "aside")).await;
        }
        last = next;
    }
    app.provider.on_text("Transcript", Script::answer("Much was said."));
    let body =
        with(with(json!({"model": "gpt-4o-mini"}), "previous_response_id", last["id"].clone()), "input", "and this");
    let compaction = compact(&app, &body).await;
    let expected: Vec<String> =
        (0..=23).map(|number| format!("turn {number}")).chain(["and this".to_owned()]).collect();
    assert_eq!(kept(&compaction), expected);
    let transcript = sent(&app).remove(1);
    for said in &expected {
        assert!(transcript.contains(&format!("user: {said}\n")), "{said}");
    }
    assert!(!transcript.contains("aside"));
    // Without an input of its own, too.
    let body = with(json!({"model": "gpt-4o-mini"}), "previous_response_id", last["id"].clone());
    assert_eq!(kept(&compact(&app, &body).await), expected[..24]);
}

#[tokio::test]
async fn a_retry_gets_the_same_bytes_and_pays_nothing() {
    let app = TestApp::start().await;
    let body = asking(talk());
    let first = app.post_with(COMPACT, &KEY, &body).await;
    let compaction = compacted(&first);
    for process in [&app, &app.second_process().await] {
        for same in [body.clone(), with(body.clone(), "stream", false), with(body.clone(), "instructions", Value::Null)]
        {
            let again = process.post_with(COMPACT, &KEY, &same).await;
            assert_eq!((again.is_replay(), &again.body), (true, &first.body), "{}", again.text());
            assert_eq!(again.header("turnwise-cost-usd"), first.header("turnwise-cost-usd"));
        }
    }
    assert_eq!((app.provider.calls(), ledger(&app).await.len()), (1, 1));
    let other = app.post_with(COMPACT, &KEY, &asking("something else")).await;
    check_error(&other, 422, "idempotency_key_reused", "Idempotency-Key");
    // The same key of another route is another key.
    let response = app.post_with(RESPONSES, &KEY, &with(body, "store", false)).await;
    assert_ne!(super::ok(&response)["id"], compaction["id"]);
    assert_eq!(app.get("/v1/threads").await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_retry_outlives_what_was_compacted() {
    let app = TestApp::start().await;
    let response = respond(&app, &asking("hello")).await;
    let body = with(json!({"model": "gpt-4o-mini"}), "previous_response_id", response["id"].clone());
    let first = app.post_with(COMPACT, &KEY, &body).await;
    assert_eq!(kept(&compacted(&first)), ["hello"]);
    super::delete(&app, &response).await;
    let again = app.post_with(COMPACT, &KEY, &body).await;
    assert_eq!((again.is_replay(), &again.body), (true, &first.body));
    let another = app.post(COMPACT, &body).await;
    check_error(&another, 404, "previous_response_not_found", "previous_response_id");
}

#[tokio::test]
async fn equal_requests_at_once_are_one() {
    let app = TestApp::start().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::answer("A summary.").gated(&gate));
    let body = asking(talk());
    let ask = || app.post_with(COMPACT, &KEY, &body);
    let open = async {
        gate.reached().await;
        gate.open();
    };
    let (one, two, ()) = tokio::join!(ask(), ask(), open);
    assert_eq!((compacted(&one), app.provider.calls()), (compacted(&two), 1));
}

/// A conversation of so many parts.
fn long(parts: usize) -> Value {
    let said =
        |number: usize| json!({"role": "user", "content": format!("part {number} {}", "word ".repeat(PART / 5))});
    let mut items: Vec<Value> = (1..=parts).map(said).collect();
    items.push(json!({"role": "user", "content": "short"}));
    with(asking(items), "model", UNKNOWN)
}

#[tokio::test]
async fn what_is_too_long_for_one_request_is_summarised_part_by_part() {
    let app = TestApp::start().await;
    for number in 1..=4 {
        app.provider.enqueue(Script::answer(&format!("summary-{number}")));
    }
    let reply = app.post_with(COMPACT, &KEY, &long(3)).await;
    let compaction = compacted(&reply);
    assert_eq!(kept(&compaction), ["short"]);
    let requests = app.provider.requests();
    let last = format!("summary-{}", requests.len());
    assert!((3..=4).contains(&requests.len()) && told(&compaction).ends_with(&last), "{}", requests.len());
    for (number, request) in requests.iter().enumerate() {
        assert_eq!(request.last_text().contains("Summary of what came before"), number > 0);
        assert!(number == 0 || request.last_text().contains(&format!("summary-{number}\n")));
        assert!(request.raw.len() < 110_000, "{}", request.raw.len());
    }
    let calls = u64::try_from(requests.len()).unwrap();
    assert_eq!(compaction["usage"]["input_tokens"], 10 * calls, "all of them are counted");
    assert_eq!(ledger(&app).await, vec!["settled"; requests.len()]);
    let again = app.post_with(COMPACT, &KEY, &long(3)).await;
    assert_eq!((&again.body, app.provider.calls()), (&reply.body, requests.len()));
}

#[tokio::test]
async fn a_retry_goes_on_with_the_part_that_failed() {
    let app = TestApp::start().await;
    app.provider.enqueue(Script::answer("summary-1"));
    app.provider.enqueue(Script::refuse(503));
    let failed = app.post_with(COMPACT, &KEY, &long(3)).await;
    assert!((500..600).contains(&failed.status), "{}", failed.text());
    assert_eq!(app.provider.calls(), 2);
    app.provider.otherwise(Script::answer("the end"));
    compacted(&app.post_with(COMPACT, &KEY, &long(3)).await);
    assert!(app.provider.requests()[2].last_text().contains("summary-1"), "the first part is not asked for again");
}

#[tokio::test]
async fn without_a_key_every_request_is_another() {
    let app = TestApp::start().await;
    let first = compact(&app, &asking(talk())).await;
    let second = compact(&app, &asking(talk())).await;
    assert_ne!(first["id"], second["id"]);
    assert_eq!((app.provider.calls(), ledger(&app).await.len()), (2, 2));
    let rows = app.table.rows().await;
    assert!(rows.iter().all(|row| !attribute(row, "pk").starts_with("C#")), "{rows:?}");
    // In several requests as well.
    compact(&app, &long(2)).await;
    assert!(ledger(&app).await.len() >= 4);
}

#[tokio::test]
async fn a_model_that_reasons_has_room_for_it() {
    let app = TestApp::start().await;
    for (model, most) in [("gpt-5.4-mini", SUMMARY_TOKENS + REASONING_TOKENS), ("gpt-4.1-mini", SUMMARY_TOKENS)] {
        compact(&app, &with(asking("hello"), "model", model)).await;
        assert_eq!(app.provider.requests().pop().unwrap().body["max_completion_tokens"], most, "{model}");
    }
}

#[tokio::test]
async fn an_answer_without_text_is_no_summary() {
    for key in [&[][..], &KEY] {
        let app = TestApp::start().await;
        app.provider.otherwise(Script::answer(" "));
        let reply = app.post_with(COMPACT, key, &asking(talk())).await;
        check_error(&reply, 502, "answer_without_text", "");
        assert_eq!((reply.header("x-should-retry"), ledger(&app).await), ("false", vec!["wasted".to_owned()]));
        let rows = app.table.rows().await;
        assert!(rows.iter().all(|row| !attribute(row, "sk").starts_with("M#")), "nothing of it is kept");
        if !key.is_empty() {
            let again = app.post_with(COMPACT, key, &asking(talk())).await;
            check_error(&again, 502, "answer_without_text", "");
            assert_eq!((again.is_replay(), app.provider.calls()), (true, 1));
        }
    }
}

#[tokio::test]
async fn every_fault_is_told_at_once_and_nothing_is_done() {
    let app = TestApp::start().await;
    let foreign = json!({"type": "compaction", "encrypted_content": "gAAAAABpM0Yj"});
    let everything = json!({"model": " ", "input": [{"role": "user"}, foreign], "instructions": 1,
        "previous_response_id": 8, "stream": true, "background": "yes", "conversation": "c", "service_tier": "best",
        "prompt_cache_key": 1, "delivery": "never"});
    let reply = app.post_with(COMPACT, &[("idempotency-key", "a#b")], &everything).await;
    check_error(&reply, 400, "invalid_request", "input[0].content");
    let faults = reply.json()["error"]["faults"].as_array().unwrap().clone();
    let found: Vec<&str> = faults.iter().map(|fault| fault["field"].as_str().unwrap()).collect();
    let expected = [
        "input[0].content",
        "input[1].encrypted_content",
        "model",
        "instructions",
        "previous_response_id",
        "stream",
        "background",
        "conversation",
        "Idempotency-Key",
        "delivery",
        "service_tier",
        "prompt_cache_key",
    ];
    assert_eq!(found, expected);
    for (body, field) in [
        (json!({"model": "gpt-4o-mini"}), "input"),
        (json!({"model": "gpt-4o-mini", "input": null, "previous_response_id": null}), "input"),
        (json!({"input": "hello"}), "model"),
        (asking(""), "input"),
        (asking(json!([])), "input"),
        (with(asking("a"), "background", true), "background"),
        (with(with(asking("hello"), "model", UNKNOWN), "instructions", "word ".repeat(24_000)), "instructions"),
    ] {
        check_error(&app.post(COMPACT, &body).await, 400, "invalid_request", field);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::builder().without_openai().start().await;
    check_error(&app.post(COMPACT, &asking("hello")).await, 404, "model_not_found", "model");
    for previous in ["resp_unknown", "resp_Yzp0", ""] {
        let body = with(json!({"model": "local/echo"}), "previous_response_id", previous);
        let reply = app.post_with(COMPACT, &KEY, &body).await;
        check_error(&reply, 404, "previous_response_not_found", "previous_response_id");
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn too_much_for_all_requests_is_refused() {
    // The most that a body can bring fits, so it takes a small model to see the limit.
    let app = TestApp::start().await;
    let items: Vec<Value> = (0..11).map(|_| json!({"role": "user", "content": "word ".repeat(PART / 5)})).collect();
    compact(&app, &with(asking(items), "model", UNKNOWN)).await;
    assert!(app.provider.calls() <= MAX_COMPACTION_ROUNDS);
    let full = with(asking("a"), "instructions", "word ".repeat(18_000));
    let body = with(with(full, "model", UNKNOWN), "input", "word ".repeat(60_000));
    check_error(&app.post(COMPACT, &body).await, 400, "invalid_request", "input");
}

#[tokio::test]
async fn a_foreign_compaction_is_refused_everywhere() {
    let app = TestApp::start().await;
    let foreign = json!([{"type": "compaction", "encrypted_content": "gAAAAABpM0Yj"}]);
    for route in [RESPONSES, COMPACT] {
        let reply = app.post(route, &asking(foreign.clone())).await;
        check_error(&reply, 400, "invalid_request", "input[0].encrypted_content");
        assert!(reply.text().contains("no compaction made here"), "{}", reply.text());
    }
    check_untouched(&app).await;
    let reply = app.post("/v1/conversations", &json!({"items": foreign})).await;
    check_error(&reply, 400, "invalid_request", "items[0].encrypted_content");
    let created = app.post("/v1/conversations", &json!({"items": [compaction_item("Ada asked.")]})).await.json();
    respond(&app, &with(asking("and?"), "conversation", created["id"].clone())).await;
    assert!(sent(&app)[0].starts_with("system: ") && sent(&app)[0].ends_with("Ada asked."), "{:?}", sent(&app));
}

#[tokio::test]
async fn a_response_is_its_tenants_alone() {
    let app = TestApp::start().await;
    let response = respond(&app, &asking("hello")).await;
    let input = Input { model: Some("local/echo".to_owned()), ..rig::request("c", "t", "x", "local/echo").input };
    let request = |tenant: Tenant| ResponseRequest {
        caller: Caller { tenant, ..rig::caller() },
        place: Place::After(response["id"].as_str().unwrap().to_owned()),
        stored: false,
        turn: None,
        input_hash: turnwise_core::digest::Digest::of("x"),
        number: None,
        delivery: turnwise_core::turn::Delivery::default(),
        on_busy: turnwise_core::turn::OnBusy::default(),
        standing: turnwise_core::turn::Standing::Behind,
        wait: std::time::Duration::ZERO,
        project: None,
        background: false,
        items: Vec::new(),
        input: input.clone(),
    };
    let stranger = request(Tenant::from_stored("other".to_owned()));
    let result = app.engine.compact(stranger.clone()).await;
    assert!(matches!(result, Err(Error::NotFound { what: "previous_response", .. })), "{result:?}");
    let result = app.engine.count_input(stranger).await;
    assert!(matches!(result, Err(Error::NotFound { what: "previous_response", .. })), "{result:?}");
    assert_eq!(app.engine.compact(request(rig::caller().tenant)).await.unwrap().kept.len(), 1);
}
