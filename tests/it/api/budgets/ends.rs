//! However a request ends, what it reserved comes back, and what it spent stays.

use turnwise_core::admission::{Account, Ask, Entry, Owner, Reservation, Rule, enter};
use turnwise_core::digest::Digest;
use turnwise_core::id::Tenant;
use turnwise_core::time::Timestamp;
use turnwise_engine::admission::account_id;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_tests::rig;
use turnwise_tests::scripted::{Gate, Script};

use super::*;

const MUCH: i128 = 10_000_000_000;
const ONCE: (&str, &str) = ("idempotency-key", "s:1");

/// What becomes of `script` by every way of asking, and that everything comes back.
async fn check(script: Script, costs: bool) {
    for headers in [&[][..], &[ONCE], &[ONCE, ("turnwise-delivery", "at-most-once")]] {
        for stream in [false, true] {
            let app = with_grant(daily(MUCH)).start().await;
            app.provider.enqueue(script.clone());
            app.post_with(COMPLETIONS, headers, &with(asking("hello"), "stream", stream)).await;
            let spent = check_returned(&app.table).await;
            // Of a whole answer that is cut nothing is known.
            assert!(spent == 0 || costs, "{spent} for {script:?}");
            assert!(spent > 0 || !costs || !stream, "nothing for {script:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_is_paid_for() {
    check(Script::answer("one two three"), true).await;
}

#[tokio::test]
async fn a_provider_that_fails_costs_nothing() {
    check(Script::refuse(500), false).await;
    check(Script::refuse(401), false).await;
    check(Script::hang_up(), false).await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_costs_what_came_of_it() {
    check(Script::answer("one two three").cut_after(2), true).await;
}

#[tokio::test]
async fn a_client_that_leaves_has_paid_for_its_answer() {
    for headers in [&[][..], &[ONCE]] {
        let app = with_grant(daily(MUCH)).start().await;
        let gate = Gate::closed();
        app.provider.enqueue(Script::answer("one two three").gated_after(1, &gate));
        let events = app.open(COMPLETIONS, headers, &with(asking("hello"), "stream", true)).await;
        gate.reached().await;
        drop(events);
        assert!(accounts(&app.table).await.iter().any(|account| number(account, "turns") == 1));
        gate.open();
        assert!(check_returned(&app.table).await > 0);
    }
}

#[tokio::test]
async fn both_attempts_at_a_turn_that_was_taken_over_are_paid_for() {
    let app = with_grant(daily(MUCH)).start().await;
    let other = app.second_process().await;
    let gate = Gate::closed();
    app.provider.enqueue(Script::answer("one two three").gated(&gate));
    let taking_over = async {
        gate.reached().await;
        assert_eq!(other.engine.free_dead_turns().await.unwrap(), 1);
        let reply = other.post_with(COMPLETIONS, &[ONCE], &asking("hello")).await;
        gate.open();
        reply
    };
    let asked = asking("hello");
    let (first, second) = tokio::join!(app.post_with(COMPLETIONS, &[ONCE], &asked), taking_over);
    assert_eq!((first.status, second.status), (200, 200));
    assert!(check_returned(&app.table).await > USUAL, "the late answer was paid for too");
}

#[tokio::test]
async fn what_a_dead_process_reserved_comes_back_after_the_longest_turn() {
    let manual = Manual::new(Timestamp(1_795_276_800_000));
    let clock = Clock::Manual(std::sync::Arc::clone(&manual));
    let grant = daily(worst("hello") + USUAL);
    let app = with_grant(grant.clone()).with_clock(clock.clone()).start().await;
    // Somebody came in, and was never heard of again.
    let id = account_id(&Tenant::default_tenant(), Some(&Digest::of(KEY).as_str()[..8]));
    let ask = Ask {
        reservation: Reservation::until(clock.now() + Duration::from_secs(16 * 60), 7),
        tokens: 0,
        cost: PicoUsd(worst("hello")),
        is_downgraded: false,
        is_resumed: false,
    };
    let rule = Rule { owner: Owner::Key, limits: &grant.limits, budget: &grant.budget };
    let Entry::Write(write) = enter(clock.now(), &Account::default(), &ask, &rule) else { panic!("it is let in") };
    app.engine.store.write_account(&id, &write).await.unwrap();

    check_budget_refused(&app.post(COMPLETIONS, &asking("hello")).await, "this key's day");
    rig::pass(&clock, &manual, Duration::from_secs(16 * 60)).await;
    check_budget_refused(&app.post(COMPLETIONS, &asking("hello")).await, "this key's day");
    rig::pass(&clock, &manual, Duration::from_secs(60)).await;
    assert_eq!(app.post(COMPLETIONS, &asking("hello")).await.status, 200);
    assert_eq!(check_returned(&app.table).await, USUAL);
}

#[tokio::test]
async fn a_new_day_begins_anew() {
    let manual = Manual::new(Timestamp(1_795_276_800_000));
    let clock = Clock::Manual(std::sync::Arc::clone(&manual));
    let app = with_grant(daily(worst("hello"))).with_clock(clock.clone()).start().await;
    assert_eq!(app.post(COMPLETIONS, &asking("hello")).await.status, 200);
    let refused = app.post(COMPLETIONS, &asking("hello")).await;
    check_budget_refused(&refused, "this key's day");
    assert!(refused.text().contains("it resets on 2026-11-22."), "{}", refused.text());
    rig::pass(&clock, &manual, Duration::from_secs(8 * 3600 - 1)).await;
    assert_eq!(app.post(COMPLETIONS, &asking("hello")).await.status, 402, "a second before midnight");
    rig::pass(&clock, &manual, Duration::from_secs(1)).await;
    assert_eq!(app.post(COMPLETIONS, &asking("hello")).await.status, 200);
}
