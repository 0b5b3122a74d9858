//! Streams that go well.

use serde_json::{Value, json};
use turnwise_tests::app::{Sse, TestApp};
use turnwise_tests::scripted::{Gate, Script};
use turnwise_tests::table::text;

use crate::api::{CHAT, COMPLETIONS, ROUTES, ask, ask_as, check_request_id, names, redacted, text_in, text_of, with};

const KEY: [(&str, &str); 1] = [("idempotency-key", "s:1")];

#[tokio::test]
async fn a_chat_stream_has_named_and_numbered_events() {
    let app = TestApp::start().await;
    app.provider.enqueue(Script::answer("one two three"));
    let body = json!({"message": "hello", "session_id": "s", "turn_id": "1", "stream": true});
    let events = app.sse(CHAT, &body).await;
    assert_eq!(names(&events), ["turn", "delta", "delta", "delta", "done"]);
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4"]);
    assert_eq!(text_in(&events), "one two three");
    let shown: Vec<Value> = events.iter().map(|event| redacted(event.json())).collect();
    insta::assert_json_snapshot!(shown, @r#"
    [
      {
        "conversation_id": "s",
        "project_id": null,
        "thread_id": "s",
        "turn_id": "1"
      },
      {
        "text": "one "
      },
      {
        "text": "two "
      },
      {
        "text": "three"
      },
      {
        "completed_at": "[completed_at]",
        "conversation_id": "s",
        "cost_usd": 0.0000033,
        "message": "one two three",
        "model": "openai/gpt-4o-mini",
        "object": "turn",
        "project_id": null,
        "response_hash": "6899ee404683a14e8c2a03149860df25d67d34d9cd4dae7350cbe91e4b3976be",
        "status": "COMPLETED",
        "thread_id": "s",
        "turn_id": "1",
        "turn_number": 1,
        "usage": {
          "cached_tokens": 0,
          "estimated": false,
          "input_tokens": 10,
          "output_tokens": 3,
          "total_tokens": 13
        }
      }
    ]
    "#);

    let buffered = app.post(CHAT, &with(body, "stream", false)).await;
    assert_eq!(events.last().unwrap().data, buffered.text());
}

#[tokio::test]
async fn a_stream_tells_which_turn_it_is_before_the_first_word() {
    for path in ROUTES {
        let app = TestApp::start().await;
        let gate = Gate::closed();
        app.provider.enqueue(Script::answer("hello").gated(&gate));
        let mut events = app.open(path, &KEY, &ask_as(path, "hello", true)).await;
        assert_eq!(events.status, 200);
        let expected = [
            ("content-type", "text/event-stream"),
            ("turnwise-turn", "s:1"),
            ("turnwise-attempt", "1"),
            ("turnwise-model", "openai/gpt-4o-mini"),
            ("x-accel-buffering", "no"),
            ("cache-control", "no-cache"),
            ("idempotent-replayed", ""),
        ];
        for (name, value) in expected {
            assert_eq!(events.header(name), value, "{name}");
        }
        assert!(events.header("x-request-id").starts_with("req_"));
        if path == CHAT {
            assert_eq!(events.next().await.unwrap().event, "turn");
        }
        gate.open();
        assert_eq!(text_in(&events.rest().await), "hello");
    }
}

#[tokio::test]
async fn every_word_arrives_as_it_is_made() {
    for path in ROUTES {
        let app = TestApp::start().await;
        let gates = [Gate::closed(), Gate::closed()];
        app.provider.enqueue(Script::answer("one two three").gated_after(1, &gates[0]).gated_after(2, &gates[1]));
        let mut events = app.open(path, &[], &ask_as(path, "hello", true)).await;
        let mut seen = String::new();
        for (gate, so_far) in gates.iter().zip(["one ", "one two "]) {
            while seen != so_far {
                seen.push_str(&text_in(&[events.next().await.unwrap()]));
            }
            gate.open();
        }
        assert_eq!(text_in(&events.rest().await), "three");
    }
}

#[tokio::test]
async fn chunks_of_completions_are_the_upstreams_own() {
    let app = TestApp::start().await;
    let chunks = [
        r#"{"id":"c", "x_first":{"b":1,"a":[ 2 ]},"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"gr\u00fc\u00df \"usage\" e"}}],"id":"c"}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"😀","reasoning_content":"hm"},"finish_reason":"stop"}],"n":1.50}"#,
    ];
    let wire = chunks.map(|chunk| format!("data: {chunk}\n\n")).concat() + "data: [DONE]\n\n";
    app.provider.otherwise(Script::pieces(&[wire.as_bytes()]));
    for headers in [&[][..], &KEY] {
        for _again in 0..2 {
            let events = app.open(COMPLETIONS, headers, &ask_as(COMPLETIONS, "hello", true)).await.rest().await;
            let data: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
            assert_eq!(data, [chunks[0], chunks[1], chunks[2], "[DONE]"]);
            assert!(events.iter().all(|event| event.event.is_empty()));
        }
    }
    assert_eq!(app.provider.calls(), 3);
}

#[tokio::test]
async fn usage_is_shown_to_whom_asks_for_it() {
    let usage = |events: &[Sse]| -> Vec<Value> {
        let chunks = events.iter().filter(|event| event.data != "[DONE]").map(Sse::json);
        chunks.filter_map(|chunk| chunk.get("usage").cloned()).filter(|usage| !usage.is_null()).collect()
    };
    for headers in [&[][..], &KEY] {
        let app = TestApp::start().await;
        let body = ask_as(COMPLETIONS, "hello", true);
        for options in [json!(null), json!({}), json!({"include_usage": false}), json!({"include_usage": null})] {
            let body = with(body.clone(), "stream_options", options);
            let events = app.open(COMPLETIONS, headers, &body).await.rest().await;
            assert_eq!(usage(&events), Vec::<Value>::new());
            assert!(events.iter().all(|event| !event.data.contains("usage")));
        }
        let body = with(body, "stream_options", json!({"include_usage": true}));
        let events = app.open(COMPLETIONS, headers, &body).await.rest().await;
        assert_eq!(usage(&events), [json!({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14})]);
        let last = events[events.len() - 2].json();
        assert_eq!(last["choices"], json!([]), "the usage comes in a chunk of its own, the last");
        for request in app.provider.requests() {
            assert_eq!(request.body["stream_options"], json!({"include_usage": true}), "we ask for it always");
        }
    }
}

#[tokio::test]
async fn the_end_of_a_stream_means_that_its_turn_is_committed() {
    for path in ROUTES {
        let app = TestApp::start().await;
        for number in 0..10 {
            let key = format!("s{number}:1");
            let headers = [("idempotency-key", key.as_str())];
            let mut events = app.open(path, &headers, &ask_as(path, "hello", true)).await;
            while let Some(event) = events.next().await {
                if event.event == "done" || event.data == "[DONE]" {
                    let turns = app.table.rows().await;
                    let turns = turns.iter().filter(|row| text(row, "sk").starts_with("T#"));
                    assert!(
                        turns.clone().count() == number + 1
                            && turns.clone().all(|row| text(row, "state") == "COMPLETED")
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn done_is_the_last_event() {
    let app = TestApp::start().await;
    for headers in [&[][..], &KEY] {
        let events = app.open(COMPLETIONS, headers, &ask_as(COMPLETIONS, "hello", true)).await.rest().await;
        let (last, chunks) = events.split_last().unwrap();
        assert_eq!(last.data, "[DONE]");
        assert!(chunks.iter().all(|chunk| chunk.json()["object"] == "chat.completion.chunk"));
    }
}

#[tokio::test]
async fn an_upstream_that_ignores_stream_is_streamed_anyway() {
    for path in ROUTES {
        let app = TestApp::start().await;
        app.provider.enqueue(Script::answer("one two three").ignoring_stream());
        let events = app.sse(path, &ask_as(path, "hello", true)).await;
        assert_eq!(text_in(&events), "one two three");
        assert!(["done", "[DONE]"].contains(names(&events).last().unwrap()));
    }
}

#[tokio::test]
async fn echo_needs_no_provider() {
    let app = TestApp::builder().without_openai().start().await;
    for path in ROUTES {
        let body = with(ask(path, "hello there"), "model", "local/echo");
        let reply = app.post(path, &body).await;
        assert_eq!((text_of(&reply).as_str(), reply.header("turnwise-model")), ("Echo: hello there", "local/echo"));
        check_request_id(&reply);
        assert_eq!(text_in(&app.sse(path, &with(body, "stream", true)).await), "Echo: hello there");
    }
}
