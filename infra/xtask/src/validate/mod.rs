//! `cargo xtask validate`: what can be known about a deployment without deploying.

mod dependencies;
mod events;
mod template;

use anyhow::{Context, Result};

use crate::shell::{self, heading, output};
use crate::tools::{script, tool};

/// The linters ask for a region to know which resources there are; any will do, nothing is called.
const REGION: (&str, &str) = ("AWS_DEFAULT_REGION", "us-east-1");
const NO_TELEMETRY: (&str, &str) = ("SAM_CLI_TELEMETRY", "0");

/// Needs `tools` to have run.
pub(crate) fn run() -> Result<()> {
    heading("sam validate");
    let sam = ["validate", "--lint", "--template", "template.yaml"];
    shell::run(tool("sam", "sam").args(sam).envs([REGION, NO_TELEMETRY]))?;

    heading("cfn-lint");
    shell::run(tool("sam", "cfn-lint").args(["--regions", REGION.1, "--template", "template.yaml"]))?;

    heading("the translated template");
    let translated = output(script("translate.py").envs([REGION]))?;
    let translated = serde_json::from_str(&translated).context("translate.py wrote no JSON")?;
    template::check(&translated)?;

    heading("sample events");
    events::check(&translated)?;

    heading("dependencies");
    dependencies::check()
}
