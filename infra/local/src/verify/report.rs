//! What was found, as a table for people and as JSON for programs.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use turnwise_core::fault::Faults;
use turnwise_providers::Place;
use turnwise_providers::catalogue::Known;

use super::verdict::{Key, Verdict};

/// The table's columns. Numbers stand on the right.
const COLUMNS: [&str; 7] = ["PROVIDER", "ADDRESS", "REACHABLE", "KEY", "MODELS", "LATENCY", "WHAT TO DO"];
const NUMBERS: [usize; 2] = [4, 5];

/// Spaces left and right of a cell.
const PADDING: (u16, u16) = (0, 2);

/// Stands for what is not known.
const NOTHING: &str = "-";

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether every configured provider is fine.
    pub(super) ok: bool,
    /// One row a provider that was asked for, in the order of preference.
    providers: Vec<Row>,
    /// What is malformed in the settings; then nobody was asked.
    pub(super) faults: Vec<SettingFault>,
}

/// A setting that is malformed.
#[derive(Debug, Serialize)]
pub(super) struct SettingFault {
    /// The variable.
    setting: String,
    /// What is wrong with it.
    message: String,
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    provider: &'static str,
    configured: bool,
    /// The variable that configures it.
    configured_by: &'static str,
    /// Host, with the port where the base URL gives one.
    address: Option<String>,
    reachable: Option<bool>,
    /// `accepted`, `refused`, `not_sent` or `unknown`.
    key: Option<Key>,
    models: Option<usize>,
    latency_ms: Option<u64>,
    /// What is wrong, and what to do.
    problem: Option<String>,
}

/// What came of asking one provider.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) place: Place,
    pub(super) verdict: Verdict,
    pub(super) latency: Duration,
}

impl Row {
    /// A provider that nobody has configured.
    pub(super) fn not_configured(known: &'static Known) -> Self {
        Self {
            provider: &known.name,
            configured: false,
            configured_by: known.configured_by(),
            address: None,
            reachable: None,
            key: None,
            models: None,
            latency_ms: None,
            problem: None,
        }
    }

    /// A provider that was asked.
    pub(super) fn checked(known: &'static Known, check: Check) -> Self {
        let Check { place, verdict, latency } = check;
        Self {
            configured: true,
            address: Some(place.host),
            reachable: Some(verdict.reachable),
            key: Some(verdict.key),
            models: verdict.models,
            latency_ms: u64::try_from(latency.as_millis()).ok(),
            problem: verdict.problem,
            ..Self::not_configured(known)
        }
    }

    fn cells(&self) -> [String; 7] {
        let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
        let reachable = self.reachable.map(|reachable| if reachable { "yes" } else { "no" }.to_owned());
        let key = self.key.map(|key| match key {
            Key::Accepted => "accepted".to_owned(),
            Key::Refused => "refused".to_owned(),
            Key::NotSent => "none sent".to_owned(),
            Key::Unknown => NOTHING.to_owned(),
        });
        let what = match (&self.problem, self.configured) {
            (Some(problem), _) => problem.clone(),
            (None, true) => "fine".to_owned(),
            (None, false) => format!("not configured: set {}", self.configured_by),
        };
        [
            self.provider.to_owned(),
            or_nothing(self.address.clone()),
            or_nothing(reachable),
            or_nothing(key),
            or_nothing(self.models.map(|models| models.to_string())),
            or_nothing(self.latency_ms.map(|latency| format!("{latency} ms"))),
            what,
        ]
    }
}

impl Report {
    /// The report of `rows`. A provider that was asked for by its name must be configured.
    pub(super) fn of(rows: Vec<Row>, by_name: bool) -> Self {
        let fine = |row: &Row| row.problem.is_none() && (row.configured || !by_name);
        Self { ok: rows.iter().all(fine), providers: rows, faults: Vec::new() }
    }

    /// The report of settings with which nobody can be asked.
    pub(super) fn malformed(faults: Faults) -> Self {
        let faults = faults.0.into_iter();
        let faults = faults.map(|fault| SettingFault { setting: fault.field, message: fault.message }).collect();
        Self { ok: false, providers: Vec::new(), faults }
    }

    /// As JSON.
    pub(super) fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// As a table, with a line that sums it up.
    pub(super) fn text(&self) -> String {
        if self.faults.is_empty() { format!("{}\n{}\n", self.table(), self.sum()) } else { self.fault_list() }
    }

    fn fault_list(&self) -> String {
        let lines = self.faults.iter().map(|fault| format!("  {}: {}\n", fault.setting, fault.message));
        format!("Nobody was asked: these settings are malformed.\n\n{}", lines.collect::<String>())
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(COLUMNS);
        table.add_rows(self.providers.iter().map(Row::cells));
        for (at, column) in table.column_iter_mut().enumerate() {
            let side = if NUMBERS.contains(&at) { CellAlignment::Right } else { CellAlignment::Left };
            column.set_padding(PADDING).set_cell_alignment(side);
        }
        table.trim_fmt() + "\n"
    }

    fn sum(&self) -> String {
        let configured = self.providers.iter().filter(|row| row.configured);
        let (asked, fine) =
            configured.fold((0, 0), |(asked, fine), row| (asked + 1, fine + usize::from(row.problem.is_none())));
        match (asked, fine) {
            (0, _) if self.ok => "No provider is configured: only local/echo answers, which needs no key.".to_owned(),
            (0, _) => "It is not configured.".to_owned(),
            (1, 1) => "The one configured provider is fine.".to_owned(),
            (asked, fine) if asked == fine => format!("All {asked} configured providers are fine."),
            (asked, fine) => format!("{} of {asked} configured providers failed.", asked - fine),
        }
    }
}

#[cfg(test)]
mod tests {
    use turnwise_providers::catalogue::known;

    use super::*;

    fn checked(problem: Option<&str>) -> Row {
        let problem = problem.map(str::to_owned);
        let place = Place { host: "api.openai.com".to_owned(), own_address: false, sends_key: true };
        let key = if problem.is_some() { Key::Refused } else { Key::Accepted };
        let models = problem.is_none().then_some(82);
        let verdict = Verdict { reachable: true, key, models, problem };
        Row::checked(&known()[0], Check { place, verdict, latency: Duration::from_millis(412) })
    }

    #[test]
    fn a_table_has_a_row_for_each_provider() {
        let text = Report::of(vec![checked(None), Row::not_configured(&known()[1])], false).text();
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["openai", "api.openai.com", "yes", "accepted", "82", "412", "ms", "fine"]);
        assert_eq!(words[2][..5], ["anthropic", "-", "-", "-", "-"]);
        assert!(text.contains("not configured: set ANTHROPIC_API_KEY"), "{text}");
        assert!(text.ends_with("\n\nThe one configured provider is fine.\n"), "{text}");
    }

    #[test]
    fn only_configured_providers_and_those_asked_for_by_name_can_fail() {
        let ok = |rows, by_name| Report::of(rows, by_name).ok;
        assert!(ok(vec![Row::not_configured(&known()[0])], false));
        assert!(!ok(vec![Row::not_configured(&known()[0])], true));
        assert!(ok(vec![checked(None)], true));
        assert!(!ok(vec![checked(None), checked(Some("no"))], false));
    }
}
