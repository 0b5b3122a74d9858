//! What models charge: the tables that hold, and new ones.

use std::sync::Arc;

use turnwise_core::audit::Action;
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::id::Tenant;
use turnwise_core::limits::{BUSY_RETRY_AFTER, MAX_CONFLICT_RETRIES};
use turnwise_core::money::PicoUsd;
use turnwise_core::prices::import::with;
use turnwise_core::prices::{Diff, Doubt, PriceTable, Prices, diff};
use turnwise_core::time::Timestamp;
use turnwise_store::{MAX_TABLES, StoredPrices};

use crate::engine::Engine;
use crate::error::Error;
use crate::keys::check_tenant;
use crate::turn::Caller;

/// Most tables of a layer that wait for their day: fewer than are read, so that the one that
/// holds is always among these.
const MAX_PENDING: usize = 10;
const _: () = assert!(MAX_PENDING < MAX_TABLES);

/// A new table, and what is to become of it.
#[derive(Debug)]
pub struct Import {
    /// Whose it is; `None` for the deployment's.
    pub tenant: Option<Tenant>,
    /// The table.
    pub table: PriceTable,
    /// Whether it is taken in spite of doubts.
    pub is_confirmed: bool,
    /// Whether it is only looked at.
    pub is_dry_run: bool,
}

/// What an import came to.
#[derive(Debug)]
pub struct Imported {
    /// What it changes from the instant on from which it holds.
    pub diff: Diff,
    /// Why it had to be confirmed.
    pub doubts: Vec<Doubt>,
    /// Whether it was stored: not where it was only looked at.
    pub is_stored: bool,
}

impl Engine {
    /// What models charge `tenant`, at most a minute old.
    ///
    /// # Errors
    /// When the table does not answer: money does not fail open.
    pub async fn prices_of(&self, tenant: &Tenant) -> Result<Prices, Error> {
        let now = self.clock.now();
        let (own, deployment) = tokio::try_join!(self.seen_prices(Some(tenant), now), self.seen_prices(None, now))?;
        Ok(Prices::over(own, deployment))
    }

    /// The same for lists, which are to be had while the table is away: then by the operator's
    /// file and the catalogue alone, and the log says so. Nothing is charged by these.
    pub async fn prices_to_show(&self, tenant: &Tenant) -> Prices {
        self.prices_of(tenant).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the tables of prices cannot be read; lists show those of the program");
            Prices::over(Arc::default(), Arc::new(self.with_file(Vec::new())))
        })
    }

    /// The tables of a layer as they were imported, oldest first; the newest of them.
    ///
    /// # Errors
    /// [`Error::OperatorOnly`] for another tenant's.
    pub async fn price_tables(&self, caller: &Caller, tenant: Option<&Tenant>) -> Result<Vec<StoredPrices>, Error> {
        tenant.map_or(Ok(()), |tenant| check_tenant(caller, tenant))?;
        Ok(self.retry(|_| self.store.price_tables(tenant)).await?)
    }

    /// Takes a new table, if it may be believed. Only the operator may: an administrator of a
    /// tenant could lift its own budgets. The same table once more changes nothing.
    ///
    /// # Errors
    /// [`Error::OperatorOnly`]; [`Error::Invalid`] for a version that is another table's, and,
    /// unless it is confirmed, for a table that takes too many models away or changes a price
    /// too much.
    pub async fn import_prices(&self, caller: &Caller, import: &Import) -> Result<Imported, Error> {
        if !caller.grant.is_operator {
            return Err(Error::OperatorOnly);
        }
        let Import { tenant, table, is_confirmed, is_dry_run } = import;
        for round in 0..=MAX_CONFLICT_RETRIES {
            let now = self.clock.now();
            let stored = self.retry(|_| self.store.price_tables(tenant.as_ref())).await?;
            let before = self.prices_with(tenant.as_ref(), &stored).await?;
            let diff = diff(&before, &with(&before, table, tenant.is_some()), now.max(table.effective_from));
            let doubts = diff.doubts();
            if stored.iter().any(|known| known.table == *table) {
                return Ok(Imported { diff, doubts, is_stored: true });
            }
            check(table, &stored, now)?;
            if *is_dry_run {
                return Ok(Imported { diff, doubts, is_stored: false });
            }
            if !is_confirmed && !doubts.is_empty() {
                return Err(Error::Invalid(told(&doubts)));
            }
            let number = stored.last().map_or(0, |last| last.number) + 1;
            let (table, by) = (table.clone(), caller.api_key.clone());
            let new = StoredPrices { number, table, imported_at: now, imported_by: by };
            if self.store_prices(caller, tenant.as_ref(), &new, &diff).await? {
                return Ok(Imported { diff, doubts, is_stored: true });
            }
            self.pause(round).await;
        }
        Err(Error::ConversationBusy { retry_after: BUSY_RETRY_AFTER })
    }

    async fn store_prices(
        &self,
        caller: &Caller,
        tenant: Option<&Tenant>,
        new: &StoredPrices,
        diff: &Diff,
    ) -> Result<bool, Error> {
        let subject = tenant.map_or_else(|| "deployment".to_owned(), |tenant| format!("tenant {tenant}"));
        let audit = match tenant {
            Some(tenant) => self.audit_entry_of(caller, tenant, Action::PricesImport, subject),
            None => self.audit_entry(caller, Action::PricesImport, subject),
        };
        let counts = [("added", diff.added.len()), ("removed", diff.removed.len()), ("changed", diff.changed.len())];
        let audit = counts.into_iter().fold(audit, |audit, (name, count)| audit.detail(name, count));
        let audit = audit.detail("version", new.table.version.clone());
        let applied = self.retry(|_| self.store.import_prices(tenant, new, &audit)).await?;
        self.key_cache.forget_prices(tenant);
        Ok(applied)
    }

    /// The prices of whoever a layer holds for, with the layer's tables as they are `stored`.
    async fn prices_with(&self, tenant: Option<&Tenant>, stored: &[StoredPrices]) -> Result<Prices, Error> {
        let tables = |stored: &[StoredPrices]| stored.iter().map(|stored| stored.table.clone()).collect::<Vec<_>>();
        if tenant.is_none() {
            return Ok(Prices::over(Arc::default(), Arc::new(self.with_file(tables(stored)))));
        }
        let deployment = self.retry(|_| self.store.price_tables(None)).await?;
        Ok(Prices::over(Arc::new(tables(stored)), Arc::new(self.with_file(tables(&deployment)))))
    }

    /// The deployment's tables behind that of the operator's own file.
    pub(crate) fn with_file(&self, tables: Vec<PriceTable>) -> Vec<PriceTable> {
        self.price_file.iter().map(|table| PriceTable::clone(table)).chain(tables).collect()
    }
}

/// Whether a table may stand behind those that are `stored`.
fn check(table: &PriceTable, stored: &[StoredPrices], now: Timestamp) -> Result<(), Error> {
    let mut faults = Faults::default();
    if stored.iter().any(|known| known.table.version == table.version) {
        faults.add("table.version", format!("Another table has the version {:?}.", table.version));
    }
    let pending = stored.iter().filter(|known| known.table.effective_from > now).count();
    if pending >= MAX_PENDING && table.effective_from > now {
        faults.add("table.effective_from", format!("{pending} tables wait for their day already."));
    }
    faults.into_result().map_err(Error::Invalid)
}

/// Why a table was not taken, for whoever brought it.
fn told(doubts: &[Doubt]) -> Faults {
    let fault = |doubt: &Doubt| match doubt {
        Doubt::Shrinks { removed, before } => Fault::new(
            "table.models",
            format!(
                "{removed} of {before} models would have no price any more. Confirm the import if that is right, or \
                 make the table partial: then models that it does not have keep their prices."
            ),
        ),
        Doubt::Jumps(change) => {
            let amount = |price: Option<i128>| PicoUsd(price.unwrap_or(0)).to_string();
            let (before, after) = (amount(change.before), amount(change.after));
            let message = format!(
                "{} of {} would become {after} USD a token instead of {before}. Confirm the import if that is right.",
                change.field, change.model
            );
            Fault::new("table.models", message)
        }
    };
    Faults(doubts.iter().map(fault).collect())
}
