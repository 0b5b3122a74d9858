//! What a run fixes of its turns before anything happens.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use turnwise_core::id::{ConversationId, TurnId, TurnKey};
use turnwise_core::limits::MAX_ATTEMPTS;
use turnwise_core::turn::{Delivery, OnBusy, Standing};
use turnwise_engine::turn::{Input, TurnRequest};
use turnwise_tests::rig;
use turnwise_tests::scripted::{Script, ScriptedProvider};

use crate::faults::world::Wanted;

/// Turns of one run.
pub(super) const TURNS: usize = 8;

/// When the last turn is sent at the latest, in milliseconds: a queue forms, and moves.
const SENT_WITHIN_MS: u64 = 20_000;

/// How long after a turn it is cancelled at the latest, in milliseconds: it waits, it
/// runs, or it has ended.
const CANCELLED_WITHIN_MS: u64 = 30_000;

/// Longest pause between two words of an answer that takes its time, in seconds: all of
/// it is longer than a lease, and at the most longer than an invocation.
const LONGEST_PACE_S: u64 = 12;

/// How the clients of a turn ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// They come back for it, also where the conversation is free.
    Background,
    /// They come back for it where the conversation is busy.
    Enqueue,
    /// They wait.
    Direct,
    /// They wait, and stop whatever runs.
    Interrupt,
    /// One waits, another comes back.
    Either,
}

/// One turn.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) wanted: Wanted,
    pub(super) manner: Manner,
    /// When it is sent.
    pub(super) at: Duration,
    /// When it is cancelled, if it is.
    pub(super) cancelled_at: Option<Duration>,
}

/// All turns of a run, with what the provider will do for each.
pub(super) fn turns(rng: &mut StdRng, provider: &ScriptedProvider) -> Vec<Planned> {
    let conversations = rng.random_range(1..=2);
    (0..TURNS).map(|turn| planned(turn, conversations, rng, provider)).collect()
}

fn planned(turn: usize, conversations: usize, rng: &mut StdRng, provider: &ScriptedProvider) -> Planned {
    let conversation = format!("conversation-{}", rng.random_range(0..conversations));
    let text = format!("question-{turn}");
    let refusals = script(turn, &text, rng, provider);
    let delivery = if rng.random_range(0..4) == 0 { Delivery::AtMostOnce } else { Delivery::AtLeastOnce };
    let manner = match rng.random_range(0..10) {
        0..=3 => Manner::Background,
        4..=5 => Manner::Enqueue,
        6..=7 => Manner::Either,
        8 => Manner::Direct,
        _ => Manner::Interrupt,
    };
    let at = Duration::from_millis(rng.random_range(0..SENT_WITHIN_MS));
    let patience = Duration::from_millis(rng.random_range(0..CANCELLED_WITHIN_MS));
    let key = TurnKey {
        conversation: ConversationId::parse("c", &conversation).unwrap(),
        turn: TurnId::parse("t", &format!("turn-{turn}")).unwrap(),
    };
    let cancelled_at = (rng.random_range(0..4) == 0).then_some(at + patience);
    Planned { wanted: Wanted { key, text, delivery, refusals }, manner, at, cancelled_at }
}

/// Tells the provider what to do for one turn; how many calls it refuses.
fn script(turn: usize, text: &str, rng: &mut StdRng, provider: &ScriptedProvider) -> usize {
    let answer = format!("answer {turn} in several words");
    let whole = || Script::chunks(answer.split_inclusive(' '));
    let (before, refusals) = match rng.random_range(0..10) {
        0 | 1 => (vec![Script::refuse(503)], 1),
        // As often as a turn may fail.
        2 => (vec![Script::refuse(503); MAX_ATTEMPTS as usize], MAX_ATTEMPTS as usize),
        3 => (vec![Script::refuse(400)], 1),
        4 => (vec![whole().cut_after(2)], 0),
        5 => (vec![whole().end_after(2)], 0),
        // While the provider takes its time, the clock runs on: heartbeats, time-outs.
        6 | 7 => (vec![whole().paced(Duration::from_secs(rng.random_range(1..=LONGEST_PACE_S)))], 0),
        _ => (Vec::new(), 0),
    };
    before.into_iter().chain([whole()]).for_each(|script| provider.on_text(text, script));
    refusals
}

impl Planned {
    /// The request of one try. Whether it asks for a stream is no part of the turn.
    pub(super) fn request(&self, rng: &mut StdRng) -> TurnRequest {
        let (background, on_busy, standing) = match self.manner {
            Manner::Background => (true, OnBusy::default(), Standing::Behind),
            Manner::Enqueue => (false, OnBusy::Enqueue, Standing::Behind),
            Manner::Direct => (false, OnBusy::default(), Standing::Behind),
            Manner::Interrupt => (false, OnBusy::Interrupt, Standing::Ahead),
            Manner::Either => (rng.random_range(0..2) == 0, OnBusy::default(), Standing::Behind),
        };
        TurnRequest { background, on_busy, standing, ..self.request_that_waits(rng) }
    }

    /// The request of a client that wants the answer and nothing else.
    pub(super) fn request_that_waits(&self, rng: &mut StdRng) -> TurnRequest {
        let Wanted { key, text, delivery, .. } = &self.wanted;
        let request = rig::request(key.conversation.as_str(), key.turn.as_str(), text, "openai/gpt-4o-mini");
        let input = Input { stream: rng.random_range(0..2) == 0, ..request.input };
        TurnRequest { delivery: *delivery, input, ..request }
    }
}
