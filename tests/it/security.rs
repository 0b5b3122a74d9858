//! The table of risks in SECURITY.md, against the tests that it names.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../SECURITY.md");

/// The words in backticks of the last column of each row of a table.
fn named() -> BTreeSet<&'static str> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| API") || line.starts_with("| LLM"));
    let tests = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    tests.flat_map(|tests| tests.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_risk_has_a_row_with_a_test() {
    let api = (1..=10).map(|number| format!("| API{number} "));
    let llm = (1..=10).map(|number| format!("| LLM{number:02} "));
    for row in api.chain(llm) {
        let found = PAGE.lines().find(|line| line.starts_with(&row));
        assert!(found.is_some_and(|line| line.contains('`')), "no row, or no test, for {row}");
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    let sources: String = super::house::sources().into_iter().map(|(_, text)| text).collect();
    let missing: Vec<_> = named().into_iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(named().len() > 25 && missing.is_empty(), "{missing:?}");
}
