//! Many at once, over several processes.

use futures_util::future::join_all;
use turnwise_core::rate::Class;
use turnwise_engine::rates::Admission;
use turnwise_tests::faults::Away;
use turnwise_tests::rig;
use turnwise_tests::table::text;

use super::*;

/// Requests that come at once.
const CROWD: usize = 20;

#[tokio::test]
async fn of_twenty_requests_over_two_processes_five_pass() {
    let app = with_keys(&key_of(5)).start().await;
    let second = app.second_process().await;
    let processes = [&app, &second];
    // Each is a turn of a conversation of its own.
    let ask = |number: usize| {
        let body = with(named_turn("t"), "session_id", format!("s{number}"));
        let app = processes[number % 2];
        async move { post(app, LIMITED, CHAT, &body).await }
    };
    let replies = join_all((0..CROWD).map(ask)).await;
    let (passed, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert_eq!(passed.len(), 5, "{:?}", refused.first().map(Reply::text));
    for reply in &refused {
        check_error(reply, 429, "rate_limit_exceeded", "");
        assert_eq!(remaining(reply), 0);
    }
    assert_eq!(app.provider.calls(), 5);
    let rows = app.table.rows().await;
    let turns = rows.iter().filter(|row| text(row, "sk").starts_with("T#")).count();
    assert_eq!(turns, 5, "a request that is refused leaves nothing");
}

#[tokio::test]
async fn a_crowd_pays_few_writes() {
    let counting = Away::rows("R#", false);
    counting.come_back();
    let clock = Clock::Manual(Manual::new(Timestamp(1_795_276_800_000)));
    let app = TestApp::builder().with_clock(clock).with_sdk_client(counting.http_client()).start().await;
    let grant = key_of(6_000);
    let caller = rig::caller();
    let admit = || app.engine.admit(&caller.tenant, "crowd", &grant, Class::Generate);
    for _ in 0..100 {
        let admissions = join_all((0..CROWD).map(|_| admit())).await;
        assert!(admissions.iter().all(|admission| matches!(admission, Admission::Admitted(_))), "{admissions:?}");
    }
    // One cell for the first, 19 for those who wait for it; then leases double up to a second's
    // worth: 38, 76, and 19 times a hundred.
    assert_eq!(counting.asked(), 23);
}

#[tokio::test]
async fn whoever_leaves_while_it_waits_holds_nobody_up() {
    let app = with_keys(&key_of(5)).start().await;
    let (caller, grant) = (rig::caller(), key_of(5));
    for _ in 0..CROWD {
        let admit = app.engine.admit(&caller.tenant, "fickle", &grant, Class::Generate);
        tokio::pin!(admit);
        let _ = futures_util::poll!(&mut admit);
    }
    let admission = app.engine.admit(&caller.tenant, "fickle", &grant, Class::Generate).await;
    assert!(!matches!(admission, Admission::Unlimited), "{admission:?}");
}
