//! `cargo xtask openapi`: the OpenAPI document is checked in, so that a change of the API shows in review.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::shell::{self, cargo, heading, output, program, root};

/// The document checked in, from the root.
const GOLDEN: &str = "tests/openapi.json";

/// Compares what the routes describe with the document checked in, or, with `bless`, replaces that.
pub(crate) fn run(bless: bool) -> Result<()> {
    heading("openapi");
    // Built with the features of the whole workspace, so that nothing is compiled twice.
    shell::run(cargo().args(["build", "--quiet", "--workspace", "--bin", "turnwise"]))?;
    let document = output(program("target/debug/turnwise").arg("openapi"))?;
    let golden = root().join(GOLDEN);
    if bless {
        return fs::write(&golden, document).with_context(|| format!("cannot write {GOLDEN}"));
    }
    let checked_in = fs::read_to_string(&golden).with_context(|| format!("cannot read {GOLDEN}"))?;
    ensure!(document == checked_in, "{GOLDEN} is not what the routes say: see `cargo xtask openapi --bless`");
    Ok(())
}
