//! Amounts made shorter for people. What is stored stays exact.

use crate::money::PicoUsd;

/// Decimals in which amounts are exact.
const EXACT_DECIMALS: u32 = 12;

/// `amount` divided by `by`, the nearest whole number; of two that are as near the even one.
/// Nothing is divided by less than 1.
#[must_use]
pub fn half_even(amount: i128, by: i128) -> i128 {
    let by = by.max(1);
    let (whole, rest) = (amount.div_euclid(by), amount.rem_euclid(by));
    // No doubling: it could overflow.
    let (is_more, is_half) = (rest > by - rest, rest == by - rest);
    let is_odd = whole.rem_euclid(2) == 1;
    whole + i128::from(is_more || (is_half && is_odd))
}

/// `amount` times a rate in millionths, rounded half to even.
#[must_use]
pub fn times_millionths(amount: PicoUsd, millionths: u64) -> PicoUsd {
    PicoUsd(half_even(amount.0.saturating_mul(millionths.into()), MILLION))
}

/// One, in millionths.
pub const MILLION: i128 = 1_000_000;

/// `amount` in USD with `decimals` decimals, 0 to 12, rounded half to even: `0.10`.
#[must_use]
pub fn shown(amount: PicoUsd, decimals: u32) -> String {
    written(half_even(amount.0, unit(decimals)), decimals)
}

/// Each of `lines` with `decimals` decimals, so that together they are what their sum is when
/// it is [`shown`]: all are rounded down, and the units that are missing then go to those that
/// lost most, the first of equals first.
#[must_use]
pub fn shown_lines(lines: &[PicoUsd], decimals: u32) -> Vec<String> {
    let unit = unit(decimals);
    let sum: i128 = lines.iter().map(|line| line.0).sum();
    let mut units: Vec<i128> = lines.iter().map(|line| line.0.div_euclid(unit)).collect();
    let missing = half_even(sum, unit) - units.iter().sum::<i128>();
    let mut by_loss: Vec<usize> = (0..lines.len()).collect();
    by_loss.sort_by_key(|&line| std::cmp::Reverse(lines[line].0.rem_euclid(unit)));
    // Less than one unit is lost by each line, so there are never more of them than lines.
    for line in by_loss.into_iter().take(usize::try_from(missing).unwrap_or(0)) {
        units[line] += 1;
    }
    units.into_iter().map(|units| written(units, decimals)).collect()
}

/// The smallest amount that so many decimals show, in pico-USD.
fn unit(decimals: u32) -> i128 {
    10_i128.pow(EXACT_DECIMALS - decimals.min(EXACT_DECIMALS))
}

fn written(units: i128, decimals: u32) -> String {
    let decimals = decimals.min(EXACT_DECIMALS);
    let sign = if units < 0 { "-" } else { "" };
    let one = 10_u128.pow(decimals);
    let (whole, part) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
    if decimals == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{part:0width$}", width = decimals as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        let check = |amount: i128, by: i128, expected: i128| assert_eq!(half_even(amount, by), expected, "{amount}");
        check(5, 10, 0);
        check(6, 10, 1);
        check(15, 10, 2);
        check(25, 10, 2);
        check(-5, 10, 0);
        check(-15, 10, -2);
        check(-16, 10, -2);
        check(i128::MAX, 1, i128::MAX);
        check(7, 0, 7);
    }

    #[test]
    fn amounts_are_shown_with_as_many_decimals() {
        let check = |pico: i128, decimals: u32, expected: &str| assert_eq!(shown(PicoUsd(pico), decimals), expected);
        check(96_000_000, 6, "0.000096");
        check(96_000_000, 4, "0.0001");
        check(96_000_000, 2, "0.00");
        check(1_005_000_000_000, 2, "1.00");
        check(1_015_000_000_000, 2, "1.02");
        check(-2_500_000_000_000, 0, "-2");
        check(-1_500_000_000_000, 1, "-1.5");
        check(7, 12, "0.000000000007");
    }

    #[test]
    fn lines_add_up_to_their_total() {
        let third = PicoUsd(333_333_333_333);
        assert_eq!(shown_lines(&[third, third, PicoUsd(333_333_333_334)], 2), ["0.33", "0.33", "0.34"]);
        assert_eq!(shown_lines(&[PicoUsd(5_000_000_000); 3], 2), ["0.01", "0.01", "0.00"]);
        assert_eq!(shown_lines(&[], 2), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn shown_lines_add_up_whatever_they_are(
            lines in prop::collection::vec(-10_i128.pow(15)..10_i128.pow(15), 0..20),
            decimals in 0_u32..=12,
        ) {
            let lines: Vec<PicoUsd> = lines.into_iter().map(PicoUsd).collect();
            let digits = |text: &String| text.replace('.', "").parse::<i128>().unwrap();
            let total = PicoUsd(lines.iter().map(|line| line.0).sum());
            let sum: i128 = shown_lines(&lines, decimals).iter().map(digits).sum();
            prop_assert_eq!(sum, digits(&shown(total, decimals)));
        }
    }
}
