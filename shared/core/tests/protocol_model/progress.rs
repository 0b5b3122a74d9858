//! What would happen if nothing went wrong any more: nobody waits for ever.

use turnwise_core::turn::{Decision, Enqueue, Outcome, Standing, revoke};

use crate::hashed::{Joined, Plain, Revoked, Taken};
use crate::rows::{Attempt, Key, Meta, State};
use crate::starts::WORKER;
use crate::table::Table;
use crate::world::{Client, Ending, Step, Wish, World};
use crate::writes::Halt;

/// Whether the queue comes to its end once every lease has lapsed.
pub(crate) fn empties(world: &World) -> bool {
    next_due(&world.table).is_none() || drained(world).is_some()
}

/// The table after every lease has lapsed and a worker, alone in the world, has ended
/// what a dead attempt left before the queue, and what waits in it; `None` if it gets
/// stuck.
fn drained(world: &World) -> Option<Table> {
    let mut table = lapsed(world);
    let mut worker = Client { attempt: Attempt { client: usize::MAX, nth: 0 }, ..Client::new(0, WORKER) };
    while let Some((key, standing)) = next_due(&table) {
        let turn = table.turns.get(&key)?;
        worker.begin_again();
        worker.request.key = key;
        worker.request.input = turn.input;
        let Decision::Acquire(acquire) = worker.ask(table.meta.as_ref(), Some(turn), standing) else { return None };
        worker.taken = Some(Taken(acquire));
        for step in [Step::Taking, Step::Ending(Ending::Fail(Plain(Outcome::Final)))] {
            worker.step = step;
            apply(&mut table, &worker)?;
        }
    }
    Some(table)
}

/// Imagines every lease lapsed and a new attempt of the client alone with the worker:
/// it is told how the turn ended, or it gets what it wishes for.
pub(crate) fn gets_on(world: &World, client: &Client) -> bool {
    let mut alone = client.clone();
    alone.attempt = Attempt { nth: u8::MAX, ..alone.attempt };
    alone.taken = None;
    let mut table = lapsed(world);
    match client.request.wish {
        Wish::Work => true,
        // Only such a turn waits for the queue.
        Wish::Answer => drained(world).is_some_and(|mut table| begins(&mut table, &mut alone, Standing::Behind)),
        Wish::Interrupt => {
            let in_the_way = table.holder().map(|holder| holder.key).filter(|key| *key != alone.request.key);
            let stopped = in_the_way.is_none_or(|key| stops(&mut table, &mut alone, key));
            stopped && begins(&mut table, &mut alone, Standing::Ahead)
        }
        Wish::Enqueue => joins(&mut table, &mut alone),
        Wish::Cancel => stops(&mut table, &mut alone, client.request.key),
    }
}

fn lapsed(world: &World) -> Table {
    let mut table = world.table.clone();
    table.lapse();
    table
}

/// What a worker is to do before a client's turn may begin.
fn next_due(table: &Table) -> Option<(Key, Standing)> {
    let used = table.meta.as_ref().is_some_and(|meta| meta.queue_tail > 0);
    let left = table.holder().filter(|_| used).map(|holder| (holder.key, Standing::Behind));
    let fence = table.meta.as_ref().map_or(0, |meta| meta.fence);
    left.or_else(|| table.queue_head().map(|head| (head, Standing::Head { fence })))
}

fn begins(table: &mut Table, alone: &mut Client, standing: Standing) -> bool {
    match alone.ask(table.meta.as_ref(), table.turns.get(&alone.request.key), standing) {
        Decision::Acquire(acquire) => {
            alone.taken = Some(Taken(acquire));
            alone.step = Step::Taking;
            apply(table, alone).is_some()
        }
        Decision::Replay(_) | Decision::ReplayFailure(_) | Decision::KeyReused | Decision::WrongNumber(_) => true,
        Decision::Mine | Decision::Attach | Decision::Busy | Decision::Waiting | Decision::Erased => false,
    }
}

fn joins(table: &mut Table, alone: &mut Client) -> bool {
    match alone.ask_to_wait(table.meta.as_ref(), table.turns.get(&alone.request.key)) {
        Enqueue::Join(place) => {
            alone.step = Step::Joining(Joined(place));
            apply(table, alone).is_some()
        }
        Enqueue::Waiting | Enqueue::Running | Enqueue::Replay(_) | Enqueue::ReplayFailure(_) | Enqueue::KeyReused => {
            true
        }
        Enqueue::Full | Enqueue::Overtaken | Enqueue::Erased => false,
    }
}

fn stops(table: &mut Table, alone: &mut Client, key: Key) -> bool {
    let Some(turn) = table.turns.get(&key) else { return true };
    if !matches!(turn.state, State::Queued | State::Processing) {
        return true;
    }
    let meta = table.meta.as_ref().map(Meta::to_core);
    let revoked = Revoked(revoke(meta.as_ref(), &turn.to_core(key)));
    alone.step = Step::Stopping(Halt { key, epoch: turn.epoch, owner: turn.attempt, revoked });
    apply(table, alone).is_some()
}

/// Applies the write that the attempt waits for.
fn apply(table: &mut Table, attempt: &Client) -> Option<()> {
    attempt.write().filter(|write| table.apply(write, None)).map(|_| ())
}
