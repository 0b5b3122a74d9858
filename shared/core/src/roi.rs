//! Whether a gateway pays, for work that somebody assumes.

use crate::fault::Faults;
use crate::ledger::Baseline;
use crate::money::{PicoUsd, Price};
use crate::rounding::{MILLION, half_even, times_millionths};
use crate::usage::{Source, Usage};

/// Most requests a month: a thousand times what the largest gateways serve, so that a larger
/// number is a mistake in its unit.
pub const MAX_REQUESTS: u64 = 10_000_000_000;

/// Most tokens of one request, each way: more than any model takes.
pub const MAX_TOKENS: u64 = 10_000_000;

/// Most models in a mix: as many as anybody tells apart in a table.
pub const MAX_MIX: usize = 20;

/// Highest rate of repeated answers, in millionths: one in each request.
pub const MAX_RETRY_MILLIONTHS: u64 = 1_000_000;

/// Most hours that setting it up takes: two years of five people's work.
pub const MAX_SETUP_HOURS: u64 = 20_000;

/// Highest amount of any field in USD, a month or an hour.
pub const MAX_USD: PicoUsd = PicoUsd(1_000_000_000 * 1_000_000_000_000);

/// One, in millionths, as rates have it.
const WHOLE: u64 = 1_000_000;

/// One model of a mix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `provider/model`.
    pub model: String,
    /// Its prices.
    pub price: Price,
    /// Its share of the requests, in millionths.
    pub millionths: u64,
}

/// The work that is assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumed {
    /// Requests a month.
    pub requests: u64,
    /// Input tokens of one, on average.
    pub input_tokens: u64,
    /// Output tokens of one, on average.
    pub output_tokens: u64,
    /// What would answer without the gateway.
    pub baseline: Baseline,
    /// What answers with it; the shares add up to one.
    pub mix: Vec<Part>,
    /// Requests that the response cache answers, in millionths.
    pub cache_hit_millionths: u64,
    /// Answers that are paid for once more, in millionths of those that are paid for.
    pub retry_millionths: u64,
    /// What running it costs in a month.
    pub infrastructure: PicoUsd,
    /// Hours of work before it runs, in hundredths.
    pub setup_centihours: u64,
    /// What one of them costs.
    pub hourly_rate: PicoUsd,
}

/// What comes of it, in a month unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roi {
    /// What the baseline costs.
    pub baseline: PicoUsd,
    /// What the mix costs, retries included and cached answers not.
    pub models: PicoUsd,
    /// That and the infrastructure.
    pub actual: PicoUsd,
    /// The baseline less that; negative where it does not pay.
    pub net: PicoUsd,
    /// Saved by one request before infrastructure.
    pub saved_a_request: PicoUsd,
    /// What setting it up costs, once.
    pub setup: PicoUsd,
    /// Months until the setup is paid back, in hundredths; `None` where it never is.
    pub payback_centimonths: Option<i128>,
    /// Requests a month at which the savings are the infrastructure's cost; `None` where no
    /// number of requests is enough.
    pub break_even_requests: Option<i128>,
    /// The net savings of the first twelve months less the setup.
    pub first_year: PicoUsd,
}

impl Assumed {
    /// What it comes to.
    ///
    /// # Errors
    /// A fault of every field that cannot be.
    pub fn roi(&self) -> Result<Roi, Faults> {
        self.check()?;
        let (input, output) = (self.input_tokens, self.output_tokens);
        let source = Source::Estimated;
        let usage = Usage { input, cache_read: 0, cache_write: 0, cache_write_1h: 0, output, reasoning: 0, source };
        let baseline_each = self.baseline.price.cost(&usage);
        let weighed = |part: &Part| part.price.cost(&usage).0.saturating_mul(part.millionths.into());
        let mix_each = PicoUsd(half_even(self.mix.iter().map(weighed).sum(), MILLION));
        let paid = times_millionths(mix_each, WHOLE - self.cache_hit_millionths);
        let each = times_millionths(paid, WHOLE + self.retry_millionths);
        let times = |amount: PicoUsd| PicoUsd(amount.0.saturating_mul(self.requests.into()));

        let (baseline, models) = (times(baseline_each), times(each));
        let actual = PicoUsd(models.0 + self.infrastructure.0);
        let net = PicoUsd(baseline.0 - actual.0);
        let saved = PicoUsd(baseline_each.0 - each.0);
        let setup = PicoUsd(half_even(self.hourly_rate.0.saturating_mul(self.setup_centihours.into()), 100));
        // Rounded up: one request less, or one hundredth of a month, is not enough.
        let up = |amount: i128, by: i128| (amount + by - 1) / by;
        Ok(Roi {
            baseline,
            models,
            actual,
            net,
            saved_a_request: saved,
            setup,
            payback_centimonths: (net.0 > 0).then(|| up(setup.0.saturating_mul(100), net.0)),
            break_even_requests: (saved.0 > 0).then(|| up(self.infrastructure.0, saved.0)),
            first_year: PicoUsd(net.0.saturating_mul(12) - setup.0),
        })
    }

    fn check(&self) -> Result<(), Faults> {
        let mut faults = Faults::default();
        let mut within = |field: &str, number: u64, least: u64, most: u64, what: &str| {
            if !(least..=most).contains(&number) {
                faults.add(field, format!("Expected {least} to {most} {what}, got {number}."));
            }
        };
        within("requests_per_month", self.requests, 1, MAX_REQUESTS, "requests");
        within("input_tokens", self.input_tokens, 0, MAX_TOKENS, "tokens");
        within("output_tokens", self.output_tokens, 0, MAX_TOKENS, "tokens");
        within("setup_hours", self.setup_centihours / 100, 0, MAX_SETUP_HOURS, "hours");
        for (field, rate, most) in [
            ("cache_hit_rate", self.cache_hit_millionths, WHOLE),
            ("retry_rate", self.retry_millionths, MAX_RETRY_MILLIONTHS),
        ] {
            if rate > most {
                faults.add(field, "Expected a rate from 0 to 1.");
            }
        }
        for (field, amount) in
            [("infrastructure_usd_per_month", self.infrastructure), ("hourly_rate_usd", self.hourly_rate)]
        {
            if amount.0 < 0 || amount > MAX_USD {
                faults.add(field, format!("Expected 0 to {MAX_USD} USD."));
            }
        }
        if self.input_tokens + self.output_tokens == 0 {
            faults.add("input_tokens", "A request has tokens: input_tokens and output_tokens are both 0.");
        }
        let shares: u64 = self.mix.iter().map(|part| part.millionths.min(WHOLE)).sum();
        if self.mix.is_empty() || self.mix.len() > MAX_MIX {
            faults.add("mix", format!("Expected 1 to {MAX_MIX} models."));
        } else if shares != WHOLE || self.mix.iter().any(|part| part.millionths > WHOLE) {
            faults.add("mix", "The shares must add up to 1.");
        }
        faults.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USD: i128 = 1_000_000_000_000;

    fn assumed() -> Assumed {
        let baseline = Baseline {
            model: "a/dear".to_owned(),
            price: Price::of(2_000_000, 8_000_000),
            price_version: "1".to_owned(),
        };
        let part = |price: Price, millionths| Part { model: "a/b".to_owned(), price, millionths };
        Assumed {
            requests: 1_000_000,
            input_tokens: 1_000,
            output_tokens: 500,
            baseline,
            mix: vec![part(Price::of(150_000, 600_000), 800_000), part(Price::of(2_000_000, 8_000_000), 200_000)],
            cache_hit_millionths: 100_000,
            retry_millionths: 50_000,
            infrastructure: PicoUsd(100 * USD),
            setup_centihours: 4_000,
            hourly_rate: PicoUsd(100 * USD),
        }
    }

    #[test]
    fn a_mix_is_compared_with_the_baseline() {
        let roi = assumed().roi().unwrap();
        // 1000 x 2 + 500 x 8 = 6 thousandths of a USD each.
        assert_eq!(roi.baseline, PicoUsd(6_000 * USD));
        // (0.8 x 0.00045 + 0.2 x 0.006) x 0.9 x 1.05 = 0.0014742 each.
        assert_eq!(roi.models, PicoUsd(14_742 * USD / 10));
        assert_eq!(roi.actual, PicoUsd(15_742 * USD / 10));
        assert_eq!(roi.net, PicoUsd(44_258 * USD / 10));
        assert_eq!(roi.setup, PicoUsd(4_000 * USD));
        assert_eq!(roi.payback_centimonths, Some(91));
        // 100 / 0.0045258 = 22095.5.
        assert_eq!(roi.break_even_requests, Some(22_096));
        assert_eq!(roi.first_year, PicoUsd(roi.net.0 * 12 - 4_000 * USD));
    }

    #[test]
    fn what_never_pays_has_no_payback() {
        let mut assumed = assumed();
        assumed.baseline.price = Price::of(1, 1);
        let roi = assumed.roi().unwrap();
        assert!(roi.net.0 < 0 && roi.saved_a_request.0 < 0);
        assert_eq!((roi.payback_centimonths, roi.break_even_requests), (None, None));
    }

    #[test]
    fn absurd_parameters_are_told_all_at_once() {
        let bad = Assumed {
            requests: 0,
            input_tokens: MAX_TOKENS + 1,
            output_tokens: MAX_TOKENS + 1,
            cache_hit_millionths: WHOLE + 1,
            retry_millionths: MAX_RETRY_MILLIONTHS + 1,
            infrastructure: PicoUsd(-1),
            setup_centihours: (MAX_SETUP_HOURS + 1) * 100,
            hourly_rate: PicoUsd(MAX_USD.0 + 1),
            mix: Vec::new(),
            ..assumed()
        };
        let fields: Vec<String> = bad.roi().unwrap_err().0.into_iter().map(|fault| fault.field).collect();
        let expected = [
            "requests_per_month",
            "input_tokens",
            "output_tokens",
            "setup_hours",
            "cache_hit_rate",
            "retry_rate",
            "infrastructure_usd_per_month",
            "hourly_rate_usd",
            "mix",
        ];
        assert_eq!(fields, expected);
        let mut odd = assumed();
        odd.mix[0].millionths -= 1;
        assert_eq!(odd.roi().unwrap_err().first_field(), Some("mix"));
        let none = Assumed { input_tokens: 0, output_tokens: 0, ..assumed() };
        assert_eq!(none.roi().unwrap_err().first_field(), Some("input_tokens"));
        let most = Assumed { requests: MAX_REQUESTS, input_tokens: MAX_TOKENS, output_tokens: MAX_TOKENS, ..assumed() };
        assert!(most.roi().is_ok());
    }
}
