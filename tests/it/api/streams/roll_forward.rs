//! An attempt that is lost after its provider had finished: another one commits what it had,
//! and whoever reads the stream does not notice.

use futures_util::future::join_all;
use turnwise_tests::app::{Events, TestApp};
use turnwise_tests::rig;
use turnwise_tests::scripted::Gate;

use super::running::shown;
use super::{Case, Shape, Way, numbers, scripted, tail, take};
use crate::api::responses::stream::check_stream;

async fn check(case: &Case, shape: Shape) {
    let first = TestApp::start().await;
    let second = first.second_process().await;
    let gate = Gate::closed();
    let deltas = case.deltas.len();
    first.provider.otherwise(case.script().gated_after(deltas, &gate));
    let (stream, mut events) = case.ask(shape, "s:1").begin(&first).await;
    gate.reached().await;
    let mut whole = take(&mut events, shown(shape, case, deltas)).await;
    let places: Vec<_> = numbers(&whole).into_iter().map(Some).chain([None]).collect();
    let opened = join_all(places.iter().map(|after| stream.again(&second, Way::Get, *after))).await;

    // The first process is not told, and finds out when it commits: its log is whole by then.
    let caller = rig::caller();
    let held = second.engine.held_locks(&caller.tenant).await.unwrap().remove(0);
    second.engine.release_lock(&caller, &held.conversation, "a test").await.unwrap();
    gate.open();
    // With its producer at its end, nothing but what is stored tells.
    first.engine.tasks.idle().await;

    let again = stream.asked.clone().whole(&second).await.1;
    assert_eq!((again.status, again.header("turnwise-attempt")), (200, "2"), "{}", again.text());
    whole.extend(events.rest().await);
    if shape == Shape::Responses {
        check_stream(&whole);
    }
    let read = join_all(opened.into_iter().map(Events::rest)).await;
    for (after, read) in places.iter().zip(read) {
        assert_eq!(read, tail(&whole, *after), "{shape:?} behind {after:?}");
    }
    for process in [&first, &second] {
        for way in shape.ways() {
            for after in &places {
                assert_eq!(stream.read(process, *way, *after).await, tail(&whole, *after), "{way:?} {after:?}");
            }
        }
    }
    assert_eq!(first.provider.calls(), 1);
}

#[tokio::test]
async fn nobody_notices_that_another_attempt_committed() {
    for shape in Shape::ALL {
        for name in ["said", "said-and-called"] {
            check(&scripted(name), shape).await;
        }
    }
}
