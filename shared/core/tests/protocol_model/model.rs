//! Every state's possible next steps.

use stateright::{Model, Property};
use turnwise_core::turn::Outcome;

use crate::flaws::Flaw;
use crate::promises::promises;
use crate::rows::{Key, State};
use crate::situations::situations;
use crate::world::{Client, Step, World};

/// The protocol, from some beginnings, right or with a flaw.
#[derive(Debug, Clone)]
pub(crate) struct Protocol {
    pub(crate) starts: Vec<World>,
    /// Whether the queue comes into it.
    pub(crate) queued: bool,
    pub(crate) flaw: Option<Flaw>,
}

/// What may happen next. A client is meant by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Reads both rows at once.
    Look(usize),
    /// Reads META now, TURN later.
    ReadMeta(usize),
    /// Reads TURN now, META later.
    ReadTurn(usize),
    /// A worker reads META now, the queue and the turn at its head later.
    ReadLock(usize),
    /// A worker reads the head of the queue now, META later: only
    /// [`Flaw::HeadReadFirst`] does so.
    ReadHead(usize),
    /// Reads the other row.
    ReadRest(usize),
    /// A hint that the queue is due comes to a worker, who reads what it needs at once.
    HintQueue(usize),
    /// A hint that a turn's attempt has died comes to a worker, who reads what it needs
    /// at once.
    HintTurn(usize, Key),
    /// Its write, or the resend of it, reaches the table and the reply comes back.
    Write(usize),
    /// Its write is applied and the reply is lost.
    WriteUnheard(usize),
    /// Its applied write is resent when the token is forgotten.
    ResendLate(usize),
    /// A copy of its write is held back by the network.
    Delay(usize),
    /// The owner looks at the log and plans.
    Plan(usize),
    /// The provider answers.
    Answer(usize),
    /// The provider refuses, with this outcome for the turn.
    Refuse(usize, Outcome),
    /// The provider is silent until the attempt gives up waiting.
    Silence(usize),
    /// The whole answer is in the log; on to the commit.
    LogFinish(usize),
    /// Its end never gets into the log; on to the commit.
    SkipLog(usize),
    /// The owner renews its lease.
    Heartbeat(usize),
    /// The process dies.
    Crash(usize),
    /// The lease looks lapsed, whether it is or not.
    Lapse,
    /// An administrator takes the lock away.
    ForceRelease,
    /// The conversation gets an item more while it is at rest.
    AddItem,
    /// The delayed write of this index arrives.
    Arrive(usize),
}

impl Action {
    /// Whether it is one of the faults that are counted.
    const fn is_fault(self) -> bool {
        match self {
            Self::ReadMeta(_)
            | Self::ReadTurn(_)
            | Self::ReadLock(_)
            | Self::WriteUnheard(_)
            | Self::Delay(_)
            | Self::Refuse(..)
            | Self::Silence(_)
            | Self::Crash(_)
            | Self::Lapse
            | Self::ForceRelease
            | Self::AddItem => true,
            Self::Look(_)
            | Self::ReadRest(_)
            | Self::ReadHead(_)
            | Self::HintQueue(_)
            | Self::HintTurn(..)
            | Self::Write(_)
            | Self::ResendLate(_)
            | Self::Plan(_)
            | Self::Answer(_)
            | Self::LogFinish(_)
            | Self::SkipLog(_)
            | Self::Heartbeat(_)
            | Self::Arrive(_) => false,
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        self.starts.clone()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (index, client) in world.clients.iter().enumerate() {
            steps(world, index, client, actions);
        }
        actions.extend((0..world.delayed.len()).map(Action::Arrive));
        hints(world, self.flaw, actions);
        if world.faults > 0 {
            for (index, client) in world.clients.iter().enumerate() {
                faults(index, client, actions);
            }
            if world.table.holder().is_some() {
                actions.extend([Action::Lapse, Action::ForceRelease]);
            } else if self.queued && world.table.meta.is_some() {
                actions.push(Action::AddItem);
            }
            let idle = world.clients.iter().position(Client::is_idle);
            actions.extend(idle.map(Action::ReadLock));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.perform(&mut next, action)?;
        if next == *world {
            return None;
        }
        next.faults -= u8::from(action.is_fault());
        next.history.top_fence = next.history.top_fence.max(next.table.fence());
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promises();
        properties.extend(situations(self.queued));
        properties
    }
}

impl Protocol {
    /// Performs `action`; `None` if it could change nothing.
    fn perform(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Look(client) => world.look(client, self.flaw),
            Action::ReadMeta(client) | Action::ReadLock(client) => world.read_meta(client),
            Action::ReadTurn(client) => world.read_turn(client),
            Action::ReadHead(worker) => world.read_head(worker),
            Action::ReadRest(client) => world.read_rest(client, self.flaw),
            Action::HintQueue(worker) => world.hint_queue(worker, self.flaw),
            Action::HintTurn(worker, key) => world.hint_turn(worker, key, self.flaw),
            Action::Write(client) => world.send(client, self.flaw),
            Action::WriteUnheard(client) => {
                let write = world.clients[client].write()?;
                world.clients[client].applied = true;
                return world.apply(&write, self.flaw).then_some(());
            }
            Action::ResendLate(client) => {
                world.clients[client].applied = false;
                world.send(client, self.flaw);
            }
            Action::Delay(client) => {
                let write = world.clients[client].write()?;
                world.delay(write);
            }
            Action::Plan(client) => world.plan(client, self.flaw),
            Action::Answer(client) => world.answered(client),
            Action::Refuse(client, outcome) => world.refused(client, outcome),
            Action::Silence(client) => world.silent(client),
            Action::LogFinish(client) => world.commit(client, true),
            Action::SkipLog(client) => world.commit(client, false),
            Action::Heartbeat(client) => {
                let owner = &world.clients[client];
                world.table.renew(owner.attempt, owner.epoch_owned()?);
            }
            Action::Crash(client) => world.clients[client].begin_again(),
            Action::Lapse => world.table.lapse(),
            Action::ForceRelease => world.force_release(),
            Action::AddItem => world.table.add_item(),
            Action::Arrive(index) => world.arrive(index, self.flaw),
        }
        Some(())
    }
}

/// How an attempt may go on by itself.
fn steps(world: &World, index: usize, client: &Client, actions: &mut Vec<Action>) {
    match client.step {
        Step::Looking if client.is_idle() => {}
        Step::Looking => actions.push(Action::Look(index)),
        Step::HalfRead(_) => actions.push(Action::ReadRest(index)),
        Step::Joining(_) | Step::Stopping(_) | Step::Taking | Step::Ending(_) => {
            actions.push(Action::Write(index));
            if client.applied {
                actions.push(Action::ResendLate(index));
            }
        }
        Step::Owning => actions.push(Action::Plan(index)),
        Step::Asking => actions.push(Action::Answer(index)),
        Step::Answered(_) => actions.extend([Action::LogFinish(index), Action::SkipLog(index)]),
        Step::Told(_) => {}
    }
    if client.epoch_owned().is_some() && world.table.holder().is_some_and(|holder| holder.lapsed) {
        actions.push(Action::Heartbeat(index));
    }
}

/// What an idle worker may be told. A hint may be lost, doubled or late, hints may come
/// in any order, and the sweep may always send one more: so any may come at any time,
/// and none needs to be kept. Idle workers are alike.
fn hints(world: &World, flaw: Option<Flaw>, actions: &mut Vec<Action>) {
    let Some(idle) = world.clients.iter().position(Client::is_idle) else { return };
    if !world.table.queue.is_empty() {
        let torn = flaw == Some(Flaw::HeadReadFirst);
        actions.push(if torn { Action::ReadHead(idle) } else { Action::HintQueue(idle) });
    }
    let running = world.table.turns.iter().filter(|(_, turn)| turn.state == State::Processing);
    actions.extend(running.map(|(key, _)| Action::HintTurn(idle, *key)));
}

/// What may go wrong with an attempt.
fn faults(index: usize, client: &Client, actions: &mut Vec<Action>) {
    match client.step {
        Step::Looking if client.is_worker() => {}
        Step::Looking => actions.extend([Action::ReadMeta(index), Action::ReadTurn(index)]),
        Step::Joining(_) | Step::Stopping(_) | Step::Taking | Step::Ending(_) if !client.applied => {
            actions.extend([Action::WriteUnheard(index), Action::Delay(index)]);
        }
        Step::Asking => actions.extend([
            Action::Refuse(index, Outcome::Retryable),
            Action::Refuse(index, Outcome::Final),
            Action::Silence(index),
        ]),
        Step::HalfRead(_)
        | Step::Joining(_)
        | Step::Stopping(_)
        | Step::Taking
        | Step::Owning
        | Step::Answered(_)
        | Step::Ending(_)
        | Step::Told(_) => {}
    }
    let has_not_begun = client.step == Step::Looking && client.taken.is_none();
    if !has_not_begun && !client.is_over() {
        actions.push(Action::Crash(index));
    }
}
