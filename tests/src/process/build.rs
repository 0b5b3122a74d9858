//! The binary under test, built as it stands.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The binary beside this test's executable, brought up to date once per run: `cargo
/// test` alone builds no binaries of other packages, and an old one proves nothing.
///
/// # Panics
/// With cargo's own words, if it does not build.
pub(super) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(build)
}

fn build() -> PathBuf {
    let executable = std::env::current_exe().expect("the test runs from a file");
    // target/<profile>/deps/it-0123456789abcdef
    let folder = executable.ancestors().nth(2).expect("cargo puts test executables into target/<profile>/deps");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // The whole workspace, as any other choice of packages resolves other features
    // and compiles the AWS crates once more.
    build.args(["build", "--quiet", "--workspace", "--bin", "turnwise", "--profile", profile]);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    // What cargo tells a test of its package would look to build scripts like a
    // change of theirs, and much would be compiled once more.
    for (name, _) in std::env::vars_os() {
        let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(of_package) {
            build.env_remove(name);
        }
    }
    let built = build.output().expect("cargo can be started");
    assert!(built.status.success(), "turnwise does not build:\n{}", String::from_utf8_lossy(&built.stderr));

    let binary = folder.join("turnwise");
    assert!(binary.is_file(), "cargo put no binary at {}; is another target set?", binary.display());
    binary
}
