//! The body of a request.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use turnwise_core::catalogue::Rejection;
use turnwise_core::fault::Faults;
use turnwise_core::generation::Generation;

use super::content::Writer;
use super::family::{self, Family};
use super::schema::{ANSWER_TOOL, Wish};
use super::thinking::Thinking;
use crate::prompt::{Choice, Part, Prompt, Tool, Written};

/// The request's object whose fields are Converse's own, and go out as they are.
const OWN: &str = "bedrock";

/// A request in Converse's words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) written: Written,
    /// Whether the answer comes as the input of [`ANSWER_TOOL`].
    pub(super) by_tool: bool,
}

/// `generation` as a request of Converse's, which is one of ConverseStream's too. `provider`
/// is ours in the catalogue.
///
/// # Errors
/// What Bedrock cannot be asked, each with its place.
pub(super) fn write(provider: &str, generation: &Generation) -> Result<Request, Faults> {
    let prompt = Prompt::read(generation, OWN)?;
    let family = Family::of(&generation.model);
    let facts = family::facts(provider, &generation.model);
    let rejects = |what| facts.is_some_and(|model| model.rejects(what));

    let mut faults = Faults::default();
    faults.0.extend(prompt.logprobs_fault("Bedrock"));
    if prompt.is_prefilled() && rejects(Rejection::AssistantPrefill) {
        faults.add("messages", "This model does not go on with what was said for it: the last message is the user's.");
    }
    let thinking = Thinking::of(&prompt, family);
    let thinks = thinking.is_on || facts.is_some_and(|model| model.thinks_always);
    let wish = Wish::of(&prompt, family, !thinks && !rejects(Rejection::ForcedToolUse));

    let mut dropped = Dropped::default();
    let mut writer = Writer::new(family, &mut faults);
    let mut system = writer.system(&prompt.system);
    let messages = writer.messages(&prompt);
    if let Wish::Words(words) = &wish {
        system.push(json!({ "text": words }));
    }
    let tools = tool_config(&prompt, &wish, &mut writer, rejects(Rejection::ForcedToolUse), &mut dropped);
    dropped.all(&writer.dropped.iter().copied().collect::<Vec<_>>());

    let mut body = json!({ "messages": messages });
    put(&mut body, "system", Value::Array(system));
    put(
        &mut body,
        "inferenceConfig",
        inference(&prompt, family, &thinking, rejects(Rejection::SamplingParams), &mut dropped),
    );
    put(&mut body, "toolConfig", tools);
    put(&mut body, "outputConfig", output_config(&wish, &thinking));
    put(
        &mut body,
        "additionalModelRequestFields",
        additional(&prompt, family, &thinking, rejects(Rejection::SamplingParams), &mut dropped),
    );
    if matches!(family, Family::Claude(..)) && !prompt.stop.is_empty() {
        // Which of the texts ended the answer; Converse itself only says that one did.
        body["additionalModelResponseFieldPaths"] = json!(["/stop_sequence"]);
    }
    merge(&mut body, &prompt.own);
    dropped.all(&thinking.dropped);
    dropped.what_converse_does_not_have(&prompt, facts.is_some_and(|model| model.thinks_always));
    let by_tool = matches!(wish, Wish::Tool(_));
    faults.into_result().map(|()| Request { written: Written { body, dropped: dropped.0 }, by_tool })
}

/// Names of fields that were left out, each once.
#[derive(Debug, Default)]
struct Dropped(Vec<String>);

impl Dropped {
    fn add(&mut self, name: &str) {
        if !self.0.iter().any(|known| known == name) {
            self.0.push(name.to_owned());
        }
    }

    fn all(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.add(name));
    }

    fn what_converse_does_not_have(&mut self, prompt: &Prompt, thinks_always: bool) {
        let said = [
            ("seed", prompt.seed.is_some()),
            ("presence_penalty", prompt.presence_penalty.is_some()),
            ("frequency_penalty", prompt.frequency_penalty.is_some()),
            ("user", prompt.user.is_some()),
            // Several calls at once is what it allows without a word.
            ("parallel_tool_calls", prompt.parallel_calls == Some(false)),
            ("reasoning_effort", thinks_always && prompt.effort.as_deref() == Some("none")),
        ];
        said.into_iter().filter(|(_, is_said)| *is_said).for_each(|(name, _)| self.add(name));
        prompt.unknown.iter().for_each(|name| self.add(name));
    }
}

/// `inferenceConfig`. Without `max_tokens` Converse takes the model's own most.
fn inference(prompt: &Prompt, family: Family, thinking: &Thinking, fixed: bool, dropped: &mut Dropped) -> Value {
    // A model that chooses its words by itself, and Claude while it thinks, refuse to be told how.
    let fixed = fixed || thinking.is_unbounded || (thinking.is_on && matches!(family, Family::Claude(..)));
    let mut config = Map::new();
    let mut set = |name: &str, field: &str, value: Option<Value>, may: bool| match value {
        Some(value) if may => _ = config.insert(name.to_owned(), value),
        Some(_) => dropped.add(field),
        None => {}
    };
    set("maxTokens", "max_tokens", prompt.max_tokens.map(Value::from), !thinking.is_unbounded);
    set("temperature", "temperature", prompt.temperature.map(Value::from), !fixed);
    let is_alone = prompt.temperature.is_none() || !family.takes_one_of_temperature_and_top_p();
    set("topP", "top_p", prompt.top_p.map(Value::from), !fixed && is_alone);
    // A text of white space is refused.
    let stop: Vec<&String> = prompt.stop.iter().filter(|text| !text.trim().is_empty()).collect();
    if stop.len() < prompt.stop.len() {
        dropped.add("stop");
    }
    if !stop.is_empty() {
        config.insert("stopSequences".to_owned(), json!(stop));
    }
    Value::Object(config)
}

/// What a family of models takes beside Converse's own fields.
fn additional(prompt: &Prompt, family: Family, thinking: &Thinking, fixed: bool, dropped: &mut Dropped) -> Value {
    let mut fields = thinking.fields.clone();
    if let Some(top_k) = prompt.top_k {
        match family {
            Family::Claude(..) if !fixed && !thinking.is_on => _ = fields.insert("top_k".to_owned(), json!(top_k)),
            Family::Mistral => _ = fields.insert("top_k".to_owned(), json!(top_k)),
            Family::Cohere => _ = fields.insert("k".to_owned(), json!(top_k)),
            Family::Nova | Family::Nova2 if !thinking.is_unbounded => {
                fields.insert("inferenceConfig".to_owned(), json!({ "topK": top_k }));
            }
            Family::Claude(..) | Family::Nova | Family::Nova2 | Family::GptOss | Family::Plain | Family::Unknown => {
                dropped.add("top_k")
            }
        }
    }
    Value::Object(fields)
}

/// `toolConfig`, which has to be there as long as a call is among the messages, and cannot say
/// that no tool is to be called: without a call among the messages it is left out then.
fn tool_config(prompt: &Prompt, wish: &Wish, writer: &mut Writer<'_>, unforced: bool, dropped: &mut Dropped) -> Value {
    if let Wish::Tool(tool) = wish {
        return json!({"tools": [tool], "toolChoice": {"tool": {"name": ANSWER_TOOL}}});
    }
    let called = called(prompt);
    let is_none = prompt.choice == Choice::None;
    if is_none && called.is_empty() {
        return Value::Null;
    }
    let mut tools = Vec::new();
    for tool in &prompt.tools {
        tools.extend(specified(tool, writer, dropped));
    }
    if tools.is_empty() {
        let known = |name: &str| json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}});
        tools = called.into_iter().map(known).collect();
    }
    if tools.is_empty() {
        return Value::Null;
    }
    let choice = match &prompt.choice {
        Choice::Auto => None,
        Choice::None => {
            dropped.add("tool_choice");
            None
        }
        Choice::Required | Choice::Function(_) if unforced => {
            dropped.add("tool_choice");
            None
        }
        Choice::Required => Some(json!({"any": {}})),
        Choice::Function(name) => Some(json!({"tool": {"name": name}})),
    };
    let mut config = json!({ "tools": tools });
    put(&mut config, "toolChoice", choice.unwrap_or_default());
    config
}

/// A tool, and the breakpoint of the cache behind it.
fn specified(tool: &Tool, writer: &mut Writer<'_>, dropped: &mut Dropped) -> Vec<Value> {
    let mut spec = json!({"name": tool.name, "inputSchema": {"json": tool.parameters}});
    if let Some(description) = tool.description.as_deref().filter(|text| !text.is_empty()) {
        spec["description"] = json!(description);
    }
    match tool.strict {
        Some(true) if writer.family().keeps_to_schemas() => spec["strict"] = json!(true),
        Some(true) => dropped.add("tools.function.strict"),
        Some(false) | None => {}
    }
    let mut blocks = vec![json!({ "toolSpec": spec })];
    if tool.cache_control.is_some() && !writer.family().caches_tools() {
        dropped.add("cache_control");
    } else {
        blocks.extend(writer.cache_point(tool.cache_control.as_ref()));
    }
    blocks
}

/// The functions that calls among the messages name.
fn called(prompt: &Prompt) -> BTreeSet<&str> {
    let parts = prompt.turns.iter().flat_map(|turn| &turn.parts);
    let names = parts.filter_map(|part| match part {
        Part::Call(call) => Some(call.name.as_str()),
        Part::Result { name, .. } => name.as_deref(),
        Part::Text(_)
        | Part::Image { .. }
        | Part::File { .. }
        | Part::Sound { .. }
        | Part::Thought { .. }
        | Part::SecretThought(_) => None,
    });
    names.collect()
}

fn output_config(wish: &Wish, thinking: &Thinking) -> Value {
    let mut config = json!({});
    if let Wish::Native(format) = wish {
        config["textFormat"] = format.clone();
    }
    if let Some(effort) = thinking.effort {
        config["effort"] = json!(effort);
    }
    config
}

/// Sets `name` to `value`, if that says something.
fn put(body: &mut Value, name: &str, value: Value) {
    let is_empty = match &value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if !is_empty {
        body[name] = value;
    }
}

/// Adds the client's own fields of Converse's, which go before ours; objects in both are put
/// together.
fn merge(body: &mut Value, own: &Map<String, Value>) {
    for (name, theirs) in own {
        match (body.get_mut(name), theirs) {
            (Some(ours @ Value::Object(_)), Value::Object(theirs)) => merge(ours, theirs),
            (Some(_) | None, theirs) => body[name.as_str()] = theirs.clone(),
        }
    }
}
