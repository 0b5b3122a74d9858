//! A chat completion request, read for wire formats that are not OpenAI's.
//!
//! What every translation has in common is decided here once: where system messages go,
//! who speaks after whom, where results of tools stand, what an image may be. A format's
//! `request` writes a [`Prompt`] down in its own words, and says what it has to leave out.
//!
//! - [`message`]: messages into turns that alternate
//! - [`part`]: what a turn consists of
//! - [`tool`]: tools, and which of them may be called

mod message;
mod part;
mod tool;

use serde_json::{Map, Value};
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::generation::Generation;
use turnwise_core::json::kind_of;

pub(crate) use self::message::{Speaker, Turn};
pub(crate) use self::part::{Called, Part, Source, Text};
pub(crate) use self::tool::{Choice, Tool};

/// Names of the objects whose fields go out as they are, each to its own format.
pub(crate) const OWN: [&str; 3] = ["anthropic", "gemini", "bedrock"];

/// The `format` of a thought that Gemini signed, in OpenRouter's words.
pub(crate) const GEMINI_THOUGHTS: &str = "google-gemini-v1";
/// Whose signed thoughts each of [`OWN`] takes back, by how the names of their formats begin.
const HOUSES: [(&str, &str); 3] = [("anthropic", "anthropic-"), ("gemini", "google-"), ("bedrock", "bedrock-")];

/// Fields that every format understands or that are read here.
const READ: [&str; 27] = [
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    "reasoning_effort",
    "thinking",
    "user",
    "n",
    "logprobs",
    "top_logprobs",
    "modalities",
    "audio",
    "functions",
    "function_call",
    "web_search_options",
    "stream",
    "stream_options",
];

/// A request, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Prompt {
    /// What all system and developer messages say, in their order.
    pub(crate) system: Vec<Text>,
    /// Who said what: user and assistant take turns, the user begins, nobody says nothing.
    pub(crate) turns: Vec<Turn>,
    /// The tools that may be called.
    pub(crate) tools: Vec<Tool>,
    /// Which of them, and whether any.
    pub(crate) choice: Choice,
    /// Whether several may be called at once, where the request says so.
    pub(crate) parallel_calls: Option<bool>,
    /// What the answer looks like.
    pub(crate) format: Format,
    /// Most tokens of the answer.
    pub(crate) max_tokens: Option<u64>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<u64>,
    pub(crate) seed: Option<i64>,
    pub(crate) presence_penalty: Option<f64>,
    pub(crate) frequency_penalty: Option<f64>,
    /// Texts that end the answer.
    pub(crate) stop: Vec<String>,
    /// `none`, `minimal`, `low`, `medium`, `high` ...
    pub(crate) effort: Option<String>,
    /// Anthropic's wish for thought, as it was written.
    pub(crate) thinking: Option<Value>,
    /// Who asks, for the provider's own protection against abuse.
    pub(crate) user: Option<String>,
    /// Whether log probabilities are wanted, and how many alternatives of each token.
    pub(crate) logprobs: Option<u64>,
    /// What goes out as it is: the request's object named after the format.
    pub(crate) own: Map<String, Value>,
    /// Fields that nobody but an OpenAI-compatible upstream knows.
    pub(crate) unknown: Vec<String>,
}

/// What an answer looks like.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Format {
    /// As the model likes.
    #[default]
    Text,
    /// Some JSON object.
    Json,
    /// JSON of this schema.
    Schema {
        /// Its name.
        name: String,
        /// The JSON schema.
        schema: Value,
    },
}

/// A request in a format's own words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    /// The body.
    pub(crate) body: Value,
    /// Fields that had to be left out.
    pub(crate) dropped: Vec<String>,
}

impl Prompt {
    /// Reads `generation` for the format called `own`.
    ///
    /// # Errors
    /// Everything that cannot be said in another format, or not understood, each with its
    /// place: what the client would miss in the answer (several choices, sound, search in
    /// the web) and what a translation has to understand. What only tunes an answer is no
    /// fault: it is dropped, and the client is told.
    pub(crate) fn read(generation: &Generation, own: &str) -> Result<Self, Faults> {
        let mut fields = Fields { faults: Faults::default(), fields: parsed(generation) };
        let mut prompt = Self { own: fields.own(own), unknown: fields.unknown(own), ..Self::default() };
        fields.refuse_what_nobody_else_can();
        prompt.read_settings(&mut fields);
        let (tools, choice) = tool::read(&fields.fields, &mut fields.faults);
        (prompt.tools, prompt.choice) = (tools, choice);
        prompt.format = fields.format();
        let messages = fields.fields.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
        let house = HOUSES.iter().find(|(name, _)| *name == own).map_or("", |(_, house)| house);
        (prompt.system, prompt.turns) = message::read(&messages, house, &mut fields.faults);
        if prompt.turns.is_empty() && fields.faults.0.is_empty() {
            fields.faults.add("messages", "There is no message that says something to the model.");
        }
        fields.faults.into_result().map(|()| prompt)
    }

    fn read_settings(&mut self, fields: &mut Fields) {
        let count = |value: &Value| value.as_u64();
        self.parallel_calls = fields.typed("parallel_tool_calls", "true or false", Value::as_bool);
        let most = fields.typed("max_completion_tokens", "a whole number", count);
        self.max_tokens = most.or_else(|| fields.typed("max_tokens", "a whole number", count));
        self.temperature = fields.typed("temperature", "a number", Value::as_f64);
        self.top_p = fields.typed("top_p", "a number", Value::as_f64);
        self.top_k = fields.typed("top_k", "a whole number", count);
        self.seed = fields.typed("seed", "a whole number", Value::as_i64);
        self.presence_penalty = fields.typed("presence_penalty", "a number", Value::as_f64);
        self.frequency_penalty = fields.typed("frequency_penalty", "a number", Value::as_f64);
        self.stop = fields.typed("stop", "a string or a list of strings", texts).unwrap_or_default();
        self.effort = fields.typed("reasoning_effort", "a string", |value| value.as_str().map(str::to_owned));
        self.thinking = fields.typed("thinking", "an object", |value| value.is_object().then(|| value.clone()));
        self.user = fields.typed("user", "a string", |value| value.as_str().map(str::to_owned));
        let alternatives = fields.typed("top_logprobs", "a whole number", count);
        let wanted = fields.typed("logprobs", "true or false", Value::as_bool).unwrap_or(false);
        self.logprobs = wanted.then(|| alternatives.unwrap_or(0));
    }

    /// All system messages as one text.
    pub(crate) fn system_text(&self) -> Option<String> {
        let texts: Vec<&str> = self.system.iter().map(|text| text.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    /// The name of a fault's field for a setting that this format does not have, if the
    /// request has it.
    pub(crate) fn logprobs_fault(&self, provider: &str) -> Option<Fault> {
        let message = format!("{provider} gives no log probabilities. Leave logprobs out, or ask another provider.");
        self.logprobs.map(|_| Fault::new("logprobs", message))
    }

    /// The last words are the assistant's: the model is to go on with them.
    pub(crate) fn is_prefilled(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.speaker == Speaker::Assistant)
    }
}

/// A request's fields while they are read.
struct Fields {
    fields: Map<String, Value>,
    faults: Faults,
}

impl Fields {
    fn typed<T>(&mut self, name: &str, kind: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let value = self.fields.get(name).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() {
            self.faults.add(name, format!("Expected {kind}, got {}.", kind_of(value)));
        }
        read
    }

    fn own(&mut self, own: &str) -> Map<String, Value> {
        self.typed(own, "an object", |value| value.as_object().cloned()).unwrap_or_default()
    }

    fn unknown(&self, own: &str) -> Vec<String> {
        let known = |name: &str| READ.contains(&name) || name == own;
        let said = self.fields.iter().filter(|(name, value)| !value.is_null() && !known(name));
        said.map(|(name, _)| name.clone()).collect()
    }

    fn refuse_what_nobody_else_can(&mut self) {
        if self.typed("n", "a whole number", Value::as_u64).is_some_and(|choices| choices != 1) {
            self.faults.add("n", "Only OpenAI-compatible providers answer with several choices. Ask several times.");
        }
        let is_text = |value: &Value| value.as_array().is_some_and(|all| all.iter().all(|kind| kind == "text"));
        if self.fields.get("modalities").is_some_and(|value| !value.is_null() && !is_text(value)) {
            self.faults.add("modalities", "Only OpenAI-compatible providers answer with anything but text.");
        }
        for (name, instead) in [("functions", "tools"), ("function_call", "tool_choice")] {
            if self.fields.get(name).is_some_and(|value| !value.is_null()) {
                self.faults.add(name, format!("This field is OpenAI's old form; use {instead}."));
            }
        }
        for name in ["audio", "web_search_options"] {
            if self.fields.get(name).is_some_and(|value| !value.is_null()) {
                self.faults.add(name, "Only OpenAI-compatible providers understand this field.");
            }
        }
    }

    fn format(&mut self) -> Format {
        let Some(format) = self.fields.get("response_format").filter(|value| !value.is_null()).cloned() else {
            return Format::Text;
        };
        match format.get("type").and_then(Value::as_str) {
            Some("text") => Format::Text,
            Some("json_object") => Format::Json,
            Some("json_schema") => {
                let schema = format.pointer("/json_schema/schema").filter(|schema| schema.is_object());
                let name = format.pointer("/json_schema/name").and_then(Value::as_str).unwrap_or("answer");
                if let Some(schema) = schema {
                    return Format::Schema { name: name.to_owned(), schema: schema.clone() };
                }
                self.faults.add("response_format.json_schema.schema", "A JSON schema is required.");
                Format::Text
            }
            Some(_) | None => {
                self.faults.add("response_format.type", "Expected text, json_object or json_schema.");
                Format::Text
            }
        }
    }
}

fn parsed(generation: &Generation) -> Map<String, Value> {
    let fields = generation.fields.iter();
    // Each is the text of a value that was parsed when the request came in.
    fields.map(|(name, raw)| (name.clone(), serde_json::from_str(raw.get()).unwrap_or_default())).collect()
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(texts) => texts.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnwise_core::json::raw_fields;

    use super::*;

    pub(super) fn generation(fields: &Value) -> Generation {
        Generation { model: "m".to_owned(), fields: raw_fields(fields.to_string().as_bytes()).unwrap() }
    }

    fn read(mut fields: Value) -> Result<Prompt, Faults> {
        fields.as_object_mut().unwrap().entry("messages").or_insert(json!([{"role": "user", "content": "hi"}]));
        Prompt::read(&generation(&fields), "anthropic")
    }

    fn faulty(fields: Value) -> Vec<String> {
        read(fields).err().unwrap_or_default().0.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn settings_are_read() {
        let prompt = read(json!({"max_tokens": 5, "max_completion_tokens": 6, "stop": "x", "temperature": 0.5,
            "logprobs": true, "top_logprobs": 2, "reasoning_effort": "low", "user": "u", "n": 1,
            "anthropic": {"a": 1}, "gemini": {"b": 2}, "logit_bias": {}, "store": null}))
        .unwrap();
        assert_eq!((prompt.max_tokens, prompt.stop.as_slice()), (Some(6), &["x".to_owned()][..]));
        assert_eq!((prompt.temperature, prompt.logprobs), (Some(0.5), Some(2)));
        assert_eq!(prompt.own, json!({"a": 1}).as_object().cloned().unwrap());
        assert_eq!(prompt.unknown, ["gemini", "logit_bias"]);
    }

    #[test]
    fn what_no_other_format_can_say_is_a_fault() {
        assert_eq!(faulty(json!({"n": 2})), ["n"]);
        assert_eq!(faulty(json!({"modalities": ["text", "audio"], "audio": {}})), ["modalities", "audio"]);
        assert_eq!(faulty(json!({"modalities": ["text"], "audio": null})), [""; 0]);
        assert_eq!(faulty(json!({"functions": [], "function_call": "auto"})), ["functions", "function_call"]);
    }

    #[test]
    fn faults_are_told_all_at_once() {
        let fields = json!({"temperature": "hot", "stop": 1, "response_format": {"type": "xml"}, "tools": [{"type": "f"}],
            "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://x"}}]}]});
        assert_eq!(
            faulty(fields),
            ["temperature", "stop", "tools[0].type", "response_format.type", "messages[0].content[0].image_url.url"]
        );
    }

    #[test]
    fn an_answer_has_a_format() {
        let format = |format: Value| read(json!({"response_format": format})).map(|prompt| prompt.format);
        assert_eq!(format(json!(null)).unwrap(), Format::Text);
        assert_eq!(format(json!({"type": "json_object"})).unwrap(), Format::Json);
        let schema = json!({"type": "object"});
        assert_eq!(
            format(json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})).unwrap(),
            Format::Schema { name: "n".to_owned(), schema }
        );
        assert!(format(json!({"type": "json_schema"})).is_err());
    }

    #[test]
    fn a_thought_goes_back_only_to_the_format_that_signed_it() {
        let fields = json!({"messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", "reasoning_details": [
                {"type": "reasoning.encrypted", "data": "g", "format": "google-gemini-v1"},
                {"type": "reasoning.encrypted", "data": "c", "format": "anthropic-claude-v1"},
                {"type": "reasoning.encrypted", "data": "u"}]}]});
        let secrets = |own: &str| {
            let prompt = Prompt::read(&generation(&fields), own).unwrap();
            let secret = |part: &Part| if let Part::SecretThought(data) = part { Some(data.clone()) } else { None };
            prompt.turns[1].parts.iter().filter_map(secret).collect::<Vec<_>>()
        };
        assert_eq!(secrets("gemini"), ["g"]);
        assert_eq!(secrets("anthropic"), ["c", "u"]);
    }

    #[test]
    fn a_conversation_says_something() {
        assert_eq!(faulty(json!({"messages": [{"role": "system", "content": "s"}]})), ["messages"]);
    }
}
