//! Accounts under everything that may happen between a process and the table: looks that are
//! old, replies that are lost, writes that come twice, processes that die, days that end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic as tests do")]

use std::time::Duration;

use proptest::prelude::*;
use turnwise_core::access::{Budget, Limits};
use turnwise_core::admission::{
    Account, Ask, Entry, Exit, Field, Leaving, Owner, Period, Reservation, Rule, TokensTaken, enter, leave,
};
use turnwise_core::money::PicoUsd;
use turnwise_core::time::Timestamp;

/// A quarter of an hour before a day, a month and a year end.
const BEGIN: Timestamp = Timestamp(1_798_761_600_000 - 900_000);

/// How long a reservation holds.
const HOLDS: Duration = Duration::from_secs(600);

const DAILY: i128 = 100;
const MONTHLY: i128 = 150;
const TURNS: u32 = 4;

/// Requests of a run.
const REQUESTS: usize = 8;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A request comes in, or tries again; it knows the row from so many writes ago.
    Enter { request: usize, old: usize, twice: bool },
    /// It leaves, or tries again.
    Leave { request: usize, old: usize, twice: bool },
    /// Its process dies.
    Die { request: usize },
    /// Time passes.
    Pass { s: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Standing {
    Outside,
    In,
    /// It has ended at this instant, and tries to say so.
    Leaving(Timestamp),
    Gone,
}

/// The table, and what only somebody knows who sees everything.
struct World {
    now: Timestamp,
    rows: Vec<Account>,
    costs: Vec<(i128, i128)>,
    standing: Vec<Standing>,
    until: Vec<Timestamp>,
    /// What was spent, and when.
    spent: Vec<(Timestamp, i128)>,
}

fn rule<'a>(limits: &'a Limits, budget: &'a Budget) -> Rule<'a> {
    Rule { owner: Owner::Key, limits, budget }
}

impl World {
    fn new(costs: Vec<(i128, i128)>) -> Self {
        let (standing, until) = (vec![Standing::Outside; costs.len()], vec![BEGIN; costs.len()]);
        Self { now: BEGIN, rows: vec![Account::default()], costs, standing, until, spent: Vec::new() }
    }

    fn row(&self) -> &Account {
        self.rows.last().unwrap()
    }

    fn seen(&self, old: usize) -> Account {
        self.rows[self.rows.len().saturating_sub(1 + old)].clone()
    }

    fn reservation(&self, request: usize) -> Reservation {
        Reservation::until(self.until[request], request as u64)
    }

    fn step(&mut self, step: &Step, limits: &Limits, budget: &Budget) {
        match *step {
            Step::Pass { s } => {
                self.now = self.now + Duration::from_secs(s);
                for request in 0..self.standing.len() {
                    let is_dead = self.reservation(request).has_expired(self.now);
                    if is_dead && self.standing[request] != Standing::Outside {
                        self.standing[request] = Standing::Gone;
                    }
                }
            }
            Step::Die { request } if self.standing[request] == Standing::In => {
                self.standing[request] = Standing::Gone;
            }
            Step::Enter { request, old, twice } if self.standing[request] == Standing::Outside => {
                self.until[request] = self.now + HOLDS;
                self.enter(request, old, twice, &rule(limits, budget));
            }
            Step::Leave { request, old, twice } => self.leave(request, old, twice),
            Step::Die { .. } | Step::Enter { .. } => {}
        }
    }

    fn enter(&mut self, request: usize, old: usize, twice: bool, rule: &Rule<'_>) {
        let ask = self.ask(request);
        if let Entry::Write(write) = enter(self.now, &self.seen(old), &ask, rule)
            && let Some(row) = write.applied_to(self.row())
        {
            assert_eq!(write.applied_to(&row), None, "the same write does not come in twice");
            self.rows.push(row);
            if twice {
                // The reply was lost: the row that refuses the second try tells.
                assert_eq!(enter(self.now, self.row(), &ask, rule), Entry::Entered);
            }
            self.standing[request] = Standing::In;
        }
    }

    fn ask(&self, request: usize) -> Ask {
        let (cost, reservation) = (PicoUsd(self.costs[request].0), self.reservation(request));
        Ask { reservation, tokens: 0, cost, is_downgraded: false, is_resumed: false }
    }

    fn leave(&mut self, request: usize, old: usize, twice: bool) {
        let at = match self.standing[request] {
            Standing::In => self.now,
            Standing::Leaving(at) => at,
            Standing::Outside | Standing::Gone => return,
        };
        self.standing[request] = Standing::Leaving(at);
        let (reserved, spent) = self.costs[request];
        let leaving = Leaving {
            reservation: self.reservation(request),
            reserved: PicoUsd(reserved),
            spent: PicoUsd(spent),
            at,
            taken: None,
            used: 0,
        };
        let seen = self.seen(old);
        let seen = if seen.has_reservation(leaving.reservation) { seen } else { self.row().clone() };
        let Exit::Write(write) = leave(self.now, &seen, &leaving) else { panic!("it is still in") };
        if let Some(row) = write.applied_to(self.row()) {
            assert_eq!(write.applied_to(&row), None, "the same write does not leave twice");
            if twice {
                assert_eq!(leave(self.now, &row, &leaving), Exit::Left);
            }
            self.rows.push(row);
            self.spent.push((at, spent));
            self.standing[request] = Standing::Gone;
        }
    }

    /// What is spent and may still be spent never exceeds the limit, and the row knows of it.
    fn check(&self) {
        let may_come: i128 = (0..self.costs.len())
            .filter(|request| matches!(self.standing[*request], Standing::In | Standing::Leaving(_)))
            .map(|request| self.costs[request].0)
            .sum();
        for (period, limit) in [(Period::Day, DAILY), (Period::Month, MONTHLY)] {
            let in_period = |at: &Timestamp| period.of(*at) == period.of(self.now);
            let spent: i128 = self.spent.iter().filter(|(at, _)| in_period(at)).map(|(_, spent)| spent).sum();
            assert!(spent + may_come <= limit, "{period:?}: {spent} spent, {may_come} may come");
            let row = self.row();
            if row.get(Field::Of(period)) == period.of(self.now) {
                assert_eq!(row.get(Field::Spent(period)), spent);
                assert_eq!(row.get(Field::Held(period)), spent + row.reserved());
            }
        }
        assert!(self.row().get(Field::Turns) <= i128::from(TURNS));
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..REQUESTS, 0usize..4, any::<bool>()).prop_map(|(request, old, twice)| Step::Enter { request, old, twice }),
        4 => (0..REQUESTS, 0usize..4, any::<bool>()).prop_map(|(request, old, twice)| Step::Leave { request, old, twice }),
        1 => (0..REQUESTS).prop_map(|request| Step::Die { request }),
        2 => prop_oneof![Just(1), Just(60), Just(400), Just(800), Just(90_000)].prop_map(|s| Step::Pass { s }),
    ];
    prop::collection::vec(step, 1..80)
}

fn costs() -> impl Strategy<Value = Vec<(i128, i128)>> {
    let cost = (1i128..60).prop_flat_map(|reserved| (Just(reserved), 0..=reserved));
    prop::collection::vec(cost, REQUESTS)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_budget_is_never_overrun_and_all_reservations_return(steps in steps(), costs in costs()) {
        let limits = Limits { concurrent_turns: Some(TURNS), ..Limits::default() };
        let budget =
            Budget { daily: Some(PicoUsd(DAILY)), monthly: Some(PicoUsd(MONTHLY)), ..Budget::default() };
        let mut world = World::new(costs);
        for step in &steps {
            world.step(step, &limits, &budget);
            world.check();
        }
        // Those who are alive leave, the dead expire: then the next month is as good as new.
        for request in 0..REQUESTS {
            world.leave(request, 0, false);
        }
        world.now = world.now + Duration::from_secs(32 * 24 * 3600);
        let whole = Ask {
            reservation: Reservation::until(world.now + HOLDS, u64::MAX),
            tokens: 0,
            cost: PicoUsd(DAILY),
            is_downgraded: false,
            is_resumed: false,
        };
        let Entry::Write(write) = enter(world.now, world.row(), &whole, &rule(&limits, &budget)) else {
            panic!("something is left: {:?}", world.row())
        };
        let row = write.applied_to(world.row()).unwrap();
        prop_assert_eq!((row.get(Field::Turns), row.reserved()), (1, DAILY));
    }
}

/// Tokens a minute of the other property: one comes back every 10 ms.
const PER_MINUTE: u64 = 6_000;

/// A request for tokens: when it comes after the one before, what it asks for, what it uses,
/// and how long it takes.
type Request = (u64, u64, u64, u64);

/// The limit as somebody keeps it who remembers everything: all that came in at their
/// instants, with what they used as soon as that is known.
fn remembered_at(let_in: &[(Timestamp, u64, u64, Timestamp)], now: Timestamp) -> u64 {
    let ms = |tokens: u64| tokens * 60_000 / PER_MINUTE;
    let_in.iter().fold(0, |at: u64, (came, asked, used, left)| {
        let known = if *left <= now { *used } else { *asked };
        at.max(came.as_millis()) + ms(known)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_more_tokens_are_let_in_than_by_who_remembers_everything(
        requests in prop::collection::vec((0u64..30_000, 1u64..6_000, 0u64..7_000, 0u64..90_000), 1..30)
    ) {
        let limits = Limits { tokens_per_minute: Some(PER_MINUTE), ..Limits::default() };
        let (budget, mut row, mut now) = (Budget::default(), Account::default(), BEGIN);
        let mut inside: Vec<(Timestamp, Leaving)> = Vec::new();
        let mut let_in = Vec::new();
        for (id, (after, asked, used, takes)) in requests.iter().copied().enumerate() {
            let _: Request = (after, asked, used, takes);
            now = now + Duration::from_millis(after);
            row = left_until(row, &mut inside, now);
            let reservation = Reservation::until(now + HOLDS, id as u64);
            let ask = Ask { reservation, tokens: asked, cost: PicoUsd(0), is_downgraded: false, is_resumed: false };
            let Entry::Write(write) = enter(now, &row, &ask, &rule(&limits, &budget)) else { continue };
            row = write.applied_to(&row).unwrap();
            let remembered = remembered_at(&let_in, now).max(now.as_millis()) + asked * 10;
            prop_assert!(remembered <= now.as_millis() + 60_000, "let in {} ms too early", remembered - now.as_millis() - 60_000);
            let taken = Some(TokensTaken::after(&row, asked, PER_MINUTE, true));
            let leaving =
                Leaving { reservation, reserved: PicoUsd(0), spent: PicoUsd(0), at: now, taken, used };
            let left = now + Duration::from_millis(takes);
            inside.push((left, leaving));
            let_in.push((now, asked, used, left));
        }
    }
}

/// The row once everybody has left whose time has come, in that order.
fn left_until(mut row: Account, inside: &mut Vec<(Timestamp, Leaving)>, now: Timestamp) -> Account {
    inside.sort_by_key(|(left, _)| *left);
    while let Some((left, leaving)) = inside.first().copied().filter(|(left, _)| *left <= now) {
        inside.remove(0);
        let Exit::Write(write) = leave(left, &row, &Leaving { at: left, ..leaving }) else { panic!("it is in") };
        row = write.applied_to(&row).unwrap();
    }
    row
}

#[test]
fn who_leaves_after_it_was_taken_for_dead_has_spent_all_the_same() {
    let budget = Budget { daily: Some(PicoUsd(DAILY)), ..Budget::default() };
    let limits = Limits::default();
    let now = Timestamp(1_795_276_800_000);
    let ask = |id: u64, now: Timestamp| Ask {
        reservation: Reservation::until(now + HOLDS, id),
        tokens: 0,
        cost: PicoUsd(60),
        is_downgraded: false,
        is_resumed: false,
    };
    let come = |row: &Account, ask: &Ask, now: Timestamp| match enter(now, row, ask, &rule(&limits, &budget)) {
        Entry::Write(write) => write.applied_to(row),
        Entry::Entered | Entry::Tidy(_) | Entry::Downgrade | Entry::Refuse(_) => None,
    };
    let slow = ask(1, now);
    let row = come(&Account::default(), &slow, now).unwrap();
    assert_eq!(come(&row, &ask(2, now), now), None, "60 of 100 are reserved");

    let later = now + HOLDS + Duration::from_secs(60);
    let row = come(&row, &ask(2, later), later).unwrap();
    assert_eq!((row.get(Field::Turns), row.reserved()), (1, 60), "the dead gave it back");

    let leaving = Leaving {
        reservation: slow.reservation,
        reserved: slow.cost,
        spent: PicoUsd(25),
        at: later,
        taken: None,
        used: 0,
    };
    let Exit::Write(write) = leave(later, &row, &leaving) else { panic!("it has not left") };
    let row = write.applied_to(&row).unwrap();
    assert_eq!((row.get(Field::Spent(Period::Day)), row.get(Field::Held(Period::Day))), (25, 85));
    assert_eq!(row.get(Field::Turns), 1);
    assert_eq!(write.applied_to(&row), None);
    assert_eq!(leave(later, &row, &leaving), Exit::Left, "and only once");
}
