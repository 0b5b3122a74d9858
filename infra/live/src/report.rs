//! What came of it, as a table for people and as JSON for programs.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use turnwise_core::money::PicoUsd;

use crate::summary::{Spread, Summary};

/// The table's columns; all but the first are numbers.
const COLUMNS: [&str; 9] =
    ["MODEL", "ANSWERED", "P50", "P95", "FIRST P50", "FIRST P95", "TOKENS IN", "TOKENS OUT", "USD"];

/// Spaces left and right of a cell.
const PADDING: (u16, u16) = (0, 2);

/// Stands for what is not known.
const NOTHING: &str = "-";

/// What came of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether every model was asked, and answered all it was asked.
    pub(crate) ok: bool,
    /// The exact sum of what all answers cost, in USD, as far as prices are known.
    cost_usd: String,
    /// One for each model.
    models: Vec<Summary>,
}

impl Report {
    pub(crate) fn of(models: Vec<Summary>) -> Self {
        let cost = PicoUsd(models.iter().filter_map(|model| model.cost).map(|cost| cost.0).sum());
        Self { ok: models.iter().all(Summary::is_fine), cost_usd: cost.to_string(), models }
    }

    /// As a table; below it what failed and what was left out.
    pub(crate) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(COLUMNS);
        table.add_rows(self.models.iter().map(cells));
        for (at, column) in table.column_iter_mut().enumerate() {
            let side = if at == 0 { CellAlignment::Left } else { CellAlignment::Right };
            column.set_padding(PADDING).set_cell_alignment(side);
        }
        let notes: String = self.models.iter().flat_map(notes).map(|note| note + "\n").collect();
        format!("{}\n\n{notes}{} USD in all.\n", table.trim_fmt(), self.cost_usd)
    }
}

fn cells(summary: &Summary) -> [String; 9] {
    let time = |ms: Option<u64>| ms.map_or_else(|| NOTHING.to_owned(), |ms| format!("{ms} ms"));
    let Spread { p50_ms, p95_ms } = summary.latency;
    let first = summary.first_token;
    let rate = summary.success_rate.map(|rate| format!(" ({:.0} %)", (rate * 100.0).floor())).unwrap_or_default();
    [
        summary.model.clone(),
        format!("{}/{}{rate}", summary.answered, summary.asked),
        time(p50_ms),
        time(p95_ms),
        time(first.p50_ms),
        time(first.p95_ms),
        summary.input_tokens.to_string(),
        summary.output_tokens.to_string(),
        summary.cost_usd.clone().unwrap_or_else(|| NOTHING.to_owned()),
    ]
}

fn notes(summary: &Summary) -> Vec<String> {
    let model = &summary.model;
    let failures = summary.failures.iter();
    let failures = failures.map(|(category, of)| format!("{model}: {} x {category}, first: {}", of.count, of.example));
    let left_out = Some(summary.left_out).filter(|count| *count > 0);
    let left_out = left_out.map(|count| format!("{model}: {count} prompts left out; --most-usd allows no more."));
    failures.chain(left_out).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::summary::Failures;

    #[test]
    fn a_table_has_a_row_for_each_model() {
        let failures = Failures { count: 2, example: "slow down".to_owned() };
        let summary = Summary {
            model: "openai/m".to_owned(),
            asked: 10,
            answered: 8,
            success_rate: Some(0.8),
            left_out: 3,
            failures: BTreeMap::from([("RATE_LIMIT_ERROR".to_owned(), failures)]),
            latency: Spread { p50_ms: Some(400), p95_ms: Some(900) },
            cost: Some(PicoUsd(96_000_000)),
            cost_usd: Some("0.000096".to_owned()),
            ..Summary::default()
        };
        let report = Report::of(vec![summary]);
        let text = report.text();
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["openai/m", "8/10", "(80", "%)", "400", "ms", "900", "ms", "-", "-", "0", "0", "0.000096"],);
        assert!(text.contains("openai/m: 2 x RATE_LIMIT_ERROR, first: slow down\n"), "{text}");
        assert!(text.contains("openai/m: 3 prompts left out"), "{text}");
        assert!(text.ends_with("0.000096 USD in all.\n"), "{text}");
        assert!(!report.ok);
    }
}
