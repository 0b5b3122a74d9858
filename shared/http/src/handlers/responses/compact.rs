//! `POST /v1/responses/compact`: a conversation made short.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;
use turnwise_core::digest::Digest;
use turnwise_core::fault::Faults;
use turnwise_core::id::TurnId;
use turnwise_core::items::{RowId, chat_fields, compaction_item, compaction_object, response_id, with_ids};
use turnwise_core::json::{self, RawMap};
use turnwise_core::turn::{OnBusy, Standing};
use turnwise_core::window::Window;
use turnwise_engine::responses::{Compacted, Place, ResponseRequest};
use turnwise_engine::turn::Input;

use super::super::caller;
use super::super::turn_responses::TurnResponses;
use super::create::{note_failed, note_turn};
use super::request::{input_items, model};
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::params::{TurnHeaders, parse_delivery};
use crate::render;

/// See the same constant of `/v1/chat`.
const INPUT_VERSION: u32 = 1;

/// Fields that the model is sent as the client wrote them. The request to it is ours:
/// others would change what a summary is.
const FORWARDED: [&str; 5] =
    ["prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "user"];

/// Fields of `/v1/responses` that ask for what a compaction cannot be.
const NOT_HERE: [(&str, &str); 2] = [
    ("stream", "A compaction is not streamed."),
    ("background", "A compaction is not made in the background; with an Idempotency-Key it can be asked for again."),
];

/// Makes a conversation short.
///
/// What comes back takes the conversation's place as the `input` of a next response: of
/// what users said, the newest messages that fit into 2,000 tokens, word for word, then one
/// `compaction` item, a summary of everything by the model of at most 1,024 tokens (models
/// that reason think before that). Messages that do not fit are left to the summary, and a
/// compaction in the input is taken into the new one. A conversation that fills more than
/// three quarters of the model's context is summarised part by part, in at most 16 requests
/// to the model, each with its line in the ledger.
///
/// The content of the item is packed, not encrypted: it holds nothing but what the
/// conversation said. `instructions` are added to what the model is told about the summary.
/// Other fields of `/v1/responses` have no meaning here.
#[utoipa::path(
    post, path = "/v1/responses/compact", tag = "responses", request_body = Object,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "A retry gets the same bytes, and goes on where the first try broke off."),
        ("Prefer" = Option<String>, Header, description = "`wait=n`: seconds to wait for the same request when it is running."),
        ("Turnwise-Delivery" = Option<String>, Header, description = "`at-least-once` or `at-most-once`."),
        ("Turnwise-Task" = Option<String>, Header, description = "What the request is for: a label of 1 to 64 of `a-z`, `0-9`, `_`, `.`, `-`. Usage is summed up by it."),
    ),
    responses(
        (status = 200, description = "OpenAI's response.compaction object", body = Object),
        (status = 404, description = "Unknown model or previous response", body = ErrorBody),
        (status = 409, description = "The same request is running", body = ErrorBody),
        (status = 410, description = "The conversation is no longer kept", body = ErrorBody),
        TurnResponses,
    ),
)]
pub(crate) async fn compact(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let mut body = JsonBody::read(body).await?;
    let turn_headers = TurnHeaders::read(&headers, &mut body.faults);
    let request = request(&principal, &context, turn_headers, body)?;
    let compacted = Box::pin(app.engine.compact(request)).await.inspect_err(|error| note_failed(&context, error))?;
    let Compacted { facts, replayed, answer, .. } = &compacted;
    note_turn(&context, facts.key.as_ref());
    context.note(|line| line.answered(facts, answer, *replayed));
    Ok(render::reply(facts, answer, *replayed, rendered(&compacted)))
}

fn rendered(compacted: &Compacted) -> Vec<u8> {
    let Compacted { key, answer, kept, summary, .. } = compacted;
    let output = kept.iter().cloned().chain([compaction_item(summary)]).collect();
    let row = RowId::of_turn(answer.number.unwrap_or(0));
    let output = with_ids(output, &key.conversation, row, 0);
    compaction_object(&response_id(key), answer.created_at, &output, &answer.usage).to_string().into_bytes()
}

/// The request, or all its faults.
fn request(
    principal: &Principal,
    context: &RequestContext,
    headers: TurnHeaders,
    mut body: JsonBody,
) -> Result<ResponseRequest, Error> {
    let items = input_items(&mut body);
    let (model, instructions) = (model(&mut body), body.text("instructions"));
    let place = body.text("previous_response_id").map_or(Place::New, Place::After);
    check(&mut body);
    let turn = headers.key.as_deref().and_then(|key| body.faults.keep(TurnId::of_key("Idempotency-Key", key)));
    let delivery = body.text("delivery");
    let delivery = delivery.and_then(|text| body.faults.keep(parse_delivery("delivery", &text)));
    let fields = fields(&mut body);
    body.faults.clone().into_result().map_err(Error::Invalid)?;

    Ok(ResponseRequest {
        caller: caller(principal, context),
        input_hash: input_hash(&body),
        place,
        stored: false,
        turn,
        number: None,
        delivery: headers.delivery.or(delivery).unwrap_or_default(),
        on_busy: OnBusy::default(),
        standing: Standing::Behind,
        wait: headers.prefer.patience(),
        project: None,
        background: false,
        items: items.unwrap_or_default(),
        input: Input {
            model,
            fallbacks: headers.fallbacks,
            fields,
            items: None,
            instructions,
            echo: RawMap::new(),
            remembers: false,
            window: Window::default(),
            api_key: principal.api_key.clone(),
            user: principal.user.clone(),
            stream: false,
            task: headers.task,
            needs_text: true,
        },
    })
}

fn check(body: &mut JsonBody) {
    let given = |body: &JsonBody, name| body.fields.get(name).is_some_and(|value| !value.is_null());
    if !given(body, "model") {
        body.faults.add("model", "A model is required.");
    }
    if !given(body, "input") && !given(body, "previous_response_id") {
        body.faults.add("input", "An input is required, or a previous_response_id.");
    }
    for (name, message) in NOT_HERE {
        if body.flag(name).unwrap_or(false) {
            body.faults.add(name, message);
        }
    }
    if given(body, "conversation") {
        let message = "A compaction takes an input, a previous_response_id or both: name the newest response of the \
                       conversation.";
        body.faults.add("conversation", message);
    }
}

/// What the requests to the model are asked for beside the summary.
fn fields(body: &mut JsonBody) -> RawMap {
    let mut asked = body.raw.clone();
    asked.retain(|name, _| FORWARDED.contains(&name.as_str()));
    match chat_fields(&asked) {
        Ok(fields) => fields,
        Err(Faults(faults)) => {
            body.faults.0.extend(faults);
            RawMap::new()
        }
    }
}

/// Digest of what the request means. A field that is null is one that was not given.
fn input_hash(body: &JsonBody) -> Digest {
    let mut fields = body.fields.clone();
    let says_how = |name: &str| name == "delivery" || NOT_HERE.iter().any(|(other, _)| *other == name);
    fields.retain(|name, value| !value.is_null() && !says_how(name));
    let input = json!({"version": INPUT_VERSION, "route": "/v1/responses/compact", "fields": fields});
    Digest::of(json::canonical(&input))
}
