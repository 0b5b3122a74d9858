//! What it takes to let a request in: `cargo bench -p turnwise-tests --bench access`.
//!
//! Absolute times are this machine's; compare within one run: a request for which cells are
//! in hand with one that leases them, and that with the same write made alone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may stop where it breaks")]
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use divan::Bencher;
use tokio::runtime::Runtime;
use turnwise_core::access::{Budget, Grant, KEY_SECRET_CHARS, KeyId, KeyText, Limits, Peppers, Scopes};
use turnwise_core::rate::{Bucket, Class, Rate};
use turnwise_core::time::Timestamp;
use turnwise_engine::Engine;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::keys::KeySpec;
use turnwise_engine::random::Random;
use turnwise_engine::rates::Admission;
use turnwise_store::{BucketId, Store};
use turnwise_tests::faults::Away;
use turnwise_tests::rig;
use turnwise_tests::table::Table;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Requests of the table of write units.
const REQUESTS: usize = 1_000;

fn main() {
    print_units();
    divan::main();
}

fn grant(limit: Option<u32>) -> Grant {
    Grant { limits: Limits { requests_per_minute: limit, ..Limits::default() }, ..Grant::default() }
}

/// An engine over `store` whose time stands still.
fn engine(table: &Table, store: Store) -> (Engine, Clock, Arc<Manual>) {
    let manual = Manual::new(Timestamp(1_795_276_800_000));
    let clock = Clock::Manual(Arc::clone(&manual));
    let mut engine = rig::engine(table, "http://127.0.0.1:9/v1");
    engine.store = store;
    (engine.with_time_and_chance(clock.clone(), Random::from_system()), clock, manual)
}

async fn admit(engine: &Engine, key: &str, grant: &Grant, class: Class) {
    let admission = engine.admit(&rig::caller().tenant, key, grant, class).await;
    assert!(!matches!(admission, Admission::Refused(_)), "{admission:?}");
}

/// Prints the write units of [`REQUESTS`] requests that come evenly, by their pace. A bucket's
/// row takes one unit each time it is written.
fn print_units() {
    println!("   limit  largest lease  share of the limit asked for  write units per 1,000 requests");
    for limit in [60, 600, 6_000, 60_000] {
        for share in [10, 50, 95] {
            let units = RUNTIME.block_on(units(limit, share));
            println!("{limit:>8}  {:>13}  {share:>27}%  {units:>30}", (limit / 60).max(1));
        }
    }
}

async fn units(limit: u32, share: u64) -> usize {
    let (table, counting) = (Table::start().await, Away::rows("R#", false));
    counting.come_back();
    let (engine, clock, manual) = engine(&table, table.store_through(Some(counting.http_client())));
    let (grant, mut due_ns) = (grant(Some(limit)), 0);
    for _ in 0..REQUESTS {
        admit(&engine, "k", &grant, Class::Generate).await;
        due_ns += 60_000_000_000 * 100 / (u64::from(limit) * share);
        let passed_ms = clock.now().as_millis() - 1_795_276_800_000;
        rig::pass(&clock, &manual, Duration::from_millis(due_ns / 1_000_000 - passed_ms)).await;
    }
    counting.asked()
}

/// Who a key is that this process has seen before: its form, the memory, two digests.
#[divan::bench]
fn authenticate_warm(bencher: Bencher<'_, '_>) {
    let (engine, key, _table) = engine_with_key();
    bencher.bench(|| RUNTIME.block_on(authenticate(&engine, &key)));
}

/// The same, and a cell of its limit that is in hand.
#[divan::bench]
fn authenticate_and_admit_warm(bencher: Bencher<'_, '_>) {
    let (engine, key, _table) = engine_with_key();
    let grant = grant(Some(u32::MAX));
    bencher.bench(|| {
        RUNTIME.block_on(async {
            authenticate(&engine, &key).await;
            admit(&engine, "k", &grant, Class::Generate).await;
        });
    });
}

/// A key of the right form that there is none of, remembered as such.
#[divan::bench]
fn refuse_an_unknown_key_warm(bencher: Bencher<'_, '_>) {
    let (engine, _, _table) = engine_with_key();
    let unknown = KeyText::new(KeyId::parse("000000000000").unwrap(), &"0".repeat(KEY_SECRET_CHARS));
    bencher.bench(|| assert!(RUNTIME.block_on(engine.authenticate(unknown.expose())).unwrap().is_none()));
}

fn engine_with_key() -> (Engine, String, Table) {
    let table = RUNTIME.block_on(Table::start());
    let (engine, ..) = engine(&table, table.store());
    let engine = engine.with_peppers(Peppers::of(b"a pepper of the benchmark, 32 byt"));
    let spec = KeySpec {
        name: "bench".to_owned(),
        owner: "bench".to_owned(),
        scopes: Scopes::ALL,
        models: None,
        limits: Limits::default(),
        budget: Budget::default(),
        expires_at: None,
    };
    let caller = rig::caller();
    let created = RUNTIME.block_on(engine.create_key(&caller, &caller.tenant, spec, None)).unwrap();
    let key = created.text.unwrap().expose().to_owned();
    RUNTIME.block_on(authenticate(&engine, &key));
    (engine, key, table)
}

async fn authenticate(engine: &Engine, key: &str) {
    assert!(engine.authenticate(key).await.unwrap().is_some());
}

/// Cells are in hand: next to no request of this limit needs a lease.
#[divan::bench]
fn admit_with_cells_in_hand(bencher: Bencher<'_, '_>) {
    let table = RUNTIME.block_on(Table::start());
    let (engine, ..) = engine(&table, table.store());
    let grant = grant(Some(u32::MAX));
    bencher.bench(|| RUNTIME.block_on(admit(&engine, "k", &grant, Class::Generate)));
}

/// Every request is its key's first, and leases a cell.
#[divan::bench]
fn admit_with_a_lease(bencher: Bencher<'_, '_>) {
    let table = RUNTIME.block_on(Table::start());
    let (engine, ..) = engine(&table, table.store());
    let grant = grant(Some(60));
    bencher.bench(|| {
        let key = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        RUNTIME.block_on(admit(&engine, &key, &grant, Class::Generate));
    });
}

/// The same write, and nothing else.
#[divan::bench]
fn lease_alone(bencher: Bencher<'_, '_>) {
    let table = RUNTIME.block_on(Table::start());
    let (store, now) = (table.store(), Timestamp(1_795_276_800_000));
    let take = Bucket::default().take(Rate::per_minute(60), now, 1).unwrap();
    bencher.bench(|| {
        let api_key = Some(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
        let id = BucketId { tenant: rig::caller().tenant, api_key, class: Class::Generate };
        RUNTIME.block_on(store.lease_cells(&id, &take.write, now)).unwrap()
    });
}

/// Nothing limits the request.
#[divan::bench]
fn admit_without_a_limit(bencher: Bencher<'_, '_>) {
    let table = RUNTIME.block_on(Table::start());
    let (engine, ..) = engine(&table, table.store());
    let grant = grant(None);
    bencher.bench(|| RUNTIME.block_on(admit(&engine, "k", &grant, Class::Generate)));
}
