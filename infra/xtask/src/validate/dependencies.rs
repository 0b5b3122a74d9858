//! What may not be compiled in, seen in the resolved dependency tree. deny.toml says the same to cargo-deny.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};

use crate::shell::{cargo, output, root};

/// The one crypto provider of the one TLS stack.
const TLS_PROVIDER: &str = "ring";

/// A second TLS stack or provider costs build time, size and cold start.
const BANNED: [&str; 6] = ["aws-lc-rs", "aws-lc-sys", "aws-lc-fips-sys", "openssl", "openssl-sys", "native-tls"];

/// What every function links: a second version would be paid for in build time and size.
const ONCE: [&str; 6] = ["axum", "hyper", "reqwest", "rustls", "tower-http", "tokio"];

/// Checks where packages come from and what is compiled in.
pub(super) fn check() -> Result<()> {
    one_source()?;
    one_tls_stack()
}

/// Every package comes from the one registry that Cargo uses by itself, none from a repository.
fn one_source() -> Result<()> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let sources: BTreeSet<&str> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    ensure!(sources.iter().all(|source| source.starts_with("\"registry+")), "not from a registry: {sources:?}");
    ensure!(sources.len() == 1, "packages come from more than one registry: {sources:?}");
    Ok(())
}

/// The tree of all members, on every platform, with their development dependencies.
fn one_tls_stack() -> Result<()> {
    let arguments =
        ["tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--target", "all", "--prefix", "none"];
    let tree = output(cargo().args(arguments).args(["--format", "{p}"]))?;
    let packages: BTreeSet<(&str, &str)> = tree.lines().filter_map(package).collect();
    let versions =
        |name: &str| packages.iter().filter(|(other, _)| *other == name).map(|(_, v)| *v).collect::<Vec<_>>();

    ensure!(versions(TLS_PROVIDER).len() == 1, "{TLS_PROVIDER}: {:?}", versions(TLS_PROVIDER));
    for name in BANNED {
        ensure!(versions(name).is_empty(), "{name} came in; `cargo tree --invert {name}` tells by whom");
    }
    for name in ONCE {
        ensure!(versions(name).len() <= 1, "{name} is compiled more than once: {:?}", versions(name));
    }
    println!("   {} packages, one TLS provider, {TLS_PROVIDER}", packages.len());
    Ok(())
}

/// Name and version of a line of `cargo tree`: `serde v1.0.0 (proc-macro)`.
fn package(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    Some((words.next()?, words.next()?))
}
