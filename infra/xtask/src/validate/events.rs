//! The sample events are what the gateway and the queue would really send.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::template::routes;
use crate::shell::root;

/// Settings for `sam local invoke`, the one file there that is no event.
const SETTINGS: &str = "env.json";

/// What the event of a schedule says that it is; nothing else of it is read.
const SCHEDULED: &str = "Scheduled Event";

/// Checks every event against the translated template, and that every route has an event.
pub(super) fn check(template: &Value) -> Result<()> {
    let routes = routes(template)?;
    // What a browser asks before a call is answered by the gateway itself.
    let mut without_event: Vec<_> = routes.keys().filter(|(method, _)| method != "OPTIONS").collect();
    let mut count = 0;
    for entry in fs::read_dir(root().join("infra/events")).context("cannot list the events")? {
        let path = entry?.path();
        let is_event = path.extension().is_some_and(|e| e == "json") && path.file_name().is_some_and(|n| n != SETTINGS);
        if !is_event {
            continue;
        }
        let event = read(&path)?;
        match route(&event).with_context(|| format!("{} is not an event we know", path.display()))? {
            Some(route) => {
                ensure!(routes.contains_key(&route), "{}: the API has no route {route:?}", path.display());
                without_event.retain(|other| **other != route);
            }
            None if event["detail-type"] == SCHEDULED => {}
            None => messages(&event).with_context(|| format!("{} is not an SQS event", path.display()))?,
        }
        count += 1;
    }
    ensure!(without_event.is_empty(), "routes without a sample event: {without_event:?}");
    println!("   {count} events, at least one for each of {} routes", routes.len());
    Ok(())
}

fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// The route of a gateway event, `None` for another kind. Its path and parameters must say the same thing.
fn route(event: &Value) -> Result<Option<(String, String)>> {
    let Some(method) = event.get("httpMethod") else { return Ok(None) };
    let text = |value: &Value| value.as_str().map(str::to_owned).context("expected a string");
    let (method, resource, path) = (text(method)?, text(&event["resource"])?, text(&event["path"])?);
    let mut expected = resource.clone();
    for (name, value) in event["pathParameters"].as_object().into_iter().flatten() {
        let value = text(value)?;
        expected = expected.replace(&format!("{{{name}}}"), &value).replace(&format!("{{{name}+}}"), &value);
    }
    ensure!(path == expected, "the path {path} is not {resource} with its parameters");
    ensure!(event.pointer("/requestContext/requestId").is_some(), "the event has no request id");
    Ok(Some((method, resource)))
}

/// Checks that a queue event has messages with ids.
fn messages(event: &Value) -> Result<()> {
    let records = event["Records"].as_array().context("no records")?;
    for record in records {
        let complete = ["messageId", "receiptHandle", "body"].iter().all(|field| record[field].is_string());
        if record["eventSource"] != "aws:sqs" || !complete {
            bail!("a record lacks its id, its handle or its body");
        }
    }
    Ok(())
}
