//! What work that is no turn cost, written down.

use turnwise_core::id::AttemptId;
use turnwise_core::usage::Usage;
use turnwise_providers::Resolved;
use turnwise_store::{Counts, LedgerLine, Phase, RecordLedger};

use crate::engine::Engine;
use crate::turn::Caller;

/// What one call of a provider took.
pub(crate) struct Charge<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) attempt: &'a AttemptId,
    pub(crate) resolved: &'a Resolved,
    pub(crate) usage: Usage,
    pub(crate) phase: Phase,
}

impl Engine {
    /// Writes the ledger line, with the usage counters. The client has its answer either
    /// way; a line that cannot be written is an operator's matter and said as such.
    pub(crate) async fn record(&self, charge: &Charge<'_>) {
        let Charge { caller, attempt, resolved, usage, phase } = charge;
        let line = &LedgerLine {
            attempt: (*attempt).clone(),
            phase: *phase,
            turn: None,
            project: None,
            api_key: caller.api_key.clone(),
            model: resolved.name.clone(),
            usage: *usage,
            cost: resolved.price().map(|price| price.cost(usage)),
            price_version: self.price_version(),
            at: self.clock.now(),
            counts: Counts::default(),
        };
        let tenant = &caller.tenant;
        let shard = self.random.shard();
        let recorded = self.retry(|conflicts| async move {
            let shard = shard.wrapping_add(u8::try_from(conflicts % 256).unwrap_or(0));
            self.store.record_ledger(&RecordLedger { tenant, line, shard }).await
        });
        if let Err(error) = recorded.await {
            tracing::error!(%error, request.id = %caller.request_id, "a ledger line could not be written");
        }
    }
}
