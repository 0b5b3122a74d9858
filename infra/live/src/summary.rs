//! What came of the prompts of one model, in numbers. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use turnwise_core::money::PicoUsd;

use crate::ask::Outcome;
use crate::budget::Charge;

/// What came of the prompts of one model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// `provider/model`.
    pub(crate) model: String,
    /// Prompts that were asked.
    pub(crate) asked: usize,
    /// Those of them that were answered.
    pub(crate) answered: usize,
    /// `answered / asked`, from 0 to 1; null if none was asked.
    pub(crate) success_rate: Option<f64>,
    /// Prompts that were not asked, since the money was not there.
    pub(crate) left_out: usize,
    /// By category; what the API does not know: `NO_ANSWER`, `UNEXPECTED_ANSWER`,
    /// `RETRY_DIFFERS`.
    pub(crate) failures: BTreeMap<String, Failures>,
    /// By kind of prompt.
    pub(crate) kinds: BTreeMap<String, Kind>,
    /// Until an answer was there whole, buffered and streamed.
    pub(crate) latency: Spread,
    /// Until a stream said something.
    pub(crate) first_token: Spread,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    /// The exact sum of what the answers cost, useless ones too, in USD; null where the price is not known.
    pub(crate) cost_usd: Option<String>,
    #[serde(skip)]
    pub(crate) cost: Option<PicoUsd>,
}

/// Failures of one category.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Failures {
    pub(crate) count: usize,
    /// What the first of them said.
    pub(crate) example: String,
}

/// Prompts of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Kind {
    asked: usize,
    answered: usize,
}

/// Where the middle and the end of some times are; null where there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50_ms: Option<u64>,
    pub(crate) p95_ms: Option<u64>,
}

impl Summary {
    /// The summary of `outcomes`, each with its prompt's kind. `left_out` prompts were not
    /// asked.
    pub(crate) fn of(model: &str, outcomes: &[(&str, Outcome)], left_out: usize) -> Self {
        let mut summary = Self { model: model.to_owned(), left_out, ..Self::default() };
        for (kind, outcome) in outcomes {
            summary.add(kind, outcome);
        }
        let answered = outcomes.iter().map(|(_, outcome)| outcome).filter(|outcome| outcome.result.is_ok());
        summary.latency = Spread::of(answered.clone().map(|outcome| outcome.latency));
        summary.first_token = Spread::of(answered.filter_map(|outcome| outcome.first_token));
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^53 prompts")]
        let rate = summary.answered as f64 / summary.asked as f64;
        summary.success_rate = Some(rate).filter(|rate| rate.is_finite());
        summary.cost_usd = summary.cost.map(|cost| cost.to_string());
        summary
    }

    /// Whether prompts were asked, and all of those were answered.
    pub(crate) fn is_fine(&self) -> bool {
        self.asked > 0 && self.answered == self.asked
    }

    fn add(&mut self, kind: &str, outcome: &Outcome) {
        let of_kind = self.kinds.entry(kind.to_owned()).or_default();
        of_kind.asked += 1;
        self.asked += 1;
        self.input_tokens += outcome.tokens.input;
        self.output_tokens += outcome.tokens.output;
        if let Charge::Exactly(PicoUsd(cost)) = outcome.charge {
            self.cost = Some(PicoUsd(self.cost.map_or(0, |sum| sum.0) + cost));
        }
        match &outcome.result {
            Ok(()) => {
                of_kind.answered += 1;
                self.answered += 1;
            }
            Err(failure) => {
                let failures = self.failures.entry(failure.category.clone()).or_default();
                if failures.count == 0 {
                    failures.example.clone_from(&failure.message);
                }
                failures.count += 1;
            }
        }
    }
}

impl Spread {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        let at = |percent| percentile(&times, percent).and_then(|time| u64::try_from(time.as_millis()).ok());
        Self { p50_ms: at(50), p95_ms: at(95) }
    }
}

/// The smallest of `sorted` that is not below `percent` of them: the nearest rank.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Failure;
    use crate::ask::Tokens;

    fn check(times: &[u64], percent: usize, expected: Option<u64>) {
        let times: Vec<Duration> = times.iter().copied().map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, percent), expected.map(Duration::from_millis), "{times:?} {percent}");
    }

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        check(&[], 50, None);
        check(&[7], 50, Some(7));
        check(&[7], 95, Some(7));
        check(&[1, 2], 50, Some(1));
        check(&[1, 2, 3], 50, Some(2));
        let hundred: Vec<u64> = (1..=100).collect();
        check(&hundred, 50, Some(50));
        check(&hundred, 95, Some(95));
        check(&hundred[..20], 95, Some(19));
        check(&hundred[..21], 95, Some(20));
    }

    fn outcome(ms: u64, result: Result<(), Failure>, charge: Charge) -> Outcome {
        let first_token = result.is_ok().then_some(Duration::from_millis(ms / 2));
        let tokens = Tokens { input: 10, output: 3 };
        Outcome { latency: Duration::from_millis(ms), first_token, result, tokens, charge }
    }

    #[test]
    fn a_summary_counts_and_adds_up() {
        let failed = |message: &str| Err(Failure::new("RATE_LIMIT_ERROR", message));
        let paid = |pico| Charge::Exactly(PicoUsd(pico));
        let outcomes = [
            ("facts", outcome(10, Ok(()), paid(1))),
            ("facts", outcome(9999, failed("first"), Charge::Nothing)),
            ("code", outcome(30, Ok(()), paid(1_000_000_000_000))),
            ("code", outcome(9999, failed("second"), paid(2))),
        ];
        let summary = Summary::of("openai/m", &outcomes, 3);
        assert_eq!((summary.asked, summary.answered, summary.left_out), (4, 2, 3));
        assert_eq!(summary.success_rate, Some(0.5));
        assert_eq!((summary.input_tokens, summary.output_tokens), (40, 12));
        assert_eq!(summary.cost_usd.as_deref(), Some("1.000000000003"), "an answer that is none was paid too");
        let failures = Failures { count: 2, example: "first".to_owned() };
        assert_eq!(summary.failures, BTreeMap::from([("RATE_LIMIT_ERROR".to_owned(), failures)]));
        assert_eq!(summary.kinds["code"], Kind { asked: 2, answered: 1 });
        assert_eq!(summary.latency, Spread { p50_ms: Some(10), p95_ms: Some(30) }, "of answers alone");
        assert_eq!(summary.first_token, Spread { p50_ms: Some(5), p95_ms: Some(15) });
        assert!(!summary.is_fine());
    }

    #[test]
    fn nothing_asked_is_no_rate_and_not_fine() {
        let summary = Summary::of("openai/m", &[], 5);
        assert_eq!((summary.success_rate, summary.cost_usd.clone()), (None, None));
        assert!(!summary.is_fine());
    }
}
