//! `cargo xtask package`: one zip a function in target/package/zip.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell::{self, cargo, heading, root};
use crate::tools;

/// Where the packages end up, from the root: `<binary>/bootstrap.zip`.
pub(crate) const PACKAGES: &str = "target/package/zip";

/// A folder of its own: the profile is called `lambda`, and so is the folder that cargo-lambda makes beside the
/// profiles' folders.
const TARGET: &str = "target/package";

/// The newest minor version of glibc 2 that Lambda's provided.al2023 has. A binary that asks for more does not start.
const LAMBDA_GLIBC_MINOR: u32 = 34;

/// Builds and packs every function.
pub(crate) fn run() -> Result<()> {
    heading("package");
    // `-p` keeps the local runner's embedded database out; this profile shares no artefacts with the others anyway.
    shell::run(
        cargo_lambda()?.args(["lambda", "build", "--profile", "lambda", "--package", "turnwise-functions"]).args([
            "--compiler",
            "cargo",
            "--output-format",
            "zip",
            "--lambda-dir",
            PACKAGES,
        ]),
    )?;
    for binary in binaries()? {
        report(&binary)?;
    }
    Ok(())
}

/// cargo with cargo-lambda among its commands, building where no other build does.
fn cargo_lambda() -> Result<Command> {
    let mut command = cargo();
    command.env("PATH", tools::path()?).env("CARGO_TARGET_DIR", root().join(TARGET));
    Ok(command)
}

/// The functions that have been packed, by name.
fn binaries() -> Result<Vec<String>> {
    let packages = root().join(PACKAGES);
    let entries = fs::read_dir(&packages).with_context(|| format!("cannot list {}", packages.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    ensure!(!names.is_empty(), "there is no package in {PACKAGES}");
    Ok(names)
}

/// Prints the sizes of a package, and fails when Lambda could not start it.
fn report(binary: &str) -> Result<()> {
    let package = root().join(PACKAGES).join(binary).join("bootstrap.zip");
    let packed = fs::metadata(&package).with_context(|| format!("cannot read {}", package.display()))?.len();
    let program = unpack(binary, &package)?;
    let glibc_minor = newest_glibc_minor(&program);
    println!("   {binary}: {} KB, {} KB packed, needs glibc 2.{glibc_minor}", program.len() / 1000, packed / 1000);
    ensure!(
        glibc_minor <= LAMBDA_GLIBC_MINOR,
        "{binary} needs glibc 2.{glibc_minor}, but Lambda has 2.{LAMBDA_GLIBC_MINOR}: build it on an older system"
    );
    Ok(())
}

/// The program in a package, as Lambda will unpack it.
fn unpack(binary: &str, package: &Path) -> Result<Vec<u8>> {
    let folder = root().join(TARGET).join("unpacked").join(binary);
    shell::run(tools::tool("emulate", "python").args(["-m", "zipfile", "-e"]).arg(package).arg(&folder))?;
    fs::read(folder.join("bootstrap")).with_context(|| format!("{} holds no bootstrap", package.display()))
}

/// The newest `GLIBC_2.<minor>` among the symbol versions that a program names; 0 for one that needs no glibc.
fn newest_glibc_minor(program: &[u8]) -> u32 {
    const PREFIX: &[u8] = b"GLIBC_2.";
    program
        .windows(PREFIX.len())
        .enumerate()
        .filter(|(_, window)| *window == PREFIX)
        .map(|(at, _)| number(&program[at + PREFIX.len()..]))
        .max()
        .unwrap_or(0)
}

/// The decimal number that `text` begins with.
fn number(text: &[u8]) -> u32 {
    text.iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_u32, |value, digit| value.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_counts_as_a_number() {
        assert_eq!(newest_glibc_minor(b"\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0"), 34);
        assert_eq!(newest_glibc_minor(b"static"), 0);
    }
}
