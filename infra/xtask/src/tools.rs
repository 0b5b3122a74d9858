//! `cargo xtask tools`: the pinned tools that are not Rust crates, in target/tools.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{heading, program, root, run};

/// A Python environment and the list of what is in it.
struct Environment {
    name: &'static str,
    requirements: &'static str,
}

/// sam checks and packages, emulate runs and calls; they need different versions of botocore. openai-2 has OpenAI's
/// client of the version before, with what it needs. schemathesis makes up requests from the OpenAPI document.
const ENVIRONMENTS: [Environment; 4] = [
    Environment { name: "sam", requirements: "infra/emulate/requirements-sam.txt" },
    Environment { name: "emulate", requirements: "infra/emulate/requirements-emulate.txt" },
    Environment { name: "openai-2", requirements: "infra/emulate/requirements-openai-2.txt" },
    Environment { name: "schemathesis", requirements: "infra/emulate/requirements-schemathesis.txt" },
];

/// Packages for Node.js: playwright-core drives a browser that is installed already, openai is OpenAI's client, which
/// from its version 7 on wants Node.js 22, @anthropic-ai/sdk Anthropic's. The last one needs others, which npm chooses.
const NODE_PACKAGES: [&str; 3] = ["playwright-core@1.65.1", "openai@6.49.0", "@anthropic-ai/sdk@1.12.0"];

/// Installs what is missing. Idempotent: each tool has a stamp file that holds the pins it was installed from.
pub(crate) fn install() -> Result<()> {
    for environment in &ENVIRONMENTS {
        let pins = fs::read_to_string(root().join(environment.requirements))
            .with_context(|| format!("cannot read {}", environment.requirements))?;
        once(environment.name, &pins, || install_python(environment))?;
    }
    once("node", &NODE_PACKAGES.join("\n"), install_node)
}

/// A program of the environment `sam` or `emulate`.
pub(crate) fn tool(environment: &str, name: &str) -> Command {
    program(folder(environment).join("bin").join(name))
}

/// One of the scripts in infra/emulate.
pub(crate) fn script(name: &str) -> Command {
    let mut command = tool("emulate", "python");
    command.arg(root().join("infra/emulate").join(name));
    command
}

/// The search path with the programs of the environment `sam` first, so that `cargo lambda` is found.
pub(crate) fn path() -> Result<OsString> {
    #[allow(clippy::disallowed_methods, reason = "a search path is handed on, nothing is configured by it")]
    let inherited = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder("sam").join("bin")).chain(env::split_paths(&inherited));
    env::join_paths(folders).context("the search path cannot be extended")
}

/// Where a tool is, and its stamp.
fn folder(tool: &str) -> PathBuf {
    root().join("target/tools").join(tool)
}

/// Runs `install` unless the tool's stamp says that it was installed from the same pins.
fn once(tool: &str, pins: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = folder(tool).join("pins.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == pins) {
        heading(&format!("tools: {tool} is up to date"));
        return Ok(());
    }
    heading(&format!("tools: installing {tool}"));
    install()?;
    fs::write(&stamp, pins).with_context(|| format!("cannot write {}", stamp.display()))
}

fn install_python(environment: &Environment) -> Result<()> {
    run(program("python3").args(["-m", "venv", "--clear"]).arg(folder(environment.name)))?;
    // The lists are complete, so nothing is resolved and nothing unpinned comes in.
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"];
    run(tool(environment.name, "python").args(pip).arg(environment.requirements))
}

fn install_node() -> Result<()> {
    fs::create_dir_all(folder("node")).context("cannot create the folder for Node.js tools")?;
    let npm = ["install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix"];
    run(program("npm").args(npm).arg(folder("node")).args(NODE_PACKAGES))
}
