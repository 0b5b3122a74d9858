//! The rules of the house, checked over `cargo metadata` and the files themselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What each crate of ours may depend on of ours, in ordinary dependencies.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("turnwise-core", &[]),
    ("turnwise-store", &["turnwise-core"]),
    ("turnwise-providers", &["turnwise-core"]),
    ("turnwise-engine", &["turnwise-core", "turnwise-store", "turnwise-providers"]),
    ("turnwise-http", &["turnwise-core", "turnwise-engine"]),
    ("turnwise-functions", LIBRARIES),
    ("turnwise", LIBRARIES),
    ("turnwise-live", &["turnwise-core", "turnwise-providers"]),
    ("turnwise-tests", LIBRARIES),
    ("xtask", &[]),
];

const LIBRARIES: &[&str] =
    &["turnwise-core", "turnwise-store", "turnwise-providers", "turnwise-engine", "turnwise-http"];

/// Crates that `core` must not see: I/O, clocks, chance, vendors.
const NOT_IN_CORE: [&str; 5] = ["tokio", "reqwest", "axum", "rand", "hyper"];

/// Lines of a source file from which it must be split.
const MAX_LINES: usize = 800;

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn ordinary_dependencies(package: &Package) -> BTreeSet<&str> {
    let ordinary = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    ordinary.map(|dependency| dependency.name.as_str()).collect()
}

/// Source files of ours, with their path from the root.
pub(super) fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 50, "the sources are found");
    found
}

/// Files outside the folders in `allowed` that contain `text`.
fn files_with(text: &str, allowed: &[&str]) -> Vec<PathBuf> {
    let outside = |path: &Path| !allowed.iter().any(|folder| path.starts_with(folder));
    sources()
        .into_iter()
        .filter(|(path, source)| outside(path) && source.contains(text))
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn crates_depend_only_on_what_they_may() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let ruled: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ruled, "every crate has its rule");

    for package in packages {
        let (_, allowed) = ALLOWED.iter().find(|(name, _)| *name == package.name.as_str()).unwrap();
        let ours = ordinary_dependencies(package).intersection(&names).copied().collect::<Vec<_>>();
        let forbidden = ours.iter().filter(|name| !allowed.contains(name)).collect::<Vec<_>>();
        assert!(forbidden.is_empty(), "{} must not depend on {forbidden:?}", package.name);
    }
}

#[test]
fn core_does_no_io_and_names_no_vendor() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().unwrap();
    let core = metadata.packages.iter().find(|package| package.name == "turnwise-core").unwrap();
    let (mut seen, mut open) = (BTreeSet::new(), vec![&core.id]);
    while let Some(id) = open.pop() {
        let node = resolve.nodes.iter().find(|node| node.id == *id).unwrap();
        for dependency in &node.deps {
            let ordinary = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if ordinary && seen.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    for id in seen {
        let name = &metadata.packages.iter().find(|package| package.id == *id).unwrap().name;
        let forbidden = NOT_IN_CORE.contains(&name.as_str()) || name.starts_with("aws");
        assert!(!forbidden, "turnwise-core sees {name}");
    }
}

#[test]
fn only_the_store_names_the_aws_sdk_and_its_expressions() {
    let store = "shared/store";
    // The tests read the table and stand between SDK and engine; the reference
    // program of the cold-start benchmark is the bare SDK by design.
    let none: [PathBuf; 0] = [];
    assert_eq!(files_with("aws_sdk_", &[store, "tests"]), none);
    assert_eq!(files_with("attribute_not_exists", &[store, "tests"]), none);
}

#[test]
fn only_who_counts_exactly_has_the_vocabularies() {
    // A binary that names none links none: 7 MB of them.
    let none: [PathBuf; 0] = [];
    let count = "shared/providers/src/count";
    assert_eq!(files_with("tiktoken_rs", &[count, "shared/core/tests", "tests"]), none);
    let composition = ["functions/src/bin/conversations.rs", "infra/local"];
    assert_eq!(files_with("with_tokenizers", &[&[count, "tests"][..], &composition].concat()), none);
}

#[test]
fn only_composition_reads_the_environment() {
    let none: [PathBuf; 0] = [];
    assert_eq!(files_with("env::var", &["functions", "infra", "tests", "shared/core/tests"]), none);
}

#[test]
fn there_is_one_tls_library() {
    let metadata = metadata();
    let has = |name: &str| metadata.packages.iter().any(|package| package.name == name);
    assert!(has("ring"));
    for other in ["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"] {
        assert!(!has(other), "{other} is a second TLS library");
    }
}

#[test]
fn a_bare_cargo_run_starts_the_local_runner() {
    let metadata = metadata();
    let defaults = metadata.workspace_default_packages();
    let runs: Vec<&str> = defaults.iter().filter_map(|package| package.default_run.as_deref()).collect();
    assert_eq!(runs, ["turnwise"]);
}

/// The OpenAPI document calls a schema as its type is called: of two with one name, one is lost.
#[test]
fn no_two_schemas_have_one_name() {
    let mut names = BTreeSet::new();
    for (path, text) in sources() {
        let mut derives = false;
        for line in text.lines() {
            derives |= line.starts_with("#[derive(") && line.contains("ToSchema");
            let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            let Some(at) = words.iter().position(|word| ["struct", "enum"].contains(word)) else { continue };
            let is_new = !derives || line.starts_with("//") || names.insert(words[at + 1].to_owned());
            assert!(is_new, "{}: another schema is called {} too", path.display(), words[at + 1]);
            derives &= line.starts_with("//");
        }
    }
    assert!(names.contains("UsageBody"), "schemas are found: {names:?}");
}

#[test]
fn files_stay_short() {
    let long = sources().into_iter().map(|(path, text)| (path, text.lines().count()));
    let long: Vec<_> = long.filter(|(_, lines)| *lines > MAX_LINES).collect();
    assert_eq!(long, []);
}

#[test]
fn every_crate_forbids_unsafe_code_through_the_workspace() {
    for package in metadata().workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
        assert!(!manifest.contains("features ="), "{}: features are named in the root manifest only", package.name);
    }
}
