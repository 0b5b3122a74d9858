//! `cargo xtask bench`: measurements, never tests.

use anyhow::Result;

use crate::shell::{self, cargo, heading};

/// Runs every benchmark of the workspace.
pub(crate) fn run() -> Result<()> {
    heading("bench");
    shell::run(cargo().args(["bench", "--workspace", "--benches"]))
}
