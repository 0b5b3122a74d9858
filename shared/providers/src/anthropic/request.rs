//! The body of a request.
//!
//! What Anthropic has another word for is translated, what it does not have is left out and
//! named, and what the client would miss in the answer is a fault:
//!
//! | OpenAI's | Anthropic's |
//! |---|---|
//! | `temperature` above 1 | 1, and named: Anthropic's range ends there |
//! | `top_p` beside `temperature` | left out and named: Anthropic takes one of them |
//! | `response_format` `json_schema` | `output_config.format`; for older models words in the system prompt, and named |
//! | `response_format` `json_object` | words in the system prompt: Anthropic has no such mode, and a schema of any object would only allow the empty one |
//! | `stop` of white space only | left out and named: Anthropic refuses it |
//! | `reasoning_effort` | see [`thinking`](super::thinking) |

use serde_json::{Map, Value, json};
use turnwise_core::catalogue::Rejection;
use turnwise_core::fault::Faults;
use turnwise_core::generation::Generation;

use super::model::Abilities;
use super::thinking::{self, Thought};
use super::{content, schema};
use crate::prompt::{Choice, Format, Part, Prompt, Tool, Written};

/// The object of a request whose fields go out as they are.
const OWN: &str = "anthropic";

/// Fields that nobody but us sets.
const OURS: [&str; 3] = ["model", "messages", "stream"];

/// The highest temperature.
const MAX_TEMPERATURE: f64 = 1.0;

/// The least `top_p` of a model that thinks.
const THINKING_TOP_P: f64 = 0.95;

/// Longest `metadata.user_id`, in characters.
const MAX_USER_CHARS: usize = 256;

/// What a model is told that is to answer with JSON, and cannot be held to it.
const JSON_ONLY: &str = "Answer with a single JSON object and nothing else: no text before or after it, no code fence.";

/// `generation` as a request for a message, and what had to be left out of it.
///
/// # Errors
/// Everything in it that Anthropic cannot be asked.
pub(super) fn write(generation: &Generation, streamed: bool) -> Result<Written, Faults> {
    let mut prompt = Prompt::read(generation, OWN)?;
    let own = own(&mut prompt);
    let model = Abilities::of(&generation.model);
    let (mut dropped, mut faults) = (std::mem::take(&mut prompt.unknown), Faults::default());
    faults.0.extend(prompt.logprobs_fault("Anthropic"));
    ready_prefill(&mut prompt, &model, &mut faults);

    let choice = choice(&prompt, &model, &mut dropped);
    let is_forced = matches!(choice, Choice::Required | Choice::Function(_));
    let thought = thinking::decide(&prompt, &model, is_forced, &mut dropped, &mut faults);
    let mut body = Map::from_iter([
        ("model".to_owned(), json!(generation.model)),
        ("max_tokens".to_owned(), json!(thought.max_tokens)),
        ("messages".to_owned(), Value::Array(content::messages(&prompt.turns, &mut faults))),
    ]);
    if streamed {
        body.insert("stream".to_owned(), json!(true));
    }
    put_sampling(&mut body, &prompt, &model, &thought, &mut dropped);
    put_tools(&mut body, &prompt, &choice, &mut dropped);
    put_stop(&mut body, &prompt.stop, &mut dropped);
    put_user(&mut body, prompt.user.as_deref(), &mut dropped);
    put_output(&mut body, &prompt, &model, thought, &mut dropped);
    drop_if(&mut dropped, "seed", prompt.seed.is_some());
    drop_if(&mut dropped, "presence_penalty", prompt.presence_penalty.is_some());
    drop_if(&mut dropped, "frequency_penalty", prompt.frequency_penalty.is_some());
    // What the client gives in Anthropic's own words goes out after all.
    dropped.retain(|name| !own.contains_key(name.split('.').next().unwrap_or_default()));
    merge(&mut body, own);
    faults.into_result().map(|()| Written { body: Value::Object(body), dropped })
}

fn drop_if(dropped: &mut Vec<String>, name: &str, is_given: bool) {
    if is_given {
        dropped.push(name.to_owned());
    }
}

/// The fields that go out as they are. What else depends on is read from them first.
fn own(prompt: &mut Prompt) -> Map<String, Value> {
    let own = std::mem::take(&mut prompt.own);
    if let Some(thinking) = own.get("thinking").filter(|thinking| thinking.is_object()) {
        prompt.thinking = Some(thinking.clone());
    }
    prompt.max_tokens = own.get("max_tokens").and_then(Value::as_u64).or(prompt.max_tokens);
    own
}

/// Lays `own` over `body`: tools come behind the others, what is said of the output is
/// joined, anything else replaces ours.
fn merge(body: &mut Map<String, Value>, own: Map<String, Value>) {
    for (name, value) in own.into_iter().filter(|(name, _)| !OURS.contains(&name.as_str())) {
        match (name.as_str(), body.get_mut(&name), value) {
            ("tools", Some(Value::Array(tools)), Value::Array(more)) => tools.extend(more),
            ("output_config", Some(Value::Object(config)), Value::Object(more)) => config.extend(more),
            (_, _, value) => _ = body.insert(name, value),
        }
    }
}

/// Words put into the assistant's mouth end in no white space, which Anthropic refuses; and
/// newer models refuse them altogether.
fn ready_prefill(prompt: &mut Prompt, model: &Abilities, faults: &mut Faults) {
    if !prompt.is_prefilled() {
        return;
    }
    if model.rejects(Rejection::AssistantPrefill) {
        let message = "This model does not go on with words of the assistant's: the last message must be the user's.";
        faults.add("messages", message);
    }
    if let Some(Part::Text(last)) = prompt.turns.last_mut().and_then(|turn| turn.parts.last_mut()) {
        last.text.truncate(last.text.trim_end().len());
    }
}

/// Which tool is called, as far as the model can be told. Anthropic refuses a forced call of
/// a model that is to think, and of some models altogether.
fn choice(prompt: &Prompt, model: &Abilities, dropped: &mut Vec<String>) -> Choice {
    let is_forced = matches!(prompt.choice, Choice::Required | Choice::Function(_));
    let thinks = prompt.thinking.as_ref().is_some_and(thinking::is_on);
    if is_forced && (thinks || model.rejects(Rejection::ForcedToolUse)) {
        dropped.push("tool_choice".to_owned());
        return Choice::Auto;
    }
    prompt.choice.clone()
}

fn put_sampling(
    body: &mut Map<String, Value>,
    prompt: &Prompt,
    model: &Abilities,
    thought: &Thought,
    dropped: &mut Vec<String>,
) {
    let refuses_all = model.rejects(Rejection::SamplingParams);
    let thinks = thought.thinking.as_ref().is_some_and(thinking::is_on);
    // A model that thinks takes no temperature but the usual one.
    let temperature = prompt.temperature.filter(|temperature| {
        let taken = !refuses_all && (!thinks || (*temperature - MAX_TEMPERATURE).abs() < f64::EPSILON);
        drop_if(dropped, "temperature", !taken || *temperature > MAX_TEMPERATURE);
        taken
    });
    let top_p = prompt.top_p.filter(|top_p| {
        let taken = !refuses_all && temperature.is_none() && (!thinks || *top_p >= THINKING_TOP_P);
        drop_if(dropped, "top_p", !taken);
        taken
    });
    let top_k = prompt.top_k.filter(|_| {
        let taken = !refuses_all && !thinks;
        drop_if(dropped, "top_k", !taken);
        taken
    });
    let temperature = temperature.map(|temperature| json!(temperature.min(MAX_TEMPERATURE)));
    let settings = [("temperature", temperature), ("top_p", top_p.map(Value::from)), ("top_k", top_k.map(Value::from))];
    for (name, value) in settings {
        body.extend(value.map(|value| (name.to_owned(), value)));
    }
}

fn put_tools(body: &mut Map<String, Value>, prompt: &Prompt, choice: &Choice, dropped: &mut Vec<String>) {
    if prompt.tools.is_empty() {
        return;
    }
    let tools = prompt.tools.iter().map(|tool| written(tool, dropped)).collect();
    body.insert("tools".to_owned(), Value::Array(tools));
    let one_by_one = prompt.parallel_calls == Some(false);
    let mut choice = match choice {
        Choice::Auto if !one_by_one => return,
        Choice::Auto => json!({"type": "auto"}),
        Choice::None => json!({"type": "none"}),
        Choice::Required => json!({"type": "any"}),
        Choice::Function(name) => json!({"type": "tool", "name": name}),
    };
    if one_by_one && choice["type"] != "none" {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    body.insert("tool_choice".to_owned(), choice);
}

fn written(tool: &Tool, dropped: &mut Vec<String>) -> Value {
    let mut parameters = tool.parameters.clone();
    // Anthropic refuses a schema that leaves open whether the arguments are an object.
    if parameters.get("type").is_none() {
        parameters["type"] = json!("object");
    }
    if tool.strict == Some(true) {
        let (strict, is_less) = schema::strict(&parameters);
        drop_if(dropped, &format!("tools.{}.parameters", tool.name), is_less);
        parameters = strict;
    }
    let mut written = json!({"name": tool.name, "input_schema": parameters});
    let optional = [
        ("description", tool.description.as_ref().map(|words| json!(words))),
        ("strict", tool.strict.map(Value::from)),
        ("cache_control", tool.cache_control.clone()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            written[name] = value;
        }
    }
    written
}

fn put_stop(body: &mut Map<String, Value>, stop: &[String], dropped: &mut Vec<String>) {
    let (taken, blank): (Vec<&String>, Vec<&String>) = stop.iter().partition(|stop| !stop.trim().is_empty());
    drop_if(dropped, "stop", !blank.is_empty());
    if !taken.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(taken));
    }
}

fn put_user(body: &mut Map<String, Value>, user: Option<&str>, dropped: &mut Vec<String>) {
    let Some(user) = user else { return };
    if user.chars().count() > MAX_USER_CHARS {
        dropped.push("user".to_owned());
    } else {
        body.insert("metadata".to_owned(), json!({"user_id": user}));
    }
}

/// What the system says and what the answer is to look like, in words or as a schema; and
/// how much thought it takes.
fn put_output(
    body: &mut Map<String, Value>,
    prompt: &Prompt,
    model: &Abilities,
    thought: Thought,
    dropped: &mut Vec<String>,
) {
    let mut config = Map::new();
    let mut system = content::system(&prompt.system);
    let mut say = |words: String| system.push(json!({"type": "text", "text": words}));
    match &prompt.format {
        Format::Text => {}
        Format::Json => say(JSON_ONLY.to_owned()),
        Format::Schema { name: _, schema } if model.takes_schemas() => {
            let (schema, is_less) = schema::strict(schema);
            drop_if(dropped, "response_format.json_schema.schema", is_less);
            config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
        }
        Format::Schema { name: _, schema } => {
            dropped.push("response_format".to_owned());
            say(format!("{JSON_ONLY} It must be valid under this JSON schema:\n{schema}"));
        }
    }
    config.extend(thought.effort.map(|effort| ("effort".to_owned(), json!(effort))));
    body.extend(thought.thinking.map(|thinking| ("thinking".to_owned(), thinking)));
    if !system.is_empty() {
        body.insert("system".to_owned(), Value::Array(system));
    }
    if !config.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(config));
    }
}
