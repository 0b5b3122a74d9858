//! The command line.

use std::path::PathBuf;

use clap::Parser;
use turnwise_core::money::PicoUsd;

use crate::budget::parse_usd;

/// What a run may cost unless it is said otherwise, in USD: all prompts once, with the
/// cheapest model of every provider, and little enough to be spent by mistake.
const MOST_USD: &str = "0.25";

/// Asks every configured provider a hundred short prompts, through a server started for it.
///
/// It ends with 0 when all prompts were answered, with 1 when one was not, and with 2 when no
/// provider is configured. Each provider is asked with its cheapest model in the catalogue; one
/// that has none there, as OpenRouter, takes part with `--model openrouter/...`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask live")]
pub(crate) struct Options {
    /// Only this provider; may be given several times.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["model", "echo"])]
    pub(crate) provider: Vec<String>,
    /// This model, `provider/model`, in place of the cheapest ones; may be given several times.
    #[arg(long, value_name = "NAME", conflicts_with = "echo")]
    pub(crate) model: Vec<String>,
    /// How many of the prompts, spread over all kinds; all of them unless given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) count: Option<u16>,
    /// Begins no prompt whose answer could take the sum of all costs above this, in USD. It
    /// cannot hold back a model whose price is not known.
    #[arg(long, value_name = "USD", default_value = MOST_USD, value_parser = parse_usd)]
    pub(crate) most_usd: PicoUsd,
    /// Writes the report to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Asks local/echo and nobody else: free, and a test of all this.
    #[arg(long)]
    pub(crate) echo: bool,
}
