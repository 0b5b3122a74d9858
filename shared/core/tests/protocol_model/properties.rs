//! What must hold in every state, and what must happen in some.

use stateright::Property;
use turnwise_core::limits::MAX_TAKEOVERS;
use turnwise_core::turn::{Decision, Outcome, Previous};

use crate::hashed::{Plain, Taken};
use crate::model::Protocol;
use crate::rows::{Answer, Attempt, State, Turn};
use crate::world::{Client, Mark, Reply, Step, World};

pub(crate) const NO_GAPS: &str = "turns are numbered 1 to head without a gap";
pub(crate) const OWN_MESSAGES: &str = "a completed turn keeps its own messages";
pub(crate) const ONE_WRITER: &str = "an epoch is taken by one attempt";
pub(crate) const ONE_CALL: &str = "at most once, no call follows one that the provider did not refuse";
pub(crate) const LOG_USED: &str = "an answer that stands whole in a log is not asked for again or given up";

/// Every property. The situations are here so that the promises cannot hold for
/// want of anything that could break them.
pub(crate) fn properties() -> Vec<Property<Protocol>> {
    let mut properties = promises();
    properties.extend(situations());
    properties
}

fn promises() -> Vec<Property<Protocol>> {
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
        always("once leases have lapsed, every request gets on", |_, world| {
            world.clients.iter().all(|client| gets_on_alone(world, client))
        }),
    ]
}

fn situations() -> Vec<Property<Protocol>> {
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

fn always(name: &'static str, condition: fn(&Protocol, &World) -> bool) -> Property<Protocol> {
    Property::always(name, condition)
}

fn sometimes(name: &'static str, condition: fn(&Protocol, &World) -> bool) -> Property<Protocol> {
    Property::sometimes(name, condition)
}

fn counts_agree(world: &World) -> bool {
    let commits = world.history.commits.values().map(Vec::len).sum::<usize>();
    world.table.usage == commits && world.table.ledger.len() == commits
}

fn has_own_messages(world: &World, turn: &Turn) -> bool {
    match turn.state {
        State::Completed { number, answer } => world.table.messages.get(&number) == Some(&answer),
        State::Processing | State::Failed(_) => true,
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

/// Imagines every lease lapsed and a new attempt alone in the world: it is told how
/// the turn ended, or it gets the lock.
fn gets_on_alone(world: &World, client: &Client) -> bool {
    let mut table = world.table.clone();
    table.lapse();
    let mut alone = client.clone();
    alone.attempt = Attempt { nth: u8::MAX, ..alone.attempt };

    match alone.ask(table.meta.as_ref(), table.turns.get(&alone.request.key)) {
        Decision::Acquire(acquire) => {
            alone.taken = Some(Taken(acquire));
            alone.step = Step::Taking;
            alone.write().is_some_and(|write| table.apply(&write, None))
        }
        Decision::Replay(_) | Decision::ReplayFailure(_) | Decision::KeyReused | Decision::WrongNumber(_) => true,
        Decision::Mine | Decision::Attach | Decision::Busy | Decision::Waiting | Decision::Erased => false,
    }
}

/// The attempts that believe to own the lock, each with its epoch and its T1.
fn owners(world: &World) -> impl Iterator<Item = (u64, &Taken)> {
    world.clients.iter().filter_map(|client| Some((client.epoch_owned()?, client.taken.as_ref()?)))
}

fn attempts(client: &Client) -> u32 {
    client.taken.as_ref().map_or(0, |taken| taken.0.attempts)
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
    turn.state == State::Failed(Plain(Outcome::OutcomeUnknown))
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

fn told_answer(client: &Client) -> Option<(u64, Option<Answer>)> {
    if let Step::Told(Reply::Answer { number, answer }) = client.step { Some((number, answer)) } else { None }
}
