//! Clients that leave, and clients that read slowly: the turn goes on without them.

use std::io;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use turnwise_tests::app::{KEY as API_KEY, Reply, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, COMPLETIONS, ROUTES, ask_as, names, text_in, text_of};

const KEY: [(&str, &str); 1] = [("idempotency-key", "s:1")];
const ANSWER: &str = "one two three four";

/// Checks that a turn whose client has left is committed, and its stream kept whole.
async fn check_kept(app: &TestApp, path: &str) {
    assert_eq!(app.turn_in("s:1", "COMPLETED").await["message"], ANSWER);
    for process in [app, &app.second_process().await] {
        let replayed = process.open(path, &KEY, &ask_as(path, "hello", true)).await;
        assert_eq!(replayed.header("idempotent-replayed"), "true");
        assert_eq!(text_in(&replayed.rest().await), ANSWER);
        assert_eq!(text_of(&process.post_with(path, &KEY, &ask_as(path, "hello", false)).await), ANSWER);
    }
    assert_eq!((app.provider.calls(), app.provider.abandoned()), (1, 0));
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_stream_finds_its_answer() {
    for path in ROUTES {
        let app = TestApp::start().await;
        let gate = Gate::closed();
        app.provider.enqueue(Script::answer(ANSWER).gated_after(2, &gate));
        let mut events = app.open(path, &KEY, &ask_as(path, "hello", true)).await;
        gate.reached().await;
        let mut seen = String::new();
        while seen != "one two " {
            seen.push_str(&text_in(&[events.next().await.unwrap()]));
        }
        drop(events);
        gate.open();
        check_kept(&app, path).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_word_finds_its_answer() {
    for path in ROUTES {
        for stream in [false, true] {
            let app = TestApp::start().await;
            let gate = Gate::closed();
            app.provider.enqueue(Script::answer(ANSWER).gated(&gate));
            let body = ask_as(path, "hello", stream);
            tokio::select! {
                reply = app.post_with(path, &KEY, &body) => panic!("{}", reply.text()),
                () = gate.reached() => {}
            }
            gate.open();
            check_kept(&app, path).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_without_a_key_is_still_in_the_ledger() {
    let app = TestApp::start().await;
    let gate = Gate::closed();
    app.provider.enqueue(Script::answer(ANSWER).gated_after(1, &gate));
    let events = app.open(COMPLETIONS, &[], &ask_as(COMPLETIONS, "hello", true)).await;
    gate.reached().await;
    drop(events);
    gate.open();
    app.engine.tasks.idle().await;
    let rows = app.table.rows().await;
    let lines = rows.iter().filter(|row| turnwise_tests::table::text(row, "pk").starts_with("L#"));
    assert_eq!(lines.count(), 1);
}

/// A client that takes a few bytes at a time from a socket that holds few.
async fn slow_client(app: &TestApp, body: &str) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(app.address()).await?;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {API_KEY}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    Ok(stream)
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nothing() {
    let app = TestApp::start().await;
    // Far more than the sockets between hold, in text that its row holds packed.
    let word = "a".repeat(16 * 1024) + " ";
    let text = word.repeat(200);
    app.provider.enqueue(Script::answer(&text));
    let body = json!({"message": "hello", "session_id": "s", "turn_id": "1", "stream": true}).to_string();
    let mut client = slow_client(&app, &body).await.unwrap();
    let mut first = [0; 15];
    client.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");

    let turn = app.turn_in("s:1", "COMPLETED").await;
    assert_eq!(turn["message"].as_str().map(str::len), Some(text.len()));
    let again = app.request(http::Method::POST, CHAT).body(body.replace("true", "false"));
    assert_eq!(text_of(&Reply::of(again).await).len(), text.len());

    // Whoever comes back to reading gets all of it.
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    let rest = String::from_utf8(rest).unwrap();
    assert_eq!(rest.matches("event: delta").count(), 200);
    assert!(rest.contains("event: done"));
}

#[tokio::test]
async fn nobody_needs_to_stay_for_a_failure_to_be_kept() {
    let app = TestApp::start().await;
    let gate = Gate::closed();
    app.provider.enqueue(Script::answer(ANSWER).gated_after(2, &gate).end_after(3));
    let events = app.open(CHAT, &KEY, &ask_as(CHAT, "hello", true)).await;
    gate.reached().await;
    drop(events);
    gate.open();
    let turn = app.turn_in("s:1", "FAILED").await;
    assert_eq!(turn["error"]["partial_text"], "one two three ");
    let events = app.open(CHAT, &KEY, &ask_as(CHAT, "hello", true)).await.rest().await;
    assert_eq!(names(&events).last(), Some(&"done"), "another attempt");
}
