//! What the project does to itself: check, test, package, validate, deploy to an emulated cloud.
//!
//! One file a subcommand. Each can be run alone and says what it does while it does it.
#![allow(clippy::print_stdout, reason = "a command line talks on standard output")]

mod bench;
mod check;
mod deploy_emulated;
mod live;
mod nightly;
mod openapi;
mod package;
mod shell;
mod tools;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Builds, checks and tries out Turnwise")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Format, lints as errors, tests.
    Check,
    /// The tests alone.
    Test,
    /// The checks that take too long for every change: the protocol's largest worlds, 100,000 fault seeds.
    Nightly,
    /// Installs the pinned Python and Node.js tools into target/tools.
    Tools,
    /// Checks template.yaml, its translation, the sample events and the dependency tree.
    Validate,
    /// Builds the functions as deployable packages in target/package/zip.
    Package,
    /// Deploys the packages to an emulated cloud and uses them through its API Gateway.
    DeployEmulated,
    /// Asks every provider that is really configured a hundred short prompts; it costs money.
    /// Ends with 2 when none is configured; `live --help` tells of its options.
    #[command(disable_help_flag = true)]
    Live {
        /// For the program that asks.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Runs the benchmarks.
    Bench,
    /// Compares the OpenAPI document with the one checked in.
    Openapi {
        /// Write the document instead of comparing it.
        #[arg(long)]
        bless: bool,
    },
}

fn main() -> ExitCode {
    let watch = shell::Watch::start();
    match run(Arguments::parse().task) {
        Ok(()) => {
            println!("== done in {watch} ==");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Check => check::run(),
        Task::Test => check::test(),
        Task::Nightly => nightly::run(),
        Task::Tools => tools::install(),
        Task::Validate => validate::run(),
        Task::Package => package::run(),
        Task::DeployEmulated => deploy_emulated::run(),
        Task::Live { arguments } => match live::run(&arguments)? {},
        Task::Bench => bench::run(),
        Task::Openapi { bless } => openapi::run(bless),
    }
}
