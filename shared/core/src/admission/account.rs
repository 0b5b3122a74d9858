//! An account's row, and what is written to it: conditions and changes of whole numbers,
//! which the table carries out and [`Write::applied_to`] shows without one.

use std::collections::BTreeMap;

use super::period::Period;
use crate::limits::MAX_RECLAIMED;
use crate::money::PicoUsd;
use crate::time::Timestamp;

/// Milliseconds in a minute.
const MINUTE_MS: u64 = 60_000;

/// How long a row lies untouched before the table may drop it: by then day and month are
/// over, and nothing of it counts.
const KEPT_S: u64 = 62 * 24 * 3600;

/// What one request has reserved: its name, and the minute since 1970 after which it is
/// taken for dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reservation {
    /// The last minute in which it holds.
    pub minute: u64,
    /// A random number.
    pub id: u64,
}

impl Reservation {
    /// A reservation named `id` that holds until `until` at least.
    #[must_use]
    pub const fn until(until: Timestamp, id: u64) -> Self {
        Self { minute: until.as_millis() / MINUTE_MS, id }
    }

    /// Whether whoever made it is taken for dead.
    #[must_use]
    pub const fn has_expired(self, now: Timestamp) -> bool {
        now.as_millis() / MINUTE_MS > self.minute
    }
}

/// One number of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Writes so far.
    Version,
    /// Answers that are being made.
    Turns,
    /// The instant at which all tokens that were taken have come back, in nanoseconds since
    /// 1970: GCRA's theoretical arrival time.
    TokensAt,
    /// How far that instant was moved back for tokens that were not used, in all.
    TokensBack,
    /// Which day or month it is of: `yyyymmdd` or `yyyymm`.
    Of(Period),
    /// Pico-USD spent and reserved in it.
    Held(Period),
    /// Pico-USD spent in it.
    Spent(Period),
    /// What a request has reserved, in pico-USD.
    Reserved(Reservation),
    /// A request that left after it was taken for dead: it is not to leave twice.
    Late(Reservation),
    /// Who told that so many percent are spent.
    Told(Period, u8),
    /// When the table may drop the row, in seconds since 1970.
    DropAt,
}

/// A row as it was seen: empty where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account(BTreeMap<Field, i128>);

impl FromIterator<(Field, i128)> for Account {
    fn from_iter<T: IntoIterator<Item = (Field, i128)>>(fields: T) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl Account {
    /// One of its numbers; zero where it is missing.
    #[must_use]
    pub fn get(&self, field: Field) -> i128 {
        self.0.get(&field).copied().unwrap_or(0)
    }

    /// Whether it has this number.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.0.contains_key(&field)
    }

    /// Whether a request has reserved something under this name.
    #[must_use]
    pub fn has_reservation(&self, reservation: Reservation) -> bool {
        self.has(Field::Reserved(reservation))
    }

    /// All of them.
    pub fn fields(&self) -> impl Iterator<Item = (Field, i128)> + '_ {
        self.0.iter().map(|(field, value)| (*field, *value))
    }

    /// What was spent in the `period` that `now` is in.
    #[must_use]
    pub fn spent(&self, period: Period, now: Timestamp) -> PicoUsd {
        let is_current = self.get(Field::Of(period)) == period.of(now);
        PicoUsd(if is_current { self.get(Field::Spent(period)) } else { 0 })
    }

    /// What requests have reserved, in pico-USD.
    #[must_use]
    pub fn reserved(&self) -> i128 {
        self.reservations().map(|(_, cost)| cost).sum()
    }

    fn reservations(&self) -> impl Iterator<Item = (Reservation, i128)> + '_ {
        self.fields().filter_map(|(field, value)| {
            if let Field::Reserved(reservation) = field { Some((reservation, value)) } else { None }
        })
    }

    /// Whether what the dead had reserved is still in it.
    pub(super) fn has_dead(&self, now: Timestamp) -> bool {
        self.reservations().any(|(reservation, _)| reservation.has_expired(now))
    }

    /// The row as it stands at `now`: of today and of this month, without what the dead had
    /// reserved.
    pub(super) fn as_of(&self, now: Timestamp) -> Self {
        self.as_of_but(now, None)
    }

    /// The same, where the request that has made `alive` is not dead: it is leaving.
    pub(super) fn as_of_but(&self, now: Timestamp, alive: Option<Reservation>) -> Self {
        let mut account = self.clone();
        if account.0.is_empty() {
            for field in [Field::Version, Field::Turns, Field::TokensAt, Field::TokensBack] {
                account.set(field, 0);
            }
        }
        account.reclaim(now, alive);
        for period in Period::ALL {
            account.begin(period, period.of(now));
        }
        if account != *self {
            account.set(Field::DropAt, i128::from(now.as_secs() + KEPT_S));
        }
        account
    }

    /// Takes out what the dead had reserved: as much as one write can say, the rest next
    /// time.
    fn reclaim(&mut self, now: Timestamp, alive: Option<Reservation>) {
        let is_dead = |reservation: Reservation| reservation.has_expired(now) && Some(reservation) != alive;
        let dead = self.reservations().filter(|(reservation, _)| is_dead(*reservation));
        let dead: Vec<(Reservation, i128)> = dead.take(MAX_RECLAIMED).collect();
        for (reservation, cost) in dead {
            self.apply(Change::Remove(Field::Reserved(reservation)));
            self.apply(Change::Add(Field::Turns, -1));
            Period::ALL.iter().for_each(|period| self.apply(Change::Add(Field::Held(*period), -cost)));
        }
        self.0.retain(|field, _| !matches!(field, Field::Late(late) if late.has_expired(now)));
    }

    /// Begins a new day or month. What is reserved goes along: it will be spent in the new
    /// one. A clock that is behind does not bring the old one back.
    fn begin(&mut self, period: Period, which: i128) {
        if self.get(Field::Of(period)) >= which && self.has(Field::Of(period)) {
            return;
        }
        self.0.retain(|field, _| !matches!(field, Field::Told(of, _) if *of == period));
        self.set(Field::Of(period), which);
        self.set(Field::Spent(period), 0);
        self.set(Field::Held(period), self.reserved());
    }

    fn set(&mut self, field: Field, value: i128) {
        self.0.insert(field, value);
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Set(field, value) => self.set(field, value),
            Change::Add(field, value) => *self.0.entry(field).or_default() += value,
            Change::Remove(field) => _ = self.0.remove(&field),
        }
    }

    /// The changes that make it `new`.
    fn changes_to(&self, new: &Self) -> Vec<Change> {
        let gone = self.0.keys().filter(|field| !new.has(**field)).map(|field| Change::Remove(*field));
        let other = new.fields().filter(|(field, value)| self.0.get(field) != Some(value));
        gone.chain(other.map(|(field, value)| Change::Set(field, value))).collect()
    }
}

/// What must hold of the row for a write to be carried out. A comparison with a number that
/// is missing does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clause {
    /// There is no row.
    NoRow,
    /// A number is this one.
    Is(Field, i128),
    /// A number is this or more.
    AtLeast(Field, i128),
    /// A number is this or less.
    AtMost(Field, i128),
    /// A number is there.
    Has(Field),
    /// A number is missing.
    HasNot(Field),
}

impl Clause {
    fn holds(self, account: &Account) -> bool {
        let is = |field, test: &dyn Fn(i128) -> bool| account.0.get(&field).is_some_and(|value| test(*value));
        match self {
            Self::NoRow => account.0.is_empty(),
            Self::Is(field, value) => is(field, &|found| found == value),
            Self::AtLeast(field, value) => is(field, &|found| found >= value),
            Self::AtMost(field, value) => is(field, &|found| found <= value),
            Self::Has(field) => account.has(field),
            Self::HasNot(field) => !account.has(field),
        }
    }
}

/// One change of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A number becomes this one.
    Set(Field, i128),
    /// So much is added to a number; one that is missing counts as zero.
    Add(Field, i128),
    /// A number goes.
    Remove(Field),
}

/// A conditional write of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// All of them must hold.
    pub clauses: Vec<Clause>,
    /// What changes then, each field once.
    pub changes: Vec<Change>,
}

impl Write {
    /// The write that carries `changes` out on `base`, which is `seen` as it stands now. Where
    /// both are the same the changes are arithmetic under `clauses`, so that writers who meet
    /// do not have to see each other; else nothing may have changed since it was seen.
    pub(super) fn of(seen: &Account, base: &Account, clauses: Vec<Clause>, changes: Vec<Change>) -> Self {
        if seen == base {
            let counted = changes.into_iter().chain([Change::Add(Field::Version, 1)]);
            return Self { clauses, changes: counted.collect() };
        }
        let mut new = base.clone();
        changes.into_iter().for_each(|change| new.apply(change));
        new.apply(Change::Add(Field::Version, 1));
        let unchanged = match seen.0.is_empty() {
            true => Clause::NoRow,
            false => Clause::Is(Field::Version, seen.get(Field::Version)),
        };
        Self { clauses: vec![unchanged], changes: seen.changes_to(&new) }
    }

    /// The row that it makes of `account`; `None` where it is refused.
    #[must_use]
    pub fn applied_to(&self, account: &Account) -> Option<Account> {
        let mut new = account.clone();
        let may_be_written = self.clauses.iter().all(|clause| clause.holds(account));
        self.changes.iter().for_each(|change| new.apply(*change));
        may_be_written.then_some(new)
    }
}
