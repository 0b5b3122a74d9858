//! What the scenarios share: processes, the turns their clients want, time that passes,
//! and what a run has reached.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use turnwise_core::id::TurnKey;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Delivery, Outcome};
use turnwise_engine::Engine;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::random::Random;
use turnwise_engine::turn::Answer;
use turnwise_store::queue::Queue;
use turnwise_store::{Store, client};
use turnwise_tests::faults::{Net, Process};
use turnwise_tests::rig;
use turnwise_tests::scripted::ScriptedProvider;
use turnwise_tests::table::{TABLE, Table};

/// Turns of the event loop without traffic after which everybody is taken to sleep.
/// Too few would only move the clock early, which is a schedule like another.
const QUIET_ROUNDS: usize = 150;

/// Such rounds in a row without any timer that end the run: some seconds, while a
/// provider that takes its time takes milliseconds.
const MAX_STANDSTILL: usize = 200_000;

/// When the clock of a run begins.
pub(super) const BEGIN: Timestamp = Timestamp(1_795_276_800_000);

/// What one client got for its turn in the end.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) turn: usize,
    pub(super) result: Result<String, Outcome>,
}

/// What a scenario fixed of a turn.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) key: TurnKey,
    pub(super) text: String,
    pub(super) delivery: Delivery,
    /// Calls that the provider refuses, before it runs one.
    pub(super) refusals: usize,
}

impl Wanted {
    /// Calls that the provider ran, or began to run.
    pub(super) fn calls(&self, provider: &ScriptedProvider) -> usize {
        provider.calls_with(&self.text).saturating_sub(self.refusals)
    }
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

/// Lets `work` go on to its end, moving the clock whenever all is quiet for a while:
/// then nobody has anything to do.
pub(super) async fn drive<T>(manual: &Manual, is_quiet: impl Fn() -> bool, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut stood_still = 0;
    loop {
        let quiet = async {
            let mut rounds = 0;
            while rounds < QUIET_ROUNDS {
                tokio::task::yield_now().await;
                rounds = if is_quiet() { rounds + 1 } else { 0 };
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

/// A process on `net` with an engine that sends its hints to `queue`.
pub(super) fn process(
    net: &Arc<Net>,
    table: &Table,
    provider: &ScriptedProvider,
    queue: Queue,
    clock: &Clock,
    seed: u64,
) -> (Process, Engine) {
    let inner = SharedHttpConnector::new(aws_smithy_http_client::Connector::builder().build_http());
    let process = Process::new(net, inner);
    // One try each: the engine's own tries are the ones under test, on the test's clock.
    let sdk = client::local(table.endpoint(), Some(process.http_client()))
        .into_builder()
        .retry_config(aws_smithy_types::retry::RetryConfig::disabled())
        .timeout_config(aws_smithy_types::timeout::TimeoutConfig::disabled())
        .build();
    let engine = Engine::new(Store::new(&sdk, TABLE), queue, rig::openai_at(provider.base_url()))
        .with_calls(rig::one_call())
        .with_time_and_chance(clock.clone(), Random::seeded(seed));
    (process, engine)
}

/// What makes one answer differ from another: its text.
pub(super) fn text_of(answer: &Answer) -> String {
    let value: serde_json::Value = serde_json::from_str(answer.output.get()).expect("an answer");
    turnwise_core::generation::answer_text(&value).to_owned()
}
