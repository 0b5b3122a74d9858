//! What must hold in every state.

use stateright::Property;
use turnwise_core::limits::{MAX_ATTEMPTS, MAX_TAKEOVERS};
use turnwise_core::turn::Outcome;

use crate::hashed::{Plain, Taken};
use crate::model::Protocol;
use crate::progress::{empties, gets_on};
use crate::rows::{Answer, Key, State, Turn};
use crate::world::{Client, Reply, Step, World};

pub(crate) const NO_GAPS: &str = "turns are numbered 1 to head without a gap";
pub(crate) const OWN_MESSAGES: &str = "a completed turn keeps its own messages";
pub(crate) const ONE_WRITER: &str = "an epoch is taken by one attempt";
pub(crate) const ONE_CALL: &str = "at most once, no call follows one that the provider did not refuse";
pub(crate) const LOG_USED: &str = "an answer that stands whole in a log is not asked for again or given up";
pub(crate) const CHANGE_SEEN: &str = "an attempt follows the conversation as it was when the attempt began";
pub(crate) const LOCK_AT_WORK: &str = "a lock is held for the turn that is processed under its fence";
pub(crate) const QUEUE_COUNTED: &str = "the queue's length, its rows and its turns agree";
pub(crate) const PLACE_ONCE: &str = "a place is given once, and a turn goes back to its own";
pub(crate) const IN_ORDER: &str = "no turn of the queue is committed before an earlier one has ended";
pub(crate) const QUEUE_FIRST: &str = "a client's turn begins when nothing waits, or interrupts";
pub(crate) const CANCELLED: &str = "a cancelled turn stays cancelled";
pub(crate) const QUEUE_EMPTIES: &str = "once leases have lapsed, a worker alone empties the queue";

/// Every promise.
pub(crate) fn promises() -> Vec<Property<Protocol>> {
    vec![
        always("a key has at most one committed answer", |_, world| {
            world.history.commits.values().all(|commits| commits.len() <= 1)
        }),
        always("usage and ledger count the commits", |_, world| counts_agree(world)),
        always(NO_GAPS, |_, world| world.table.messages.keys().copied().eq(1..=world.table.head())),
        always(OWN_MESSAGES, |_, world| world.table.turns.values().all(|turn| has_own_messages(world, turn))),
        always("the fence never goes back", |_, world| world.table.fence() == world.history.top_fence),
        always(ONE_WRITER, |_, world| !world.history.epoch_reused && owners_differ(world)),
        always(ONE_CALL, |_, world| world.history.unrefused_calls.values().all(|calls| *calls <= 1)),
        always("a completed turn never changes", |_, world| commits_stay(world)),
        always("a 200 carries the committed answer to the client's own input", |_, world| {
            world.clients.iter().all(|client| is_told_the_truth(world, client))
        }),
        always("a turn that insists on its number gets that number", |_, world| {
            world.clients.iter().all(|client| match (client.request.number, told_answer(client)) {
                (Some(asked), Some((number, _))) => asked == number,
                (_, _) => true,
            })
        }),
        always(LOG_USED, |_, world| !world.history.log_ignored),
        always("a turn that kills its attempts is not asked for without end", |_, world| {
            world.clients.iter().all(|client| client.step != Step::Asking || attempts(client) <= MAX_TAKEOVERS)
        }),
        always(CHANGE_SEEN, |_, world| !world.history.change_missed),
        always(LOCK_AT_WORK, |_, world| world.table.holder().is_none_or(|_| is_at_work(world))),
        always(QUEUE_COUNTED, |_, world| queue_agrees(world)),
        always(PLACE_ONCE, |_, world| !world.history.place_reused && places_stay(world)),
        always(IN_ORDER, |_, world| !world.history.overtaken),
        always(QUEUE_FIRST, |_, world| !world.history.queue_ignored),
        always(CANCELLED, |_, world| world.history.cancelled.iter().all(|key| is_cancelled(world, *key))),
        always("a client is told of a cancellation that is stored", |_, world| {
            world
                .clients
                .iter()
                .all(|client| !is_told(client, Reply::Cancelled) || is_cancelled(world, client.request.key))
        }),
        always("a turn that was accepted is stored", |_, world| {
            let accepted = world.clients.iter().filter(|client| is_told(client, Reply::Accepted));
            accepted.map(|client| client.request.key).all(|key| world.table.turns.contains_key(&key))
        }),
        always("a turn that waits has an attempt left", |_, world| {
            world.table.turns.values().all(|turn| turn.state != State::Queued || turn.attempts < MAX_ATTEMPTS)
        }),
        always(QUEUE_EMPTIES, |_, world| empties(world)),
        always("once leases have lapsed, every request gets on", |_, world| {
            world.clients.iter().all(|client| gets_on(world, client))
        }),
    ]
}

fn always(name: &'static str, condition: fn(&Protocol, &World) -> bool) -> Property<Protocol> {
    Property::always(name, condition)
}

fn counts_agree(world: &World) -> bool {
    let commits = world.history.commits.values().map(Vec::len).sum::<usize>();
    world.table.usage == commits && world.table.ledger.len() == commits
}

fn has_own_messages(world: &World, turn: &Turn) -> bool {
    match turn.state {
        State::Completed { number, answer } => world.table.messages.get(&number) == Some(&answer),
        State::Queued | State::Processing | State::Failed(_) => true,
    }
}

fn owners_differ(world: &World) -> bool {
    let mut epochs = owners(world).map(|(epoch, _)| epoch).collect::<Vec<_>>();
    epochs.sort_unstable();
    epochs.is_sorted_by(|one, next| one < next)
}

fn commits_stay(world: &World) -> bool {
    let stands = |turn: &Turn, (number, answer)| turn.state == State::Completed { number, answer };
    world.history.commits.iter().all(|(key, commits)| {
        let turn = world.table.turns.get(key);
        turn.is_some_and(|turn| commits.iter().all(|commit| stands(turn, *commit)))
    })
}

fn is_told_the_truth(world: &World, client: &Client) -> bool {
    let Some((number, answer)) = told_answer(client) else { return true };
    world.table.turns.get(&client.request.key).is_some_and(|turn| {
        let own_input = turn.input == client.request.input;
        let committed = answer.is_some_and(|answer| turn.state == State::Completed { number, answer });
        own_input && committed
    })
}

fn is_at_work(world: &World) -> bool {
    let Some(holder) = world.table.holder() else { return false };
    let fence = world.table.fence();
    let its_own = world.table.turns.get(&holder.key).is_some_and(|turn| turn.attempt == holder.attempt);
    its_own && world.table.is_processing(holder.key, fence)
}

fn queue_agrees(world: &World) -> bool {
    let table = &world.table;
    let turns = table.turns.iter().filter(|(_, turn)| turn.state == State::Queued);
    let mut places = turns.filter_map(|(key, turn)| turn.place.map(|place| (place, *key))).collect::<Vec<_>>();
    places.sort_unstable();
    let count = table.meta.as_ref().map_or(0, |meta| meta.queued);
    let rows = table.queue.iter().map(|(place, key)| (*place, *key));
    usize::try_from(count) == Ok(table.queue.len()) && rows.eq(places)
}

fn places_stay(world: &World) -> bool {
    let place = |key| world.table.turns.get(key).and_then(|turn| turn.place);
    world.history.places.iter().all(|(key, given)| place(key) == Some(*given))
}

fn is_cancelled(world: &World, key: Key) -> bool {
    let turn = world.table.turns.get(&key);
    turn.is_some_and(|turn| turn.state == State::Failed(Plain(Outcome::Cancelled)))
}

fn is_told(client: &Client, reply: Reply) -> bool {
    client.step == Step::Told(reply)
}

/// The attempts that believe to own the lock, each with its epoch and its T1.
pub(crate) fn owners(world: &World) -> impl Iterator<Item = (u64, &Taken)> {
    world.clients.iter().filter_map(|client| Some((client.epoch_owned()?, client.taken.as_ref()?)))
}

fn attempts(client: &Client) -> u32 {
    client.taken.as_ref().map_or(0, |taken| taken.0.attempts)
}

pub(crate) fn told_answer(client: &Client) -> Option<(u64, Option<Answer>)> {
    if let Step::Told(Reply::Answer { number, answer }) = client.step { Some((number, answer)) } else { None }
}
