//! A write that arrives long after it was sent, when its turn has gone on without it.

use turnwise_core::turn::Outcome;
use turnwise_engine::turn::TurnRequest;
use turnwise_engine::{Engine, Error};
use turnwise_store::queue::Queue;
use turnwise_store::{Store, client};
use turnwise_tests::faults::{Cut, Happens};
use turnwise_tests::rig;
use turnwise_tests::scripted::{Script, ScriptedProvider};
use turnwise_tests::table::{TABLE, Table};

/// The requests before T1: the conversation and the turn are read.
const READS: usize = 2;

#[tokio::test]
async fn a_late_t1_does_not_bring_back_a_turn_that_was_cancelled_in_the_queue() {
    let table = Table::start().await;
    let provider = ScriptedProvider::start().await;
    provider.enqueue(Script::refuse(503));
    let engine = rig::engine(&table, provider.base_url());
    let request = || rig::request("c", "t", "Hello", "openai/gpt-4o-mini");
    let failed = engine.answer(request()).await;
    assert!(matches!(failed, Err(Error::Failed { .. })), "{failed:?}");

    // The client tries again, and its T1 is on its way for a long time.
    let cut = Cut::at(READS, Happens::HeldBack);
    let sdk = client::local(table.endpoint(), Some(cut.http_client()));
    let other = Engine::new(Store::new(&sdk, TABLE), Queue::in_process().0, rig::openai_at(provider.base_url()));
    let other = other.with_calls(rig::one_call());
    let again = tokio::spawn(async move { other.answer(request()).await });
    cut.stopped().await;

    let queued = engine.answer(TurnRequest { background: true, ..request() }).await;
    assert!(matches!(queued, Err(Error::Queued { .. })), "{queued:?}");
    engine.cancel(&rig::caller(), &request().key).await.unwrap();

    cut.let_go();
    let Err(Error::Failed { failure, .. }) = again.await.unwrap() else { panic!("the turn is cancelled") };
    assert_eq!(failure.outcome, Outcome::Cancelled);
    assert_eq!(provider.calls(), 1);
}
