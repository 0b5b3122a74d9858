//! What a gateway was worth, from the counters of some days.

use super::UsageTotals;
use crate::money::PicoUsd;

/// How the numbers of [`Value`] come about, for whoever reads them.
pub const METHOD: [&str; 6] = [
    "Each kept answer whose model has a price is compared with the baseline model at its frozen price: the same input \
     tokens, none of them cached, and the output tokens that the answer actually had. Another model would have \
     written an answer of another length; that is not known and not estimated.",
    "routing: the baseline's cost less what the model that answered would have cost without any cache. \
     provider_cache: that cost less what was paid. response_cache: that cost, where an answer was given a second time. \
     The three add up to baseline less actual; each is negative where more was paid.",
    "failed_attempts, regenerations and embeddings cost money that no baseline stands against: they are subtracted.",
    "Calls of models without a price are in no amount. They are counted in unpriced.",
    "Answers of our own models (local/...) are not compared: nobody would have paid for them.",
    "The baseline of a line is the one that was set when it was written. Infrastructure and work are not in these \
     numbers; POST /v1/roi takes them.",
];

/// What was saved and lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// What the baseline would have cost, of the answers that are compared with it.
    pub baseline: PicoUsd,
    /// What these answers cost.
    pub actual: PicoUsd,
    /// Everything that was paid, losses included.
    pub paid: PicoUsd,
    /// Saved by the choice of the model.
    pub routing: PicoUsd,
    /// Saved by the response cache.
    pub response_cache: PicoUsd,
    /// Saved by providers' prompt caches.
    pub provider_cache: PicoUsd,
    /// What answers cost that broke off or came too late.
    pub failed_attempts: PicoUsd,
    /// What answers cost that were replaced.
    pub regenerations: PicoUsd,
    /// What embeddings cost.
    pub embeddings: PicoUsd,
    /// What is left of the savings when the losses are subtracted; it may be negative.
    pub net: PicoUsd,
    /// That, in millionths of the baseline; `None` without one.
    pub net_millionths: Option<i128>,
    /// Answers that are compared.
    pub compared: u64,
    /// Lines without a price.
    pub unpriced: u64,
}

impl Value {
    /// The value of the work that came to `totals`.
    #[must_use]
    pub fn of(totals: &UsageTotals) -> Self {
        let (baseline, saved) = (totals.baseline.0, totals.saved().0);
        let losses = totals.wasted_cost.0 + totals.regenerated_cost.0 + totals.embedding_cost.0;
        let net = saved - losses;
        Self {
            baseline: totals.baseline,
            actual: PicoUsd(baseline - saved),
            paid: totals.cost,
            routing: totals.saved_routing,
            response_cache: totals.saved_response_cache,
            provider_cache: totals.saved_provider_cache,
            failed_attempts: totals.wasted_cost,
            regenerations: totals.regenerated_cost,
            embeddings: totals.embedding_cost,
            net: PicoUsd(net),
            net_millionths: (baseline > 0).then(|| net.saturating_mul(1_000_000) / baseline),
            compared: totals.compared,
            unpriced: totals.unpriced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_subtracted_and_negatives_shown() {
        let totals = UsageTotals {
            baseline: PicoUsd(1_000),
            saved_routing: PicoUsd(-100),
            saved_response_cache: PicoUsd(300),
            saved_provider_cache: PicoUsd(50),
            wasted_cost: PicoUsd(400),
            regenerated_cost: PicoUsd(30),
            embedding_cost: PicoUsd(20),
            cost: PicoUsd(1_200),
            ..UsageTotals::default()
        };
        let value = Value::of(&totals);
        assert_eq!((value.actual, value.net), (PicoUsd(750), PicoUsd(-200)));
        assert_eq!(value.net_millionths, Some(-200_000));
        // What is paid is what was compared and what was lost.
        assert_eq!(value.paid.0, value.actual.0 + 400 + 30 + 20);
        assert_eq!(Value::of(&UsageTotals::default()).net_millionths, None);
    }
}
