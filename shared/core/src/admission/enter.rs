//! A request comes in: all that it may take is taken at once, or nothing.

use super::account::{Account, Change, Clause, Field, Reservation, Write};
use super::period::Period;
use super::refusal::{Owner, Refusal};
use super::tokens;
use crate::access::{Budget, Limits};
use crate::money::PicoUsd;
use crate::time::Timestamp;

/// What holds for an account.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    /// Whose it is.
    pub owner: Owner,
    /// Its limits.
    pub limits: &'a Limits,
    /// Its budget.
    pub budget: &'a Budget,
}

impl Rule<'_> {
    /// Whether it has anything to say of work that costs. Requests a minute are another
    /// matter.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Limits { tokens_per_minute, concurrent_turns, .. } = self.limits;
        tokens_per_minute.is_some() || concurrent_turns.is_some() || self.budget.is_set()
    }

    /// The budget of each period that has one.
    pub fn budgets(&self) -> impl Iterator<Item = (Period, PicoUsd)> + '_ {
        Period::ALL.into_iter().filter_map(|period| {
            let limit = match period {
                Period::Day => self.budget.daily,
                Period::Month => self.budget.monthly,
            };
            limit.map(|limit| (period, limit))
        })
    }

    /// From how much spent on the cheaper model answers, if one does.
    fn soft_line(&self, limit: PicoUsd) -> Option<i128> {
        let percent = self.budget.soft_percent.filter(|_| self.budget.downgrade_to.is_some())?;
        Some((limit.0 * i128::from(percent) + 99) / 100)
    }
}

/// What a request wants to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Under which name.
    pub reservation: Reservation,
    /// Tokens at most, in and out.
    pub tokens: u64,
    /// What it costs at most.
    pub cost: PicoUsd,
    /// Whether the cheaper model of a soft budget answers it already.
    pub is_downgraded: bool,
    /// Whether it goes on with what a dead attempt began: that was let in before, and only
    /// its money is asked for again.
    pub is_resumed: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// It is let in by this write. Where that is refused, the row has changed.
    Write(Write),
    /// It was let in by an earlier try.
    Entered,
    /// First this is to be written, and the row looked at again.
    Tidy(Write),
    /// The budget's soft limit is reached: the cheaper model is to be asked.
    Downgrade,
    /// It is not let in.
    Refuse(Refusal),
}

/// Whether `ask` is let in at `now` to the account that was `seen`.
#[must_use]
pub fn enter(now: Timestamp, seen: &Account, ask: &Ask, rule: &Rule<'_>) -> Entry {
    let mine = Field::Reserved(ask.reservation);
    if seen.has(mine) {
        return Entry::Entered;
    }
    let base = seen.as_of(now);
    if !ask.is_downgraded && is_soft(&base, rule) {
        return Entry::Downgrade;
    }
    if let Some(refusal) = refusal(now, &base, ask, rule) {
        // More dead than one write can say may be in the way.
        let tidy = base.has_dead(now).then(|| Entry::Tidy(Write::of(seen, &base, Vec::new(), Vec::new())));
        return tidy.unwrap_or(Entry::Refuse(refusal));
    }

    let mut clauses = vec![Clause::HasNot(mine)];
    let mut changes = vec![Change::Set(mine, ask.cost.0), Change::Add(Field::Turns, 1)];
    for period in Period::ALL {
        clauses.push(Clause::Is(Field::Of(period), base.get(Field::Of(period))));
        changes.push(Change::Add(Field::Held(period), ask.cost.0));
    }
    for (period, limit) in rule.budgets() {
        clauses.push(Clause::AtMost(Field::Held(period), limit.0 - ask.cost.0));
        if let Some(line) = rule.soft_line(limit).filter(|_| !ask.is_downgraded) {
            clauses.push(Clause::AtMost(Field::Spent(period), line - 1));
        }
    }
    if let Some(most) = rule.limits.concurrent_turns.filter(|_| !ask.is_resumed) {
        clauses.push(Clause::AtMost(Field::Turns, i128::from(most) - 1));
    }
    if let Some(limit) = rule.limits.tokens_per_minute.filter(|_| !ask.is_resumed) {
        let (more, change) = tokens::take(&base, ask.tokens, limit, now);
        clauses.extend(more);
        changes.push(change);
    }
    Entry::Write(Write::of(seen, &base, clauses, changes))
}

fn is_soft(account: &Account, rule: &Rule<'_>) -> bool {
    rule.budgets()
        .any(|(period, limit)| rule.soft_line(limit).is_some_and(|line| account.get(Field::Spent(period)) >= line))
}

/// Money first: waiting does not help where it is used up.
fn refusal(now: Timestamp, account: &Account, ask: &Ask, rule: &Rule<'_>) -> Option<Refusal> {
    let owner = rule.owner;
    for (period, limit) in rule.budgets() {
        let left = PicoUsd(limit.0 - account.get(Field::Held(period)));
        if ask.cost > left {
            let (worst, resets) = (ask.cost, period.end(now));
            return Some(Refusal::Budget { owner, period, limit, left: left.max(PicoUsd(0)), worst, resets });
        }
    }
    if ask.is_resumed {
        return None;
    }
    if let Some(limit) = rule.limits.tokens_per_minute.filter(|limit| ask.tokens > *limit) {
        return Some(Refusal::TooManyTokens { owner, asked: ask.tokens, limit });
    }
    if let Some(limit) = rule.limits.concurrent_turns
        && account.get(Field::Turns) >= i128::from(limit)
    {
        return Some(Refusal::Concurrency { owner, limit });
    }
    let limit = rule.limits.tokens_per_minute?;
    let wait = tokens::wait(account, ask.tokens, limit, now);
    let level = tokens::level(account, limit, now);
    (!wait.is_zero()).then_some(Refusal::Tokens { owner, asked: ask.tokens, wait, level })
}
