//! What an attempt cost, written down.

use turnwise_core::access::TenantSettings;
use turnwise_core::fault::Fault;
use turnwise_core::id::AttemptId;
use turnwise_core::ledger::{Baseline, Bill, Counts, LedgerLine, Origin, Phase, Work};
use turnwise_core::prices::Prices;
use turnwise_core::task::Task;
use turnwise_core::usage::Usage;
use turnwise_providers::Resolved;
use turnwise_store::RecordLedger;

use crate::engine::Engine;
use crate::turn::Caller;
use crate::upstream::Effort;

/// What one attempt took.
pub(crate) struct Charge<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) attempt: &'a AttemptId,
    /// What the request is for.
    pub(crate) task: Option<&'a Task>,
    pub(crate) work: Work,
    pub(crate) origin: Origin,
    /// Who answered, or was asked.
    pub(crate) resolved: &'a Resolved,
    pub(crate) usage: Usage,
    pub(crate) phase: Phase,
    pub(crate) effort: Effort,
}

impl Engine {
    /// The line of the ledger for `charge`, at today's prices. It belongs to no turn.
    pub(crate) fn ledger_line(&self, charge: &Charge<'_>) -> LedgerLine {
        let Charge { caller, attempt, task, work, origin, resolved, usage, phase, effort } = charge;
        let settings = &caller.grant.settings;
        let baseline = self.baseline_of(settings).filter(|_| is_compared(resolved, *work));
        let price = resolved.price();
        let bill = Bill::of(price.as_ref(), baseline.as_ref(), usage, *phase, *origin);
        LedgerLine {
            attempt: (*attempt).clone(),
            phase: *phase,
            origin: *origin,
            work: *work,
            turn: None,
            project: None,
            api_key: caller.api_key.clone(),
            task: task.cloned(),
            model: resolved.name.clone(),
            usage: *usage,
            cost: bill.cost,
            meters: bill.meters,
            uncached: bill.uncached,
            baseline: bill.baseline,
            price_version: resolved.price_version(),
            calls: effort.calls,
            is_fallback: effort.is_fallback,
            latency_ms: effort.latency_ms(),
            at: self.clock.now(),
            counts: Counts::default(),
        }
    }

    /// What the answers of a tenant with `settings` are compared with; `None` where nothing was
    /// named and the catalogue does not have what is usual.
    #[must_use]
    pub fn baseline_of(&self, settings: &TenantSettings) -> Option<Baseline> {
        settings.baseline.as_deref().or(self.baseline.as_deref()).cloned()
    }

    /// The model `name`, as `provider/model` or by its bare name, with its price in `prices` as
    /// of now, also where its provider is not configured.
    ///
    /// # Errors
    /// A fault of no field where there is no such model, none with a price, or one of another
    /// kind than for answers.
    pub fn listed_price(&self, prices: &Prices, name: &str) -> Result<Baseline, Fault> {
        Baseline::of("", name, prices, self.clock.now())
    }

    /// Writes the line of work that is no turn, with the usage counters. The client has its
    /// answer either way; a line that cannot be written is an operator's matter and said as
    /// such.
    pub(crate) async fn record(&self, charge: &Charge<'_>) {
        let line = &self.ledger_line(charge);
        let tenant = &charge.caller.tenant;
        let shard = self.random.shard();
        let recorded = self.retry(|conflicts| async move {
            let shard = shard.wrapping_add(u8::try_from(conflicts % 256).unwrap_or(0));
            self.store.record_ledger(&RecordLedger { tenant, line, shard }).await
        });
        if let Err(error) = recorded.await {
            tracing::error!(%error, request.id = %charge.caller.request_id, "a ledger line could not be written");
        }
    }
}

/// Whether work is compared with a baseline. Embeddings are not, nor are our own models: they
/// are there to try things out, and nobody would have paid for that.
fn is_compared(resolved: &Resolved, work: Work) -> bool {
    work == Work::Answer && !resolved.is_local()
}
