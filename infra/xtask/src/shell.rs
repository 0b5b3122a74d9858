//! Running other programs from the repository's root, and saying so.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// The time a task takes.
pub(crate) struct Watch(Instant);

impl Watch {
    #[allow(clippy::disallowed_methods, reason = "how long a build took is no decision of the engine's")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.elapsed().as_secs_f64();
        if seconds < 60.0 { write!(f, "{seconds:.1} s") } else { write!(f, "{:.1} min", seconds / 60.0) }
    }
}

/// Announces a step.
pub(crate) fn heading(step: &str) {
    println!("== {step} ==");
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// `cargo`, started at the root.
pub(crate) fn cargo() -> Command {
    program("cargo")
}

/// Any program, started at the root; a relative path with folders in it is taken from there.
pub(crate) fn program(name: impl AsRef<Path>) -> Command {
    let name = name.as_ref();
    let is_path = name.components().count() > 1;
    let mut command = Command::new(if is_path { root().join(name) } else { name.to_path_buf() });
    command.current_dir(root());
    command
}

/// Runs the command with its output shown, and fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}

/// Runs the command and returns what it wrote to standard output; its errors are shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    command.stderr(std::process::Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("{command:?} wrote no UTF-8"))
}
