//! The program killed while it streams, after each word that it has logged: a client that
//! comes back to the next process is never told anything twice, or out of its place.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use turnwise_core::position::Position;
use turnwise_providers::sse::Parser;
use turnwise_tests::heavy;
use turnwise_tests::process::{PATIENCE, Program, Reply, Server, allow_sockets};
use turnwise_tests::proxy::{Crash, Hold, Proxy, Side};
use turnwise_tests::scripted::{Gate, Script, ScriptedProvider};

use super::table::Table;

/// What the provider says when it is first called, a word a chunk, and what after that.
const FIRST: [&str; 4] = ["one ", "two ", "three ", "four"];
const SECOND: [&str; 3] = ["five ", "six ", "seven"];

/// Events before anything that the model says: created, in progress.
const PRELUDE: u64 = 2;

/// Pause between two looks at the table.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

struct World {
    folder: TempDir,
    table: Table,
    provider: ScriptedProvider,
}

impl World {
    async fn new(first: Script) -> Self {
        let provider = ScriptedProvider::start().await;
        provider.on_text("question", first);
        provider.on_text("question", Script::chunks(SECOND));
        Self { folder: tempfile::tempdir().unwrap(), table: Table::start(), provider }
    }

    fn program(&self, table: &str, provider: &str) -> Program {
        Program::new(&self.folder.path().join("data")).table(table).provider(provider).argument("--sweep-every-s=1")
    }

    async fn start(&self) -> Server {
        let server = self.program(self.table.url(), self.provider.base_url()).start().await;
        // The conversation that the response belongs to.
        let hello = json!({"session_id": "c", "turn_id": "first", "message": "hello"}).to_string();
        assert_eq!(server.post("/v1/chat", hello, &[]).await.unwrap().status().as_u16(), 200);
        server
    }

    /// Waits until the log of the response's turn holds `events`.
    async fn has_logged(&self, events: u64) {
        let logged = async {
            while self.table.logged_events("#c#k").await < events {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(PATIENCE, logged).await.expect("the events come to the log");
    }
}

/// Asks for the response.
async fn ask(server: &Server, stream: bool) -> reqwest::Response {
    let body = json!({"model": "gpt-4o-mini", "conversation": "c", "input": "the question", "stream": stream});
    server.post("/v1/responses", body.to_string(), &[("idempotency-key", "k")]).await.unwrap()
}

/// The events of a stream as they come.
struct Events {
    response: reqwest::Response,
    parser: Parser,
    told: Vec<Value>,
}

impl Events {
    fn of(response: reqwest::Response) -> Self {
        assert_eq!(response.status().as_u16(), 200);
        Self { response, parser: Parser::default(), told: Vec::new() }
    }

    /// Reads until `enough` says so, or to the end.
    async fn read(&mut self, enough: impl Fn(&[Value]) -> bool) {
        while !enough(&self.told) {
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("the stream goes on");
            // A connection to a process that was killed breaks.
            let Ok(Some(chunk)) = chunk else { return };
            let mut frames = Vec::new();
            self.parser.push(&chunk, &mut frames).unwrap();
            let events = frames.into_iter().filter(|frame| frame.data != "[DONE]" && !frame.data.is_empty());
            self.told.extend(events.map(|frame| serde_json::from_str::<Value>(&frame.data).unwrap()));
        }
    }
}

async fn events(server: &Server, path: &str) -> Vec<Value> {
    let reply = server.get(path).await.unwrap();
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"), "{}", reply.text());
    let (mut parser, mut frames) = (Parser::default(), Vec::new());
    parser.push(&reply.body, &mut frames).unwrap();
    let (done, frames) = frames.split_last().unwrap();
    assert_eq!(done.data, "[DONE]");
    frames.iter().map(|frame| serde_json::from_str(&frame.data).unwrap()).collect()
}

fn number(event: &Value) -> u64 {
    event["sequence_number"].as_u64().unwrap()
}

fn deltas(events: &[Value]) -> String {
    let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
    deltas.map(|event| event["delta"].as_str().unwrap()).collect()
}

fn last_type(events: &[Value]) -> &str {
    events.last().unwrap()["type"].as_str().unwrap()
}

/// Kills the program when `words` of the answer are told and logged, and comes back.
async fn check_killed_after(words: usize) {
    let gate = Gate::closed();
    let world = World::new(Script::chunks(FIRST).gated_after(words, &gate)).await;
    let server = world.start().await;
    let mut stream = Events::of(ask(&server, true).await);
    let so_far = FIRST[..words].concat();
    stream.read(|told| !told.is_empty() && deltas(told) == so_far).await;
    if words > 0 {
        // The first chunk says who speaks.
        world.has_logged(1 + words as u64).await;
    }
    server.kill().await;
    let seen = number(stream.told.last().unwrap());
    let id = stream.told[0]["response"]["id"].as_str().unwrap().to_owned();
    assert!(stream.told.iter().map(number).eq(0..=seen), "{words} words");
    world.table.lapse_lease("#c").await;

    let server = world.start().await;
    let path = format!("/v1/responses/{id}?stream=true");
    let back = events(&server, &format!("{path}&starting_after={seen}")).await;
    let whole = events(&server, &path).await;
    assert_eq!((deltas(&whole), last_type(&whole)), (SECOND.concat(), "response.completed"), "{words} words");
    assert!(whole.windows(2).all(|pair| number(&pair[1]) == number(&pair[0]) + 1));
    if seen < PRELUDE {
        // Nothing that was seen is different now.
        let rest = &whole[usize::try_from(seen + 1).unwrap()..];
        assert!(back.iter().map(|event| &event["type"]).eq(rest.iter().map(|event| &event["type"])), "{back:#?}");
        assert!(back.windows(2).all(|pair| number(&pair[1]) > number(&pair[0])) && number(&back[0]) > seen);
        assert_eq!((deltas(&back), back.last()), (SECOND.concat(), whole.last()));
    } else {
        assert_eq!((back.len(), &back[0]["error"]["code"]), (1, &json!("taken_over")), "{back:?}");
        assert_eq!(Position::of(number(&whole[0])).stream, 2);
        let anew = events(&server, &format!("{path}&starting_after={seen}&restartable=true")).await;
        assert_eq!(anew, whole);
    }

    let answer = Reply::read(ask(&server, false).await).await.unwrap().json();
    assert_eq!(answer["output"][0]["content"][0]["text"], SECOND.concat());
    assert_eq!(answer, whole.last().unwrap()["response"]);
    assert_eq!(world.provider.calls_with("question"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_killed_after_any_word_is_resumed_or_says_why_not() {
    let _turn = heavy().lock().await;
    allow_sockets();
    let checks = (0..FIRST.len()).map(check_killed_after);
    futures_util::future::join_all(checks).await;
}

/// Kills the program when the whole answer is logged and not committed.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_killed_before_its_commit_goes_on_as_if_nothing_had_happened() {
    let _turn = heavy().lock().await;
    allow_sockets();
    let world = World::new(Script::chunks(FIRST)).await;
    world.start().await.kill().await;
    let proxy = Proxy::start(world.table.url(), world.provider.base_url()).await;
    let server = world.program(proxy.table_url(), proxy.provider_url()).start().await;
    let hold = Hold { boundary: "provider: last words", until: "log: words" };
    proxy.watch(hold, Some(Crash { boundary: "T2", side: Side::Before }));
    let mut stream = Events::of(ask(&server, true).await);
    stream.read(|told| deltas(told) == FIRST.concat()).await;
    proxy.crashed().await;
    server.kill().await;
    world.table.lapse_lease("#c").await;

    let server = world.start().await;
    let id = stream.told[0]["response"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/responses/{id}?stream=true");
    let mut backs = Vec::new();
    for seen in &stream.told {
        backs.push(events(&server, &format!("{path}&starting_after={}", number(seen))).await);
    }
    let whole = events(&server, &path).await;
    assert_eq!(whole[..stream.told.len()], stream.told);
    assert_eq!((deltas(&whole), last_type(&whole)), (FIRST.concat(), "response.completed"));
    for (index, back) in backs.iter().enumerate() {
        assert_eq!(back[..], whole[index + 1..], "behind event {index}");
    }
    assert_eq!(world.provider.calls_with("question"), 1);
}
