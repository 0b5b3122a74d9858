//! Usage by whatever somebody wants to see it by.

use std::collections::BTreeMap;

use super::{UsageRow, UsageTotals};
use crate::fault::{Fault, Faults};
use crate::id::{ProjectId, Tenant};
use crate::task::Task;
use crate::time::{DAY, Timestamp};

/// Days that are summed up unless a query says otherwise.
pub const USAGE_DAYS: u32 = 30;

/// Most days of one query: a year, which may be a leap year. Each day is some partitions.
pub const MAX_USAGE_DAYS: u32 = 366;

/// What usage can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// The day, in UTC.
    Day,
    /// `provider/model`.
    Model,
    /// Who served it.
    Provider,
    /// The project.
    Project,
    /// The API key's id.
    Key,
    /// The tenant.
    Tenant,
    /// What requests were for.
    Task,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Day, Self::Model, Self::Provider, Self::Project, Self::Key, Self::Tenant, Self::Task];

    /// Its name in queries and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Project => "project",
            Self::Key => "key",
            Self::Tenant => "tenant",
            Self::Task => "task",
        }
    }

    /// Those that `text` names, separated by commas; none for an empty text.
    ///
    /// # Errors
    /// A fault for each name that is none, and for one that comes twice.
    pub fn parse_list(field: &str, text: &str) -> Result<Vec<Self>, Faults> {
        let mut faults = Faults::default();
        let mut dimensions = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match Self::ALL.into_iter().find(|dimension| dimension.name() == name) {
                Some(known) if dimensions.contains(&known) => {
                    faults.add(field, format!("{name:?} is named twice."));
                }
                Some(known) => dimensions.push(known),
                None => {
                    let names = Self::ALL.map(Self::name).join(", ");
                    faults.add(field, format!("Expected some of {names}; got {name:?}."));
                }
            }
        }
        faults.into_result().map(|()| dimensions)
    }

    fn value(self, tenant: &Tenant, row: &UsageRow) -> Option<String> {
        match self {
            Self::Day => Some(row.day.date()),
            Self::Model => Some(format!("{}/{}", row.provider, row.model)),
            Self::Provider => Some(row.provider.clone()),
            Self::Project => row.project.as_ref().map(ProjectId::to_string),
            Self::Key => Some(row.api_key.clone()),
            Self::Tenant => Some(tenant.to_string()),
            Self::Task => row.task.as_ref().map(Task::to_string),
        }
    }
}

/// What rows of some tenants come to, by `dimensions`: each group with its values, `None`
/// where there is no project or no task. In the order of these values.
#[must_use]
pub fn grouped(rows: &[(Tenant, Vec<UsageRow>)], dimensions: &[Dimension]) -> Vec<(Vec<Option<String>>, UsageTotals)> {
    let mut groups: BTreeMap<Vec<Option<String>>, UsageTotals> = BTreeMap::new();
    for (tenant, rows) in rows {
        for row in rows {
            let values = dimensions.iter().map(|dimension| dimension.value(tenant, row)).collect();
            groups.entry(values).or_default().add(&row.totals);
        }
    }
    groups.into_iter().collect()
}

/// Whole days of UTC, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The start of the first.
    pub from: Timestamp,
    /// The start of the last, which is one of them.
    pub to: Timestamp,
}

impl Days {
    /// What `from` and `to` say, each a day or an instant in it, as RFC 3339 has them. Without
    /// `to` the last day is today, and without `from` there are [`USAGE_DAYS`].
    ///
    /// # Errors
    /// Faults of `from` and `to`: no day, a time that has not begun, one that ends before it
    /// begins, or more than [`MAX_USAGE_DAYS`]. Tomorrow has begun somewhere.
    pub fn parse(from: Option<&str>, to: Option<&str>, now: Timestamp) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let tomorrow = now.start_of_day() + DAY;
        let mut day = |field: &str, text: Option<&str>| {
            let day = faults.keep(parse_day(field, text?))?;
            if day > tomorrow {
                faults.add(field, format!("{} lies in the future: today is {} in UTC.", day.date(), now.date()));
            }
            Some(day)
        };
        let (from, to) = (day("from", from), day("to", to));
        faults.into_result()?;
        let to = to.unwrap_or_else(|| now.start_of_day().max(from.unwrap_or_default()));
        let from = from.unwrap_or(to - DAY * (USAGE_DAYS - 1));
        if from > to {
            return Err(Fault::new("from", "The period begins behind its end.").into());
        }
        if to.since(from) >= DAY * MAX_USAGE_DAYS {
            return Err(Fault::new("from", format!("A period has at most {MAX_USAGE_DAYS} days.")).into());
        }
        Ok(Self { from, to })
    }

    /// The starts of its days, the first first.
    pub fn all(self) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(Some(self.from), |day| Some(*day + DAY)).take_while(move |day| *day <= self.to)
    }
}

fn parse_day(field: &str, text: &str) -> Result<Timestamp, Fault> {
    let day = Timestamp::parse_day(text).or_else(|| Timestamp::parse(text).map(Timestamp::start_of_day));
    let expected = "Expected a day or an instant, such as 2026-11-21 or 2026-11-21T16:00:00Z";
    day.ok_or_else(|| Fault::new(field, format!("{expected}, got {text:?}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_276_800_000); // 2026-11-21T16:00:00Z

    #[test]
    fn a_period_is_whole_days_of_the_past() {
        let check = |from: Option<&str>, to: Option<&str>, expected: Result<(&str, &str), &str>| {
            let days = Days::parse(from, to, NOW);
            let told = days.as_ref().map(|days| (days.from.date(), days.to.date()));
            let told = told.as_ref().map(|(from, to)| (from.as_str(), to.as_str()));
            assert_eq!(told.map_err(|faults| faults.first_field().unwrap_or_default()), expected, "{from:?} {to:?}");
        };
        check(None, None, Ok(("2026-10-23", "2026-11-21")));
        check(Some("2026-11-01"), None, Ok(("2026-11-01", "2026-11-21")));
        check(Some("2026-11-01T23:30:00-02:00"), Some("2026-11-02"), Ok(("2026-11-02", "2026-11-02")));
        check(None, Some("2026-11-22"), Ok(("2026-10-24", "2026-11-22")));
        check(None, Some("2026-11-23"), Err("to"));
        check(Some("2026-12-01"), Some("2026-12-31"), Err("from"));
        check(Some("2026-11-03"), Some("2026-11-02"), Err("from"));
        check(Some("2025-11-21"), None, Ok(("2025-11-21", "2026-11-21")));
        check(Some("2025-11-20"), None, Err("from"));
        check(Some("yesterday"), None, Err("from"));
        check(None, Some("2026-02-30"), Err("to"));
    }

    #[test]
    fn dimensions_are_named_once_each() {
        let parse = |text| Dimension::parse_list("group_by", text);
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse("model, day").unwrap(), [Dimension::Model, Dimension::Day]);
        assert_eq!(parse("model,colour,model").unwrap_err().0.len(), 2);
    }

    #[test]
    fn groups_add_up_to_all_rows() {
        let row = |model: &str, task: Option<&str>, requests| UsageRow {
            day: NOW.start_of_day(),
            provider: "p".to_owned(),
            model: model.to_owned(),
            project: None,
            api_key: "k".to_owned(),
            task: task.map(|task| Task::from_stored(task.to_owned())),
            totals: UsageTotals { requests, ..UsageTotals::default() },
        };
        let rows =
            [(Tenant::default_tenant(), vec![row("a", None, 1), row("b", Some("t"), 2), row("a", Some("t"), 4)])];
        let told = |dimensions: &[Dimension]| -> Vec<(Vec<Option<String>>, u64)> {
            grouped(&rows, dimensions).into_iter().map(|(values, totals)| (values, totals.requests)).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(told(&[]), [(vec![], 7)]);
        assert_eq!(told(&[Dimension::Model]), [(vec![some("p/a")], 5), (vec![some("p/b")], 2)]);
        assert_eq!(
            told(&[Dimension::Task, Dimension::Day]),
            [(vec![None, some("2026-11-21")], 1), (vec![some("t"), some("2026-11-21")], 6)]
        );
    }
}
