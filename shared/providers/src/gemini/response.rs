//! An answer, whole or in pieces: every event of a stream is a `GenerateContentResponse`,
//! and so is a whole answer.

use serde_json::{Map, Value, json};
use turnwise_core::category::Category;
use turnwise_core::generation::Event;
use turnwise_core::usage::Usage;

use super::{RESOURCE, logprobs, usage};
use crate::call::{Call, Target, cut};
use crate::chunks::{Chunks, Finish};
use crate::error::{self, Dispatched, Error};
use crate::prompt::GEMINI_THOUGHTS;

/// Longest id or name of a model taken from the upstream, in characters: more than it
/// gives. Both are repeated in every chunk.
const MAX_NAME_CHARS: usize = 128;

/// Longest of the upstream's own words for an end repeated in a message, in characters.
const MAX_WORD_CHARS: usize = 40;

/// Why an answer ended, in the upstream's words and in ours
/// (<https://ai.google.dev/api/generate-content#FinishReason>). `CONTINUATION` is the end
/// of one request's output, not of the model's.
const FINISHES: [(&str, Finish); 12] = [
    ("STOP", Finish::Stop),
    ("MAX_TOKENS", Finish::Length),
    ("CONTINUATION", Finish::Length),
    ("SAFETY", Finish::ContentFilter),
    ("RECITATION", Finish::ContentFilter),
    ("LANGUAGE", Finish::ContentFilter),
    ("BLOCKLIST", Finish::ContentFilter),
    ("PROHIBITED_CONTENT", Finish::ContentFilter),
    ("SPII", Finish::ContentFilter),
    ("IMAGE_SAFETY", Finish::ContentFilter),
    ("IMAGE_PROHIBITED_CONTENT", Finish::ContentFilter),
    ("IMAGE_RECITATION", Finish::ContentFilter),
];

/// Ends that are the model's slip: asked again, it mostly does better. All other ends that
/// are not among [`FINISHES`] would come again.
const SLIPS: [&str; 3] = ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"];

/// An answer read so far. Keeps no text of it.
#[derive(Debug)]
pub(super) struct Answer {
    target: Target,
    chunks: Chunks,
    /// The answer's id, of which calls without an id make theirs.
    id: String,
    /// How many calls there were.
    calls: u64,
    /// Which entry of the thoughts is at hand.
    detail: u64,
    /// Whether it is a thought that may go on.
    is_thinking: bool,
    finish: Option<(Finish, &'static str)>,
    /// As the last piece has it.
    usage: Option<Usage>,
}

impl Answer {
    /// An answer to `call` of which nothing has come.
    pub(super) fn new(target: Target, call: &Call) -> Self {
        Self {
            target,
            chunks: Chunks::new(call),
            id: call.id.clone(),
            calls: 0,
            detail: 0,
            is_thinking: false,
            finish: None,
            usage: None,
        }
    }

    /// Who gives it.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Takes in an answer that came whole, or as the list of its pieces.
    ///
    /// # Errors
    /// When it is an error, or no answer, or has no end.
    pub(super) fn whole(&mut self, body: &[u8], events: &mut Vec<Event>) -> Result<(), Error> {
        let not_json = |cause| error::malformed(&self.target, "is not JSON").with_source(cause);
        let body: Value = serde_json::from_slice(body).map_err(not_json)?;
        match &body {
            Value::Array(pieces) => pieces.iter().try_for_each(|piece| self.take(piece, events))?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                self.take(&body, events)?;
            }
        }
        if self.end(events) { Ok(()) } else { Err(error::malformed(&self.target, "does not say why it ended")) }
    }

    /// Takes in one piece and appends what it amounts to to `events`, also when it then
    /// fails.
    ///
    /// # Errors
    /// When it is an error, or ends the answer with one, or is no answer.
    pub(super) fn take(&mut self, piece: &Value, events: &mut Vec<Event>) -> Result<(), Error> {
        if error::is_error(piece) {
            return Err(error::in_body(&self.target, piece));
        }
        if !piece.is_object() {
            return Err(error::malformed(&self.target, "has a piece that is no object"));
        }
        self.read_names(piece);
        self.usage = usage::read(&piece["usageMetadata"]).or(self.usage);
        let candidates = piece["candidates"].as_array().into_iter().flatten();
        // There is one, as nobody asks for more.
        match candidates.into_iter().find(|candidate| candidate["index"].as_u64().unwrap_or(0) == 0) {
            Some(candidate) => self.read_candidate(candidate, events),
            None => self.read_refusal(piece),
        }
    }

    /// The body has ended. Says how the answer did and what it took, if it did.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) -> bool {
        let Some((finish, native)) = self.finish else { return false };
        let finish = if finish == Finish::Stop && self.calls > 0 { Finish::ToolCalls } else { finish };
        events.push(self.chunks.finish(finish, native, None));
        events.extend(self.usage.map(|usage| self.chunks.usage(&usage)));
        true
    }

    fn read_names(&mut self, piece: &Value) {
        let name =
            |name: &str| piece[name].as_str().map(|name| cut(name, MAX_NAME_CHARS)).filter(|name| !name.is_empty());
        let (id, model) = (name("responseId"), name("modelVersion"));
        self.chunks.named(id, model.map(|model| model.strip_prefix(RESOURCE).unwrap_or(model)));
        if let Some(id) = id.filter(|_| self.calls == 0) {
            id.clone_into(&mut self.id);
        }
    }

    /// A prompt that was blocked has no candidate. That is an error and no empty answer:
    /// the model never saw it, and the same prompt would be blocked again.
    fn read_refusal(&self, piece: &Value) -> Result<(), Error> {
        let Some(reason) = piece.pointer("/promptFeedback/blockReason").and_then(Value::as_str) else { return Ok(()) };
        let message = format!("{} blocked the prompt: {}.", self.target, word(reason));
        Err(Error::new(&self.target, Category::AuthorizationError, "content_blocked", message, Dispatched::Maybe))
    }

    fn read_candidate(&mut self, candidate: &Value, events: &mut Vec<Event>) -> Result<(), Error> {
        for part in candidate.pointer("/content/parts").and_then(Value::as_array).into_iter().flatten() {
            self.read_part(part, events)?;
        }
        let logprobs = logprobs::read(&candidate["logprobsResult"]);
        if !logprobs.is_empty() {
            events.push(self.chunks.logprobs(&logprobs));
        }
        match candidate["finishReason"].as_str().filter(|reason| !reason.is_empty()) {
            Some(reason) => self.read_finish(reason),
            None => Ok(()),
        }
    }

    fn read_part(&mut self, part: &Value, events: &mut Vec<Event>) -> Result<(), Error> {
        if let Some(call) = part.get("functionCall").filter(|call| !call.is_null()) {
            return self.read_call(call, signature(part), events);
        }
        let text = part["text"].as_str().unwrap_or_default();
        if part["thought"] == true {
            self.read_thought(text, signature(part), events);
            return Ok(());
        }
        if !text.is_empty() {
            self.end_thought();
            events.push(self.chunks.text(text));
        }
        if let Some(signature) = signature(part) {
            self.end_thought();
            let detail = json!({"type": "reasoning.encrypted", "data": signature, "format": GEMINI_THOUGHTS,
                                "index": self.detail});
            events.push(self.chunks.detail(&detail));
            self.detail += 1;
        }
        Ok(())
    }

    fn read_thought(&mut self, text: &str, signature: Option<&str>, events: &mut Vec<Event>) {
        let mut detail =
            json!({"type": "reasoning.text", "text": text, "format": GEMINI_THOUGHTS, "index": self.detail});
        if let Some(signature) = signature {
            detail["signature"] = json!(signature);
        }
        match (text.is_empty(), signature) {
            (false, _) => events.push(self.chunks.thought(text, &detail)),
            (true, Some(_)) => events.push(self.chunks.detail(&detail)),
            (true, None) => return,
        }
        self.is_thinking = true;
        if signature.is_some() {
            self.end_thought();
        }
    }

    /// What is thought from here on is another entry.
    fn end_thought(&mut self) {
        if std::mem::take(&mut self.is_thinking) {
            self.detail += 1;
        }
    }

    fn read_call(&mut self, call: &Value, signature: Option<&str>, events: &mut Vec<Event>) -> Result<(), Error> {
        let name = call["name"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| error::malformed(&self.target, "calls a function without a name"))?;
        let arguments = match call.get("args") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(arguments @ Value::Object(_)) => arguments.to_string(),
            Some(_) => return Err(error::malformed(&self.target, "calls a function with what is no object")),
        };
        self.end_thought();
        let index = self.calls;
        let id = call["id"].as_str().filter(|id| !id.is_empty());
        let id = id.map_or_else(|| format!("call_{}_{index}", self.id), str::to_owned);
        let extra = signature.map(|signature| json!({"google": {"thought_signature": signature}}));
        let extra = Map::from_iter(extra.map(|extra| ("extra_content".to_owned(), extra)));
        events.push(self.chunks.call(index, &id, name, extra));
        events.push(self.chunks.arguments(index, &arguments));
        self.calls += 1;
        Ok(())
    }

    fn read_finish(&mut self, reason: &str) -> Result<(), Error> {
        if let Some((native, finish)) = FINISHES.iter().find(|(native, _)| *native == reason) {
            self.finish = Some((*finish, native));
            return Ok(());
        }
        let message = format!("{} ended its answer with an error: {}.", self.target, word(reason));
        let error = |code| Error::new(&self.target, Category::ApiError, code, message, Dispatched::Maybe);
        Err(if SLIPS.contains(&reason) { error("malformed_call") } else { error("upstream_error").final_one() })
    }
}

fn signature(part: &Value) -> Option<&str> {
    part["thoughtSignature"].as_str().filter(|signature| !signature.is_empty())
}

/// A word of the upstream's, if it is one of its constants and not prose.
fn word(text: &str) -> &str {
    let is_constant = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if is_constant { cut(text, MAX_WORD_CHARS) } else { "for no reason it has a word for" }
}
