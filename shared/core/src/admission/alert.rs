//! Shares of a budget at which somebody is told, once for each day or month.

use super::account::{Account, Change, Clause, Field, Write};
use super::enter::Rule;
use super::period::Period;
use super::refusal::Refusal;
use crate::money::PicoUsd;

/// The shares, in percent.
pub const THRESHOLDS: [u8; 3] = [50, 80, 100];

/// The share from which on a budget that refuses what it could never pay is used up.
const NEARLY: i128 = 80;

/// A share that is reached and that nobody has told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// Of the day's or the month's budget.
    pub period: Period,
    /// The share, in percent.
    pub percent: u8,
    /// The budget.
    pub limit: PicoUsd,
    /// What is spent of it.
    pub spent: PicoUsd,
}

/// The shares of its budgets that `account` has reached and nobody has told of.
#[must_use]
pub fn crossings(account: &Account, rule: &Rule<'_>) -> Vec<Crossing> {
    let of_period = |(period, limit): (Period, PicoUsd)| {
        let spent = PicoUsd(account.get(Field::Spent(period)));
        let is_reached = move |percent: u8| spent.0 * 100 >= limit.0 * i128::from(percent) && limit.0 > 0;
        let untold = THRESHOLDS.into_iter().filter(move |percent| !account.has(Field::Told(period, *percent)));
        untold.filter(move |percent| is_reached(*percent)).map(move |percent| Crossing {
            period,
            percent,
            limit,
            spent,
        })
    };
    rule.budgets().flat_map(of_period).collect()
}

/// The crossing that a refusal amounts to: nearly everything is spent, and what came would
/// not fit even if all that is reserved came back.
#[must_use]
pub fn is_used_up(account: &Account, refusal: &Refusal) -> Option<Crossing> {
    let Refusal::Budget { period, limit, worst, .. } = refusal else { return None };
    let spent = PicoUsd(account.get(Field::Spent(*period)));
    let nearly = spent.0 * 100 >= limit.0 * NEARLY && limit.0 > 0;
    let never_fits = spent.0 + worst.0 > limit.0;
    let untold = !account.has(Field::Told(*period, 100));
    (nearly && never_fits && untold).then_some(Crossing { period: *period, percent: 100, limit: *limit, spent })
}

/// The write by which `id` becomes the one who tells of `crossing`: carried out for one alone.
#[must_use]
pub fn tell(seen: &Account, crossing: &Crossing, id: u64) -> Write {
    let mark = Field::Told(crossing.period, crossing.percent);
    let of = Field::Of(crossing.period);
    let clauses = vec![Clause::HasNot(mark), Clause::Is(of, seen.get(of))];
    Write::of(seen, seen, clauses, vec![Change::Set(mark, i128::from(id))])
}

/// Whether `id` is the one who tells of `crossing`: the reply to its write may have been lost.
#[must_use]
pub fn told_by(account: &Account, crossing: &Crossing, id: u64) -> bool {
    account.get(Field::Told(crossing.period, crossing.percent)) == i128::from(id)
}
