//! Three turns of one conversation that several clients want at once, of two processes:
//! what the clients do, how their time passes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use turnwise_core::fold::Fold;
use turnwise_core::generation::Event;
use turnwise_core::id::{ConversationId, Tenant, TurnId, TurnKey};
use turnwise_core::turn::{Delivery, Outcome};
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::follow::Frame;
use turnwise_engine::turn::{Input, TurnRequest};
use turnwise_engine::{Engine, Error};
use turnwise_store::queue::{Message, Queue};
use turnwise_tests::faults::{Coverage, Net, Process};
use turnwise_tests::rig;
use turnwise_tests::scripted::{Script, ScriptedProvider};
use turnwise_tests::table::Table;

use super::invariants;
use super::world::{BEGIN, Got, Summary, Wanted, drive, process, text_of};

/// Turns that clients want, and clients of each.
const TURNS: usize = 3;
const CLIENTS: usize = 3;

/// Tries of one client: more than the faults of a run can spoil.
const TRIES: usize = 40;

/// How long a client waits for one reply before it tries again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Faults of one run at the most: with more, nothing but faults would be tested.
const FAULTS: usize = 10;

pub(super) async fn run(seed: u64) -> (Coverage, Summary) {
    let mut rng = StdRng::seed_from_u64(seed);
    let manual = Manual::new(BEGIN);
    let clock = Clock::Manual(Arc::clone(&manual));
    let net = Net::seeded(seed, FAULTS, clock.clone());
    let table = Table::start().await;
    let provider = ScriptedProvider::start().await;
    let (processes, engines): (Vec<_>, Vec<_>) =
        (0..2).map(|number| process(&net, &table, &provider, Queue::in_process().0, &clock, seed + number)).unzip();
    let wanted: Vec<Wanted> = (0..TURNS).map(|turn| want(turn, &mut rng, &provider)).collect();

    let streams = Arc::<Streams>::default();
    let clients = (0..TURNS * CLIENTS).map(|number| {
        let turn = number % TURNS;
        let chance = StdRng::seed_from_u64(seed.wrapping_mul(1000) + number as u64);
        client_of(turn, wanted[turn].clone(), engines.clone(), clock.clone(), chance, Arc::clone(&streams))
    });
    let mut got = drive(&manual, || net.is_quiet(), futures_util::future::join_all(clients)).await;

    // All is well again: everything that stood still goes on, and every turn is
    // asked for once more.
    net.heal();
    processes.iter().for_each(Process::wake);
    let last = (0..TURNS).map(|turn| {
        let chance = StdRng::seed_from_u64(seed + turn as u64);
        client_of(turn, wanted[turn].clone(), engines.clone(), clock.clone(), chance, Arc::clone(&streams))
    });
    got.extend(drive(&manual, || net.is_quiet(), futures_util::future::join_all(last)).await);
    drive(&manual, || net.is_quiet(), futures_util::future::join_all(engines.iter().map(|engine| engine.tasks.idle())))
        .await;

    let summary = invariants::check(&table, &net, &provider, &wanted, &got).await;
    (net.coverage(), summary)
}

/// One of the turns, with what the provider will do for it.
fn want(turn: usize, rng: &mut StdRng, provider: &ScriptedProvider) -> Wanted {
    let text = format!("question-{turn}");
    let answer = format!("answer {turn} in several words");
    let words: Vec<&str> = answer.split_inclusive(' ').collect();
    let luck = rng.random_range(0..6);
    match luck {
        0 => provider.on_text(&text, Script::refuse(503)),
        1 => provider.on_text(&text, Script::chunks(words.iter().copied()).cut_after(2)),
        2 => provider.on_text(&text, Script::chunks(words.iter().copied()).end_after(2)),
        // While the provider takes its time, the clock runs on: heartbeats, time-outs.
        4 => {
            let slow = Script::chunks(words.iter().copied()).paced(Duration::from_millis(1));
            provider.on_text(&text, slow);
        }
        3 if turn == 0 => provider.on_text(&text, Script::refuse(400)),
        _ => {}
    }
    provider.on_text(&text, Script::chunks(words.iter().copied()));
    let delivery = if rng.random_range(0..3) == 0 { Delivery::AtMostOnce } else { Delivery::AtLeastOnce };
    let key = TurnKey {
        conversation: ConversationId::parse("c", "conversation").unwrap(),
        turn: TurnId::parse("t", &format!("turn-{turn}")).unwrap(),
    };
    let refusals = usize::from(luck == 0 || (luck == 3 && turn == 0));
    Wanted { key, text, delivery, refusals }
}

fn request(wanted: &Wanted, stream: bool) -> TurnRequest {
    let (conversation, turn) = (wanted.key.conversation.as_str(), wanted.key.turn.as_str());
    let request = rig::request(conversation, turn, &wanted.text, "openai/gpt-4o-mini");
    let input = Input { stream, ..request.input };
    TurnRequest { delivery: wanted.delivery, input, ..request }
}

/// A client: tries until it has an answer or an error that stays.
async fn client_of(
    turn: usize,
    wanted: Wanted,
    engines: Vec<Engine>,
    clock: Clock,
    mut rng: StdRng,
    streams: Arc<Streams>,
) -> Got {
    clock.sleep(Duration::from_millis(rng.random_range(0..5000))).await;
    let mut tried = Vec::new();
    for _ in 0..TRIES {
        let engine = &engines[rng.random_range(0..engines.len())];
        let request = request(&wanted, rng.random_range(0..2) == 0);
        let result = match rng.random_range(0..10) {
            // A client that leaves at once, and a message that brings the turn up again.
            0 => clock.timeout(Duration::from_millis(1), reply(engine, request, &streams)).await,
            1 => {
                let message = Message::Turn { tenant: Tenant::default_tenant(), key: wanted.key.clone() };
                let _ = clock.timeout(PATIENCE, Box::pin(engine.handle(&message, None))).await;
                None
            }
            _ => clock.timeout(PATIENCE, reply(engine, request, &streams)).await,
        };
        tried.push(format!("{} {result:?}", clock.now()));
        match result {
            Some(Ok(text)) => return Got { turn, result: Ok(text) },
            Some(Err(Error::Failed { failure, .. })) if failure.outcome != Outcome::Retryable => {
                return Got { turn, result: Err(failure.outcome) };
            }
            Some(Err(Error::Failed { failure, replayed: true, .. })) => {
                // Out of attempts: the error is the result.
                return Got { turn, result: Err(failure.outcome) };
            }
            Some(Err(
                Error::Failed { .. } | Error::ConversationBusy { .. } | Error::StillRunning { .. } | Error::Store(_),
            ))
            | None => clock.sleep(Duration::from_millis(rng.random_range(100..8000))).await,
            Some(Err(other)) => panic!("turn {turn} got {other:?}"),
        }
    }
    panic!("turn {turn} did not end in {TRIES} tries:\n{}", tried.join("\n"));
}

async fn reply(engine: &Engine, request: TurnRequest, streams: &Streams) -> Result<String, Error> {
    if !request.input.stream {
        return engine.answer(request).await.map(|(_, answer)| text_of(&answer));
    }
    let turn = request.key.to_string();
    let (facts, replayed, mut frames) = engine.stream(request).await?;
    let mut fold = Fold::default();
    let mut told = Telling { streams, turn, stream: 0, chunks: Vec::new() };
    while let Some(frame) = frames.next().await {
        match frame {
            Frame::Waiting { .. } | Frame::Repeated { .. } | Frame::Event(Event::Finished) => {}
            Frame::Began { stream, .. } => {
                assert!(stream > told.stream, "stream {stream} after {}", told.stream);
                told.check();
                (told.stream, told.chunks, fold) = (stream, Vec::new(), Fold::default());
            }
            Frame::Event(Event::Chunk(chunk)) => {
                fold.push(&serde_json::from_str(chunk.get()).expect("a chunk"));
                told.chunks.push(chunk.get().to_owned());
            }
            Frame::Done(answer) => {
                assert_eq!(fold.text(), text_of(&answer), "the stream's text is the committed answer's");
                return Ok(text_of(&answer));
            }
            Frame::Failed { failure, .. } => {
                return Err(Error::Failed { failure, facts: Some(facts.into()), replayed });
            }
            Frame::Broken(error) => return Err(error),
        }
    }
    panic!("a stream ended without its end");
}

/// What clients were told of each stream of each turn: the longest telling.
#[derive(Default)]
struct Streams(Mutex<BTreeMap<(String, u32), Vec<String>>>);

/// What one client is being told, checked when it leaves, too.
struct Telling<'a> {
    streams: &'a Streams,
    turn: String,
    stream: u32,
    chunks: Vec<String>,
}

impl Telling<'_> {
    /// All clients are told the same events of a stream, some of them fewer.
    fn check(&self) {
        let mut streams = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = streams.entry((self.turn.clone(), self.stream)).or_default();
        let common = longest.len().min(self.chunks.len());
        assert_eq!(longest[..common], self.chunks[..common], "stream {} of {}", self.stream, self.turn);
        if self.chunks.len() > common {
            longest.clone_from(&self.chunks);
        }
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
    }
}
