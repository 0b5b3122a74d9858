//! One route table, told three times: in the code, in the template, in the OpenAPI
//! document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_yaml_ng::Value as Yaml;
use turnwise_http::openapi;
use turnwise_http::routes::{Function, ROUTES};

const TEMPLATE: &str = include_str!("../../template.yaml");

type Operation = (String, String);

fn in_code() -> BTreeMap<Operation, &'static str> {
    ROUTES.iter().map(|route| ((route.method.to_owned(), route.path.to_owned()), route.function.name())).collect()
}

/// Operations of the template with the binary that serves them.
fn in_template() -> BTreeMap<Operation, String> {
    let template: Yaml = serde_yaml_ng::from_str(TEMPLATE).unwrap();
    let mut operations = BTreeMap::new();
    for resource in template["Resources"].as_mapping().unwrap().values() {
        if resource["Type"].as_str() != Some("AWS::Serverless::Function") {
            continue;
        }
        let binary = resource["Metadata"]["BuildProperties"]["Binary"]
            .as_str()
            .or_else(|| resource["Metadata"]["Binary"].as_str())
            .expect("a function names its binary");
        let events = resource["Properties"]["Events"].as_mapping().cloned().unwrap_or_default();
        for event in events.values().filter(|event| event["Type"].as_str() == Some("Api")) {
            let property = |name: &str| event["Properties"][name].as_str().unwrap_or_default();
            // API Gateway writes a greedy segment `{id+}`; it is the same path.
            let path = property("Path").replace("+}", "}");
            operations.insert((property("Method").to_uppercase(), path), binary.to_owned());
        }
    }
    operations
}

#[test]
fn the_template_has_every_route_at_its_function() {
    let in_code: BTreeMap<Operation, String> =
        in_code().into_iter().map(|(operation, function)| (operation, function.to_owned())).collect();
    assert_eq!(in_template(), in_code);
}

#[test]
fn the_template_lets_pages_send_the_headers_that_the_router_lets_them_send() {
    let template: Yaml = serde_yaml_ng::from_str(TEMPLATE).unwrap();
    let listed = template["Resources"]["Api"]["Properties"]["Cors"]["AllowHeaders"].as_str().unwrap();
    let listed: BTreeSet<&str> = listed.trim_matches('\'').split(',').collect();
    let allowed = turnwise_http::edge::allowed_headers();
    assert_eq!(listed, allowed.iter().map(|name| name.as_str()).collect());
}

#[test]
fn the_openapi_document_has_every_route() {
    let document: Value = serde_json::from_str(&openapi::document()).unwrap();
    let mut documented = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    assert_eq!(documented, in_code().into_keys().collect());
}

#[test]
fn every_documented_parameter_of_a_path_is_in_it() {
    let document: Value = serde_json::from_str(&openapi::document()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            for parameter in parameters.filter(|parameter| parameter["in"] == "path") {
                let name = parameter["name"].as_str().unwrap();
                assert!(path.contains(&format!("{{{name}}}")), "{path} has no {name}");
            }
        }
    }
}

#[test]
fn what_the_openapi_document_refers_to_is_in_it() {
    let text = openapi::document();
    let document: Value = serde_json::from_str(&text).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let references: BTreeSet<&str> =
        text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let missing: Vec<_> = references.iter().filter(|name| !schemas.contains_key(**name)).collect();
    assert!(!references.is_empty() && missing.is_empty(), "{missing:?}");
}

#[test]
fn the_openapi_document_is_the_checked_in_one() {
    let golden = include_str!("../openapi.json");
    assert!(
        openapi::document() == golden,
        "the API has changed: run `cargo xtask openapi --bless` and look at the diff"
    );
}

#[test]
fn every_function_has_a_route() {
    for function in Function::ALL {
        assert!(ROUTES.iter().any(|route| route.function == function), "{}", function.name());
    }
}
