//! A request leaves: what it reserved goes, what it spent and used stays.

use super::account::{Account, Change, Clause, Field, Reservation, Write};
use super::period::Period;
use super::tokens::{self, TokensTaken};
use crate::limits::LATE_KEPT;
use crate::money::PicoUsd;
use crate::time::Timestamp;

/// What a request brings when it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    /// Under which name it came in.
    pub reservation: Reservation,
    /// What it had reserved.
    pub reserved: PicoUsd,
    /// What its line in the ledger says.
    pub spent: PicoUsd,
    /// When that line is from: it says which day and month paid.
    pub at: Timestamp,
    /// The tokens it had taken, where a limit holds.
    pub taken: Option<TokensTaken>,
    /// The tokens it used.
    pub used: u64,
}

/// What leaving takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// This write. Where it is refused, the row has changed.
    Write(Write),
    /// Nothing: it has left.
    Left,
}

/// What `leaving` changes in the account that was `seen`. Idempotent by the reservation's
/// name: it is there until it has left, or until long after its request must have ended. Who
/// comes still later leaves a mark of its own.
#[must_use]
pub fn leave(now: Timestamp, seen: &Account, leaving: &Leaving) -> Exit {
    let mine = Field::Reserved(leaving.reservation);
    let late = Reservation::until(leaving.at + LATE_KEPT, leaving.reservation.id);
    let is_there = seen.has(mine);
    // By its own clock it ended before anybody may have taken it for dead.
    let has_left = !is_there && !leaving.reservation.has_expired(leaving.at);
    if has_left || seen.has(Field::Late(late)) {
        return Exit::Left;
    }

    let base = seen.as_of_but(now, Some(leaving.reservation));
    let (mut clauses, mut changes) = match is_there {
        true => (vec![Clause::Has(mine)], vec![Change::Remove(mine), Change::Add(Field::Turns, -1)]),
        false => (vec![Clause::HasNot(Field::Late(late))], vec![Change::Set(Field::Late(late), 1)]),
    };
    let reserved = if is_there { leaving.reserved.0 } else { 0 };
    for period in Period::ALL {
        let which = base.get(Field::Of(period));
        // What was spent in a day that is over is that day's.
        let spent = if which == period.of(leaving.at) { leaving.spent.0 } else { 0 };
        clauses.push(Clause::Is(Field::Of(period), which));
        changes.push(Change::Add(Field::Held(period), spent - reserved));
        changes.push(Change::Add(Field::Spent(period), spent));
    }
    if let Some(taken) = leaving.taken.filter(|_| is_there) {
        let (more, corrections) = tokens::correct(&base, &taken, leaving.used, now);
        clauses.extend(more);
        changes.extend(corrections);
    }
    Exit::Write(Write::of(seen, &base, clauses, changes))
}
