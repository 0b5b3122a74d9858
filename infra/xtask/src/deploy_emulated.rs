//! `cargo xtask deploy-emulated`: the packages in an emulated cloud, used through its API Gateway.

use anyhow::Result;

use crate::package::PACKAGES;
use crate::shell::{self, heading};
use crate::tools::script;

/// Needs `tools` and `package` to have run.
pub(crate) fn run() -> Result<()> {
    heading("deploy to the emulated cloud");
    shell::run(script("deploy.py").arg(PACKAGES))
}
