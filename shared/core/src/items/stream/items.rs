//! The events of a response's items.
//!
//! Each item is added, grows by deltas and is done; the next one begins when it is. A
//! call whose arguments are not whole yet when the next begins stays open until the end,
//! for upstreams that send the arguments of several calls side by side.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::content::{Parts, refusal};
use super::super::from_messages::logprobs;
use super::super::id::{ItemId, RowId};
use super::super::kind::Kind;
use super::ResponseHead;
use crate::id::ConversationId;
use crate::outline::{CallDelta, Delta, TextKind, unnamed_call};

/// Makes the events of items from chunks.
#[derive(Debug)]
pub(super) struct ItemEvents {
    conversation: ConversationId,
    row: RowId,
    /// Place of the first item in its row.
    first: usize,
    open: Vec<Open>,
    /// Pieces of calls whose functions have no names yet, and the items of those that have.
    calls: BTreeMap<u64, Call>,
}

/// An item that was added.
#[derive(Debug)]
struct Open {
    id: String,
    said: Said,
    /// How it ended, once it has.
    done: Option<&'static str>,
}

/// What an item says so far.
#[derive(Debug)]
enum Said {
    /// A message or a thought: its parts, of which the last one grows.
    Parts(Kind, Vec<Part>),
    Call {
        call_id: String,
        name: String,
        arguments: String,
    },
}

#[derive(Debug)]
struct Part {
    kind: TextKind,
    text: String,
    logprobs: Vec<Value>,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    arguments: String,
    item: Option<usize>,
}

impl ItemEvents {
    pub(super) fn new(head: &ResponseHead) -> Self {
        Self {
            conversation: head.key.conversation.clone(),
            row: RowId::of_turn(head.number),
            first: head.inputs,
            open: Vec::new(),
            calls: BTreeMap::new(),
        }
    }

    /// What `chunk` adds.
    pub(super) fn chunk(&mut self, chunk: &Value) -> Vec<Value> {
        let mut events = Vec::new();
        let delta = Delta::of_chunk(chunk);
        for (kind, text) in delta.texts() {
            let probabilities = match kind {
                TextKind::Content => logprobs(chunk.pointer("/choices/0/logprobs/content").unwrap_or(&Value::Null)),
                TextKind::Reasoning | TextKind::Refusal => json!([]),
            };
            self.text(kind, text, probabilities, &mut events);
        }
        for call in &delta.calls {
            self.call(call, &mut events);
        }
        events
    }

    /// The rest of what `output`, the response's items as they are whole, says.
    pub(super) fn finish(&mut self, output: &[Value]) -> Vec<Value> {
        let mut events = Vec::new();
        for (index, item) in output.iter().enumerate() {
            if self.open.get(index).is_some_and(|open| open.done.is_some()) {
                continue;
            }
            match Kind::of(item) {
                Kind::FunctionCall => self.finish_call(index, item, &mut events),
                Kind::Message | Kind::Reasoning | Kind::FunctionCallOutput | Kind::Compaction | Kind::Other => {
                    self.finish_parts(index, item, &mut events);
                }
            }
            events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
        }
        events
    }

    /// Ends all items that are open as incomplete, and all items as they are then.
    pub(super) fn break_off(&mut self) -> (Vec<Value>, Vec<Value>) {
        let mut events = Vec::new();
        for index in 0..self.open.len() {
            self.close(index, "incomplete", &mut events);
        }
        let told = self.open.iter().map(|open| open.item(open.done.unwrap_or("incomplete"))).collect();
        (events, told)
    }

    fn text(&mut self, kind: TextKind, text: &str, probabilities: Value, events: &mut Vec<Value>) {
        let index = self.part(kind, events);
        let Some(Open { id, said: Said::Parts(_, parts), .. }) = self.open.get_mut(index) else { return };
        let content_index = parts.len() - 1;
        let Some(part) = parts.last_mut() else { return };
        part.text.push_str(text);
        part.logprobs.extend(probabilities.as_array().into_iter().flatten().cloned());
        events.push(delta_event(kind, id, index, content_index, text, probabilities));
    }

    /// The item whose last part takes texts of `kind`: the newest one, or a new one.
    fn part(&mut self, kind: TextKind, events: &mut Vec<Value>) -> usize {
        let item = item_of(kind);
        let last = self.open.len().checked_sub(1);
        let fitting = last.filter(|last| match &self.open[*last] {
            Open { said: Said::Parts(of, _), done: None, .. } => *of == item,
            Open { .. } => false,
        });
        let index = match fitting {
            Some(index) => index,
            None => self.add(Said::Parts(item, Vec::new()), events),
        };
        let Open { id, said: Said::Parts(_, parts), .. } = &mut self.open[index] else { return index };
        if parts.last().is_some_and(|part| part.kind == kind) {
            return index;
        }
        if let Some((last, part)) = parts.iter().enumerate().next_back() {
            part_done(id, index, last, &part.whole(), events);
        }
        let part = Part { kind, text: String::new(), logprobs: Vec::new() };
        events.push(part_event("added", id, index, parts.len(), &part.whole()));
        parts.push(part);
        index
    }

    fn call(&mut self, delta: &CallDelta<'_>, events: &mut Vec<Value>) {
        let position = self.calls.keys().filter(|known| **known < delta.index).count();
        let call = self.calls.entry(delta.index).or_default();
        if call.id.is_empty() {
            delta.id.clone_into(&mut call.id);
        }
        call.arguments.push_str(delta.arguments);
        let (index, piece) = match call.item {
            Some(index) => (index, delta.arguments.to_owned()),
            // A client has to be told what is called before how.
            None if delta.name.is_empty() => return,
            None => {
                let call_id = if call.id.is_empty() { unnamed_call(position) } else { call.id.clone() };
                let piece = call.arguments.clone();
                let said = Said::Call { call_id, name: delta.name.to_owned(), arguments: String::new() };
                let index = self.add(said, events);
                self.calls.entry(delta.index).or_default().item = Some(index);
                (index, piece)
            }
        };
        if let Open { id, said: Said::Call { arguments, .. }, done: None } = &mut self.open[index]
            && !piece.is_empty()
        {
            arguments.push_str(&piece);
            events.push(arguments_delta(id, index, &piece));
        }
    }

    /// Adds an item behind the others, which are done then.
    fn add(&mut self, said: Said, events: &mut Vec<Value>) -> usize {
        for index in 0..self.open.len() {
            if self.open[index].is_whole() {
                self.close(index, "completed", events);
            }
        }
        let index = self.open.len();
        let id = ItemId { kind: said.kind(), row: self.row, index: self.first + index }.text(&self.conversation);
        let open = Open { id, said, done: None };
        events.push(json!({"type": "response.output_item.added", "output_index": index, "item": open.begun()}));
        self.open.push(open);
        index
    }

    fn close(&mut self, index: usize, status: &'static str, events: &mut Vec<Value>) {
        let open = &mut self.open[index];
        if open.done.is_some() {
            return;
        }
        open.done = Some(status);
        match &open.said {
            Said::Parts(_, parts) => {
                if let Some((last, part)) = parts.iter().enumerate().next_back() {
                    part_done(&open.id, index, last, &part.whole(), events);
                }
            }
            Said::Call { arguments, name, .. } => events.push(arguments_done(&open.id, index, name, arguments)),
        }
        let item = open.item(status);
        events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }

    /// Tells what is left of a message or a thought, up to its end.
    fn finish_parts(&mut self, index: usize, item: &Value, events: &mut Vec<Value>) {
        if index >= self.open.len() {
            self.add(Said::Parts(Kind::of(item), Vec::new()), events);
        }
        let Open { id, said: Said::Parts(_, parts), done, .. } = &mut self.open[index] else { return };
        *done = Some("completed");
        for (content_index, whole) in item["content"].as_array().into_iter().flatten().enumerate() {
            let (kind, text) = text_of(whole);
            // All parts but the last are done already.
            if content_index + 1 < parts.len() {
                continue;
            }
            if content_index >= parts.len() {
                let part = Part { kind, text: String::new(), logprobs: Vec::new() };
                events.push(part_event("added", id, index, content_index, &part.whole()));
                parts.push(part);
            }
            let told = parts.get(content_index).map_or("", |part| part.text.as_str());
            if let Some(rest) = text.strip_prefix(told).filter(|rest| !rest.is_empty()) {
                events.push(delta_event(kind, id, index, content_index, rest, json!([])));
            }
            part_done(id, index, content_index, whole, events);
        }
    }

    /// Tells what is left of a call, up to its end.
    fn finish_call(&mut self, index: usize, item: &Value, events: &mut Vec<Value>) {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        if index >= self.open.len() {
            self.add(Said::Call { call_id: text("call_id"), name: text("name"), arguments: String::new() }, events);
        }
        let Open { id, said: Said::Call { arguments: told, name, .. }, done } = &mut self.open[index] else { return };
        *done = Some("completed");
        let arguments = text("arguments");
        if let Some(rest) = arguments.strip_prefix(told.as_str()).filter(|rest| !rest.is_empty()) {
            events.push(arguments_delta(id, index, rest));
        }
        events.push(arguments_done(id, index, name, &arguments));
    }
}

impl Open {
    /// The item when nothing is known of it but that it comes.
    fn begun(&self) -> Value {
        match &self.said {
            Said::Parts(kind, _) => item(*kind, &self.id, "in_progress", Vec::new()),
            Said::Call { call_id, name, .. } => call_item(&self.id, call_id, name, "", "in_progress"),
        }
    }

    /// The item with what it says so far.
    fn item(&self, status: &str) -> Value {
        match &self.said {
            Said::Parts(kind, parts) => item(*kind, &self.id, status, parts.iter().map(Part::whole).collect()),
            Said::Call { call_id, name, arguments } => call_item(&self.id, call_id, name, arguments, status),
        }
    }

    /// Whether nothing more can come of it once another item begins.
    fn is_whole(&self) -> bool {
        match &self.said {
            Said::Parts(..) => true,
            Said::Call { arguments, .. } => serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok(),
        }
    }
}

impl Said {
    const fn kind(&self) -> Kind {
        match self {
            Self::Parts(kind, _) => *kind,
            Self::Call { .. } => Kind::FunctionCall,
        }
    }
}

impl Part {
    fn whole(&self) -> Value {
        match self.kind {
            TextKind::Reasoning => json!({"type": "reasoning_text", "text": self.text}),
            TextKind::Content => {
                let mut part = Parts::Output.text(&self.text);
                part["logprobs"] = json!(self.logprobs);
                part
            }
            TextKind::Refusal => refusal(&self.text),
        }
    }
}

const fn item_of(kind: TextKind) -> Kind {
    match kind {
        TextKind::Reasoning => Kind::Reasoning,
        TextKind::Content | TextKind::Refusal => Kind::Message,
    }
}

fn item(kind: Kind, id: &str, status: &str, content: Vec<Value>) -> Value {
    match kind {
        Kind::Reasoning => json!({"id": id, "type": "reasoning", "summary": [], "content": content}),
        Kind::Message | Kind::FunctionCall | Kind::FunctionCallOutput | Kind::Compaction | Kind::Other => {
            json!({"id": id, "type": "message", "role": "assistant", "status": status, "content": content})
        }
    }
}

fn call_item(id: &str, call_id: &str, name: &str, arguments: &str, status: &str) -> Value {
    json!({"id": id, "type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, "status": status})
}

/// A part's kind and what it says.
fn text_of(part: &Value) -> (TextKind, &str) {
    let text = |name: &str| part[name].as_str().unwrap_or_default();
    match part["type"].as_str() {
        Some("refusal") => (TextKind::Refusal, text("refusal")),
        Some("reasoning_text") => (TextKind::Reasoning, text("text")),
        Some(_) | None => (TextKind::Content, text("text")),
    }
}

fn delta_event(kind: TextKind, id: &str, index: usize, content_index: usize, text: &str, logprobs: Value) -> Value {
    let name = match kind {
        TextKind::Reasoning => "response.reasoning.delta",
        TextKind::Content => "response.output_text.delta",
        TextKind::Refusal => "response.refusal.delta",
    };
    let mut event =
        json!({"type": name, "item_id": id, "output_index": index, "content_index": content_index, "delta": text});
    if kind == TextKind::Content {
        event["logprobs"] = logprobs;
    }
    event
}

fn part_event(what: &str, id: &str, index: usize, content_index: usize, part: &Value) -> Value {
    json!({"type": format!("response.content_part.{what}"), "item_id": id, "output_index": index,
           "content_index": content_index, "part": part})
}

/// The end of a part: its text once more, and the part.
fn part_done(id: &str, index: usize, content_index: usize, part: &Value, events: &mut Vec<Value>) {
    let at = |name: &str| json!({"type": name, "item_id": id, "output_index": index, "content_index": content_index});
    let (kind, text) = text_of(part);
    for (annotation_index, annotation) in part["annotations"].as_array().into_iter().flatten().enumerate() {
        let mut event = at("response.output_text.annotation.added");
        event["annotation_index"] = json!(annotation_index);
        event["annotation"] = annotation.clone();
        events.push(event);
    }
    let event = match kind {
        TextKind::Reasoning => with(at("response.reasoning.done"), &[("text", json!(text))]),
        TextKind::Content => {
            let logprobs = part["logprobs"].clone();
            with(at("response.output_text.done"), &[("text", json!(text)), ("logprobs", logprobs)])
        }
        TextKind::Refusal => with(at("response.refusal.done"), &[("refusal", json!(text))]),
    };
    events.push(event);
    events.push(part_event("done", id, index, content_index, part));
}

fn with(mut event: Value, fields: &[(&str, Value)]) -> Value {
    for (name, value) in fields {
        event[*name] = value.clone();
    }
    event
}

fn arguments_delta(id: &str, index: usize, piece: &str) -> Value {
    json!({"type": "response.function_call_arguments.delta", "item_id": id, "output_index": index, "delta": piece})
}

fn arguments_done(id: &str, index: usize, name: &str, arguments: &str) -> Value {
    json!({"type": "response.function_call_arguments.done", "item_id": id, "output_index": index, "name": name,
           "arguments": arguments})
}
