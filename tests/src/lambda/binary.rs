//! The binaries of the workspace, fresh.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Variables that cargo sets for the programs it runs. A cargo that inherits them takes
/// the build scripts that look at them for changed, and builds half the workspace anew.
const OF_OUTER_CARGO: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_PRIMARY_"];

/// The binary `name`, in the profile of the program that asks. All binaries are brought
/// up to date at the first call: `cargo test` itself builds none of them.
///
/// # Panics
/// If they cannot be built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| build(&own_profile(), &["--workspace"]));
    in_folder(folder, name)
}

/// The folder with the functions and their reference as they come out of another
/// `profile`, for measurements. Only these: the packages are built in this way too.
///
/// # Panics
/// If they cannot be built.
#[must_use]
pub fn functions_in(profile: &str) -> PathBuf {
    build(profile, &["-p", "turnwise-functions", "-p", "turnwise-tests"])
}

fn in_folder(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "cargo built no binary {}", path.display());
    path
}

/// Builds the binaries of `packages` and says where they are.
fn build(profile: &str, packages: &[&str]) -> PathBuf {
    let target = target();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--bins", "--quiet"]).args(packages);
    cargo.arg("--profile").arg(profile).arg("--target-dir").arg(&target);
    for (variable, _) in std::env::vars_os() {
        if OF_OUTER_CARGO.iter().any(|prefix| variable.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(variable);
        }
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(status.success(), "the binaries cannot be built: {cargo:?} ended with {status}");
    target.join(if profile == "dev" { "debug" } else { profile })
}

/// `target`, of `target/PROFILE/deps/THIS-PROGRAM`.
fn target() -> PathBuf {
    profile_folder().parent().expect("a profile's folder lies in target").to_owned()
}

fn own_profile() -> String {
    let folder = profile_folder();
    let name = folder.file_name().expect("a profile's folder has a name").to_string_lossy().into_owned();
    if name == "debug" { "dev".to_owned() } else { name }
}

fn profile_folder() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a path");
    let deps = program.parent().expect("a program lies in a folder");
    deps.parent().expect("tests and benches lie in target/PROFILE/deps").to_owned()
}
