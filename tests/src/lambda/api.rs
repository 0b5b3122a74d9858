//! The Runtime API: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::reply::{Invocation, Mode};

/// How a client's departure reaches a function that is answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangUp {
    /// The Runtime API replies before it has the whole answer.
    EarlyReply,
    /// The connection to the Runtime API breaks.
    BrokenConnection,
}

/// What arrives of an answer.
#[derive(Debug)]
pub(super) enum Arrived {
    Head(Mode),
    Bytes(Bytes),
    End,
    /// The function reported an error instead.
    Error(Value),
}

/// The Runtime API of one function.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) address: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    send: mpsc::UnboundedSender<Queued>,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Queued>>,
    running: Mutex<HashMap<String, Running>>,
    polls: watch::Sender<usize>,
}

/// An event that waits for a poll.
#[derive(Debug)]
struct Queued {
    id: String,
    event: String,
    deadline_ms: u128,
}

/// An invocation that is not answered yet.
#[derive(Debug)]
struct Running {
    arrived: mpsc::UnboundedSender<Arrived>,
    hang_up: oneshot::Receiver<HangUp>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Api {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let (send, queue) = mpsc::unbounded_channel();
        let shared =
            Arc::new(Shared { send, queue: queue.into(), running: Mutex::default(), polls: watch::Sender::new(0) });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).expect("a TCP socket takes the option"));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving never fails") });
        Self { address, shared, server }
    }

    /// Queues `event` for the next poll; its invocation may run for `time`.
    pub(super) fn invoke(&self, event: &Value, time: Duration) -> Invocation {
        let id = uuid::Uuid::new_v4().to_string();
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let (hang_up, hung_up) = oneshot::channel();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
        let queued = Queued { id: id.clone(), event: event.to_string(), deadline_ms: (now + time).as_millis() };
        self.shared.running.lock().unwrap().insert(id, Running { arrived, hang_up: hung_up });
        self.shared.send.send(queued).expect("this struct holds the receiver");
        Invocation::new(arrivals, hang_up)
    }

    /// How often the function has asked for an event.
    pub(super) fn polls(&self) -> watch::Receiver<usize> {
        self.shared.polls.subscribe()
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.polls.send_modify(|polls| *polls += 1);
    let queued = shared.queue.lock().await.recv().await.expect("the sender lives in the same struct");
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", queued.id),
        ("lambda-runtime-deadline-ms", queued.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:test".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-65f0c3a1-0123456789abcdef01234567;Sampled=0".to_owned()),
    ];
    (headers, queued.event).into_response()
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let Some(Running { arrived, mut hang_up }) = shared.running.lock().unwrap().remove(&id) else {
        return StatusCode::BAD_REQUEST;
    };
    // Whoever invoked may have lost interest: then nothing that arrives matters.
    let tell = |what| drop(arrived.send(what));
    let streams = headers.get("lambda-runtime-function-response-mode").is_some_and(|mode| mode == "streaming");
    tell(Arrived::Head(if streams { Mode::Streamed } else { Mode::Buffered }));
    let mut pieces = body.into_data_stream();
    loop {
        tokio::select! {
            piece = pieces.next() => match piece {
                Some(Ok(bytes)) => tell(Arrived::Bytes(bytes)),
                Some(Err(_)) => return StatusCode::BAD_REQUEST,
                None => break,
            },
            Ok(how) = &mut hang_up => match how {
                HangUp::EarlyReply => return StatusCode::ACCEPTED,
                // Unwinds the connection's task, which closes the socket, and prints nothing.
                HangUp::BrokenConnection => std::panic::resume_unwind(Box::new("hang up")),
            },
        }
    }
    tell(Arrived::End);
    StatusCode::ACCEPTED
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    let Some(running) = shared.running.lock().unwrap().remove(&id) else { return StatusCode::BAD_REQUEST };
    let _ = running.arrived.send(Arrived::Error(serde_json::from_slice(&body).unwrap_or_default()));
    StatusCode::ACCEPTED
}
