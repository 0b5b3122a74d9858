//! The body of a request.

use serde_json::{Map, Value, json};
use turnwise_core::catalogue::{Catalogue, Model, Rejection};
use turnwise_core::fault::Faults;
use turnwise_core::generation::Generation;

use super::contents::{self, Rules};
use super::{NAME, schema, thinking};
use crate::prompt::{Choice, Format, Prompt, Tool, Written};

/// Fields of the request's own object that do not go out: the turns are ours to write, and
/// the model is the one that the URL names and the client pays for.
const NOT_OWN: [&str; 2] = ["contents", "model"];

/// Ways to ask for several candidates, of which only one is read and all are paid for.
const CANDIDATES: [&str; 2] = ["candidateCount", "candidate_count"];

/// `generation` in Gemini's words, and what it had to leave out.
///
/// # Errors
/// All that cannot be said in them, each with its place.
pub(super) fn write(generation: &Generation) -> Result<Written, Faults> {
    let prompt = Prompt::read(generation, NAME)?;
    let facts = Catalogue::shipped().get(NAME, &generation.model);
    let control = thinking::control(&generation.model);
    let mut faults = Faults::default();
    let mut config = Config { fields: Map::new(), dropped: prompt.unknown.clone() };

    let mut body = json!({"contents": contents::write(&prompt.turns, Rules::of(control), &mut faults)});
    if let Some(system) = prompt.system_text() {
        body["systemInstruction"] = json!({"parts": [{"text": system}]});
    }
    if !prompt.tools.is_empty() {
        body["tools"] = json!([{"functionDeclarations": declarations(&prompt.tools)}]);
        body["toolConfig"] = json!({"functionCallingConfig": calling(&prompt.choice)});
    }
    if prompt.is_prefilled() && facts.is_some_and(|model| model.rejects(Rejection::AssistantPrefill)) {
        let message = "This model does not go on with the assistant's words: the last message is a user's or a tool's.";
        faults.add("messages", message);
    }
    config.write_sampling(&prompt, facts);
    config.write_form(&prompt);
    if let Some(wish) = faults.keep(thinking::wish(&prompt)).flatten() {
        match thinking::config(control, wish) {
            Some(thinking) => config.put("thinkingConfig", Some(thinking)),
            None => config.leave_thinking_out(&prompt),
        }
    }
    config.leave_out_what_has_no_place(&prompt);
    if !config.fields.is_empty() {
        body["generationConfig"] = Value::Object(config.fields);
    }
    merge_own(&mut body, prompt.own, &mut config.dropped);
    faults.into_result().map(|()| Written { body, dropped: config.dropped })
}

/// The `generationConfig` while it is written.
struct Config {
    fields: Map<String, Value>,
    dropped: Vec<String>,
}

impl Config {
    fn put<T: Into<Value>>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.fields.insert(name.to_owned(), value.into());
        }
    }

    /// Names a field that does not go out, if the request has it.
    fn leave_out(&mut self, name: &str, is_given: bool) {
        if is_given {
            self.dropped.push(name.to_owned());
        }
    }

    fn write_sampling(&mut self, prompt: &Prompt, facts: Option<&Model>) {
        if facts.is_some_and(|model| model.rejects(Rejection::SamplingParams)) {
            self.leave_out("temperature", prompt.temperature.is_some());
            self.leave_out("top_p", prompt.top_p.is_some());
            self.leave_out("top_k", prompt.top_k.is_some());
        } else {
            self.put("temperature", prompt.temperature);
            self.put("topP", prompt.top_p);
            self.put("topK", prompt.top_k);
        }
        // A penalty of nothing is none, and models without penalties refuse it all the same.
        self.put("presencePenalty", prompt.presence_penalty.filter(|penalty| *penalty != 0.0));
        self.put("frequencyPenalty", prompt.frequency_penalty.filter(|penalty| *penalty != 0.0));
        // The API's seed has 32 bits, OpenAI's 64.
        let seed = prompt.seed.and_then(|seed| i32::try_from(seed).ok());
        self.put("seed", seed);
        self.leave_out("seed", prompt.seed.is_some() && seed.is_none());
        // More than the model can give is refused, and is what it can give.
        let most = facts.and_then(|model| model.max_output_tokens).unwrap_or(u64::MAX);
        self.put("maxOutputTokens", prompt.max_tokens.map(|tokens| tokens.min(most)));
        self.put("stopSequences", Some(prompt.stop.clone()).filter(|texts| !texts.is_empty()));
    }

    /// What the answer looks like, and what is told of it.
    fn write_form(&mut self, prompt: &Prompt) {
        match &prompt.format {
            Format::Text => {}
            Format::Json => self.put("responseMimeType", Some("application/json")),
            Format::Schema { name: _, schema } => {
                self.put("responseMimeType", Some("application/json"));
                self.put("responseJsonSchema", Some(schema::adapted(schema)));
            }
        }
        self.put("responseLogprobs", prompt.logprobs.map(|_| true));
        self.put("logprobs", prompt.logprobs.filter(|alternatives| *alternatives > 0));
    }

    /// Names the wish for thought of a model that takes none.
    fn leave_thinking_out(&mut self, prompt: &Prompt) {
        self.leave_out("reasoning_effort", prompt.effort.is_some());
        self.leave_out("thinking", prompt.thinking.is_some());
    }

    /// Names what the API has no field for.
    fn leave_out_what_has_no_place(&mut self, prompt: &Prompt) {
        self.leave_out("user", prompt.user.is_some());
        self.leave_out("parallel_tool_calls", prompt.parallel_calls == Some(false));
        self.leave_out("tools[].function.strict", prompt.tools.iter().any(|tool| tool.strict == Some(true)));
    }
}

fn declarations(tools: &[Tool]) -> Vec<Value> {
    let declaration = |tool: &Tool| {
        let mut declaration = json!({"name": tool.name});
        if let Some(description) = &tool.description {
            declaration["description"] = json!(description);
        }
        if let Some(schema) = schema::of_arguments(&tool.parameters) {
            declaration["parametersJsonSchema"] = schema;
        }
        declaration
    };
    tools.iter().map(declaration).collect()
}

fn calling(choice: &Choice) -> Value {
    match choice {
        Choice::Auto => json!({"mode": "AUTO"}),
        Choice::None => json!({"mode": "NONE"}),
        Choice::Required => json!({"mode": "ANY"}),
        Choice::Function(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    }
}

/// Merges the request's own object into `body`: objects field by field, further `tools`
/// behind ours, anything else in place of ours.
fn merge_own(body: &mut Value, own: Map<String, Value>, dropped: &mut Vec<String>) {
    for (name, mut value) in own {
        if NOT_OWN.contains(&name.as_str()) {
            dropped.push(format!("{NAME}.{name}"));
            continue;
        }
        if let Some(fields) = value.as_object_mut() {
            for candidates in CANDIDATES {
                if fields.remove(candidates).is_some() {
                    dropped.push(format!("{NAME}.{name}.{candidates}"));
                }
            }
        }
        match (&mut body[&name], value) {
            (Value::Array(ours), Value::Array(more)) if name == "tools" => ours.extend(more),
            (ours, value) => merge(ours, value),
        }
    }
}

fn merge(ours: &mut Value, theirs: Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, value) in theirs {
                merge(ours.entry(name).or_insert(Value::Null), value);
            }
        }
        (ours, theirs) => *ours = theirs,
    }
}
