//! What the work of some days came to, and whether the counters say what the ledger says.

use turnwise_core::audit::Action;
use turnwise_core::fault::Fault;
use turnwise_core::id::Tenant;
use turnwise_core::ledger::check::{Difference, compared};
use turnwise_core::ledger::groups::Days;
use turnwise_core::ledger::{UsageRow, UsageTotals};
use turnwise_core::time::{DAY, Timestamp};

use crate::engine::Engine;
use crate::error::Error;
use crate::keys::check_tenant;
use crate::turn::Caller;

/// Most days of one check: it reads every line of the ledger, within the time of one request.
pub const MAX_CHECKED_DAYS: u32 = 31;

/// What a check came to.
#[derive(Debug, Default)]
pub struct UsageCheck {
    /// Lines of the ledger that were read.
    pub lines: u64,
    /// Counters that were compared with them.
    pub counters: u64,
    /// Counters that differ.
    pub differences: Vec<Difference>,
    /// Those among them that were repaired.
    pub repaired: u64,
    /// Counters that changed while they were looked at; nothing is said of them.
    pub busy: u64,
    /// Counters of lines that do not tell everything that is counted.
    pub untold: u64,
}

impl Engine {
    /// The counters of `days`, of each of `tenants`; of the caller's own where none is named.
    ///
    /// # Errors
    /// [`Error::OperatorOnly`] for another tenant's.
    pub async fn usage(
        &self,
        caller: &Caller,
        tenants: Vec<Tenant>,
        days: Days,
    ) -> Result<Vec<(Tenant, Vec<UsageRow>)>, Error> {
        let tenants = if tenants.is_empty() { vec![caller.tenant.clone()] } else { tenants };
        tenants.iter().try_for_each(|tenant| check_tenant(caller, tenant))?;
        let mut found = Vec::new();
        for tenant in tenants {
            let rows = self.retry(|_| self.store.usage_rows(&tenant, days.from, days.to)).await?;
            found.push((tenant, rows));
        }
        Ok(found)
    }

    /// Compares the counters of `days` with the ledger, and makes them what it says where
    /// `repairs`. A counter that changes meanwhile is left alone: the next check sees it.
    ///
    /// # Errors
    /// [`Error::OperatorOnly`] for another tenant's; [`Error::Invalid`] for more than
    /// [`MAX_CHECKED_DAYS`].
    pub async fn check_usage(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        days: Days,
        repairs: bool,
    ) -> Result<UsageCheck, Error> {
        check_tenant(caller, tenant)?;
        if days.to.since(days.from) >= DAY * MAX_CHECKED_DAYS {
            let message = format!("A check takes at most {MAX_CHECKED_DAYS} days at once.");
            return Err(Error::Invalid(Fault::new("from", message).into()));
        }
        let mut check = UsageCheck::default();
        for day in days.all() {
            Box::pin(self.check_day(caller, tenant, day, repairs, &mut check)).await?;
        }
        Ok(check)
    }

    async fn check_day(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        day: Timestamp,
        repairs: bool,
        check: &mut UsageCheck,
    ) -> Result<(), Error> {
        let began = self.clock.now();
        let before = self.retry(|_| self.store.usage_rows(tenant, day, day)).await?;
        let lines = self.retry(|_| self.store.ledger_of_day(tenant, day)).await?;
        let after = self.retry(|_| self.store.usage_rows(tenant, day, day)).await?;
        check.lines += lines.len() as u64;
        check.counters += after.len() as u64;
        let compared = compared(&lines, &after);
        check.untold += compared.untold;
        for difference in compared.differences {
            // Line and counter are written in one: a counter that stood still while the lines
            // were read was compared with all of its lines and no others.
            if counted(&before, &difference.row) != difference.counted {
                check.busy += 1;
                continue;
            }
            if repairs && self.repair(caller, tenant, &difference, began).await? {
                check.repaired += 1;
            }
            check.differences.push(difference);
        }
        Ok(())
    }

    async fn repair(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        difference: &Difference,
        began: Timestamp,
    ) -> Result<bool, Error> {
        let row = &difference.row;
        let subject = format!("{} {}/{} of {}", row.day.date(), row.provider, row.model, row.api_key);
        let entry = self.audit_entry_of(caller, tenant, Action::UsageRepair, subject);
        let entry = difference
            .missing()
            .into_iter()
            .fold(entry, |entry, (name, missing)| entry.detail(name, missing.to_string()));
        Ok(self.retry(|_| self.store.repair_usage(tenant, difference, began, &entry)).await?)
    }
}

/// What `rows` count where `row` is counted.
fn counted(rows: &[UsageRow], row: &UsageRow) -> UsageTotals {
    let place = |row: &UsageRow| UsageRow { totals: UsageTotals::default(), ..row.clone() };
    let wanted = place(row);
    rows.iter().find(|row| place(row) == wanted).map_or_else(UsageTotals::default, |row| row.totals)
}
