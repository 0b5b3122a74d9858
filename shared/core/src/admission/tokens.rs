//! Tokens a minute, by GCRA (ITU-T I.371) over a row's one instant: the one at which all
//! tokens that were taken have come back.

use std::time::Duration;

use super::account::{Account, Change, Clause, Field};
use crate::limits::TOKENS_WINDOW;
use crate::time::Timestamp;

/// Nanoseconds in a millisecond.
const NANOS: i128 = 1_000_000;

/// How a limit of tokens stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLevel {
    /// Tokens a minute.
    pub limit: u64,
    /// Those that can be taken now.
    pub remaining: u64,
    /// How long until all of them can be.
    pub reset: Duration,
    /// When that is.
    pub resets_at: Timestamp,
}

/// What a request has taken of a limit of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokensTaken {
    /// Tokens.
    pub asked: u64,
    /// The limit they were taken of.
    pub limit: u64,
    /// The instant of the row when they were: they come back before it.
    pub until: i128,
    /// [`Field::TokensBack`] then.
    pub back: i128,
}

impl TokensTaken {
    /// What a request that asked for `asked` has taken, whose write left the row as
    /// `account`; where that is not known for sure, nothing comes back before its time.
    #[must_use]
    pub fn after(account: &Account, asked: u64, limit: u64, is_exact: bool) -> Self {
        let until = if is_exact { account.get(Field::TokensAt) } else { 0 };
        Self { asked, limit, until, back: account.get(Field::TokensBack) }
    }
}

pub(super) fn nanos(at: Timestamp) -> i128 {
    i128::from(at.as_millis()) * NANOS
}

fn window() -> i128 {
    i128::try_from(TOKENS_WINDOW.as_nanos()).unwrap_or(i128::MAX)
}

/// The time in which `tokens` come back, rounded up: never too early.
pub(super) fn time_of(tokens: u64, limit: u64) -> i128 {
    let limit = i128::from(limit.max(1));
    (i128::from(tokens) * window() + limit - 1) / limit
}

/// The same, rounded down: never too much is given back.
fn least_time_of(tokens: u64, limit: u64) -> i128 {
    i128::from(tokens) * window() / i128::from(limit.max(1))
}

/// How a limit of so many tokens stands in `account`.
#[must_use]
pub fn level(account: &Account, limit: u64, now: Timestamp) -> TokenLevel {
    let ahead = (account.get(Field::TokensAt) - nanos(now)).clamp(0, window());
    let remaining = (window() - ahead) * i128::from(limit) / window();
    let reset = in_millis(ahead);
    TokenLevel { limit, remaining: u64::try_from(remaining).unwrap_or(0), reset, resets_at: now + reset }
}

/// The wait until a limit lets `tokens` in; zero where it does now.
pub(super) fn wait(account: &Account, tokens: u64, limit: u64, now: Timestamp) -> Duration {
    let at = account.get(Field::TokensAt).max(nanos(now));
    in_millis(at + time_of(tokens, limit) - nanos(now) - window())
}

/// Whole milliseconds, rounded up: whoever waits so long is let in.
fn in_millis(nanos: i128) -> Duration {
    let millis = (nanos.max(0) + NANOS - 1) / NANOS;
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The clauses and the change that take `tokens` of a limit that lets them in.
pub(super) fn take(account: &Account, tokens: u64, limit: u64, now: Timestamp) -> (Vec<Clause>, Change) {
    let (now, time) = (nanos(now), time_of(tokens, limit));
    if account.get(Field::TokensAt) <= now {
        return (vec![Clause::AtMost(Field::TokensAt, now)], Change::Set(Field::TokensAt, now + time));
    }
    let latest = now + window() - time;
    let clauses = vec![Clause::AtLeast(Field::TokensAt, now), Clause::AtMost(Field::TokensAt, latest)];
    (clauses, Change::Add(Field::TokensAt, time))
}

/// The clauses and the changes that correct what was `taken` to what was `used`.
///
/// What was used beyond it is owed. What was not used comes back as far as its time is not
/// yet over: tokens whose time has passed have come back by themselves, and giving them back
/// again would let in more than the limit. Where in the queue of tokens a request's own stand
/// now is not known once others have given some back; they are taken to stand as early as
/// they can.
pub(super) fn correct(account: &Account, taken: &TokensTaken, used: u64, now: Timestamp) -> (Vec<Clause>, Vec<Change>) {
    let (now, at) = (nanos(now), account.get(Field::TokensAt));
    if used > taken.asked {
        let owed = time_of(used - taken.asked, taken.limit);
        return match at <= now {
            true => (vec![Clause::AtMost(Field::TokensAt, now)], vec![Change::Set(Field::TokensAt, now + owed)]),
            false => (vec![Clause::AtLeast(Field::TokensAt, now)], vec![Change::Add(Field::TokensAt, owed)]),
        };
    }
    let back = account.get(Field::TokensBack);
    let earliest_end = taken.until - (back - taken.back);
    let given = least_time_of(taken.asked - used, taken.limit).min(earliest_end - now);
    if given <= 0 || at <= now {
        return (Vec::new(), Vec::new());
    }
    let same = Clause::Is(Field::TokensBack, back);
    let counted = Change::Add(Field::TokensBack, given);
    if at - given >= now {
        let clauses = vec![same, Clause::AtLeast(Field::TokensAt, now + given)];
        return (clauses, vec![Change::Add(Field::TokensAt, -given), counted]);
    }
    let between = [Clause::AtLeast(Field::TokensAt, now), Clause::AtMost(Field::TokensAt, now + given)];
    let clauses = [same].into_iter().chain(between).collect();
    (clauses, vec![Change::Set(Field::TokensAt, now), counted])
}
