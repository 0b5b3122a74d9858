//! An LLM provider that does as it is told: an HTTP server on the loopback address
//! that speaks OpenAI's wire format, for all tests in place of paid providers.
//!
//! ```no_run
//! # use turnwise_tests::scripted::{Gate, Script, ScriptedProvider};
//! # async fn example() {
//! let provider = ScriptedProvider::start().await;
//! provider.enqueue(Script::refuse(503));
//! provider.enqueue(Script::answer("Hello there").cut_after(1));
//! let gate = Gate::closed();
//! provider.on_text("slow", Script::answer("at last").gated(&gate));
//! // ... call it at provider.base_url() ...
//! gate.reached().await;
//! gate.open();
//! assert_eq!(provider.calls_with("slow"), 1);
//! # }
//! ```

mod gate;
mod script;
mod wire;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use turnwise_engine::clock::Clock;

pub use self::gate::Gate;
pub use self::script::Script;

/// The provider; it stops taking connections when it is dropped.
#[derive(Debug)]
pub struct ScriptedProvider {
    base_url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// One call as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// The body's text.
    pub raw: String,
    /// The body, parsed; `null` if it is no JSON.
    pub body: Value,
    /// All headers.
    pub headers: HeaderMap,
}

impl Received {
    /// The model asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// The last message's content, or the last input of embeddings: its text, or the JSON of
    /// its parts.
    #[must_use]
    pub fn last_text(&self) -> String {
        let message = self.body["messages"].as_array().and_then(|messages| messages.last()?.get("content"));
        let content = message.or_else(|| self.inputs().last().copied());
        content.map_or(String::new(), |content| content.as_str().map_or(content.to_string(), str::to_owned))
    }

    /// What is to be embedded.
    #[must_use]
    pub fn inputs(&self) -> Vec<&Value> {
        match &self.body["input"] {
            Value::Null => Vec::new(),
            Value::Array(inputs) if !inputs.iter().all(Value::is_number) => inputs.iter().collect(),
            one @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
                vec![one]
            }
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    plan: Mutex<Plan>,
    calls: Mutex<Vec<Received>>,
    models: Mutex<Vec<String>>,
    connections: AtomicUsize,
    listings: AtomicUsize,
    abandoned: AtomicUsize,
    answering: AtomicUsize,
    clock: Clock,
}

/// Which script answers which call.
#[derive(Debug, Default)]
struct Plan {
    keyed: Vec<(Key, VecDeque<Script>)>,
    queue: VecDeque<Script>,
    otherwise: Option<Script>,
}

#[derive(Debug, PartialEq)]
enum Key {
    Text(String),
    Model(String),
}

impl ScriptedProvider {
    /// Starts one on a free port. Every call gets the answer `Hello from the script.`, or
    /// embeddings, until it is told otherwise.
    ///
    /// # Panics
    /// If the loopback address cannot be bound.
    pub async fn start() -> Self {
        Self::start_on(Clock::System).await
    }

    /// Starts one whose scripts wait by `clock`.
    ///
    /// # Panics
    /// If the loopback address cannot be bound.
    pub async fn start_on(clock: Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("a bound socket has an address"));
        let shared = Arc::new(Shared { clock, ..Shared::default() });
        let router = Router::new()
            .route("/v1/chat/completions", post(answer))
            .route("/v1/embeddings", post(embed))
            .route("/v1/models", get(list))
            // Refusals of other formats' addresses: what they say is all in the script.
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let counter = Arc::clone(&shared);
        let listener = listener.tap_io(move |socket| {
            socket.set_nodelay(true).expect("a TCP socket takes the option");
            counter.connections.fetch_add(1, Ordering::SeqCst);
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving never fails") });
        Self { base_url, shared, server }
    }

    /// Its address without a path: to add what other formats' base URLs end in. Scripts that
    /// answer do so in OpenAI's format there too; those that refuse, as they are told.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base_url.trim_end_matches("/v1")
    }

    /// Its address, as `OPENAI_BASE_URL` would hold it.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Answers the next call that no key matches, once.
    pub fn enqueue(&self, script: Script) {
        self.plan(|plan| plan.queue.push_back(script));
    }

    /// Answers calls whose last message contains `text`. Several scripts for one text
    /// are used in turn, and the last of them from then on.
    pub fn on_text(&self, text: &str, script: Script) {
        self.plan(|plan| plan.on(Key::Text(text.to_owned()), script));
    }

    /// Answers calls of `model`, in turn as [`Self::on_text`] does, which goes before.
    pub fn on_model(&self, model: &str, script: Script) {
        self.plan(|plan| plan.on(Key::Model(model.to_owned()), script));
    }

    /// Answers every call that has no other script.
    pub fn otherwise(&self, script: Script) {
        self.plan(|plan| plan.otherwise = Some(script));
    }

    /// What `GET /models` lists.
    pub fn list_models(&self, ids: &[&str]) {
        *self.shared.models.lock().expect("no holder panics") = ids.iter().map(|id| (*id).to_owned()).collect();
    }

    /// How many calls have arrived.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.requests().len()
    }

    /// How many calls have arrived whose last message contains `text`.
    #[must_use]
    pub fn calls_with(&self, text: &str) -> usize {
        self.requests().iter().filter(|request| request.last_text().contains(text)).count()
    }

    /// All calls so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.calls.lock().expect("no holder panics").clone()
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How often `GET /models` was asked.
    #[must_use]
    pub fn listings(&self) -> usize {
        self.shared.listings.load(Ordering::SeqCst)
    }

    /// How many calls their caller gave up before the answer's end.
    #[must_use]
    pub fn abandoned(&self) -> usize {
        self.shared.abandoned.load(Ordering::SeqCst)
    }

    /// Whether it has a call in hand whose answer takes no time by its script.
    #[must_use]
    pub fn is_answering(&self) -> bool {
        self.shared.answering.load(Ordering::SeqCst) > 0
    }

    fn plan(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.shared.plan.lock().expect("no holder panics"));
    }
}

impl Drop for ScriptedProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Plan {
    fn on(&mut self, key: Key, script: Script) {
        match self.keyed.iter_mut().find(|(known, _)| *known == key) {
            Some((_, scripts)) => scripts.push_back(script),
            None => self.keyed.push((key, VecDeque::from([script]))),
        }
    }

    fn next(&mut self, request: &Received, usual: fn() -> Script) -> Script {
        let text = request.last_text();
        let by_text = |key: &Key| matches!(key, Key::Text(part) if text.contains(part.as_str()));
        let by_model = |key: &Key| matches!(key, Key::Model(model) if request.model() == model);
        let at = self.keyed.iter().position(|(key, _)| by_text(key));
        let at = at.or_else(|| self.keyed.iter().position(|(key, _)| by_model(key)));
        if let Some(scripts) = at.map(|at| &mut self.keyed[at].1) {
            let last = scripts.len() == 1;
            let script = if last { scripts.front().cloned() } else { scripts.pop_front() };
            return script.expect("a key has at least one script");
        }
        let script = self.queue.pop_front().or_else(|| self.otherwise.clone());
        script.unwrap_or_else(usual)
    }
}

/// Counts a call as abandoned when it is dropped before its answer's end.
#[derive(Debug)]
struct InFlight {
    shared: Arc<Shared>,
    takes_time: bool,
    ended: bool,
}

impl InFlight {
    fn begin(shared: Arc<Shared>, script: &Script) -> Self {
        let takes_time = script.takes_time();
        shared.answering.fetch_add(usize::from(!takes_time), Ordering::SeqCst);
        Self { shared, takes_time, ended: false }
    }

    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.answering.fetch_sub(usize::from(!self.takes_time), Ordering::SeqCst);
        if !self.ended {
            self.shared.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    follow(shared, headers, &body, || Script::answer("Hello from the script.")).await
}

async fn embed(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    follow(shared, headers, &body, Script::embeddings).await
}

/// Does what the script for this call says, or what is usual.
async fn follow(shared: Arc<Shared>, headers: HeaderMap, body: &[u8], usual: fn() -> Script) -> Response {
    let raw = String::from_utf8_lossy(body).into_owned();
    let body = serde_json::from_str(&raw).unwrap_or_default();
    let request = Received { raw, body, headers };
    let script = shared.plan.lock().expect("no holder panics").next(&request, usual);
    shared.calls.lock().expect("no holder panics").push(request.clone());

    let clock = shared.clock.clone();
    let call = InFlight::begin(shared, &script);
    script.wait(&clock).await;
    wire::respond(script, &request, call, clock)
}

async fn list(State(shared): State<Arc<Shared>>) -> Response {
    shared.listings.fetch_add(1, Ordering::SeqCst);
    let ids = shared.models.lock().expect("no holder panics").clone();
    let data: Vec<Value> = ids.iter().map(|id| json!({"id": id, "object": "model"})).collect();
    axum::Json(json!({"object": "list", "data": data})).into_response()
}
