//! `cargo xtask check` and `cargo xtask test`.

use anyhow::Result;

use crate::shell::{self, cargo, heading};

/// Format and lints first: they are quick, and their complaints are cheap to mend.
pub(crate) fn run() -> Result<()> {
    heading("fmt");
    shell::run(cargo().args(["fmt", "--all", "--check"]))?;
    heading("clippy");
    shell::run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    test()
}

/// The tests, with the features of the whole workspace: `-p` would compile the AWS crates again.
pub(crate) fn test() -> Result<()> {
    heading("test");
    shell::run(cargo().args(["test", "--workspace"]))
}
