//! The table does not count: each process does.

use turnwise_tests::faults::{Away, Cut, Happens};

use super::*;

/// Sends as many requests one by one as come through, and one more.
async fn count_passing(app: &TestApp) -> usize {
    for number in 0.. {
        let reply = complete(app, LIMITED).await;
        match reply.status {
            200 => {}
            429 => return number,
            status => panic!("{status}: {}", reply.text()),
        }
    }
    unreachable!()
}

#[tokio::test]
async fn a_lost_reply_only_lets_fewer_through() {
    // The first requests of all read what holds for the tenant: its settings, its prices, the deployment's.
    let cut = Cut::at(3, Happens::LostReply);
    let app = with_keys(&key_of(5)).with_sdk_client(cut.http_client()).start().await;
    assert_eq!(count_passing(&app).await, 4);
}

#[tokio::test]
async fn without_the_table_each_process_counts_for_itself() {
    for is_silent in [false, true] {
        let away = Away::rows("R#", is_silent);
        let app = with_keys(&key_of(5)).with_sdk_client(away.http_client()).start().await;
        let second = app.second_process().await;
        assert_eq!(count_passing(&app).await, 5, "silent: {is_silent}");
        assert_eq!(count_passing(&second).await, 5, "silent: {is_silent}");
        assert_eq!(buckets(&app).await, Vec::new());
    }
}

#[tokio::test]
async fn nobody_waits_twice_for_a_table_that_is_away() {
    let away = Away::rows("R#", false);
    let manual = Manual::new(Timestamp(1_795_276_800_000));
    let clock = Clock::Manual(Arc::clone(&manual));
    let time = Time { clock: clock.clone(), manual };
    let app = with_keys(&key_of(50)).with_clock(clock).with_sdk_client(away.http_client()).start().await;
    complete(&app, LIMITED).await;
    let asked = away.asked();
    assert!(asked > 0);
    time.pass(4_999).await;
    complete(&app, LIMITED).await;
    assert_eq!(away.asked(), asked);
    // Another key's requests do not wait either.
    complete(&app, OTHER).await;
    assert_eq!(away.asked(), asked);

    away.come_back();
    time.pass(1).await;
    let reply = complete(&app, LIMITED).await;
    // The first write finds that nothing of what was counted here is known there.
    assert_eq!((reply.status, away.asked()), (200, asked + 2));
    assert_eq!(buckets(&app).await.len(), 1);
}
