//! `cargo xtask live`: short prompts for every provider that is configured, through the real
//! program. It costs money, so it runs only where somebody asks for it.
//!
//! - [`options`]: the command line; [`prompts`]: what is asked
//! - [`server`]: the program under test, started for this run, and its public API
//! - [`models`]: which model stands for each provider
//! - [`run`]: asks them all, within the [`budget`]
//! - [`ask`]: one prompt, buffered or streamed; [`answer`]: whether what came is an answer
//! - [`summary`]: what came of it, in numbers; [`report`]: the same as a table and as JSON
#![allow(clippy::print_stdout, reason = "a command line talks on standard output")]

mod answer;
mod ask;
mod budget;
mod models;
mod options;
mod prompts;
mod report;
mod run;
mod server;
mod summary;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    run::run(&options::Options::parse()).await.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
