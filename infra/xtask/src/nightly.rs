//! `cargo xtask nightly`: the checks that take too long for every change.

use anyhow::Result;

use crate::shell::{self, cargo, heading};

/// Seeds of the engine's fault runs: what a release asks for.
const SEEDS: &str = "100000";

/// The tests that are ignored by day, then the fault runs with as many seeds as a release asks for.
pub(crate) fn run() -> Result<()> {
    heading("nightly: the model of the protocol, its largest worlds");
    // The AWS crates, which `-p` would compile a second time, are not among core's dependencies.
    let model = ["test", "-p", "turnwise-core", "--release", "--test", "protocol_model"];
    shell::run(cargo().args(model).args(["--", "--ignored", "--nocapture"]))?;
    heading(&format!("nightly: the engine under faults, {SEEDS} seeds"));
    let faults = ["test", "--workspace", "--release", "--test", "it"];
    shell::run(cargo().args(faults).args(["--", "faults::", "--nocapture"]).env("TURNWISE_SEEDS", SEEDS))
}
