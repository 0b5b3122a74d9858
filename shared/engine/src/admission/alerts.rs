//! Somebody is told how much of a budget is spent: once for each share, day and month, by
//! whoever marks it in the account's row first.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use turnwise_core::access::Grant;
use turnwise_core::admission::{Account, Crossing, Owner, crossings, tell, told_by};
use turnwise_core::time::Timestamp;
use turnwise_providers::webhook::{RefusedUrl, Webhooks};
use turnwise_store::{AccountId, AccountWritten, Error};

use super::rule;
use crate::engine::Engine;

/// Pauses before a delivery is tried again: what restarts has time to.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The share of a budget at which nothing is let in any more.
const ALL: u8 = 100;

/// Where alerts go.
#[derive(Debug, Clone, Default)]
pub struct Alerts {
    /// The operator's address: for tenants that have none of their own.
    pub webhook: Option<String>,
    /// How they get there.
    pub webhooks: Webhooks,
}

impl Engine {
    /// Whether alerts may be sent to `url`; the sentence says why not.
    ///
    /// # Errors
    /// Why not.
    pub fn check_webhook(&self, url: &str) -> Result<(), RefusedUrl> {
        self.alerts.webhooks.check(url)
    }

    /// Tells, in the background, of the shares of its budgets that `account` has reached.
    pub(super) fn tell_of_account(&self, grant: &Arc<Grant>, id: &AccountId, account: &Account) {
        self.tell_of(grant, id, account, crossings(account, &rule(grant, id.owner)));
    }

    /// Tells, in the background, of `crossed` shares that nobody has told of.
    pub(super) fn tell_of(&self, grant: &Arc<Grant>, id: &AccountId, account: &Account, crossed: Vec<Crossing>) {
        if crossed.is_empty() {
            return;
        }
        let (engine, grant, id, account) = (self.clone(), Arc::clone(grant), id.clone(), account.clone());
        self.tasks.spawn(async move {
            for crossing in crossed {
                match engine.mark(&id, &account, &crossing).await {
                    Ok(true) => engine.alert(&grant, &id, &crossing).await,
                    Ok(false) => {}
                    // Whoever spends next looks again.
                    Err(error) => tracing::warn!(%error, "an alert could not be marked as told"),
                }
            }
        });
    }

    /// Whether this process is the one to tell of `crossing`.
    async fn mark(&self, id: &AccountId, account: &Account, crossing: &Crossing) -> Result<bool, Error> {
        let teller = self.random.number();
        Ok(match self.write(id, &tell(account, crossing, teller)).await? {
            AccountWritten::Applied(_) => true,
            // The reply to the write itself may have been lost.
            AccountWritten::Refused(now) => told_by(&now, crossing, teller),
        })
    }

    async fn alert(&self, grant: &Grant, id: &AccountId, crossing: &Crossing) {
        let now = self.clock.now();
        let (owner, period) = (id.owner.name(), crossing.period.name());
        let (spent, limit) = (crossing.spent, crossing.limit);
        if crossing.percent == ALL {
            tracing::error!(alarm = true, tenant = %id.tenant, account.owner = owner, key.id = id.key, budget.period = period,
                budget.percent = crossing.percent, budget.spent_usd = %spent, budget.limit_usd = %limit, "a budget is used up");
        } else {
            tracing::warn!(tenant = %id.tenant, account.owner = owner, key.id = id.key, budget.period = period,
                budget.percent = crossing.percent, budget.spent_usd = %spent, budget.limit_usd = %limit,
                "a share of a budget is spent");
        }
        let Some(url) = grant.settings.alert_webhook.as_ref().or(self.alerts.webhook.as_ref()) else { return };
        self.deliver(url, &body(id, crossing, now)).await;
    }

    async fn deliver(&self, url: &str, body: &str) {
        let mut pauses = PAUSES.into_iter();
        loop {
            let Err(error) = self.alerts.webhooks.deliver(url, body, self.clock.now().as_secs()).await else { return };
            match pauses.next() {
                Some(pause) => self.clock.sleep(pause).await,
                None => {
                    tracing::warn!(%error, "an alert was not delivered to its webhook");
                    return;
                }
            }
        }
    }
}

/// What a webhook is told.
fn body(id: &AccountId, crossing: &Crossing, now: Timestamp) -> String {
    let key = (id.owner == Owner::Key).then_some(&id.key);
    json!({
        "type": "budget.threshold",
        "tenant": id.tenant,
        "scope": id.owner.name(),
        "key_id": key,
        "period": crossing.period.name(),
        "percent": crossing.percent,
        "spent_usd": crossing.spent.to_string(),
        "limit_usd": crossing.limit.to_string(),
        "resets_at": crossing.period.end(now).to_string(),
        "at": now.to_string(),
    })
    .to_string()
}
