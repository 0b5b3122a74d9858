//! What some days came to, from the terminal.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::banner::print;
use crate::client::{Server, segment};
use crate::settings::Settings;

/// Columns of numbers: the heading, and the field of a group.
const NUMBERS: [(&str, &str); 6] = [
    ("REQUESTS", "requests"),
    ("INPUT", "input_tokens"),
    ("OUTPUT", "output_tokens"),
    ("CACHED", "cache_read_tokens"),
    ("WASTED", "wasted"),
    ("UNPRICED", "unpriced"),
];

#[derive(Debug, Args)]
pub(crate) struct UsageOptions {
    #[command(subcommand)]
    command: Option<UsageCommand>,
    #[command(flatten)]
    period: Period,
    /// Some of `day`, `model`, `provider`, `project`, `key`, `tenant`, `task`.
    #[arg(long, value_delimiter = ',', default_value = "model")]
    group_by: Vec<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum UsageCommand {
    /// Compare the counters with the ledger and say where they differ.
    Check {
        #[command(flatten)]
        period: Period,
        /// Make counters that differ what the ledger says; each repair goes to the audit log.
        #[arg(long)]
        repair: bool,
    },
}

#[derive(Debug, Args)]
struct Period {
    /// The first day, in UTC: `2026-11-01`. 29 days before the last unless given.
    #[arg(long)]
    from: Option<String>,
    /// The last day. Today unless given.
    #[arg(long)]
    to: Option<String>,
    /// Another tenant.
    #[arg(long)]
    tenant: Option<String>,
}

impl Period {
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("from", &self.from), ("to", &self.to), ("tenant", &self.tenant)];
        all.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)))
    }
}

/// Does what `options` say.
///
/// # Errors
/// When there is no key, the server cannot be reached or refuses; when counters differ from the
/// ledger and are not repaired.
pub(crate) async fn run(settings: &Settings, options: &UsageOptions) -> anyhow::Result<()> {
    let server = Server::of(settings)?;
    if let Some(UsageCommand::Check { period, repair }) = &options.command {
        return check(&server, period, *repair).await;
    }
    let group_by = options.group_by.join(",");
    let query: String = options.period.given().map(|(name, text)| format!("&{name}={}", segment(text))).collect();
    let path = format!("/v1/usage?group_by={}{query}", segment(&group_by));
    let usage = server.json(Method::GET, &path, None).await?;
    if options.json {
        return print(&format!("{usage:#}\n"));
    }
    let names: Vec<&str> = usage["group_by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    print(&table(&names, &usage))
}

fn table(names: &[&str], usage: &Value) -> String {
    let heading = names.iter().map(|name| name.to_uppercase());
    let heading = heading.chain(NUMBERS.iter().map(|(heading, _)| (*heading).to_owned())).chain(["USD".to_owned()]);
    let numbers = |row: &Value| -> Vec<String> {
        let cells = NUMBERS.iter().map(|(_, field)| row[*field].to_string());
        cells.chain([row["total_cost_usd"].as_str().unwrap_or_default().to_owned()]).collect()
    };
    let mut rows = vec![heading.collect::<Vec<_>>()];
    for group in usage["groups"].as_array().into_iter().flatten() {
        let values = names.iter().map(|name| group[*name].as_str().unwrap_or("-").to_owned());
        rows.push(values.chain(numbers(group)).collect());
    }
    let all = names.iter().enumerate().map(|(at, _)| if at == 0 { "all".to_owned() } else { String::new() });
    rows.push(all.chain(numbers(&usage["totals"])).collect());
    aligned(&rows, names.len())
}

/// Rows in columns; the first `left` of them begin at the left, the others end at the right.
fn aligned(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells =
            row.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| {
                if at < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

async fn check(server: &Server, period: &Period, repair: bool) -> anyhow::Result<()> {
    let given = period.given().map(|(name, text)| (name.to_owned(), json!(text)));
    let body: Map<String, Value> = given.chain([("repair".to_owned(), json!(repair))]).collect();
    let found = server.json(Method::POST, "/admin/usage/check", Some(&Value::Object(body))).await?;
    let differences = found["differences"].as_array().cloned().unwrap_or_default();
    for difference in &differences {
        let text = |name: &str| difference[name].as_str().unwrap_or("-").to_owned();
        let place = ["day", "model", "project", "key", "task"].map(text).join("  ");
        for number in difference["numbers"].as_array().into_iter().flatten() {
            let text = |name: &str| number[name].as_str().unwrap_or_default().to_owned();
            let (name, counted, told) = (text("name"), text("counted"), text("in_ledger"));
            print(&format!("{place}  {name}: {counted} counted, {told} in the ledger\n"))?;
        }
    }
    print(&format!(
        "{} lines of the ledger, {} counters: {} differ, {} repaired, {} changed meanwhile, {} of lines that do not tell all.\n",
        found["lines"],
        found["counters"],
        differences.len(),
        found["repaired"],
        found["busy"],
        found["untold"]
    ))?;
    let left = differences.len() as u64 - found["repaired"].as_u64().unwrap_or(0);
    anyhow::ensure!(left == 0, "{left} counters differ from the ledger");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_ends_with_all_of_it() {
        let row = |requests: u64| {
            json!({"requests": requests, "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 0, "wasted": 0,
                   "unpriced": 0, "total_cost_usd": "0.000096", "model": "openai/gpt-4o-mini"})
        };
        let table = table(&["model"], &json!({"groups": [row(3)], "totals": row(1_000)}));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("MODEL") && lines[2].starts_with("all "), "{table}");
        assert!(lines.iter().all(|line| line.len() == lines[0].len() || line.ends_with("0.000096")), "{table}");
    }
}
