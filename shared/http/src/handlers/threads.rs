//! `GET /v1/threads`, `/v1/threads/{id}` and `/v1/threads/{id}/turns`: conversations read back.

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use turnwise_core::digest::Digest;
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::generation::answer_text;
use turnwise_core::id::{ConversationId, ProjectId};
use turnwise_core::items::messages_of_items;
use turnwise_core::limits::PAGE_SIZE;
use turnwise_engine::{CommittedTurn, Content};
use utoipa::{IntoParams, ToSchema};

use super::conversations::named;
use crate::access::Principal;
use crate::app::App;
use crate::error::{Error, ErrorBody};
use crate::extract::{Params, Segment, page_size};

/// One page of conversations, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThreadList {
    /// `list`.
    pub object: &'static str,
    /// The conversations.
    pub data: Vec<ThreadBody>,
    /// Whether there are more.
    pub has_more: bool,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// One conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThreadBody {
    /// `thread`.
    pub object: &'static str,
    /// Its name.
    pub id: String,
    /// Its project's UUID.
    pub project_id: Option<String>,
    /// When its first turn was committed, RFC 3339.
    pub created_at: String,
}

/// One conversation, with what its committed turns came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThreadStats {
    /// `thread`.
    pub object: &'static str,
    /// Its name.
    pub id: String,
    /// Its project's UUID.
    pub project_id: Option<String>,
    /// When it was created, or its first turn began, RFC 3339.
    pub created_at: String,
    /// When something last happened in it, RFC 3339.
    pub updated_at: String,
    /// Committed turns.
    pub turns: u64,
    /// Messages and items that came in, and answers; without those that were deleted.
    pub messages: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// Cost in USD, of the turns whose models have prices.
    pub cost_usd: f64,
    /// Turns that wait in its queue.
    pub queued: u64,
    /// Whether a turn is running.
    pub running: bool,
}

/// One page of turns, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TurnList {
    /// `list`.
    pub object: &'static str,
    /// The conversation.
    pub thread_id: String,
    /// Its project's UUID.
    pub project_id: Option<String>,
    /// Committed turns of the conversation, in all.
    pub total: u64,
    /// The turns.
    pub data: Vec<ListedTurn>,
    /// Whether there are more.
    pub has_more: bool,
    /// `after` of the next page.
    pub next: Option<u64>,
}

/// One committed turn.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedTurn {
    /// `turn`.
    pub object: &'static str,
    /// Its name in the conversation.
    pub turn_id: String,
    /// Its place in the conversation.
    pub turn_number: u64,
    /// The messages that came in with it, in OpenAI's shape.
    #[schema(value_type = Vec<Object>)]
    pub input: Value,
    /// The answer's text.
    pub message: String,
    /// When it was committed, RFC 3339.
    pub completed_at: String,
}

/// Which page of conversations.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ThreadQuery {
    /// Only conversations of this project: its name or UUID.
    project_id: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows, 1 to 100.
    #[param(value_type = Option<u64>)]
    limit: Option<String>,
}

/// Which page of turns.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TurnQuery {
    /// Only turns whose input had this SHA-256, as `GET /v1/turns/{key}` shows it.
    input_hash: Option<String>,
    /// Turns behind this number.
    #[param(value_type = Option<u64>)]
    after: Option<String>,
    /// Rows, 1 to 100.
    #[param(value_type = Option<u64>)]
    limit: Option<String>,
}

/// Lists conversations, newest first.
#[utoipa::path(
    get, path = "/v1/threads", tag = "conversations", params(ThreadQuery),
    responses(
        (status = 200, description = "One page", body = ThreadList),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
    ),
)]
pub(crate) async fn list_threads(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Params(query): Params<ThreadQuery>,
) -> Result<Json<ThreadList>, Error> {
    let mut faults = Faults::default();
    let project = query.project_id.as_deref().map(|name| ProjectId::parse("project_id", name));
    let project = project.and_then(|project| faults.keep(project)).flatten();
    let limit = faults.keep(page_size(query.limit.as_deref()));
    faults.into_result().map_err(Error::Invalid)?;

    let limit = limit.unwrap_or(PAGE_SIZE);
    let after = query.after.as_deref().filter(|after| !after.is_empty());
    let page = app.engine.threads(&principal.tenant, &principal.user, project.as_ref(), after, limit).await?;
    let data = page.threads.into_iter().map(|thread| ThreadBody {
        object: "thread",
        id: thread.conversation.to_string(),
        project_id: thread.project.map(|project| project.to_string()),
        created_at: thread.created_at.to_string(),
    });
    Ok(Json(ThreadList { object: "list", data: data.collect(), has_more: page.next.is_some(), next: page.next }))
}

/// Reads what the turns of a conversation came to.
#[utoipa::path(
    get, path = "/v1/threads/{id}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation")),
    responses(
        (status = 200, description = "The conversation", body = ThreadStats),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
    ),
)]
pub(crate) async fn get_thread(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Segment(id): Segment,
) -> Result<Json<ThreadStats>, Error> {
    let thread = named("thread", &id)?;
    let found = app.engine.overview(&principal.tenant, "thread", &thread).await?;
    let (conversation, totals) = (found.conversation, found.totals);
    Ok(Json(ThreadStats {
        object: "thread",
        id: thread.to_string(),
        running: conversation.is_held(app.engine.clock.now()),
        project_id: conversation.project.map(|project| project.to_string()),
        created_at: conversation.created_at.to_string(),
        updated_at: conversation.updated_at.to_string(),
        turns: conversation.head,
        messages: totals.messages,
        input_tokens: totals.input_tokens,
        output_tokens: totals.output_tokens,
        cost_usd: totals.cost.to_string().parse().unwrap_or_default(),
        queued: conversation.queued,
    }))
}

/// Lists a conversation's committed turns, in order.
#[utoipa::path(
    get, path = "/v1/threads/{id}/turns", tag = "conversations",
    params(("id" = String, Path, description = "The conversation"), TurnQuery),
    responses(
        (status = 200, description = "One page", body = TurnList),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
    ),
)]
pub(crate) async fn list_turns(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Segment(id): Segment,
    Params(query): Params<TurnQuery>,
) -> Result<Json<TurnList>, Error> {
    let mut faults = Faults::default();
    let thread = faults.keep(ConversationId::parse("id", &id));
    let after = faults.keep(number("after", query.after.as_deref()));
    let limit = faults.keep(page_size(query.limit.as_deref()));
    let input_hash = faults.keep(query.input_hash.as_deref().map(digest).transpose());
    let (Some(thread), Some(after), Some(limit), Some(input_hash)) = (thread, after, limit, input_hash) else {
        return Err(Error::Invalid(faults));
    };

    let (tenant, after) = (&principal.tenant, after.unwrap_or(0));
    let page = match input_hash {
        None => app.engine.turns(tenant, &thread, after, limit).await?,
        Some(input_hash) => app.engine.turns_with_input(tenant, &thread, &input_hash, after, limit).await?,
    };
    let next = page.turns.last().map(|turn| turn.number).filter(|_| page.has_more);
    Ok(Json(TurnList {
        object: "list",
        thread_id: thread.to_string(),
        project_id: page.conversation.project.map(|project| project.to_string()),
        total: page.conversation.head,
        data: page.turns.iter().map(listed).collect(),
        has_more: page.has_more,
        next,
    }))
}

/// What came in with a turn, as chat messages by whichever route it came.
fn messages(input: &Content) -> Value {
    match input {
        Content::Messages(messages) => serde_json::from_str(messages.get()).unwrap_or_default(),
        Content::Items(items) => {
            let mut items: Vec<Value> = serde_json::from_str(items.get()).unwrap_or_default();
            items.retain(|item| !item.is_null());
            Value::Array(messages_of_items(&items))
        }
    }
}

fn listed(turn: &CommittedTurn) -> ListedTurn {
    let output: Value = serde_json::from_str(turn.output.get()).unwrap_or_default();
    ListedTurn {
        object: "turn",
        turn_id: turn.turn.to_string(),
        turn_number: turn.number,
        input: messages(&turn.input),
        message: answer_text(&output).to_owned(),
        completed_at: turn.completed_at.to_string(),
    }
}

fn number(field: &str, text: Option<&str>) -> Result<Option<u64>, Fault> {
    let fault = |text| Fault::new(field, format!("Expected a turn's number, got {text:?}."));
    text.map(|text| text.parse().map_err(|_| fault(text))).transpose()
}

fn digest(text: &str) -> Result<Digest, Fault> {
    let fault = || Fault::new("input_hash", format!("Expected the 64 hexadecimal digits of a SHA-256, got {text:?}."));
    Digest::parse(text).ok_or_else(fault)
}
