//! What belongs to one request: its id, its deadline, its line in the log.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use turnwise_core::category::{Category, Severity};
use turnwise_core::money::PicoUsd;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::Asked;
use turnwise_core::usage::Usage;
use turnwise_engine::clock::Clock;
use turnwise_engine::embeddings::Embeddings;
use turnwise_engine::turn::{Answer, Facts};

use crate::app::App;
use crate::error::Standard;
use crate::rates::Facts as RateFacts;

/// Response header with the request's id; OpenAI's clients show it in their errors.
const REQUEST_ID: &str = "x-request-id";

/// The same for Anthropic's clients, on the routes where they ask.
const MESSAGE_REQUEST_ID: &str = "request-id";

/// When the invocation ends; put on the request by whoever serves the router.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Timestamp);

/// What belongs to one request. Clones share it; the log line is written when the
/// last one is dropped, which for a stream is at its end.
#[derive(Debug, Clone)]
pub struct RequestContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    standard: Standard,
    deadline: Option<Timestamp>,
    began: Timestamp,
    clock: Clock,
    line: Mutex<Line>,
    rates: Mutex<RateFacts>,
}

/// What is known of a request by the time it is logged.
#[derive(Debug, Default)]
pub struct Line {
    /// Method and matched path.
    pub route: String,
    /// The API key's id.
    pub api_key: Option<String>,
    /// The turn's key.
    pub turn: Option<String>,
    /// `provider/model`.
    pub model: Option<String>,
    /// Why that model.
    pub why: Option<String>,
    /// Tokens.
    pub usage: Option<Usage>,
    /// Exact cost, where the model has a price.
    pub cost: Option<PicoUsd>,
    /// HTTP status.
    pub status: u16,
    /// `completed`, `replayed`, or an error's code.
    pub outcome: Option<String>,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// What the log says of an error. It holds no prompt, no answer and no key.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// One of twelve.
    pub category: Category,
    /// Its code.
    pub code: String,
    /// Decides the line's level.
    pub severity: Severity,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// What failed, in words for the operator; none where they may quote the request.
    pub message: Option<String>,
    /// Whom the turn had asked.
    pub asked: Option<Box<Asked>>,
    /// Whether it had happened before and is only told again.
    pub replayed: bool,
}

impl Line {
    /// Notes a committed answer.
    pub fn answered(&mut self, facts: &Facts, answer: &Answer, replayed: bool) {
        self.model = Some(answer.model.clone());
        self.why.clone_from(&facts.why);
        self.usage = Some(answer.usage);
        self.cost = answer.cost;
        self.outcome = Some(if replayed { "replayed" } else { "completed" }.to_owned());
    }

    /// Notes embeddings.
    pub fn embedded(&mut self, facts: &Facts, embeddings: &Embeddings, cost: Option<PicoUsd>) {
        self.model.clone_from(&facts.model);
        self.why.clone_from(&facts.why);
        self.usage = Some(embeddings.usage);
        self.cost = cost;
        self.outcome = Some("completed".to_owned());
    }

    /// Notes an error.
    pub(crate) fn failed(&mut self, trouble: Trouble) {
        self.outcome = Some(trouble.code.clone());
        self.trouble = Some(trouble);
    }
}

impl RequestContext {
    /// The request's id, `req_<uuid>`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Whose clients read the answer.
    #[must_use]
    pub fn standard(&self) -> Standard {
        self.0.standard
    }

    /// When the invocation ends, if it does.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.0.deadline
    }

    /// How its client stands with its rate limits, as far as that is known by now.
    #[must_use]
    pub fn rates(&self) -> RateFacts {
        *self.0.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to that.
    pub fn note_rates(&self, change: impl FnOnce(&mut RateFacts)) {
        change(&mut self.0.rates.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds to the log line.
    pub fn note(&self, change: impl FnOnce(&mut Line)) {
        change(&mut self.0.line.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let duration = self.clock.now().since(self.began);
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        match line.trouble.take() {
            None => log_answer(&self.id, line, duration_ms),
            Some(trouble) => log_trouble(&self.id, line, &trouble, duration_ms),
        }
    }
}

fn log_answer(id: &str, line: &Line, duration_ms: u64) {
    let (input, output) = line.usage.map(|usage| (usage.total_input(), usage.total_output())).unzip();
    let cost = line.cost.map(|cost| cost.to_string());
    tracing::info!(
        request.id = id,
        http.route = line.route,
        http.status = line.status,
        key.id = line.api_key.as_deref(),
        turn.key = line.turn.as_deref(),
        model.name = line.model.as_deref(),
        model.why = line.why.as_deref(),
        tokens.input = input,
        tokens.output = output,
        cost.usd = cost.as_deref(),
        duration_ms,
        outcome = line.outcome.as_deref().unwrap_or("ok"),
        "request"
    );
}

/// The one line of a request that failed, at the level of its severity.
fn log_trouble(id: &str, line: &Line, trouble: &Trouble, duration_ms: u64) {
    let asked = trouble.asked.as_ref();
    let model = asked.map(|asked| asked.model.as_str()).or(line.model.as_deref());
    turnwise_engine::log_by_severity!(
        trouble.severity,
        request.id = id,
        http.route = line.route,
        http.status = line.status,
        key.id = line.api_key.as_deref(),
        turn.key = line.turn.as_deref(),
        model.name = model,
        upstream.calls = asked.map(|asked| asked.calls),
        error.category = %trouble.category,
        error.code = trouble.code,
        error.severity = %trouble.severity,
        error.retryable = trouble.retryable,
        error.replayed = trouble.replayed.then_some(true),
        error.message = trouble.message.as_deref(),
        alarm = (trouble.severity == Severity::Critical).then_some(true),
        duration_ms,
        outcome = trouble.code,
        "request failed"
    );
}

/// Gives each request its context, and its id to the response.
pub(crate) async fn attach(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let clock = app.engine.clock.clone();
    let path = request.extensions().get::<MatchedPath>().map_or_else(|| request.uri().path(), MatchedPath::as_str);
    let context = RequestContext(Arc::new(Inner {
        id: format!("req_{}", app.engine.random.uuid_v7(clock.now()).simple()),
        standard: Standard::of(request.uri().path(), request.headers()),
        deadline: request.extensions().get::<Deadline>().map(|deadline| deadline.0),
        began: clock.now(),
        clock,
        line: Mutex::new(Line { route: format!("{} {path}", request.method()), ..Line::default() }),
        rates: Mutex::default(),
    }));
    request.extensions_mut().insert(context.clone());

    let mut response = next.run(request).await;
    crate::error::name_request(&mut response, &context).await;
    context.note(|line| line.status = response.status().as_u16());
    if let Ok(id) = HeaderValue::from_str(context.id()) {
        if context.standard() == Standard::Anthropic {
            response.headers_mut().insert(MESSAGE_REQUEST_ID, id.clone());
        }
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
