//! What must happen in some states: the promises cannot hold for want of anything that
//! could break them.

use stateright::Property;
use turnwise_core::limits::MAX_TAKEOVERS;
use turnwise_core::turn::{Outcome, Previous};

use crate::hashed::Plain;
use crate::model::Protocol;
use crate::promises::{owners, told_answer};
use crate::rows::{Attempt, State, Turn};
use crate::world::{Client, Mark, Reply, Step, Wish, World};

/// Every situation, with the queue or without.
pub(crate) fn situations(queued: bool) -> Vec<Property<Protocol>> {
    if queued { with_queue() } else { without_queue() }
}

fn without_queue() -> Vec<Property<Protocol>> {
    vec![
        sometimes("two turns are committed", |_, world| world.table.head() == 2),
        sometimes("an attempt takes over", |_, world| {
            owners(world).any(|(_, taken)| matches!(taken.0.previous, Previous::Lost { .. }))
        }),
        sometimes("a failed turn runs again", |_, world| {
            owners(world).any(|(_, taken)| matches!(taken.0.previous, Previous::Failed { .. }))
        }),
        sometimes("an answer is rolled forward", |_, world| world.table.turns.values().any(is_rolled_forward)),
        sometimes("a turn is given up, its outcome unknown", |_, world| world.table.turns.values().any(is_given_up)),
        sometimes("a turn that kills its attempts is given up", |_, world| {
            world.table.turns.values().any(|turn| is_given_up(turn) && turn.attempts > MAX_TAKEOVERS)
        }),
        sometimes("a superseded commit is rejected", |_, world| is_marked(world, Mark::Superseded)),
        sometimes("the rows make up for a lost reply to T1", |_, world| is_marked(world, Mark::RecoveredFromRows)),
        sometimes("the token makes up for a lost reply to T1", |_, world| is_marked(world, Mark::RecoveredFromToken)),
        sometimes("the lock is held for the dead", |_, world| {
            world.table.holder().is_some_and(|holder| is_dead(world, holder.attempt))
        }),
        sometimes("a duplicate is told the first one's answer", |_, world| {
            world.clients.iter().any(|client| is_told_anothers(world, client))
        }),
        sometimes("another input is refused", |_, world| is_told(world, Reply::KeyReused)),
        sometimes("another number is refused", |_, world| is_told(world, Reply::WrongNumber)),
    ]
}

fn with_queue() -> Vec<Property<Protocol>> {
    vec![
        sometimes("a queued turn completes", |_, world| world.table.turns.values().any(is_done_from_queue)),
        sometimes("two queued turns complete", |_, world| {
            world.table.turns.values().filter(|turn| is_done_from_queue(turn)).count() == 2
        }),
        sometimes("a turn goes back to the queue and then completes", |_, world| {
            let mut turns = world.table.turns.iter();
            turns.any(|(key, turn)| is_done_from_queue(turn) && world.history.requeued.contains(key))
        }),
        sometimes("a queued turn fails for good after its last attempt", |_, world| {
            world.table.turns.values().any(|turn| turn.place.is_some() && turn.state == failed(Outcome::Final))
        }),
        sometimes("a queued turn is taken over and completes", |_, world| {
            let completes = |turn: &Turn| is_done_from_queue(turn) && turn.attempts > 1;
            let mut turns = world.table.turns.iter();
            turns.any(|(key, turn)| completes(turn) && !world.history.requeued.contains(key))
        }),
        sometimes("a queued turn is rolled forward", |_, world| {
            world.table.turns.values().any(|turn| turn.place.is_some() && is_rolled_forward(turn))
        }),
        sometimes("a turn is cancelled in the queue", |_, world| {
            world.table.turns.values().any(|turn| turn.attempts == 0 && turn.state == failed(Outcome::Cancelled))
        }),
        sometimes("a turn is cancelled under its attempt", |_, world| {
            world.clients.iter().any(|client| is_cancelled_under(world, client))
        }),
        sometimes("a cancellation is too late for the commit", |_, world| {
            let mut cancels = world.clients.iter().filter(|client| client.request.wish == Wish::Cancel);
            cancels.any(|client| client.mark == Some(Mark::Superseded) && client.step == Step::Told(Reply::Ended))
        }),
        sometimes("a turn interrupts another and completes, before those that wait", |_, world| {
            let interrupter = |client: &Client| client.request.wish == Wish::Interrupt && told_answer(client).is_some();
            let stopped = !world.history.cancelled.is_empty();
            stopped && !world.table.queue.is_empty() && world.clients.iter().any(interrupter)
        }),
        sometimes("a hint comes for a turn that another worker is at", |_, world| {
            let idle = world.clients.iter().any(Client::is_idle);
            let lives = world.table.holder().is_some_and(|holder| !holder.lapsed);
            let at_it = world.clients.iter().any(|client| client.is_worker() && client.epoch_owned().is_some());
            idle && lives && at_it
        }),
        sometimes("two workers want to begin the same turn", |_, world| {
            let wants = |client: &&Client| client.is_worker() && client.step == Step::Taking && !client.applied;
            world.clients.iter().filter(wants).count() == 2
        }),
        sometimes("a repeated request for a place is told that it has one", |_, world| {
            let accepted = |client: &&Client| client.step == Step::Told(Reply::Accepted);
            world.clients.iter().filter(accepted).count() == 2
        }),
        sometimes("a lost reply to T0 is made up for", |_, world| {
            let lost = |client: &Client| matches!(client.step, Step::Joining(_)) && client.applied;
            world.clients.iter().any(lost)
        }),
        sometimes("a client's turn waits for the queue and completes", |_, world| {
            let direct = |client: &Client| client.request.wish == Wish::Answer && told_answer(client).is_some();
            let from_queue = world.table.turns.values().any(is_done_from_queue);
            from_queue && world.table.head() == 2 && world.clients.iter().any(direct)
        }),
        sometimes("the conversation changes between two turns", |_, world| {
            world.table.head() == 2 && world.table.version() > 2
        }),
    ]
}

fn sometimes(name: &'static str, condition: fn(&Protocol, &World) -> bool) -> Property<Protocol> {
    Property::sometimes(name, condition)
}

/// Whether a later attempt works for the same client. An attempt of before the
/// beginning, whose number is 0, does not count.
fn is_dead(world: &World, attempt: Attempt) -> bool {
    attempt.nth > 0
        && world
            .clients
            .iter()
            .any(|client| client.attempt.client == attempt.client && client.attempt.nth > attempt.nth)
}

fn is_rolled_forward(turn: &Turn) -> bool {
    matches!(turn.state, State::Completed { answer, .. } if answer.epoch < turn.epoch)
}

fn is_given_up(turn: &Turn) -> bool {
    turn.state == failed(Outcome::OutcomeUnknown)
}

fn is_marked(world: &World, mark: Mark) -> bool {
    world.clients.iter().any(|client| client.mark == Some(mark))
}

fn is_told(world: &World, reply: Reply) -> bool {
    world.clients.iter().any(|client| client.step == Step::Told(reply))
}

fn is_told_anothers(world: &World, client: &Client) -> bool {
    let maker = world.table.turns.get(&client.request.key).map(|turn| turn.attempt.client);
    told_answer(client).is_some() && maker != Some(client.attempt.client)
}

fn is_done_from_queue(turn: &Turn) -> bool {
    turn.place.is_some() && matches!(turn.state, State::Completed { .. })
}

/// Whether the client's cancellation has ended a turn whose attempt still believes to
/// own the lock.
fn is_cancelled_under(world: &World, client: &Client) -> bool {
    let key = client.request.key;
    let cancelled = client.step == Step::Told(Reply::Cancelled);
    let at_work = |other: &Client| other.request.key == key && other.epoch_owned().is_some();
    cancelled && world.clients.iter().any(at_work)
}

const fn failed(outcome: Outcome) -> State {
    State::Failed(Plain(outcome))
}
