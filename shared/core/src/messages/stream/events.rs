//! The events of an answer's blocks.
//!
//! One block at a time: it starts, grows by deltas and stops before the next one starts, as
//! clients expect. Some upstreams send the arguments of several calls side by side: what
//! comes while a call is not whole waits until it is, or until the end.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::blocks::Block;
use crate::outline::{CallDelta, Delta, TextKind, unnamed_call};

/// What the `format` of a detail begins with that is Anthropic's. Others' signatures would
/// come back as if they were its own.
const OURS: &str = "anthropic";

/// Makes the events of blocks from chunks.
#[derive(Debug, Default)]
pub(in crate::messages) struct BlockEvents {
    /// All blocks; the last one is open unless it is stopped.
    blocks: Vec<Block>,
    /// What the open block is made of.
    open: Option<Origin>,
    /// Calls that are known, and what came of their arguments before their names.
    calls: BTreeMap<u64, Call>,
    /// What comes behind a call that is not whole.
    held: VecDeque<Piece>,
}

/// What a block is made of: pieces of the same origin that follow one another are one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Said(TextKind),
    /// The detail with this index, if it has one.
    Thought(Option<u64>),
    Redacted,
    Call(u64),
}

/// A piece of a block, the first one with all that its start says.
#[derive(Debug)]
struct Piece {
    origin: Origin,
    /// The block that it starts unless it continues the open one.
    block: Block,
}

impl Piece {
    /// Whether it goes on with a call, and cannot begin one.
    fn is_more_of_a_call(&self) -> bool {
        match &self.block {
            Block::ToolUse { name, .. } => name.is_empty(),
            Block::Text(_) | Block::Thinking { .. } | Block::Redacted(_) => false,
        }
    }
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    /// Until its name is known.
    arguments: String,
    named: bool,
}

impl BlockEvents {
    /// What `chunk`, a `chat.completion.chunk`, adds.
    pub(in crate::messages) fn chunk(&mut self, chunk: &Value) -> Vec<Value> {
        let delta = Delta::of_chunk(chunk);
        let mut events = Vec::new();
        for piece in thoughts(&delta) {
            self.take(piece, &mut events);
        }
        for (kind, text) in delta.texts().filter(|(kind, _)| *kind != TextKind::Reasoning) {
            let block = Block::Text(text.to_owned());
            self.take(Piece { origin: Origin::Said(kind), block }, &mut events);
        }
        for call in &delta.calls {
            if let Some(piece) = self.call(call) {
                self.take(piece, &mut events);
            }
        }
        events
    }

    /// Nothing more comes: what waited is told, and the last block stops.
    pub(in crate::messages) fn finish(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while !self.held.is_empty() {
            self.stop(&mut events);
            self.release(&mut events);
        }
        self.stop(&mut events);
        events
    }

    /// All blocks, put together.
    pub(in crate::messages) fn into_blocks(self) -> Vec<Block> {
        self.blocks
    }

    fn take(&mut self, piece: Piece, events: &mut Vec<Value>) {
        let continues = self.open == Some(piece.origin);
        if !continues && self.is_in_a_call() {
            self.held.push_back(piece);
            return;
        }
        self.tell(piece, events);
        if continues && !self.held.is_empty() {
            self.release(events);
        }
    }

    /// Whether the open block is a call whose arguments are not whole yet.
    fn is_in_a_call(&self) -> bool {
        self.open.is_some() && self.blocks.last().is_some_and(|block| !block.is_whole())
    }

    /// Tells what waits, up to the next call that is not whole and, of what is behind that,
    /// its own pieces.
    fn release(&mut self, events: &mut Vec<Value>) {
        loop {
            let next = match self.open.filter(|_| self.is_in_a_call()) {
                Some(open) => self.held.iter().position(|piece| piece.origin == open),
                None => Some(0),
            };
            let Some(piece) = next.and_then(|next| self.held.remove(next)) else { return };
            self.tell(piece, events);
        }
    }

    fn tell(&mut self, piece: Piece, events: &mut Vec<Value>) {
        if !self.continues(&piece) {
            // More of a call that was whole, behind another block: white space at most.
            if piece.is_more_of_a_call() {
                return;
            }
            self.stop(events);
            let index = self.blocks.len();
            events.push(json!({"type": "content_block_start", "index": index, "content_block": piece.block.begun()}));
            self.open = Some(piece.origin);
            self.blocks.push(empty(&piece.block));
        }
        let index = self.blocks.len() - 1;
        let Some(block) = self.blocks.last_mut() else { return };
        for delta in grow(block, piece.block) {
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
    }

    /// Whether a piece belongs to the open block.
    fn continues(&self, piece: &Piece) -> bool {
        match (self.open, piece.origin, self.blocks.last(), &piece.block) {
            // Nothing is thought behind its signature, unless it says that it belongs there.
            (
                Some(Origin::Thought(open)),
                Origin::Thought(of),
                Some(Block::Thinking { signature, .. }),
                Block::Thinking { text, .. },
            ) => match (open, of) {
                (Some(open), Some(of)) => open == of,
                (_, None) => signature.is_empty() || text.is_empty(),
                (None, Some(_)) => signature.is_empty() && text.is_empty(),
            },
            (Some(open), origin, _, _) => open == origin && origin != Origin::Redacted,
            (None, ..) => false,
        }
    }

    fn stop(&mut self, events: &mut Vec<Value>) {
        if self.open.take().is_some() {
            events.push(json!({"type": "content_block_stop", "index": self.blocks.len() - 1}));
        }
    }

    /// A piece of a call whose name is known: a client has to be told what is called before how.
    fn call(&mut self, delta: &CallDelta<'_>) -> Option<Piece> {
        let position = self.calls.keys().filter(|known| **known < delta.index).count();
        let call = self.calls.entry(delta.index).or_default();
        if call.id.is_empty() {
            delta.id.clone_into(&mut call.id);
        }
        if !call.named && delta.name.is_empty() {
            call.arguments.push_str(delta.arguments);
            return None;
        }
        let begins = !std::mem::replace(&mut call.named, true);
        if !begins && delta.arguments.is_empty() {
            return None;
        }
        let id = if call.id.is_empty() { unnamed_call(position) } else { call.id.clone() };
        let arguments = std::mem::take(&mut call.arguments) + delta.arguments;
        // Only what begins a call has its name: some upstreams repeat it.
        let name = if begins { delta.name.to_owned() } else { String::new() };
        let block = Block::ToolUse { id, name, arguments, extra: delta.extra.cloned() };
        Some(Piece { origin: Origin::Call(delta.index), block })
    }
}

/// What a model thought: its details, where they have the text, as they are signed.
fn thoughts(delta: &Delta<'_>) -> Vec<Piece> {
    let plain = delta.texts().filter(|(kind, _)| *kind == TextKind::Reasoning && !delta.has_detailed_text());
    let plain = plain.map(|(_, text)| thought(None, text, ""));
    plain.chain(delta.details.iter().filter_map(detail)).collect()
}

fn detail(detail: &Value) -> Option<Piece> {
    let text = |name: &str| detail[name].as_str().unwrap_or_default();
    let is_ours = detail["format"].as_str().is_none_or(|format| format.starts_with(OURS));
    match text("type") {
        "reasoning.text" => {
            let signature = if is_ours { text("signature") } else { "" };
            let says_something = !(text("text").is_empty() && signature.is_empty());
            says_something.then(|| thought(detail["index"].as_u64(), text("text"), signature))
        }
        "reasoning.encrypted" if is_ours && !text("data").is_empty() => {
            Some(Piece { origin: Origin::Redacted, block: Block::Redacted(text("data").to_owned()) })
        }
        _ => None,
    }
}

fn thought(index: Option<u64>, text: &str, signature: &str) -> Piece {
    let block = Block::Thinking { text: text.to_owned(), signature: signature.to_owned() };
    Piece { origin: Origin::Thought(index), block }
}

/// A block that starts as `block` does.
fn empty(block: &Block) -> Block {
    match block {
        Block::Text(_) => Block::Text(String::new()),
        Block::Thinking { .. } => Block::Thinking { text: String::new(), signature: String::new() },
        Block::Redacted(_) => block.clone(),
        Block::ToolUse { id, name, extra, .. } => {
            Block::ToolUse { id: id.clone(), name: name.clone(), arguments: String::new(), extra: extra.clone() }
        }
    }
}

/// Adds `piece` to `block`, and says with which deltas.
fn grow(block: &mut Block, piece: Block) -> Vec<Value> {
    let mut deltas = Vec::new();
    match (block, piece) {
        (Block::Text(text), Block::Text(more)) => {
            text.push_str(&more);
            deltas.push(json!({"type": "text_delta", "text": more}));
        }
        (Block::Thinking { text, signature }, Block::Thinking { text: more, signature: signed }) => {
            if !more.is_empty() {
                text.push_str(&more);
                deltas.push(json!({"type": "thinking_delta", "thinking": more}));
            }
            if !signed.is_empty() {
                signature.push_str(&signed);
                deltas.push(json!({"type": "signature_delta", "signature": signed}));
            }
        }
        (Block::ToolUse { arguments, .. }, Block::ToolUse { arguments: more, .. }) => {
            if !more.is_empty() {
                arguments.push_str(&more);
                deltas.push(json!({"type": "input_json_delta", "partial_json": more}));
            }
        }
        (Block::Text(_) | Block::Thinking { .. } | Block::Redacted(_) | Block::ToolUse { .. }, _) => {}
    }
    deltas
}
