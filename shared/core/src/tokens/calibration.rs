//! What providers' own counts teach about the estimate.

use std::collections::HashMap;

/// Models that are remembered. More than one process serves in its life, and few enough to be
/// looked through when one has to go.
const MAX_MODELS: usize = 256;

/// How much one report moves the ratio, in percent: after ten requests of a new kind of text
/// two thirds of the way are done.
const WEIGHT_PERCENT: u64 = 10;

/// Fewest tokens of a request that teaches: below, what stands around its text says more
/// than the text does.
const LEAST_TOKENS: u64 = 256;

/// A report that differs from the estimate by more than this factor is about something else
/// (a provider that counts only what its cache did not have, an image behind an address) and
/// teaches nothing.
const BELIEVABLE: u64 = 4;

/// One in [`Scale`].
const ONE: u64 = 1_000;

/// A factor for estimates, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale(u64);

impl Scale {
    /// As it is.
    pub const ONE: Self = Self(ONE);
    /// The least that reports make of an estimate.
    pub const LEAST: Self = Self(500);
    /// The most.
    pub const MOST: Self = Self(2_000);

    /// `percent` hundredths.
    #[must_use]
    pub const fn percent(percent: u64) -> Self {
        Self(percent * 10)
    }

    /// Both, one after the other.
    #[must_use]
    pub const fn then(self, other: Self) -> Self {
        Self(self.0 * other.0 / ONE)
    }

    /// So many of `tokens`, rounded up.
    #[must_use]
    pub const fn of(self, tokens: u64) -> u64 {
        tokens.saturating_mul(self.0).div_ceil(ONE)
    }

    /// The most of which it makes no more than `tokens`.
    #[must_use]
    pub const fn before(self, tokens: u64) -> u64 {
        tokens.saturating_mul(ONE) / if self.0 == 0 { 1 } else { self.0 }
    }

    fn ratio(reported: u64, estimated: u64) -> Self {
        let thousandths = reported.saturating_mul(ONE) / estimated.max(1);
        Self(thousandths.clamp(Self::LEAST.0, Self::MOST.0))
    }

    fn toward(self, other: Self) -> Self {
        Self((self.0 * (100 - WEIGHT_PERCENT) + other.0 * WEIGHT_PERCENT + 50) / 100)
    }
}

/// For each model, how many tokens its provider reported for one that was estimated: a mean
/// in which what is newer weighs more. Holds at most 256 models, and no text.
#[derive(Debug, Clone, Default)]
pub struct Calibration {
    models: HashMap<String, Learned>,
    /// Reports so far: the time of this clock.
    reports: u64,
}

#[derive(Debug, Clone, Copy)]
struct Learned {
    scale: Scale,
    reported_at: u64,
}

impl Calibration {
    /// What an estimate for `model` is to be multiplied with.
    #[must_use]
    pub fn scale(&self, model: &str) -> Scale {
        self.models.get(model).map_or(Scale::ONE, |learned| learned.scale)
    }

    /// Learns that a provider reported so many input tokens for a whole request of text to
    /// `model`, which was estimated without what was learned before.
    pub fn learn(&mut self, model: &str, reported: u64, estimated: u64) {
        let is_large = reported.max(estimated) >= LEAST_TOKENS;
        let differs = reported.max(estimated) / reported.min(estimated).max(1) >= BELIEVABLE;
        if !is_large || differs {
            return;
        }
        self.reports += 1;
        let (ratio, reported_at) = (Scale::ratio(reported, estimated), self.reports);
        if let Some(learned) = self.models.get_mut(model) {
            *learned = Learned { scale: learned.scale.toward(ratio), reported_at };
            return;
        }
        if self.models.len() >= MAX_MODELS {
            let oldest = self.models.iter().min_by_key(|(_, learned)| learned.reported_at);
            if let Some(oldest) = oldest.map(|(model, _)| model.clone()) {
                self.models.remove(&oldest);
            }
        }
        // From the family's factor one report goes as far as any other: it may be unusual.
        self.models.insert(model.to_owned(), Learned { scale: Scale::ONE.toward(ratio), reported_at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reports: &[(u64, u64)]) -> u64 {
        let mut calibration = Calibration::default();
        reports.iter().for_each(|(reported, estimated)| calibration.learn("m", *reported, *estimated));
        calibration.scale("m").of(1_000)
    }

    #[test]
    fn a_ratio_comes_near_what_is_reported_step_by_step() {
        assert_eq!(after(&[]), 1_000);
        assert_eq!(after(&[(2_000, 2_000)]), 1_000);
        assert_eq!(after(&[(3_000, 2_000)]), 1_050);
        assert_eq!(after(&[(1_000, 2_000)]), 950);
        let many = after(&[(3_000, 2_000); 60]);
        assert!((1_490..=1_500).contains(&many), "{many}");
        let turned = after(&[[(3_000, 2_000); 60], [(2_000, 2_000); 60]].concat());
        assert!((1_000..=1_010).contains(&turned), "{turned}");
    }

    #[test]
    fn it_stays_between_a_half_and_two() {
        let most = after(&[(3_000, 1_000); 100]);
        assert!((1_990..=2_000).contains(&most), "{most}");
        let least = after(&[(1_000, 3_000); 100]);
        assert!((500..=510).contains(&least), "{least}");
    }

    #[test]
    fn small_requests_and_reports_about_something_else_teach_nothing() {
        for (reported, estimated) in
            [(LEAST_TOKENS - 1, 100), (0, 0), (10, 40_000), (4_000, 1_000), (1_000, 4_000), (0, 300)]
        {
            assert_eq!(after(&[(reported, estimated)]), 1_000, "{reported} {estimated}");
        }
        assert_ne!(after(&[(LEAST_TOKENS, 200)]), 1_000);
        assert_ne!(after(&[(3_999, 1_000)]), 1_000);
    }

    #[test]
    fn models_are_apart_and_the_one_longest_unheard_of_goes() {
        let mut calibration = Calibration::default();
        let name = |number: usize| format!("provider/model-{number}");
        for number in 0..MAX_MODELS {
            calibration.learn(&name(number), 3_000, 2_000);
        }
        calibration.learn(&name(0), 3_000, 2_000);
        calibration.learn("new", 1_000, 2_000);
        assert_eq!(calibration.models.len(), MAX_MODELS);
        assert_eq!(calibration.scale(&name(1)), Scale::ONE);
        assert_ne!(calibration.scale(&name(0)), Scale::ONE);
        assert_eq!(calibration.scale("new").of(1_000), 950);
    }

    #[test]
    fn scales_follow_one_another_and_round_up() {
        assert_eq!(Scale::percent(150).then(Scale::percent(50)).of(1_000), 750);
        assert_eq!((Scale::percent(110).of(1), Scale::ONE.of(7), Scale::percent(135).of(0)), (2, 7, 0));
        for tokens in 0..100 {
            let before = Scale::percent(135).before(tokens);
            assert!(Scale::percent(135).of(before) <= tokens && Scale::percent(135).of(before + 1) > tokens);
        }
        assert_eq!(Scale::MOST.of(u64::MAX), u64::MAX.div_ceil(1_000));
    }
}
