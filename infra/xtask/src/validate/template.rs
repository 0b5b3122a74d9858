//! What the linters do not know: which routes stream, what the roles may do, what must be encrypted and kept.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The routes that tell a turn while it is made, or take as long as one, and so must
/// stream; every other route must not.
const STREAMED: [(&str, &str); 8] = [
    ("GET", "/v1/responses/{id}"),
    ("GET", "/v1/turns/{key}"),
    ("POST", "/v1/chat"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/responses/compact"),
];

/// Part of the address that API Gateway invokes a function at when it streams the answer.
const STREAMING: &str = "/response-streaming-invocations";

/// API Gateway's limit of a streamed answer, 15 minutes.
const STREAM_TIMEOUT_MS: u64 = 900_000;

/// An event source needs a queue that hides a message for six times its function's timeout.
const VISIBILITY_FACTOR: u64 = 6;

/// What changes or deletes a row, each judged by itself.
const REWRITES: [&str; 5] = [
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
];

/// Checks the template as CloudFormation would get it.
pub(super) fn check(template: &Value) -> Result<()> {
    streams_where_it_should(template)?;
    preflights_are_answered(template)?;
    roles_are_narrow(template)?;
    functions_are_apart(template)?;
    state_is_safe(template)
}

/// The routes of the API: method and path to the integration.
pub(super) fn routes(template: &Value) -> Result<BTreeMap<(String, String), &Value>> {
    let (_, api) = only(template, "AWS::ApiGateway::RestApi")?;
    let paths = api.pointer("/Body/paths").and_then(Value::as_object).context("the API has no paths")?;
    let mut routes = BTreeMap::new();
    for (path, methods) in paths {
        for (method, definition) in methods.as_object().context("a path has no methods")? {
            let integration = definition
                .get("x-amazon-apigateway-integration")
                .with_context(|| format!("{method} {path} has no integration"))?;
            routes.insert((method.to_uppercase(), path.clone()), integration);
        }
    }
    Ok(routes)
}

/// A misspelt transfer mode passes every linter and answers buffered; only the translation shows it.
fn streams_where_it_should(template: &Value) -> Result<()> {
    let routes = routes(template)?;
    let streamed = STREAMED.map(|(method, path)| (method.to_owned(), path.to_owned()));
    let streaming: BTreeSet<_> =
        routes.iter().filter(|(_, integration)| integration.to_string().contains(STREAMING)).map(|(r, _)| r).collect();
    let expected: BTreeSet<_> = streamed.iter().collect();
    ensure!(streaming == expected, "these routes stream: {streaming:?}, and these should: {expected:?}");
    for route in &streamed {
        let integration = routes[route];
        let mode = integration.get("responseTransferMode").and_then(Value::as_str);
        ensure!(mode == Some("STREAM"), "{route:?} has the transfer mode {mode:?}");
        let timeout_ms = integration.get("timeoutInMillis").and_then(Value::as_u64);
        ensure!(timeout_ms == Some(STREAM_TIMEOUT_MS), "{route:?} ends after {timeout_ms:?} ms");
    }
    println!("   {} routes, {} of them stream", routes.len(), streamed.len());
    Ok(())
}

/// What browsers ask before a call is answered by the gateway itself, on every path and for the one origin named.
fn preflights_are_answered(template: &Value) -> Result<()> {
    const ORIGIN: &str = "/responses/default/responseParameters/method.response.header.Access-Control-Allow-Origin";
    let routes = routes(template)?;
    let paths: BTreeSet<_> = routes.keys().map(|(_, path)| path).collect();
    for path in &paths {
        let asked = routes.get(&("OPTIONS".to_owned(), (*path).clone()));
        let integration = asked.with_context(|| format!("nobody answers a preflight of {path}"))?;
        ensure!(integration["type"] == "mock", "a preflight of {path} starts a function");
        let origin = integration.pointer(ORIGIN).map(Value::to_string).unwrap_or_default();
        ensure!(origin.contains("${CorsOrigin}") && !origin.contains('*'), "a preflight of {path} allows {origin}");
    }
    println!("   {} paths answer preflights", paths.len());
    Ok(())
}

/// No role may scan, and none may do everything with anything.
fn roles_are_narrow(template: &Value) -> Result<()> {
    let roles = resources(template, "AWS::IAM::Role")?;
    for (name, role) in &roles {
        for statement in role.pointer("/Policies").into_iter().flat_map(statements) {
            for action in strings(&statement["Action"]) {
                ensure!(action != "dynamodb:Scan", "{name} may scan");
                ensure!(!action.contains('*'), "{name} may do {action}: name the actions");
            }
            ensure!(statement["Resource"] != "*", "{name} has a statement about every resource");
        }
    }
    for (name, role) in &roles {
        ensure!(
            keeps_the_audit_log(role),
            "{name} may write to the table, and change or delete entries of the audit log"
        );
    }
    println!("   {} roles, none of which may scan, or change the audit log", roles.len());
    Ok(())
}

/// Whether a role that may change or delete rows is denied that for entries of the audit log. Members of a transaction
/// are judged as the single calls are.
fn keeps_the_audit_log(role: &Value) -> bool {
    let all = || role.pointer("/Policies").into_iter().flat_map(statements);
    let allowed = |action: &str| {
        all().any(|statement| {
            let condition = statement["Condition"].to_string();
            let is_about_others = condition.contains("dynamodb:LeadingKeys") && !condition.contains("\"A#");
            statement["Effect"] == "Allow" && !is_about_others && strings(&statement["Action"]).contains(&action)
        })
    };
    let by_key = "/Condition/ForAnyValue:StringLike/dynamodb:LeadingKeys";
    let denied = |action: &str| {
        all().any(|statement| {
            let is_about_entries = statement.pointer(by_key).is_some_and(|keys| keys == "A#*");
            statement["Effect"] == "Deny" && is_about_entries && strings(&statement["Action"]).contains(&action)
        })
    };
    let rewrites = REWRITES.iter().any(|action| allowed(action));
    !rewrites || REWRITES.iter().all(|action| denied(action))
}

/// Each function has a role and a log of its own, and the log ends.
fn functions_are_apart(template: &Value) -> Result<()> {
    let functions = resources(template, "AWS::Lambda::Function")?;
    let distinct = |pointer: &str| {
        functions
            .iter()
            .filter_map(|(_, function)| function.pointer(pointer))
            .map(Value::to_string)
            .collect::<BTreeSet<_>>()
    };
    ensure!(distinct("/Role").len() == functions.len(), "two functions share a role, or one has none");
    ensure!(distinct("/LoggingConfig").len() == functions.len(), "two functions share a log, or one has none");
    for (name, log) in resources(template, "AWS::Logs::LogGroup")? {
        ensure!(log.get("RetentionInDays").is_some(), "{name} is kept for ever");
    }
    println!("   {} functions, each with its own role and log", functions.len());
    Ok(())
}

/// The table and the queues are encrypted, the table outlives the stack, a failed message is kept.
fn state_is_safe(template: &Value) -> Result<()> {
    let (table_name, table) = only(template, "AWS::DynamoDB::Table")?;
    let is_true = |pointer: &str| table.pointer(pointer) == Some(&Value::Bool(true));
    ensure!(is_true("/SSESpecification/SSEEnabled"), "the table is not encrypted");
    let recovery = "/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled";
    ensure!(is_true(recovery), "the table cannot be recovered to a point in time");
    let kept = template.pointer(&format!("/Resources/{table_name}/DeletionPolicy"));
    ensure!(kept.is_some_and(|kept| kept == "Retain"), "the table is deleted with the stack");

    let queues = resources(template, "AWS::SQS::Queue")?;
    for (name, queue) in &queues {
        ensure!(queue.get("SqsManagedSseEnabled") == Some(&Value::Bool(true)), "{name} is not encrypted");
    }
    let redriven: Vec<_> = queues.iter().filter(|(_, queue)| queue.get("RedrivePolicy").is_some()).collect();
    let [(name, queue)] = redriven[..] else { anyhow::bail!("exactly one queue should have a dead-letter queue") };
    let visible_after_s = queue.get("VisibilityTimeout").and_then(Value::as_u64).unwrap_or(0);
    let worker_s = template.pointer("/Resources/WorkerFunction/Properties/Timeout").and_then(Value::as_u64);
    let needed_s = worker_s.context("the worker has no timeout")? * VISIBILITY_FACTOR;
    ensure!(visible_after_s >= needed_s, "{name} hides a message for {visible_after_s} s, not for {needed_s} s");
    println!("   table and queues are encrypted, and what must outlive the stack does");
    Ok(())
}

/// The resources of a type: name and properties.
fn resources<'a>(template: &'a Value, kind: &str) -> Result<Vec<(&'a str, &'a Value)>> {
    let all = template.get("Resources").and_then(Value::as_object).context("the template has no resources")?;
    Ok(all
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str(), &resource["Properties"]))
        .collect())
}

/// The only resource of a type.
fn only<'a>(template: &'a Value, kind: &str) -> Result<(&'a str, &'a Value)> {
    let found = resources(template, kind)?;
    ensure!(found.len() == 1, "expected one {kind}, found {}", found.len());
    Ok(found[0])
}

/// The statements of a role's own policies.
fn statements(policies: &Value) -> impl Iterator<Item = &Value> {
    policies
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|policy| policy.pointer("/PolicyDocument/Statement")?.as_array())
        .flatten()
}

/// A string, or each string of a list: policies allow both.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::String(item) => vec![item],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}
