//! Turnwise on one machine: the local runner and its command line.
//!
//! - [`settings`]: the command line and the environment
//! - [`serve`]: everything in one process: engine, HTTP, page, shutdown
//! - [`database`]: the embedded DynamoDB engine; [`folder`]: the data folder and its lock
//! - [`keys`]: API keys and tenants; [`key`]: the development key; [`banner`]: what is printed at the start
//! - [`chat`]: a conversation from the terminal; [`operate`]: locks, dead letters, turns
//!   as they happen; [`audit`]: who has done what, and erasures; [`client`]: the running
//!   server they talk to; [`usage`]: what some days came to; [`prices`]: what models charge
//! - [`verify`]: whether the providers take our keys
//! - [`explain`]: what an error means

mod audit;
mod banner;
mod chat;
mod client;
mod database;
mod explain;
mod folder;
mod key;
mod keys;
mod operate;
mod prices;
mod serve;
mod settings;
mod usage;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;
use settings::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(run(Cli::parse())).await.unwrap_or_else(|error| banner::fail(&error))
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => Box::pin(serve::run(cli.settings)).await?,
        Command::Chat(options) => chat::run(&cli.settings, &options).await?,
        Command::Locks { command } => operate::locks(&cli.settings, &command).await?,
        Command::Keys { command } => keys::keys(&cli.settings, &command).await?,
        Command::Tenants { command } => keys::tenants(&cli.settings, &command).await?,
        Command::DeadLetters { command } => operate::dead_letters(&cli.settings, &command).await?,
        Command::Prices { command } => prices::run(&cli.settings, &command).await?,
        Command::Usage(options) => usage::run(&cli.settings, &options).await?,
        Command::Audit { command } => audit::run(&cli.settings, &command).await?,
        Command::Erase(options) => audit::erase(&cli.settings, &options).await?,
        Command::Tail(options) => operate::tail(&cli.settings, &options).await?,
        Command::VerifyKeys(options) => return verify::run(&cli.settings, &options).await,
        Command::Explain { name } => explain::run(name.as_deref())?,
        Command::Openapi => banner::print(&turnwise_http::openapi::document())?,
    }
    Ok(ExitCode::SUCCESS)
}
