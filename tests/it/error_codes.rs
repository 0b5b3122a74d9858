//! The table of codes, against what the sources emit.

use std::collections::BTreeSet;

use turnwise_core::category::{CODES, Category};

/// What stands before a code where one is emitted.
fn markers() -> Vec<String> {
    let of_categories = Category::ALL.map(|category| format!("Category::{category:?},"));
    of_categories.into_iter().chain([".code(".to_owned(), "code: ".to_owned()]).collect()
}

/// The product's sources without their tests, and without the table itself.
fn product() -> Vec<String> {
    let sources = super::house::sources().into_iter().filter(|(path, _)| {
        let is_ours = path.starts_with("shared") && path.components().any(|part| part.as_os_str() == "src");
        let is_test = path.components().any(|part| ["tests", "tests.rs"].iter().any(|name| part.as_os_str() == *name));
        is_ours && !is_test && !path.starts_with("shared/core/src/category")
    });
    let without_tests = |text: String| text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
    sources.map(|(_, text)| without_tests(text)).collect()
}

/// The string that follows at once, if one does that looks like a code.
fn code(text: &str) -> Option<&str> {
    let (code, _) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    let is_code = code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_code.then_some(code)
}

#[test]
fn every_code_that_is_emitted_stands_in_the_table() {
    let (sources, markers) = (product(), markers());
    let behind = |marker: &String| {
        let pieces = sources.iter().flat_map(|text| text.split(marker.as_str()).skip(1).filter_map(code));
        pieces.map(str::to_owned).collect::<Vec<_>>()
    };
    let emitted: BTreeSet<String> = markers.iter().flat_map(behind).collect();
    assert!(emitted.len() > 40, "they are found: {emitted:?}");
    let known: BTreeSet<String> = CODES.iter().map(|row| row.code.to_owned()).collect();
    let unknown: Vec<&String> = emitted.difference(&known).collect();
    assert!(unknown.is_empty(), "add to shared/core/src/category/codes.rs and to a page: {unknown:?}");
}

#[test]
fn every_code_of_the_table_is_emitted() {
    let sources = product();
    for row in CODES {
        // These are put together from what there is none of.
        let thing = row.code.strip_suffix("_not_found").unwrap_or(row.code);
        let is_there = [row.code, thing].iter().any(|name| {
            let literal = format!("\"{name}\"");
            sources.iter().any(|text| text.contains(&literal))
        });
        assert!(is_there, "nothing emits {}", row.code);
    }
}

#[test]
fn the_readme_states_the_table() {
    let readme = include_str!("../../README.md");
    for category in Category::ALL {
        let row = category.profile();
        let page = category.to_string().to_ascii_lowercase();
        let cells = format!("| {} | {} | {} |", row.status, row.severity, row.retry);
        let stated = format!("| [`{category}`](shared/core/errors/{page}.md) {cells}");
        assert!(readme.contains(&stated), "{stated}");
    }
}
