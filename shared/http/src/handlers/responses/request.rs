//! What a request for a response says, checked whole before anything is done.

use serde_json::{Value, json};
use turnwise_core::digest::Digest;
use turnwise_core::fault::Faults;
use turnwise_core::id::{ConversationId, ProjectId, TurnId};
use turnwise_core::items::{InputItem, chat_fields, echoed, parse_input};
use turnwise_core::json::{self, RawMap, kind_of};
use turnwise_core::window::Window;
use turnwise_engine::responses::{Place, ResponseRequest};
use turnwise_engine::turn::Input;

use super::super::chat::on_busy;
use super::super::{caller, standing};
use crate::access::Principal;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::Error;
use crate::params::{TurnHeaders, parse_delivery};

/// See the same constant of `/v1/chat`.
const INPUT_VERSION: u32 = 1;

/// Fields of ours, which no model is sent.
const OWN_FIELDS: [&str; 5] = ["project_id", "delivery", "on_busy", "restartable", "wait_timeout_s"];

/// Fields that say how to answer, not what.
const TRANSPORT_FIELDS: [&str; 3] = ["background", "stream", "stream_options"];

/// The request, or all its faults.
pub(super) fn request(
    principal: &Principal,
    context: &RequestContext,
    headers: TurnHeaders,
    mut body: JsonBody,
) -> Result<ResponseRequest, Error> {
    let items = items(&mut body);
    let (model, instructions) = (model(&mut body), body.text("instructions"));
    let place = place(&mut body);
    let stored = body.flag("store").unwrap_or(true);
    let background = body.flag("background").unwrap_or(false) || headers.prefer.respond_async;
    let stream = body.flag("stream").unwrap_or(false);
    check(&mut body, stored, background, &place);
    let turn = headers.key.as_deref().and_then(|key| body.faults.keep(TurnId::of_key("Idempotency-Key", key)));
    let project = body.text("project_id");
    let project = project.and_then(|name| body.faults.keep(ProjectId::parse("project_id", &name))).flatten();
    let delivery = body.text("delivery");
    let delivery = delivery.and_then(|text| body.faults.keep(parse_delivery("delivery", &text)));
    let on_busy = on_busy(&mut body, headers.on_busy);
    let fields = fields(&mut body);
    body.faults.clone().into_result().map_err(Error::Invalid)?;

    let echo = echo(&body.raw, &place, background);
    let wait =
        if background && headers.prefer.wait.is_none() { std::time::Duration::ZERO } else { headers.prefer.patience() };
    Ok(ResponseRequest {
        caller: caller(principal, context),
        input_hash: input_hash(&body, &place),
        place,
        stored,
        turn,
        number: headers.number,
        delivery: headers.delivery.or(delivery).unwrap_or_default(),
        on_busy,
        standing: standing(on_busy),
        wait,
        project,
        background,
        items,
        input: Input {
            model,
            fallbacks: headers.fallbacks,
            fields,
            items: None,
            instructions,
            echo,
            remembers: true,
            window: window(&body),
            api_key: principal.api_key.clone(),
            user: principal.user.clone(),
            stream,
            task: headers.task,
            needs_text: false,
        },
    })
}

/// The request as far as it says what the model would be sent, or all its faults. It may
/// do without an input, and how it would be answered does not matter.
pub(super) fn counted(
    principal: &Principal,
    context: &RequestContext,
    mut body: JsonBody,
) -> Result<ResponseRequest, Error> {
    body.fields.retain(|name, _| name != "store" && !TRANSPORT_FIELDS.contains(&name.as_str()));
    let input = body.fields.entry("input").or_insert(Value::Null);
    if input.is_null() {
        *input = json!([]);
    }
    request(principal, context, TurnHeaders::default(), body)
}

fn items(body: &mut JsonBody) -> Vec<InputItem> {
    let items = input_items(body);
    if items.is_none() {
        body.faults.add("input", "An input is required: a text or a list of items.");
    }
    items.unwrap_or_default()
}

/// The input, if it is there and not null; nothing in it where it has faults.
pub(super) fn input_items(body: &mut JsonBody) -> Option<Vec<InputItem>> {
    let input = body.fields.get("input").filter(|input| !input.is_null())?;
    let items = parse_input("input", input).unwrap_or_else(|Faults(faults)| {
        body.faults.0.extend(faults);
        Vec::new()
    });
    Some(items)
}

pub(super) fn model(body: &mut JsonBody) -> Option<String> {
    let model = body.text("model");
    if model.as_ref().is_some_and(|model| model.trim().is_empty()) {
        body.faults.add("model", "The model must not be empty.");
    }
    model
}

/// How much of the conversation goes along: nothing is left out unless the request says so.
pub(super) fn window(body: &JsonBody) -> Window {
    match body.fields.get("truncation").and_then(Value::as_str) {
        Some("auto") => Window::newest(),
        Some(_) | None => Window::whole(),
    }
}

/// Where the response belongs, by `conversation`, by `previous_response_id` or by
/// neither.
fn place(body: &mut JsonBody) -> Place {
    let previous = body.text("previous_response_id");
    let conversation = conversation(body);
    match (previous, conversation) {
        (Some(_), Some(_)) => {
            let message = "A response belongs to a conversation or follows another one: give one of the two.";
            body.faults.add("previous_response_id", message);
            Place::New
        }
        (Some(previous), None) => Place::After(previous),
        (None, Some(conversation)) => Place::In(conversation),
        (None, None) => Place::New,
    }
}

/// The conversation as OpenAI's clients name it: its id, or an object that holds it.
fn conversation(body: &mut JsonBody) -> Option<ConversationId> {
    let (field, name) = match body.fields.get("conversation")? {
        Value::Null => return None,
        Value::String(name) => ("conversation", name.clone()),
        Value::Object(fields) => match fields.get("id") {
            Some(Value::String(name)) => ("conversation.id", name.clone()),
            Some(_) | None => {
                body.faults.add("conversation.id", "Expected the conversation's id, a string.");
                return None;
            }
        },
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            let message = format!("Expected a string or an object, got {}.", kind_of(other));
            body.faults.add("conversation", message);
            return None;
        }
    };
    // A conversation that is hidden is not told from one that is not there.
    let hidden = ConversationId::from_stored(name.clone());
    if hidden.is_hidden() {
        return Some(hidden);
    }
    body.faults.keep(ConversationId::parse(field, &name))
}

fn check(body: &mut JsonBody, stored: bool, background: bool, place: &Place) {
    if background && !stored {
        body.faults.add("background", "A response made in the background is read back later: it must be stored.");
    }
    if !stored && matches!(place, Place::In(_)) {
        let message = "A response of a conversation is kept there: it must be stored. One that follows another by \
                       previous_response_id need not be.";
        body.faults.add("store", message);
    }
}

/// What a chat completion is asked for.
fn fields(body: &mut JsonBody) -> RawMap {
    let mut asked = body.raw.clone();
    asked.retain(|name, _| !OWN_FIELDS.contains(&name.as_str()));
    match chat_fields(&asked) {
        Ok(fields) => fields,
        Err(Faults(faults)) => {
            body.faults.0.extend(faults);
            RawMap::new()
        }
    }
}

/// What the response repeats, in the one form that each of its fields has.
fn echo(raw: &RawMap, place: &Place, background: bool) -> RawMap {
    let mut echo = echoed(raw);
    echo.insert("background".to_owned(), json::raw(&json!(background)));
    if let Place::In(conversation) = place {
        echo.insert("conversation".to_owned(), json::raw(&json!(conversation)));
    }
    echo
}

/// Digest of what the request means: not of how it is to be answered. A field that is
/// null is one that was not given.
fn input_hash(body: &JsonBody, place: &Place) -> Digest {
    let mut fields = body.fields.clone();
    let is_told_elsewhere = |name: &str| OWN_FIELDS.contains(&name) || TRANSPORT_FIELDS.contains(&name);
    fields.retain(|name, value| !value.is_null() && !is_told_elsewhere(name));
    if let Place::In(conversation) = place {
        fields.insert("conversation".to_owned(), json!(conversation));
    }
    let input = json!({"version": INPUT_VERSION, "route": "/v1/responses", "fields": fields});
    Digest::of(json::canonical(&input))
}
