//! The queue under faults: turns that wait in one or two conversations, run by two
//! processes whose hints get lost and which sweep for what is due; some are cancelled,
//! some interrupt others.

mod clients;
mod invariants;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use turnwise_core::limits::SWEEP_EVERY;
use turnwise_engine::Engine;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_store::queue::{Queue, Receiver};
use turnwise_tests::faults::courier::{Courier, Sender};
use turnwise_tests::faults::{Coverage, Net, Process};
use turnwise_tests::scripted::ScriptedProvider;
use turnwise_tests::table::Table;

use self::clients::Client;
use super::world::{BEGIN, Got, Summary, drive, process};

/// Clients that send each turn.
const CLIENTS: usize = 2;

/// Faults of one run at the most: as many for a turn as in the other scenario.
const FAULTS: usize = 25;

/// Sweeps after which a turn that is still due is taken to be so for ever: several for
/// each attempt that each turn may have.
const MAX_SWEEPS: usize = 200;

pub(super) async fn run(seed: u64) -> (Coverage, Summary) {
    let mut rng = StdRng::seed_from_u64(seed);
    let manual = Manual::new(BEGIN);
    let clock = Clock::Manual(Arc::clone(&manual));
    let net = Net::seeded(seed, FAULTS, clock.clone());
    let table = Table::start().await;
    let provider = ScriptedProvider::start_on(clock.clone()).await;
    let quiet = || net.is_quiet() && !provider.is_answering();
    let turns = plan::turns(&mut rng, &provider);
    let (workers, receivers): (Vec<_>, Vec<_>) =
        (0..2).map(|number| worker(&net, &table, &provider, &clock, seed + number)).unzip();
    let courier = Courier::seeded(seed, &net, clock.clone(), workers.clone());
    for (number, ((_, engine), receiver)) in workers.iter().zip(receivers).enumerate() {
        tokio::spawn(Arc::clone(&courier).carry(receiver, Sender::Turns));
        sweep(engine, &courier, SWEEP_EVERY.mul_f64(0.5) * number as u32);
    }
    let engines: Vec<Engine> = workers.iter().map(|(_, engine)| engine.clone()).collect();
    let client = |number: usize| {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1000) + number as u64);
        Client { engines: engines.clone(), clock: clock.clone(), rng }
    };

    let sending = (0..CLIENTS * turns.len()).map(|number| {
        let (turn, client) = (number % turns.len(), client(number));
        let planned = turns[turn].clone();
        async move { (turn, client.send(planned).await) }
    });
    let cancelling = turns.iter().enumerate().filter_map(|(turn, planned)| {
        let at = planned.cancelled_at?;
        let (client, planned) = (client(100 + turn), planned.clone());
        Some(async move { (turn, client.cancel(planned, at).await) })
    });
    let work = futures_util::future::join(join_all(sending), join_all(cancelling));
    let (told, cancelled) = drive(&manual, quiet, work).await;

    // No more faults; but a process that has stopped for good stays so, and the other
    // brings every turn to its end without it.
    net.heal();
    courier.heal();
    drive(&manual, quiet, all_ended(&table, &clock)).await;

    // Then it goes on where it stood, and changes nothing any more.
    workers.iter().for_each(|(process, _)| process.wake());
    drive(&manual, quiet, all_ended(&table, &clock)).await;
    let coming_back = turns.iter().enumerate().map(|(turn, planned)| {
        let (client, planned) = (client(200 + turn), planned.clone());
        async move { Got { turn, result: client.come_back(planned).await } }
    });
    let got = drive(&manual, quiet, join_all(coming_back)).await;
    drive(&manual, quiet, courier.tasks.idle()).await;
    drive(&manual, quiet, join_all(engines.iter().map(|engine| engine.tasks.idle()))).await;
    drive(&manual, quiet, all_ended(&table, &clock)).await;

    let run = invariants::Run { turns: &turns, told: &told, cancelled: &cancelled, got: &got };
    let summary = invariants::check(&table, &net, &provider, &courier.carried(), &run).await;
    (net.coverage(), summary)
}

/// A process, and where its hints come out.
fn worker(
    net: &Arc<Net>,
    table: &Table,
    provider: &ScriptedProvider,
    clock: &Clock,
    seed: u64,
) -> ((Process, Engine), Receiver) {
    let (queue, receiver) = Queue::in_process();
    (process(net, table, provider, queue, clock, seed), receiver)
}

/// Lets `engine` sweep from `first` on. Its sweeps have a queue of their own, so that the
/// courier knows which hint is whose.
fn sweep(engine: &Engine, courier: &Arc<Courier>, first: Duration) {
    let (queue, receiver) = Queue::in_process();
    let mut sweeper = engine.clone();
    sweeper.queue = queue;
    tokio::spawn(Arc::clone(courier).carry(receiver, Sender::Sweep));
    tokio::spawn(async move {
        sweeper.clock.sleep(first).await;
        sweeper.keep_sweeping(SWEEP_EVERY).await;
    });
}

/// Completes when no turn waits or runs any more: none is in the index.
async fn all_ended(table: &Table, clock: &Clock) {
    let mut left = Vec::new();
    for _ in 0..MAX_SWEEPS {
        clock.sleep(SWEEP_EVERY).await;
        left = table.rows().await;
        left.retain(|row| row.contains_key("g1pk"));
        if left.is_empty() {
            return;
        }
    }
    panic!("turns that wait or run for ever: {left:?}");
}
