//! The body of a request.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use turnwise_core::catalogue::{Model, Rejection};
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
    let facts = family::facts(provider, &generation.model);
    let mut draft = Draft::new(&prompt, Family::of(&generation.model), facts);
    let mut faults = draft.faults();
    let mut body = draft.body(&mut faults);
    merge(&mut body, &prompt.own);
    draft.drop_what_converse_does_not_have();
    faults.into_result()?;
    let by_tool = matches!(draft.wish, Wish::Tool(_));
    Ok(Request { written: Written { body, dropped: draft.dropped }, by_tool })
}

/// A request while it is written.
struct Draft<'a> {
    prompt: &'a Prompt,
    family: Family,
    thinking: Thinking,
    wish: Wish,
    /// The model chooses its words by itself, and refuses to be told how.
    is_fixed: bool,
    /// The model cannot be made to call a tool: it refuses, as all do while they think.
    is_free: bool,
    /// The model does not go on with what was said for it.
    takes_no_prefill: bool,
    thinks_always: bool,
    /// Names of fields that were left out, each once.
    dropped: Vec<String>,
}

impl<'a> Draft<'a> {
    fn new(prompt: &'a Prompt, family: Family, facts: Option<&Model>) -> Self {
        let rejects = |what| facts.is_some_and(|model| model.rejects(what));
        let thinking = Thinking::of(prompt, family);
        let is_free = rejects(Rejection::ForcedToolUse) || thinking.is_on;
        let is_claude_thinking = thinking.is_on && matches!(family, Family::Claude(..));
        Self {
            prompt,
            family,
            wish: Wish::of(prompt, family, !is_free),
            is_fixed: rejects(Rejection::SamplingParams) || thinking.is_unbounded || is_claude_thinking,
            is_free,
            takes_no_prefill: rejects(Rejection::AssistantPrefill),
            thinks_always: facts.is_some_and(|model| model.thinks_always),
            thinking,
            dropped: Vec::new(),
        }
    }

    fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        faults.0.extend(self.prompt.logprobs_fault("Bedrock"));
        if self.prompt.is_prefilled() && self.takes_no_prefill {
            let message = "This model does not go on with what was said for it: the last message is the user's.";
            faults.add("messages", message);
        }
        faults
    }

    fn drop(&mut self, name: &str) {
        if !self.dropped.iter().any(|known| known == name) {
            self.dropped.push(name.to_owned());
        }
    }

    fn body(&mut self, faults: &mut Faults) -> Value {
        let mut writer = Writer::new(self.family, faults);
        let mut system = writer.system(&self.prompt.system);
        let mut body = json!({ "messages": writer.messages(self.prompt) });
        if let Wish::Words(words) = &self.wish {
            system.push(json!({ "text": words }));
        }
        put(&mut body, "system", Value::Array(system));
        put(&mut body, "toolConfig", self.tool_config(&mut writer));
        writer.dropped.iter().for_each(|name| self.drop(name));
        put(&mut body, "inferenceConfig", self.inference_config());
        put(&mut body, "outputConfig", self.output_config());
        put(&mut body, "additionalModelRequestFields", self.additional_fields());
        if matches!(self.family, Family::Claude(..)) && !self.prompt.stop.is_empty() {
            // Which of the texts ended the answer; Converse itself only says that one did.
            body["additionalModelResponseFieldPaths"] = json!(["/stop_sequence"]);
        }
        body
    }

    /// Without `max_tokens` Converse takes the model's own most.
    fn inference_config(&mut self) -> Value {
        let prompt = self.prompt;
        let takes_top_p = prompt.temperature.is_none() || !self.family.takes_one_of_temperature_and_top_p();
        let settings = [
            ("maxTokens", "max_tokens", prompt.max_tokens.map(Value::from), !self.thinking.is_unbounded),
            ("temperature", "temperature", prompt.temperature.map(Value::from), !self.is_fixed),
            ("topP", "top_p", prompt.top_p.map(Value::from), !self.is_fixed && takes_top_p),
        ];
        let mut config = Map::new();
        for (name, field, value, is_taken) in settings {
            match value {
                Some(value) if is_taken => _ = config.insert(name.to_owned(), value),
                Some(_) => self.drop(field),
                None => {}
            }
        }
        // A text of white space is refused.
        let stop: Vec<&String> = prompt.stop.iter().filter(|text| !text.trim().is_empty()).collect();
        if stop.len() < prompt.stop.len() {
            self.drop("stop");
        }
        if !stop.is_empty() {
            config.insert("stopSequences".to_owned(), json!(stop));
        }
        Value::Object(config)
    }

    fn output_config(&self) -> Value {
        let mut config = json!({});
        if let Wish::Native(format) = &self.wish {
            config["textFormat"] = format.clone();
        }
        if let Some(effort) = self.thinking.effort {
            config["effort"] = json!(effort);
        }
        config
    }

    /// What a family of models takes beside Converse's own fields.
    fn additional_fields(&mut self) -> Value {
        let mut fields = self.thinking.fields.clone();
        let field = self.prompt.top_k.map(|top_k| match self.family {
            Family::Claude(..) | Family::Mistral if !self.is_fixed => Some(("top_k", json!(top_k))),
            Family::Nova | Family::Nova2 if !self.is_fixed => Some(("inferenceConfig", json!({ "topK": top_k }))),
            Family::Cohere => Some(("k", json!(top_k))),
            Family::Claude(..)
            | Family::Mistral
            | Family::Nova
            | Family::Nova2
            | Family::GptOss
            | Family::Plain
            | Family::Unknown => None,
        });
        match field {
            Some(Some((name, value))) => _ = fields.insert(name.to_owned(), value),
            Some(None) => self.drop("top_k"),
            None => {}
        }
        Value::Object(fields)
    }

    /// The tools, which have to be there as long as a call is among the messages. Converse
    /// cannot say that none is to be called: without such a call they are left out then.
    fn tool_config(&mut self, writer: &mut Writer<'_>) -> Value {
        if let Wish::Tool(tool) = &self.wish {
            return json!({"tools": [tool], "toolChoice": {"tool": {"name": ANSWER_TOOL}}});
        }
        let called = called(self.prompt);
        if self.prompt.choice == Choice::None && called.is_empty() {
            return Value::Null;
        }
        let mut tools: Vec<Value> = Vec::new();
        for tool in &self.prompt.tools {
            tools.extend(self.tool(tool, writer));
        }
        if tools.is_empty() {
            let known = |name: &str| json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}});
            tools = called.into_iter().map(known).collect();
        }
        if tools.is_empty() {
            return Value::Null;
        }
        let choice = match &self.prompt.choice {
            Choice::Auto => Value::Null,
            Choice::Required if !self.is_free => json!({"any": {}}),
            Choice::Function(name) if !self.is_free => json!({"tool": {"name": name}}),
            Choice::None | Choice::Required | Choice::Function(_) => {
                self.drop("tool_choice");
                Value::Null
            }
        };
        let mut config = json!({ "tools": tools });
        put(&mut config, "toolChoice", choice);
        config
    }

    /// A tool, and the breakpoint of the cache behind it.
    fn tool(&mut self, tool: &Tool, writer: &mut Writer<'_>) -> Vec<Value> {
        let mut spec = json!({"name": tool.name, "inputSchema": {"json": tool.parameters}});
        if let Some(description) = tool.description.as_deref().filter(|text| !text.is_empty()) {
            spec["description"] = json!(description);
        }
        match tool.strict {
            Some(true) if self.family.keeps_to_schemas() => spec["strict"] = json!(true),
            Some(true) => self.drop("tools.function.strict"),
            Some(false) | None => {}
        }
        let mut blocks = vec![json!({ "toolSpec": spec })];
        if tool.cache_control.is_some() && !self.family.caches_tools() {
            self.drop("cache_control");
        } else {
            blocks.extend(writer.cache_point(tool.cache_control.as_ref()));
        }
        blocks
    }

    fn drop_what_converse_does_not_have(&mut self) {
        let prompt = self.prompt;
        let said = [
            ("seed", prompt.seed.is_some()),
            ("presence_penalty", prompt.presence_penalty.is_some()),
            ("frequency_penalty", prompt.frequency_penalty.is_some()),
            ("user", prompt.user.is_some()),
            // Several calls at once is what it allows without a word.
            ("parallel_tool_calls", prompt.parallel_calls == Some(false)),
            ("reasoning_effort", self.thinks_always && prompt.effort.as_deref() == Some("none")),
        ];
        for name in std::mem::take(&mut self.thinking.dropped) {
            self.drop(name);
        }
        for (name, _) in said.into_iter().filter(|(_, is_said)| *is_said) {
            self.drop(name);
        }
        for name in &prompt.unknown {
            self.drop(name);
        }
    }
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
