//! Work that is no turn, done once over a real engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use turnwise_core::digest::Digest;
use turnwise_core::execution::{ExecutionState, WorkFailure};
use turnwise_core::id::{ExecutionKey, Tenant};
use turnwise_core::limits::{CLOCK_SKEW, LEASE};
use turnwise_core::time::Timestamp;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::once::{Executed, Work};
use turnwise_engine::random::Random;
use turnwise_engine::{Engine, Error};
use turnwise_tests::rig;
use turnwise_tests::table::Table;

const TTL: Duration = Duration::from_secs(3600);

/// Two processes on one table, with a clock that stands until it is moved.
struct Two {
    _table: Table,
    engines: [Engine; 2],
    clock: Clock,
    manual: Arc<Manual>,
}

impl Two {
    async fn start() -> Self {
        let table = Table::start().await;
        let manual = Manual::new(Timestamp(1_795_276_800_000));
        let clock = Clock::Manual(Arc::clone(&manual));
        let engine =
            |seed| rig::engine(&table, "http://127.0.0.1:1").with_time_and_chance(clock.clone(), Random::seeded(seed));
        Self { engines: [engine(1), engine(2)], _table: table, clock, manual }
    }

    async fn pass(&self, time: Duration) {
        rig::pass(&self.clock, &self.manual, time).await;
    }
}

fn work(key: &str, input: &str) -> Work {
    Work {
        tenant: Tenant::default_tenant(),
        scope: "webhook",
        key: ExecutionKey::parse("key", key).unwrap(),
        input_hash: Digest::of(input),
        ttl: TTL,
    }
}

fn failure(retryable: bool) -> WorkFailure {
    WorkFailure { message: "no route to the receiver".to_owned(), retryable }
}

#[tokio::test]
async fn many_callers_do_the_work_once() {
    let table = Table::start().await;
    let engines = [rig::engine(&table, "http://127.0.0.1:1"), rig::engine(&table, "http://127.0.0.1:1")];
    let runs = AtomicUsize::new(0);
    let calls = (0..40).map(|n| {
        let (engine, runs) = (&engines[n % 2], &runs);
        async move {
            let run = || async { Ok(runs.fetch_add(1, Ordering::SeqCst)) };
            engine.execute_once(&work("delivery-1", "body"), run).await
        }
    });
    let results = join_all(calls).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let made = results.iter().filter(|result| matches!(result, Ok(Executed { replayed: false, value: 0 })));
    assert_eq!(made.count(), 1);
    for result in &results {
        assert!(matches!(result, Ok(Executed { value: 0, .. }) | Err(Error::WorkInProgress { .. })), "{result:?}");
    }
    let work = work("delivery-1", "body");
    let again = engines[1].execute_once::<usize, _>(&work, || async { panic!("it is done already") }).await;
    assert_eq!(again.unwrap(), Executed { value: 0, replayed: true });
}

#[tokio::test]
async fn a_key_belongs_to_its_input() {
    let two = Two::start().await;
    two.engines[0].execute_once(&work("k", "one"), || async { Ok(1) }).await.unwrap();
    let other = two.engines[1].execute_once(&work("k", "two"), || async { Ok(2) }).await;
    assert!(matches!(other, Err(Error::KeyReused)), "{other:?}");
}

#[tokio::test]
async fn a_result_is_kept_until_it_expires() {
    let two = Two::start().await;
    let work = work("k", "x");
    let run = |value| two.engines[0].execute_once(&work, move || async move { Ok(value) });
    assert_eq!(run(1).await.unwrap(), Executed { value: 1, replayed: false });
    two.pass(TTL - Duration::from_millis(1)).await;
    assert_eq!(run(2).await.unwrap(), Executed { value: 1, replayed: true });
    two.pass(Duration::from_millis(1)).await;
    assert!(two.engines[0].check_if_processed(&work).await.unwrap().is_none());
    assert_eq!(run(3).await.unwrap(), Executed { value: 3, replayed: false });
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_and_another_stays() {
    let two = Two::start().await;
    let run = |key: &'static str, result: Result<u8, WorkFailure>| {
        let engine = &two.engines[0];
        async move { engine.execute_once(&work(key, "x"), || async { result }).await }
    };
    assert!(matches!(run("a", Err(failure(true))).await, Err(Error::WorkFailed(failed)) if failed.retryable));
    assert_eq!(run("a", Ok(1)).await.unwrap(), Executed { value: 1, replayed: false });
    assert!(matches!(run("b", Err(failure(false))).await, Err(Error::WorkFailed(_))));
    assert!(matches!(run("b", Ok(1)).await, Err(Error::WorkFailed(failed)) if failed == failure(false)));
}

#[tokio::test]
async fn work_that_died_is_taken_over_when_its_lease_has_lapsed() {
    let two = Two::start().await;
    let (work, begun) = (work("k", "x"), Notify::new());
    let dying = two.engines[0].execute_once::<u8, _>(&work, || async {
        begun.notify_one();
        std::future::pending().await
    });
    // The process dies at it.
    tokio::select! {
        _ = dying => panic!("it never ends"),
        () = begun.notified() => {}
    }
    let take = || two.engines[1].execute_once(&work, || async { Ok(2) });
    assert!(matches!(take().await, Err(Error::WorkInProgress { .. })));
    two.pass(LEASE + CLOCK_SKEW + Duration::from_millis(1)).await;
    assert_eq!(take().await.unwrap(), Executed { value: 2, replayed: false });
}

#[tokio::test]
async fn work_marked_as_failed_is_refused_its_late_end() {
    let two = Two::start().await;
    let (work, other) = (work("k", "x"), work("other", "x"));
    let (begun, end) = (Notify::new(), Notify::new());
    let slow = two.engines[0].execute_once(&work, || async {
        begun.notify_one();
        end.notified().await;
        Ok(1)
    });
    let marking = async {
        begun.notified().await;
        assert!(two.engines[1].mark_failed(&work, failure(false)).await.unwrap());
        end.notify_one();
    };
    let (late, ()) = tokio::join!(slow, marking);
    assert!(matches!(late, Err(Error::WorkInProgress { .. })), "{late:?}");
    let record = two.engines[1].check_if_processed(&work).await.unwrap().unwrap();
    assert!(matches!(record.state, ExecutionState::Failed(failed) if failed == failure(false)));
    assert!(!two.engines[1].mark_failed(&work, failure(true)).await.unwrap(), "it has ended");
    assert!(!two.engines[1].mark_failed(&other, failure(true)).await.unwrap());
}
