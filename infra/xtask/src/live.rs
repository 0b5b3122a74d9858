//! `cargo xtask live`: short prompts for the providers that are really configured.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context, Result};

use crate::shell::{self, cargo, heading, program};

/// Builds the server and what asks it, and becomes the latter, with its exit code. That is a
/// program of its own, as it is built with the whole workspace: with HTTP among xtask's own
/// dependencies `cargo xtask` would compile all of that a second time.
pub(crate) fn run(arguments: &[OsString]) -> Result<Infallible> {
    heading("live");
    let bins = ["--bin", "turnwise", "--bin", "turnwise-live"];
    shell::run(cargo().args(["build", "--quiet", "--workspace"]).args(bins))?;
    let error = program("target/debug/turnwise-live").args(arguments).exec();
    Err(error).context("cannot start turnwise-live")
}
