//! The audit log from the terminal, and erasures, which it tells of.

use std::collections::BTreeMap;

use anyhow::bail;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use crate::banner::print;
use crate::client::{Server, segment};
use crate::settings::{AuditCommand, AuditOptions, EraseOptions, Settings};

/// Entries that a page has.
const PAGE: u64 = 100;

/// Shows the audit log, or prints it as a file.
///
/// # Errors
/// When there is no key, the server cannot be reached or refuses.
pub(crate) async fn run(settings: &Settings, command: &AuditCommand) -> anyhow::Result<()> {
    let server = Server::of(settings)?;
    match command {
        AuditCommand::List { options, limit, json } => {
            let entries = list(&server, options, *limit).await?;
            match (json, entries.is_empty()) {
                (true, _) => print(&format!("{:#}\n", Value::Array(entries))),
                (false, true) => print("Nothing was done.\n"),
                (false, false) => print(&(table(&entries).trim_fmt() + "\n")),
            }
        }
        AuditCommand::Export { options, format } => {
            let mut query = options.query();
            query.insert("format", format.clone());
            let path = format!("/admin/audit/export{}", query_string(&query));
            print(&server.send(Method::GET, &path, None).await?.text().await?)
        }
    }
}

async fn list(server: &Server, options: &AuditOptions, limit: u64) -> anyhow::Result<Vec<Value>> {
    let mut entries: Vec<Value> = Vec::new();
    let mut query = options.query();
    loop {
        let missing = limit.saturating_sub(u64::try_from(entries.len()).unwrap_or(u64::MAX));
        if missing == 0 {
            return Ok(entries);
        }
        query.insert("limit", missing.min(PAGE).to_string());
        let page = server.json(Method::GET, &format!("/admin/audit{}", query_string(&query)), None).await?;
        entries.extend(page["data"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => query.insert("after", next.to_owned()),
            None => return Ok(entries),
        };
    }
}

impl AuditOptions {
    fn query(&self) -> BTreeMap<&'static str, String> {
        let options = [
            ("from", &self.from),
            ("to", &self.to),
            ("action", &self.action),
            ("actor", &self.actor),
            ("subject", &self.subject),
            ("tenant", &self.tenant),
        ];
        options.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

fn query_string(query: &BTreeMap<&'static str, String>) -> String {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
    format!("?{}", pairs.join("&"))
}

fn table(entries: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["AT", "ACTION", "SUBJECT", "BY", "REASON", "REQUEST"]);
    for entry in entries {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        table.add_row(["at", "action", "subject", "actor", "reason", "request_id"].map(text));
    }
    table
}

/// Erases a person's conversations, until none is left.
///
/// # Errors
/// When there is no key, the server cannot be reached or refuses, or nothing moves any more.
pub(crate) async fn erase(settings: &Settings, options: &EraseOptions) -> anyhow::Result<()> {
    let server = Server::of(settings)?;
    let body = json!({ "user": options.user, "reason": options.reason });
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} conversations");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut erased = 0;
    loop {
        let done = server.json(Method::POST, "/admin/erase", Some(&body)).await?;
        let count = |name: &str| done[name].as_u64().unwrap_or_default();
        erased += count("erased");
        bar.set_length(erased + count("remaining"));
        bar.set_position(erased);
        if done["has_more"] != true {
            bar.finish_and_clear();
            return print(&format!("{erased} conversations of {} are erased.\n", options.user));
        }
        if count("erased") == 0 {
            bail!("{} conversations remain and none could be erased; try again later", count("remaining"));
        }
    }
}
