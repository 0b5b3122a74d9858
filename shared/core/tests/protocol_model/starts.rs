//! Which clients meet in one conversation.

use std::collections::BTreeMap;

use turnwise_core::limits::MAX_TAKEOVERS;
use turnwise_core::turn::Delivery;

use crate::hashed::Plain;
use crate::rows::{Attempt, Holder, Input, Key, Meta, State, Turn};
use crate::table::Table;
use crate::world::{Client, History, Request, World};

/// A turn, to be repeated after a crash.
const A: Request = Request { key: Key::A, input: Input("a"), delivery: Plain(Delivery::AtLeastOnce), number: None };

/// The same turn, never to be asked for twice.
const A_ONCE: Request = Request { delivery: Plain(Delivery::AtMostOnce), ..A };

/// The same key with another input.
const A_OTHER: Request = Request { input: Input("other"), ..A };

/// Another turn.
const B: Request = Request { key: Key::B, input: Input("b"), ..A };

/// Another turn that wants to be the first of its conversation.
const B_FIRST: Request = Request { number: Some(1), ..B };

/// Every pair of requests that can get into each other's way.
pub(crate) fn pairs(faults: u8) -> Vec<World> {
    let casts: [&[Request]; 6] = [&[A, A], &[A_ONCE, A_ONCE], &[A_ONCE, A], &[A, A_OTHER], &[A, B], &[A, B_FIRST]];
    worlds(&casts, faults)
}

/// A turn, a duplicate or a rival for its key, and another turn.
pub(crate) fn trios(faults: u8) -> Vec<World> {
    let casts: [&[Request]; 4] = [&[A, A, B], &[A_ONCE, A, B], &[A_ONCE, A_ONCE, B_FIRST], &[A, A_OTHER, B_FIRST]];
    worlds(&casts, faults)
}

fn worlds(casts: &[&[Request]], faults: u8) -> Vec<World> {
    let worn = world(&[A], worn_table(), faults);
    let fresh = casts.iter().map(|cast| world(cast, Table::default(), faults));
    fresh.chain([worn]).collect()
}

fn world(requests: &[Request], table: Table, faults: u8) -> World {
    let clients = requests.iter().enumerate().map(|(index, request)| Client::new(index, *request)).collect();
    let history = History { top_fence: table.fence(), ..History::default() };
    World { table, clients, delayed: Vec::new(), faults, history }
}

/// A conversation whose first turn has killed as many attempts as it may. To get
/// there from an empty table takes more faults than a model can have.
fn worn_table() -> Table {
    let epoch = u64::from(MAX_TAKEOVERS);
    let attempt = Attempt { client: 0, nth: 0 };
    let holder = Holder { attempt, key: A.key, lapsed: true };
    let turn = Turn {
        input: A.input,
        delivery: A.delivery,
        epoch,
        attempt,
        attempts: MAX_TAKEOVERS,
        state: State::Processing,
    };
    Table {
        meta: Some(Meta { fence: epoch, holder: Some(holder), head: 0 }),
        turns: BTreeMap::from([(A.key, turn)]),
        ..Table::default()
    }
}
