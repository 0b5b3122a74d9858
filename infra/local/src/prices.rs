//! What models charge, from the terminal.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};
use turnwise_core::prices::PriceTable;

use crate::banner::print;
use crate::client::{Server, segment};
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum PricesCommand {
    /// What models charge now, by name.
    List {
        /// Whom.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Everything that one model charges for.
    Show {
        /// `provider/model`, or a bare name.
        model: String,
        /// Whom.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Import a table of prices.
    Import {
        /// A JSON file; see the README.
        file: PathBuf,
        /// Whose; the deployment's unless given.
        #[arg(long)]
        tenant: Option<String>,
        /// Take a table that loses more than 20 % of the models or changes a price more than 5 times.
        #[arg(long)]
        confirm: bool,
        /// Only tell what would change.
        #[arg(long)]
        dry_run: bool,
    },
    /// Tell what a table would change. Nothing is stored.
    Diff {
        /// A JSON file.
        file: PathBuf,
        /// Whose; the deployment's unless given.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// The tables that were imported, oldest first.
    History {
        /// Of this tenant too.
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Does what `command` says.
///
/// # Errors
/// When there is no key, the file cannot be read, the server cannot be reached or refuses.
pub(crate) async fn run(settings: &Settings, command: &PricesCommand) -> anyhow::Result<()> {
    let server = Server::of(settings)?;
    match command {
        PricesCommand::List { tenant } => {
            let prices = prices(&server, tenant.as_deref()).await?;
            print(&format!("{:<56} {:>12} {:>12}  {:<10} VERSION\n", "MODEL", "INPUT", "OUTPUT", "FROM"))?;
            for price in prices["data"].as_array().into_iter().flatten() {
                print(&row(price))?;
            }
            print("USD for a million tokens.\n")
        }
        PricesCommand::Show { model, tenant } => {
            let prices = prices(&server, tenant.as_deref()).await?;
            let all = || prices["data"].as_array().into_iter().flatten();
            let bare = |price: &&Value| {
                price["model"].as_str().and_then(|name| name.split_once('/')).is_some_and(|(_, id)| id == model)
            };
            let found = all().find(|price| price["model"] == **model).or_else(|| all().find(bare));
            let found = found.with_context(|| format!("no price is known of a model {model:?}"))?;
            print(&format!("{found:#}\n"))
        }
        PricesCommand::Import { file, tenant, confirm, dry_run } => {
            let flags = [("confirm", *confirm), ("dry_run", *dry_run)];
            import(&server, file, tenant.as_deref(), &flags).await
        }
        PricesCommand::Diff { file, tenant } => import(&server, file, tenant.as_deref(), &[("dry_run", true)]).await,
        PricesCommand::History { tenant } => {
            let prices = prices(&server, tenant.as_deref()).await?;
            let tables = prices["tables"].as_array().cloned().unwrap_or_default();
            if tables.is_empty() {
                return print("No table was imported; the prices are those of the program.\n");
            }
            tables.iter().try_for_each(|table| {
                let text = |name: &str| table[name].as_str().unwrap_or("-");
                let (layer, version, by) = (text("layer"), text("version"), text("imported_by"));
                let (from, at, models) = (text("effective_from"), text("imported_at"), &table["models"]);
                print(&format!("{layer:<10} {version:<20} from {from}, {models} models, imported {at} by {by}\n"))
            })
        }
    }
}

/// The operator's own table of prices, from a file.
///
/// # Errors
/// When it cannot be read, with every fault of it.
pub(crate) fn table(file: &Path) -> anyhow::Result<PriceTable> {
    let value = read(file)?;
    PriceTable::parse("", &value).with_context(|| format!("{} is no table of prices", file.display()))
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", file.display()))
}

async fn prices(server: &Server, tenant: Option<&str>) -> anyhow::Result<Value> {
    let query = tenant.map(|tenant| format!("?tenant={}", segment(tenant))).unwrap_or_default();
    server.json(Method::GET, &format!("/admin/prices{query}"), None).await
}

fn row(price: &Value) -> String {
    let text = |name: &str| price[name].as_str().unwrap_or("-");
    let (input, output) = (&price["input_usd_per_mtok"], &price["output_usd_per_mtok"]);
    let deprecated = price["deprecation_date"].as_str().map(|day| format!("  deprecated from {day}"));
    format!(
        "{:<56} {input:>12} {output:>12}  {:<10} {}{}\n",
        text("model"),
        text("layer"),
        text("version"),
        deprecated.unwrap_or_default()
    )
}

async fn import(server: &Server, file: &Path, tenant: Option<&str>, flags: &[(&str, bool)]) -> anyhow::Result<()> {
    let mut body: Map<String, Value> = flags.iter().map(|(name, flag)| ((*name).to_owned(), json!(flag))).collect();
    body.insert("table".to_owned(), read(file)?);
    if let Some(tenant) = tenant {
        body.insert("tenant".to_owned(), json!(tenant));
    }
    let told = server.json(Method::POST, "/admin/prices", Some(&Value::Object(body))).await?;
    print(&changes(&told))
}

fn changes(told: &Value) -> String {
    let list = |name: &str| told[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines: Vec<String> = list("added").iter().map(|model| format!("+ {}", text(model))).collect();
    lines.extend(list("removed").iter().map(|model| format!("- {}", text(model))));
    lines.extend(list("changed").iter().map(|change| {
        let (model, field) = (text(&change["model"]), text(&change["field"]));
        format!("~ {model} {field}: {} becomes {} pico-USD a token", change["before"], change["after"])
    }));
    if lines.is_empty() {
        lines.push("Nothing changes.".to_owned());
    }
    lines.extend(list("doubts").iter().map(|doubt| format!("! {}", text(doubt))));
    let stored = if told["stored"] == true { "stored" } else { "not stored" };
    lines.push(format!("{} from {}: {stored}.", text(&told["version"]), text(&told["effective_from"])));
    format!("{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_told_line_by_line() {
        let told = json!({"added": ["a/new"], "removed": ["a/old"], "stored": false, "version": "v",
            "effective_from": "2026-12-01T00:00:00.000Z", "doubts": ["input of a/b changes more than 5 times"],
            "changed": [{"model": "a/b", "field": "input", "before": 1, "after": null}]});
        assert_eq!(
            changes(&told),
            "+ a/new\n- a/old\n~ a/b input: 1 becomes null pico-USD a token\n! input of a/b changes more than 5 times\n\
             v from 2026-12-01T00:00:00.000Z: not stored.\n"
        );
        assert!(changes(&json!({})).starts_with("Nothing changes.\n"));
    }
}
