//! Streams: as they come, and from any event on.

mod asked;
mod bad_input;
mod cases;
mod expired;
mod failed;
mod hand_over;
mod leaving;
mod progress;
mod resume;
mod roll_forward;
mod running;
mod taken_over;
mod waiting;
mod whole;

use turnwise_tests::app::{Events, Sse, TestApp};

pub(super) use self::asked::{Asked, Shape, Stream, Way, check_numbers, nameless, number, numbers, tail};
pub(super) use self::cases::{Case, Fate, echo_cases, scripted_cases};

/// The next `count` events.
async fn take(events: &mut Events, count: usize) -> Vec<Sse> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(events.next().await.expect("the stream goes on"));
    }
    taken
}

/// The scripted case `name`.
fn scripted(name: &str) -> Case {
    scripted_cases().into_iter().find(|case| case.name == name).expect("a case of this name")
}

/// Takes all stream logs away, as their time-out does.
async fn forget_logs(app: &TestApp) {
    let rows = app.table.rows().await;
    let logs: Vec<_> = rows.iter().filter(|row| turnwise_tests::table::text(row, "pk").starts_with("S#")).collect();
    assert!(!logs.is_empty(), "there is a log to be taken away");
    for row in logs {
        let delete = app.table.client().delete_item().table_name(turnwise_tests::table::TABLE);
        delete.key("pk", row["pk"].clone()).key("sk", row["sk"].clone()).send().await.expect("deleted");
    }
}
