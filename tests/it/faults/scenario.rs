//! One run: what its clients do, how its time passes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use futures_util::StreamExt as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use turnwise_core::fold::Fold;
use turnwise_core::generation::Event;
use turnwise_core::id::{ConversationId, Tenant, TurnId, TurnKey};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Delivery, Outcome};
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::follow::Frame;
use turnwise_engine::random::Random;
use turnwise_engine::turn::{Answer, Input, TurnRequest};
use turnwise_engine::{Engine, Error};
use turnwise_store::queue::{Message, Queue};
use turnwise_store::{Store, client};
use turnwise_tests::faults::{Coverage, Net, Process};
use turnwise_tests::rig;
use turnwise_tests::scripted::{Script, ScriptedProvider};
use turnwise_tests::table::{TABLE, Table};

use super::invariants;

/// Turns that clients want, and clients of each.
const TURNS: usize = 3;
const CLIENTS: usize = 3;

/// Tries of one client: more than the faults of a run can spoil.
const TRIES: usize = 40;

/// How long a client waits for one reply before it tries again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Turns of the event loop without traffic after which everybody is taken to sleep.
/// Too few would only move the clock early, which is a schedule like another.
const QUIET_ROUNDS: usize = 150;

/// Such rounds in a row without any timer that end the run: some seconds, while a
/// provider that takes its time takes milliseconds.
const MAX_STANDSTILL: usize = 200_000;

/// When the clock of a run begins.
const BEGIN: Timestamp = Timestamp(1_795_276_800_000);

/// What one client got for its turn in the end.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) turn: usize,
    pub(super) result: Result<String, Outcome>,
}

/// What the scenario fixed of a turn.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) key: TurnKey,
    pub(super) text: String,
    pub(super) delivery: Delivery,
    /// Calls that the provider refuses, before it runs one.
    pub(super) refusals: usize,
}

/// How often the rows of the crash table were reached.
#[derive(Debug, Default)]
pub(super) struct Summary(pub(super) Vec<(&'static str, usize)>);

impl Summary {
    pub(super) fn add(&mut self, other: &Self) {
        for &(row, count) in &other.0 {
            match self.0.iter_mut().find(|(name, _)| *name == row) {
                Some((_, total)) => *total += count,
                None => self.0.push((row, count)),
            }
        }
    }

    pub(super) fn missing(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, count)| *count == 0).map(|(row, _)| *row).collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(row, count)| writeln!(f, "{count:>8}  {row}"))
    }
}

pub(super) async fn run(seed: u64) -> (Coverage, Summary) {
    let mut rng = StdRng::seed_from_u64(seed);
    let manual = Manual::new(BEGIN);
    let clock = Clock::Manual(Arc::clone(&manual));
    let net = Net::seeded(seed, clock.clone());
    let table = Table::start().await;
    let provider = ScriptedProvider::start().await;
    let (processes, engines): (Vec<_>, Vec<_>) =
        (0..2).map(|number| process(&net, &table, &provider, &clock, seed + number)).unzip();
    let wanted: Vec<Wanted> = (0..TURNS).map(|turn| want(turn, &mut rng, &provider)).collect();

    let clients = (0..TURNS * CLIENTS).map(|number| {
        let turn = number % TURNS;
        let chance = StdRng::seed_from_u64(seed.wrapping_mul(1000) + number as u64);
        client_of(turn, wanted[turn].clone(), engines.clone(), clock.clone(), chance)
    });
    let mut got = drive(&net, &manual, futures_util::future::join_all(clients)).await;

    // All is well again: everything that stood still goes on, and every turn is
    // asked for once more.
    net.heal();
    processes.iter().for_each(Process::wake);
    let last = (0..TURNS).map(|turn| {
        let chance = StdRng::seed_from_u64(seed + turn as u64);
        client_of(turn, wanted[turn].clone(), engines.clone(), clock.clone(), chance)
    });
    got.extend(drive(&net, &manual, futures_util::future::join_all(last)).await);
    drive(&net, &manual, futures_util::future::join_all(engines.iter().map(|engine| engine.tasks.idle()))).await;

    let summary = invariants::check(&table, &net, &provider, &wanted, &got).await;
    (net.coverage(), summary)
}

/// Lets `work` go on to its end, moving the clock whenever nobody has anything to do.
async fn drive<T>(net: &Net, manual: &Manual, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut stood_still = 0;
    loop {
        let quiet = async {
            let mut rounds = 0;
            while rounds < QUIET_ROUNDS {
                tokio::task::yield_now().await;
                rounds = if net.is_quiet() { rounds + 1 } else { 0 };
            }
        };
        tokio::select! {
            biased;
            result = &mut work => return result,
            () = quiet => {
                stood_still = if manual.advance_to_next_timer() { 0 } else { stood_still + 1 };
                assert!(stood_still < MAX_STANDSTILL, "nobody has anything to do, and the work is not done");
            }
        }
    }
}

fn process(net: &Arc<Net>, table: &Table, provider: &ScriptedProvider, clock: &Clock, seed: u64) -> (Process, Engine) {
    let inner = SharedHttpConnector::new(aws_smithy_http_client::Connector::builder().build_http());
    let process = Process::new(net, inner);
    // One try each: the engine's own tries are the ones under test, on the test's clock.
    let sdk = client::local(table.endpoint(), Some(process.http_client()))
        .into_builder()
        .retry_config(aws_smithy_types::retry::RetryConfig::disabled())
        .timeout_config(aws_smithy_types::timeout::TimeoutConfig::disabled())
        .build();
    let (queue, _) = Queue::in_process();
    let engine = Engine::new(Store::new(&sdk, TABLE), queue, rig::openai_at(provider.base_url()))
        .with_time_and_chance(clock.clone(), Random::seeded(seed));
    (process, engine)
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
async fn client_of(turn: usize, wanted: Wanted, engines: Vec<Engine>, clock: Clock, mut rng: StdRng) -> Got {
    clock.sleep(Duration::from_millis(rng.random_range(0..5000))).await;
    let mut tried = Vec::new();
    for _ in 0..TRIES {
        let engine = &engines[rng.random_range(0..engines.len())];
        let request = request(&wanted, rng.random_range(0..2) == 0);
        let result = match rng.random_range(0..10) {
            // A client that leaves at once, and a message that brings the turn up again.
            0 => clock.timeout(Duration::from_millis(1), reply(engine, request)).await,
            1 => {
                let message = Message::Turn { tenant: Tenant::default_tenant(), key: wanted.key.clone() };
                let _ = clock.timeout(PATIENCE, Box::pin(engine.handle(&message, None))).await;
                None
            }
            _ => clock.timeout(PATIENCE, reply(engine, request)).await,
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

async fn reply(engine: &Engine, request: TurnRequest) -> Result<String, Error> {
    if !request.input.stream {
        return engine.answer(request).await.map(|(_, answer)| text_of(&answer));
    }
    let (_, _, mut frames) = engine.stream(request).await?;
    let mut fold = Fold::default();
    while let Some(frame) = frames.next().await {
        match frame {
            Frame::Event(Event::Chunk(chunk)) => {
                fold.push(&serde_json::from_str(chunk.get()).expect("a chunk"));
            }
            Frame::Event(Event::Finished) => {}
            Frame::Done(answer) => {
                assert_eq!(fold.text(), text_of(&answer), "the stream's text is the committed answer's");
                return Ok(text_of(&answer));
            }
            Frame::Failed(error) => return Err(error),
        }
    }
    panic!("a stream ended without its end");
}

/// What makes one answer differ from another: its number, its text, its hash.
fn text_of(answer: &Answer) -> String {
    let value: serde_json::Value = serde_json::from_str(answer.output.get()).expect("an answer");
    turnwise_core::generation::answer_text(&value).to_owned()
}
