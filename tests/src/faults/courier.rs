//! The hints on their way from the processes' queues to a worker: lost, doubled, late and
//! out of order, as a queue in the cloud may deliver them.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use turnwise_core::id::ConversationId;
use turnwise_engine::Engine;
use turnwise_engine::clock::Clock;
use turnwise_engine::tasks::Tasks;
use turnwise_store::queue::{Message, Receiver, Sent};

use super::connector::Process;
use super::net::Net;

/// One hint in this many comes as it should.
const PROMPT_ONE_IN: u32 = 2;

/// Longest delay of a late hint, in seconds: several leases and sweeps.
const LONGEST_DELAY_S: u64 = 200;

/// How long an invocation of the worker may last where it has a deadline.
const INVOCATION: Duration = Duration::from_secs(60);

/// How long a hint waits for a process to come back where all have stopped.
const WITHOUT_WORKERS: Duration = Duration::from_secs(1);

/// What becomes of one hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// It comes when it is due.
    Prompt,
    /// It never comes.
    Lost,
    /// It comes twice.
    Doubled,
    /// It comes long after it was due.
    Late,
    /// The next one of its queue comes first.
    Reordered,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Prompt, Self::Lost, Self::Doubled, Self::Late, Self::Reordered];
}

/// Who sent a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Whoever gave a turn its place, ended one or put one back.
    Turns,
    /// A sweep.
    Sweep,
}

/// What became of the hints of a run.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// How many met which fate.
    pub fates: BTreeMap<Fate, usize>,
    /// Turns whose hint was lost and for which a sweep sent another.
    pub found_by_sweep: usize,
    /// Second copies of a hint that found nothing to do.
    pub idle_copies: usize,
}

/// Carries the hints of one run to its processes.
#[derive(Debug)]
pub struct Courier {
    net: Arc<Net>,
    clock: Clock,
    workers: Vec<(Process, Engine)>,
    /// Deliveries under way.
    pub tasks: Tasks,
    drawn: Mutex<Drawn>,
}

#[derive(Debug)]
struct Drawn {
    rng: StdRng,
    healed: bool,
    lost: HashSet<Message>,
    carried: Carried,
}

impl Courier {
    /// The courier of the run with this seed.
    #[must_use]
    pub fn seeded(seed: u64, net: &Arc<Net>, clock: Clock, workers: Vec<(Process, Engine)>) -> Arc<Self> {
        let rng = StdRng::seed_from_u64(seed);
        let drawn = Drawn { rng, healed: false, lost: HashSet::new(), carried: Carried::default() };
        Arc::new(Self { net: Arc::clone(net), clock, workers, tasks: Tasks::default(), drawn: Mutex::new(drawn) })
    }

    /// Every hint comes as it should from here on.
    pub fn heal(&self) {
        self.drawn.lock().unwrap().healed = true;
    }

    /// What became of the hints so far.
    #[must_use]
    pub fn carried(&self) -> Carried {
        self.drawn.lock().unwrap().carried.clone()
    }

    /// Carries what comes out of one queue, as long as anybody sends.
    pub async fn carry(self: Arc<Self>, receiver: Receiver, sender: Sender) {
        let mut held_back = None;
        while let Some(sent) = receiver.receive().await {
            let fate = self.draw(&sent, sender);
            match fate {
                Fate::Lost => continue,
                // At most one is held back: were none to follow, it would be as good as lost.
                Fate::Reordered if held_back.is_none() => {
                    held_back = Some(sent);
                    continue;
                }
                Fate::Prompt | Fate::Reordered => self.deliver(sent, Duration::ZERO, 1),
                Fate::Doubled => self.deliver(sent, Duration::ZERO, 2),
                Fate::Late => {
                    let late = self.with_rng(|rng| Duration::from_secs(rng.random_range(1..=LONGEST_DELAY_S)));
                    self.deliver(sent, late, 1);
                }
            }
            if let Some(sent) = held_back.take() {
                self.deliver(sent, Duration::ZERO, 1);
            }
        }
    }

    fn draw(&self, sent: &Sent, sender: Sender) -> Fate {
        let mut drawn = self.drawn.lock().unwrap();
        let fate = match drawn.healed || drawn.rng.random_range(0..PROMPT_ONE_IN) == 0 {
            true => Fate::Prompt,
            false => Fate::ALL[drawn.rng.random_range(1..Fate::ALL.len())],
        };
        *drawn.carried.fates.entry(fate).or_default() += 1;
        // A message counts once for each time that it was lost.
        let found = sender == Sender::Sweep && drawn.lost.remove(&sent.message);
        drawn.carried.found_by_sweep += usize::from(found);
        if fate == Fate::Lost && sender == Sender::Turns {
            drawn.lost.insert(sent.message.clone());
        }
        fate
    }

    /// Hands `copies` of a hint to processes that live, when it is due and `late`.
    fn deliver(self: &Arc<Self>, sent: Sent, late: Duration, copies: usize) {
        for copy in 0..copies {
            let (courier, sent) = (Arc::clone(self), sent.clone());
            self.tasks.spawn(async move {
                let delay = sent.delay + late;
                if !delay.is_zero() {
                    courier.clock.sleep(delay).await;
                }
                courier.hand_over(&sent.message, copy > 0).await;
            });
        }
    }

    async fn hand_over(&self, message: &Message, is_copy: bool) {
        let engine = loop {
            if let Some(worker) = self.living_worker() {
                break worker;
            }
            self.clock.sleep(WITHOUT_WORKERS).await;
        };
        let deadline = self.with_rng(|rng| rng.random_range(0..2) == 0).then(|| self.clock.now() + INVOCATION);
        let begun = self.net.begun(conversation_of(message));
        // One that fails is dropped: the rows stay due, and the next sweep finds them.
        let handled = Box::pin(engine.handle(message, deadline)).await;
        if is_copy && handled.is_ok() && self.net.begun(conversation_of(message)) == begun {
            self.drawn.lock().unwrap().carried.idle_copies += 1;
        }
    }

    fn living_worker(&self) -> Option<Engine> {
        let living: Vec<_> = self.workers.iter().filter(|(process, _)| !process.is_stopped()).collect();
        let (_, engine) = self.with_rng(|rng| living.choose(rng).copied())?;
        Some(engine.clone())
    }

    fn with_rng<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.drawn.lock().unwrap().rng)
    }
}

fn conversation_of(message: &Message) -> &ConversationId {
    match message {
        Message::Turn { key, .. } => &key.conversation,
        Message::Erase { conversation, .. } => conversation,
    }
}
