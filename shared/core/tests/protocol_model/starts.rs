//! Which clients meet in one conversation.

use std::collections::BTreeMap;

use turnwise_core::limits::{MAX_ATTEMPTS, MAX_TAKEOVERS};
use turnwise_core::turn::Delivery;

use crate::hashed::Plain;
use crate::history::History;
use crate::rows::{Attempt, Holder, Input, Key, Meta, State, Turn};
use crate::table::Table;
use crate::world::{Client, Request, Wish, World};

/// A turn, to be repeated after a crash.
const A: Request = Request {
    wish: Wish::Answer,
    key: Key::A,
    input: Input("a"),
    delivery: Plain(Delivery::AtLeastOnce),
    number: None,
};

/// The same turn, never to be asked for twice.
const A_ONCE: Request = Request { delivery: Plain(Delivery::AtMostOnce), ..A };

/// The same key with another input.
const A_OTHER: Request = Request { input: Input("other"), ..A };

/// The same turn, by way of the queue.
const A_LATER: Request = Request { wish: Wish::Enqueue, ..A };

/// The same turn, by way of the queue and never to be asked for twice.
const A_ONCE_LATER: Request = Request { wish: Wish::Enqueue, ..A_ONCE };

/// No more of that turn.
const A_CANCEL: Request = Request { wish: Wish::Cancel, ..A };

/// Another turn.
const B: Request = Request { key: Key::B, input: Input("b"), ..A };

/// Another turn that wants to be the first of its conversation.
const B_FIRST: Request = Request { number: Some(1), ..B };

/// Another turn, by way of the queue.
const B_LATER: Request = Request { wish: Wish::Enqueue, ..B };

/// No more of that other turn.
const B_CANCEL: Request = Request { wish: Wish::Cancel, ..B };

/// A third turn.
const C: Request = Request { key: Key::C, input: Input("c"), ..A };

/// A third turn that interrupts.
const C_NOW: Request = Request { wish: Wish::Interrupt, ..C };

/// Somebody who does what is due; whose turn it is, the rows tell.
pub(crate) const WORKER: Request = Request { wish: Wish::Work, ..A };

/// Every pair of requests that can get into each other's way.
pub(crate) fn pairs(faults: u8) -> Vec<World> {
    let casts: [&[Request]; 6] = [&[A, A], &[A_ONCE, A_ONCE], &[A_ONCE, A], &[A, A_OTHER], &[A, B], &[A, B_FIRST]];
    worlds(&casts, &Table::default(), faults).chain([worn(faults)]).collect()
}

/// A turn, a duplicate or a rival for its key, and another turn.
pub(crate) fn trios(faults: u8) -> Vec<World> {
    let casts: [&[Request]; 4] = [&[A, A, B], &[A_ONCE, A, B], &[A_ONCE, A_ONCE, B_FIRST], &[A, A_OTHER, B_FIRST]];
    worlds(&casts, &Table::default(), faults).chain([worn(faults)]).collect()
}

/// What every pull request checks of the queue.
pub(crate) fn by_day() -> Vec<World> {
    [queues(2), rows_of_two(1), interruptions(1)].concat()
}

/// What every night checks of it.
pub(crate) fn by_night() -> Vec<World> {
    [queues(3), rows_of_two(2), interruptions(2)].concat()
}

/// One turn of the queue: somebody who works, and somebody who waits, cancels or is behind.
fn queues(faults: u8) -> Vec<World> {
    let empty: [&[Request]; 2] = [&[WORKER, A_LATER, A_LATER], &[A, A_CANCEL]];
    let one: [&[Request]; 4] = [&[WORKER, WORKER], &[WORKER, A], &[WORKER, B], &[WORKER, A_CANCEL]];
    let last = world(&[WORKER, A_LATER], queue(&[A], MAX_ATTEMPTS - 1), faults);
    worlds(&empty, &Table::default(), faults).chain(worlds(&one, &queue(&[A], 0), faults)).chain([last]).collect()
}

/// Two turns of the queue, or one that a client asks for beside it.
fn rows_of_two(faults: u8) -> Vec<World> {
    let empty: [&[Request]; 3] = [&[WORKER, A, A_LATER], &[WORKER, A_ONCE, A_ONCE_LATER], &[WORKER, A, B_LATER]];
    let two: [&[Request]; 2] = [&[WORKER, WORKER], &[WORKER, A_CANCEL]];
    let left: [&[Request]; 3] = [&[WORKER, WORKER], &[WORKER, A_CANCEL], &[WORKER, C]];
    worlds(&empty, &Table::default(), faults)
        .chain(worlds(&two, &queue(&[A, B], 0), faults))
        .chain(worlds(&left, &left_behind(), faults))
        .collect()
}

/// One that interrupts. Before two turns of the queue it has one fault less: there are
/// many states of them.
fn interruptions(faults: u8) -> Vec<World> {
    let tables = [(queue(&[A], 0), faults), (queue(&[A, B], 0), faults - 1), (left_behind(), faults - 1)];
    let direct = world(&[A, C_NOW], Table::default(), faults);
    tables.map(|(table, faults)| world(&[WORKER, C_NOW], table, faults)).into_iter().chain([direct]).collect()
}

/// Three that wish for something while somebody works, or two who work.
pub(crate) fn crowds(faults: u8) -> Vec<World> {
    let empty: [&[Request]; 3] =
        [&[WORKER, A_LATER, B_LATER], &[WORKER, A_ONCE, A_ONCE_LATER, B_LATER], &[WORKER, A, B_LATER, C_NOW]];
    let one: [&[Request]; 3] = [&[WORKER, B, A_CANCEL], &[WORKER, B_LATER, C], &[WORKER, A, C_NOW]];
    let two: [&[Request]; 4] =
        [&[WORKER, WORKER, A_CANCEL], &[WORKER, WORKER, C], &[WORKER, B_CANCEL, C_NOW], &[WORKER, A, C]];
    worlds(&empty, &Table::default(), faults)
        .chain(worlds(&one, &queue(&[A], 0), faults))
        .chain(worlds(&two, &queue(&[A, B], 0), faults))
        .collect()
}

fn worlds(casts: &[&[Request]], table: &Table, faults: u8) -> impl Iterator<Item = World> {
    casts.iter().map(move |cast| world(cast, table.clone(), faults))
}

fn world(requests: &[Request], table: Table, faults: u8) -> World {
    let clients = requests.iter().enumerate().map(|(index, request)| Client::new(index, *request)).collect();
    let places = table.turns.iter().filter_map(|(key, turn)| turn.place.map(|place| (*key, place))).collect();
    let history = History { top_fence: table.fence(), places, ..History::default() };
    World { table, clients, delayed: Vec::new(), faults, history }
}

/// A conversation whose first turn has killed as many attempts as it may. To get
/// there from an empty table takes more faults than a model can have.
fn worn(faults: u8) -> World {
    let turn = turn(A, MAX_TAKEOVERS, None);
    let holder = Holder { attempt: turn.attempt, key: A.key, lapsed: true };
    let table = Table {
        meta: Some(Meta { fence: turn.epoch, holder: Some(holder), ..Meta::default() }),
        turns: BTreeMap::from([(A.key, turn)]),
        ..Table::default()
    };
    world(&[A], table, faults)
}

/// A conversation in whose queue these turns wait, the first of them after so many attempts.
fn queue(requests: &[Request], attempts: u32) -> Table {
    let waiting = || (1u64..).zip(requests);
    let turns = waiting().map(|(place, request)| {
        let attempts = if place == 1 { attempts } else { 0 };
        (request.key, turn(*request, attempts, Some(place)))
    });
    let queued = requests.len() as u64;
    Table {
        meta: Some(Meta { fence: u64::from(attempts), queued, queue_tail: queued, ..Meta::default() }),
        turns: turns.collect(),
        queue: waiting().map(|(place, request)| (place, request.key)).collect(),
        ..Table::default()
    }
}

/// A conversation whose queue's first turn has begun and lost its attempt; the second waits.
fn left_behind() -> Table {
    let mut table = queue(&[A, B], 0);
    table.queue.remove(&1);
    let begun = Turn { state: State::Processing, ..turn(A, 1, Some(1)) };
    let holder = Holder { attempt: begun.attempt, key: A.key, lapsed: true };
    table.meta = Some(Meta { fence: begun.epoch, holder: Some(holder), queued: 1, queue_tail: 2, ..Meta::default() });
    table.turns.insert(A.key, begun);
    table
}

/// A turn of before the beginning: it waits, or else its attempt died.
fn turn(request: Request, attempts: u32, place: Option<u64>) -> Turn {
    Turn {
        input: request.input,
        delivery: request.delivery,
        epoch: u64::from(attempts),
        attempt: Attempt { client: 0, nth: 0 },
        attempts,
        place,
        state: place.map_or(State::Processing, |_| State::Queued),
    }
}
