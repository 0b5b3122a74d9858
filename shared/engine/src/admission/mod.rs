//! Work that costs, let in and left: what its key and its tenant have left of tokens, of
//! answers at once and of money.
//!
//! - `demand`: what a request takes at most; `entrance`: a request for an answer, let in
//! - `gate`: one account, entered and left; [`Alerts`]: who is told how much is spent

mod alerts;
mod demand;
mod entrance;
mod gate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use turnwise_core::access::Grant;
use turnwise_core::admission::{
    Account, Ask, Owner, Period, Refusal, Reservation, Rule, TokenLevel, TokensTaken, level, worst_cost,
};
use turnwise_core::audit::Action;
use turnwise_core::id::Tenant;
use turnwise_core::limits::RESERVATION_MARGIN;
use turnwise_core::money::PicoUsd;
use turnwise_core::time::Timestamp;
use turnwise_core::usage::Usage;
use turnwise_providers::Resolved;
use turnwise_store::AccountId;

pub use self::alerts::Alerts;
pub(crate) use self::entrance::{Admitted, Entrant};
use self::gate::Entered;
use crate::engine::Engine;
use crate::error::Error;
use crate::turn::{Caller, must_end_by};

/// Accounts that a process remembers, so that it need not read them before each write: more
/// than it serves between two cold starts, and little memory.
const MAX_REMEMBERED: usize = 1_000;

/// How often it is said that limits cannot be asked.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// How often a process writes down that an account's budget refuses requests: whoever asks
/// again and again is not to fill the table.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What a client is told of the limits that its request met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Most output tokens that the model was asked for, where the request had not said so.
    pub max_output: Option<u64>,
    /// The limit of tokens that has the least left.
    pub tokens: Option<TokenLevel>,
}

/// What a request was let in with. It is to be left whatever becomes of the request; what a
/// process that dies does not leave expires.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admission {
    holds: Vec<Hold>,
    pub(crate) allowance: Allowance,
}

/// What a request holds of one account.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    grant: Arc<Grant>,
    id: AccountId,
    reservation: Reservation,
    reserved: PicoUsd,
    taken: Option<TokensTaken>,
}

/// What a request came to, as the ledger's line has it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) cost: PicoUsd,
    pub(crate) tokens: u64,
}

impl Spent {
    /// What `usage` of `resolved` comes to.
    pub(crate) fn of(usage: &Usage, resolved: &Resolved) -> Self {
        let cost = resolved.price().map_or(PicoUsd(0), |price| price.cost(usage));
        Self { cost, tokens: usage.total_input().saturating_add(usage.total_output()) }
    }
}

/// How a request stands toward the accounts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    tokens: u64,
    cost: PicoUsd,
    is_downgraded: bool,
    is_resumed: bool,
}

/// Why a request is not let in yet.
pub(super) enum Hindrance {
    /// A budget's soft limit is reached: this model is to be asked.
    Downgrade(String),
    /// It is not let in.
    Error(Error),
}

/// Accounts as they were seen last. Cheap to clone; clones share them. What is remembered
/// decides nothing: a write's conditions do, and nobody is refused before a read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts(
    Arc<Mutex<HashMap<AccountId, Account>>>,
    Arc<Mutex<Timestamp>>,
    Arc<Mutex<HashMap<AccountId, Timestamp>>>,
);

impl Accounts {
    /// Whether a minute has passed since this was true last.
    fn may_warn(&self, now: Timestamp) -> bool {
        let mut next = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let may = now >= *next;
        if may {
            *next = now + WARN_EVERY;
        }
        may
    }

    /// Whether a minute has passed since this was true last of `id`.
    fn may_tell(&self, id: &AccountId, now: Timestamp) -> bool {
        let mut told = self.2.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(id).is_some_and(|at| now.since(*at) < TELL_EVERY) {
            return false;
        }
        if told.len() >= MAX_REMEMBERED {
            told.clear();
        }
        told.insert(id.clone(), now);
        true
    }

    fn get(&self, id: &AccountId) -> Option<Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn put(&self, id: &AccountId, account: &Account) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MAX_REMEMBERED {
            accounts.clear();
        }
        accounts.insert(id.clone(), account.clone());
    }
}

/// The rule of an account, where it says anything of work that costs.
pub(super) fn rule(grant: &Grant, owner: Owner) -> Rule<'_> {
    match owner {
        Owner::Key => Rule { owner, limits: &grant.limits, budget: &grant.budget },
        Owner::Tenant => Rule { owner, limits: &grant.settings.limits, budget: &grant.settings.budget },
    }
}

/// The accounts that a request of `caller` needs.
fn accounts_of(caller: &Caller) -> Vec<AccountId> {
    let id = |owner| AccountId { tenant: caller.tenant.clone(), owner, key: account_key(owner, caller) };
    [Owner::Key, Owner::Tenant].into_iter().filter(|owner| rule(&caller.grant, *owner).holds()).map(id).collect()
}

/// Whether nothing limits what a request of `caller` may cost or how long its answer may be.
pub(crate) fn is_free(caller: &Caller) -> bool {
    let has_clamp = |owner| rule(&caller.grant, owner).limits.max_output_tokens.is_some();
    accounts_of(caller).is_empty() && ![Owner::Key, Owner::Tenant].into_iter().any(has_clamp)
}

fn account_key(owner: Owner, caller: &Caller) -> String {
    match owner {
        Owner::Key => caller.api_key.clone(),
        Owner::Tenant => String::new(),
    }
}

/// Whether one of the accounts has a budget.
fn has_budget(grant: &Grant) -> bool {
    [Owner::Key, Owner::Tenant].into_iter().any(|owner| rule(grant, owner).budget.is_set())
}

/// What was spent of a budget, whether there is one or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetUse {
    /// Today, in UTC.
    pub day: PicoUsd,
    /// This month.
    pub month: PicoUsd,
    /// What requests that are under way have reserved.
    pub reserved: PicoUsd,
}

impl Engine {
    /// What a tenant, or one of its keys, has spent of its budgets. What was asked for while
    /// there was no budget is not counted here.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn budget_use(&self, tenant: &Tenant, key: Option<&str>) -> Result<BudgetUse, Error> {
        let (id, now) = (account_id(tenant, key), self.clock.now());
        let account = self.retry(|_| self.store.account(&id)).await?;
        Ok(BudgetUse {
            day: account.spent(Period::Day, now),
            month: account.spent(Period::Month, now),
            reserved: PicoUsd(account.reserved()),
        })
    }

    /// Lets work in that makes no answer, only input: all its accounts, or none.
    ///
    /// # Errors
    /// [`Error::NotAdmitted`]; [`Error::Store`] where a budget cannot be asked.
    pub(crate) async fn admit_input(
        &self,
        caller: &Caller,
        resolved: &Resolved,
        tokens: u64,
    ) -> Result<Admission, Error> {
        if accounts_of(caller).is_empty() {
            return Ok(Admission::default());
        }
        let cost = match resolved.price() {
            Some(price) => worst_cost(&price, tokens, 0),
            None if has_budget(&caller.grant) => return Err(not_priced(resolved)),
            None => PicoUsd(0),
        };
        // Vectors have no cheaper model: those of another cannot be compared with them.
        let demand = Demand { tokens, cost, is_downgraded: true, is_resumed: false };
        self.enter_all(caller, demand).await.map_err(|hindrance| match hindrance {
            Hindrance::Error(error) => error,
            Hindrance::Downgrade(model) => not_priced_name(model),
        })
    }

    /// Enters all accounts of `caller`, or none of them.
    async fn enter_all(&self, caller: &Caller, demand: Demand) -> Result<Admission, Hindrance> {
        let now = self.clock.now();
        let until = must_end_by(now, caller.deadline).max(now) + RESERVATION_MARGIN;
        let ids = accounts_of(caller);
        let entering = ids.iter().map(|id| {
            let reservation = Reservation::until(until, self.random.number());
            let Demand { tokens, cost, is_downgraded, is_resumed } = demand;
            let ask = Ask { reservation, tokens, cost, is_downgraded, is_resumed };
            async move { (id, ask, self.enter_account(caller, id, &ask).await) }
        });
        let mut admission = Admission::default();
        let mut hindrances = Vec::new();
        for (id, ask, entered) in futures_util::future::join_all(entering).await {
            match entered {
                Ok(Entered::In { account, is_exact }) => {
                    let hold = self.hold(caller, id, &ask, &account, is_exact);
                    admission.note(rule(&caller.grant, id.owner), &account, now);
                    admission.holds.push(hold);
                }
                Ok(Entered::Unasked) => {}
                Ok(Entered::Downgrade(model)) => hindrances.push(Hindrance::Downgrade(model)),
                Ok(Entered::Refused(refusal)) => {
                    self.note_refusal(caller, id, &refusal);
                    hindrances.push(Hindrance::Error(Error::NotAdmitted(refusal)));
                }
                Err(error) => hindrances.push(Hindrance::Error(error.into())),
            }
        }
        // An error is an error also where the other account would have a cheaper model asked.
        hindrances.sort_by_key(|hindrance| matches!(hindrance, Hindrance::Downgrade(_)));
        match hindrances.into_iter().next() {
            None => Ok(admission),
            Some(hindrance) => {
                self.leave(&admission, Spent::default()).await;
                Err(hindrance)
            }
        }
    }

    /// Writes down that a budget refuses requests. Nobody waits for it.
    fn note_refusal(&self, caller: &Caller, id: &AccountId, refusal: &Refusal) {
        let Refusal::Budget { limit, left, worst, .. } = refusal else { return };
        if !self.accounts.may_tell(id, self.clock.now()) {
            return;
        }
        let subject = match id.owner {
            Owner::Key => format!("key {}", id.key),
            Owner::Tenant => format!("tenant {}", id.tenant),
        };
        let entry = self.audit_entry(caller, Action::BudgetRefused, subject);
        let amounts = [("limit_usd", limit), ("left_usd", left), ("asked_usd", worst)];
        let entry = amounts.into_iter().fold(entry, |entry, (name, amount)| entry.detail(name, amount.to_string()));
        let engine = self.clone();
        self.tasks.spawn(async move {
            if let Err(error) = engine.append_audit(&entry).await {
                tracing::warn!(%error, "a budget's refusal could not be written to the audit log");
            }
        });
    }

    fn hold(&self, caller: &Caller, id: &AccountId, ask: &Ask, account: &Account, is_exact: bool) -> Hold {
        let limit = rule(&caller.grant, id.owner).limits.tokens_per_minute.filter(|_| !ask.is_resumed);
        let taken = limit.map(|limit| TokensTaken::after(account, ask.tokens, limit, is_exact));
        Hold {
            grant: Arc::clone(&caller.grant),
            id: id.clone(),
            reservation: ask.reservation,
            reserved: ask.cost,
            taken,
        }
    }

    /// Leaves all accounts that `admission` holds. Idempotent; what cannot be written goes on
    /// in the background, as nobody's answer is to wait for long.
    pub(crate) async fn leave(&self, admission: &Admission, spent: Spent) {
        let at = self.clock.now();
        let leaving = admission.holds.iter().map(|hold| self.leave_account(hold, spent, at));
        futures_util::future::join_all(leaving).await;
    }
}

impl Admission {
    /// Notes how the account's limit of tokens stands, where it has less left than others.
    fn note(&mut self, rule: Rule<'_>, account: &Account, now: Timestamp) {
        let Some(limit) = rule.limits.tokens_per_minute else { return };
        let level = level(account, limit, now);
        let is_less = self.allowance.tokens.is_none_or(|known| level.remaining < known.remaining);
        if is_less {
            self.allowance.tokens = Some(level);
        }
    }
}

fn not_priced(resolved: &Resolved) -> Error {
    not_priced_name(resolved.name.clone())
}

fn not_priced_name(model: String) -> Error {
    Error::NotAdmitted(Refusal::NotPriced { model })
}

/// The account of a tenant or of one of its keys, for whoever shows what is left of it.
#[must_use]
pub fn account_id(tenant: &Tenant, key: Option<&str>) -> AccountId {
    let owner = if key.is_some() { Owner::Key } else { Owner::Tenant };
    AccountId { tenant: tenant.clone(), owner, key: key.unwrap_or_default().to_owned() }
}
