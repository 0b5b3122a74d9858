//! Whether the counters say what the ledger says.

use std::collections::BTreeMap;

use super::{LedgerLine, Origin, UsageRow, UsageTotals};
use crate::id::ProjectId;
use crate::task::Task;
use crate::time::Timestamp;

/// Which counter: its day, provider, model, project, key and task.
type Place = (Timestamp, String, String, Option<ProjectId>, String, Option<Task>);

/// A counter that is not what the ledger's lines come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which; its totals are what the ledger says.
    pub row: UsageRow,
    /// What was counted.
    pub counted: UsageTotals,
}

impl Difference {
    /// Each number that differs: its name, what was counted, what the ledger says.
    #[must_use]
    pub fn numbers(&self) -> Vec<(&'static str, i128, i128)> {
        let both = self.counted.counters().into_iter().zip(self.row.totals.counters());
        both.filter(|(counted, told)| counted != told)
            .map(|((name, counted), (_, told))| (name, counted, told))
            .collect()
    }

    /// What has to be added to the counter for it to say what the ledger says, by name.
    #[must_use]
    pub fn missing(&self) -> Vec<(&'static str, i128)> {
        self.numbers().into_iter().map(|(name, counted, told)| (name, told - counted)).collect()
    }
}

/// What a comparison came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Counters that differ.
    pub differences: Vec<Difference>,
    /// Counters that nothing can be said of: some of their lines were written before lines
    /// told everything that is counted.
    pub untold: u64,
}

/// Compares what `lines` come to with the counters `rows` of the same days.
#[must_use]
pub fn compared(lines: &[LedgerLine], rows: &[UsageRow]) -> Compared {
    // What the ledger says, what is counted, and whether the former is the whole story.
    let mut places: BTreeMap<Place, (UsageTotals, UsageTotals, bool)> = BTreeMap::new();
    for line in lines {
        let UsageRow { day, provider, model, project, api_key, task, totals } = UsageRow::of(line);
        if totals == UsageTotals::default() {
            continue;
        }
        let entry = places.entry((day, provider, model, project, api_key, task)).or_insert_with(whole);
        entry.0.add(&totals);
        entry.2 &= tells_all(line);
    }
    for row in rows {
        let UsageRow { day, provider, model, project, api_key, task, totals } = row.clone();
        places.entry((day, provider, model, project, api_key, task)).or_insert_with(whole).1.add(&totals);
    }
    let mut compared = Compared::default();
    for ((day, provider, model, project, api_key, task), (totals, counted, is_whole)) in places {
        if !is_whole {
            compared.untold += 1;
        } else if totals != counted {
            let row = UsageRow { day, provider, model, project, api_key, task, totals };
            compared.differences.push(Difference { row, counted });
        }
    }
    compared
}

fn whole() -> (UsageTotals, UsageTotals, bool) {
    (UsageTotals::default(), UsageTotals::default(), true)
}

/// Whether a line tells everything that was counted with it: those of old say neither how many
/// calls were made nor what was charged for what.
fn tells_all(line: &LedgerLine) -> bool {
    let says_calls = !line.phase.is_kept() || line.origin == Origin::ResponseCache || line.calls > 0;
    says_calls && line.cost.is_none_or(|cost| cost == line.meters.total())
}

#[cfg(test)]
mod tests {
    use super::super::Phase;
    use super::super::totals::tests::line;
    use super::*;
    use crate::money::{Meters, PicoUsd};

    #[test]
    fn counters_that_say_the_same_do_not_differ() {
        let line = line(Phase::Settled, Origin::Provider);
        let row = UsageRow::of(&line);
        assert_eq!(compared(std::slice::from_ref(&line), std::slice::from_ref(&row)), Compared::default());
        let halves = [UsageRow { totals: UsageTotals { messages: 0, ..row.totals }, ..row.clone() }];
        let found = compared(std::slice::from_ref(&line), &halves);
        assert_eq!(found.differences[0].numbers(), [("messages", 0, 2)]);
        assert_eq!(found.differences[0].missing(), [("messages", 2)]);
    }

    #[test]
    fn a_line_without_a_counter_and_a_counter_without_a_line_differ() {
        let line = line(Phase::Wasted, Origin::Provider);
        let row = UsageRow::of(&line);
        assert_eq!(compared(std::slice::from_ref(&line), &[]).differences[0].counted, UsageTotals::default());
        let found = compared(&[], std::slice::from_ref(&row));
        assert_eq!(found.differences[0].row.totals, UsageTotals::default());
        assert!(found.differences[0].missing().contains(&("wasted", -1)));
        assert_eq!(
            compared(&[super::super::totals::tests::line(Phase::Released, Origin::Provider)], &[]),
            Compared::default()
        );
    }

    #[test]
    fn of_lines_that_do_not_tell_all_nothing_is_said() {
        let old = LedgerLine { calls: 0, ..line(Phase::Settled, Origin::Provider) };
        assert_eq!(compared(&[old], &[]), Compared { untold: 1, ..Compared::default() });
        let old =
            LedgerLine { meters: Meters::default(), cost: Some(PicoUsd(1)), ..line(Phase::Wasted, Origin::Provider) };
        assert_eq!(compared(&[old], &[]).untold, 1);
    }
}
