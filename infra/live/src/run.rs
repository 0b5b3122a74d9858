//! Asks all prompts of all models, within the budget.

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use turnwise_core::money::PicoUsd;

use crate::ask::{self, Outcome};
use crate::budget::Budget;
use crate::models::{self, Listed};
use crate::options::Options;
use crate::prompts::{self, MAX_OUTPUT_TOKENS, Prompt};
use crate::report::Report;
use crate::server::Server;
use crate::summary::Summary;

/// Prompts asked of a provider at a time: few enough for the limits of a new account.
const AT_A_TIME: usize = 4;

/// The model that `--echo` asks.
const ECHO: &str = "local/echo";

/// The code it ends with when there is nobody to ask.
const NOBODY: u8 = 2;

/// Runs what the command line says, and gives the code to end with.
///
/// # Errors
/// When the server does not start, a model is not served, or the report cannot be written.
pub(crate) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let prompts = prompts::shipped()?;
    let prompts = prompts::pick(&prompts, options.count);
    let server = Server::start(options.echo).await?;
    let models = models_of(&server, options).await?;
    if models.is_empty() {
        println!("No such provider is configured: set OPENAI_API_KEY or another key, or try --echo. See the README.");
        return Ok(ExitCode::from(NOBODY));
    }
    let budget = Mutex::new(Budget::new(options.most_usd));
    let mut summaries = Vec::new();
    for model in &models {
        summaries.push(ask_all(&server, model, &prompts, &budget).await);
    }
    server.stop().await?;

    let report = Report::of(summaries);
    print!("{}", report.text());
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, json).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The models to ask: those that are named, or the cheapest of each provider.
async fn models_of(server: &Server, options: &Options) -> anyhow::Result<Vec<Listed>> {
    let mut named = Vec::new();
    for name in options.model.iter().map(String::as_str).chain(options.echo.then_some(ECHO)) {
        named.push(one(server, name).await?);
    }
    if !named.is_empty() {
        return Ok(named);
    }
    let mut list = server.get("/v1/models").await?;
    let listed = serde_json::from_value(list["data"].take()).context("the list of models is none")?;
    Ok(models::cheapest(listed, &options.provider))
}

async fn one(server: &Server, name: &str) -> anyhow::Result<Listed> {
    let model = server.get(&format!("/v1/models/{name}")).await;
    let model = model.with_context(|| format!("{name} is not served; is its provider configured?"))?;
    serde_json::from_value(model).with_context(|| format!("{name} is no model"))
}

/// Asks `model` all `prompts` for which there is money.
async fn ask_all(server: &Server, model: &Listed, prompts: &[&Prompt], budget: &Mutex<Budget>) -> Summary {
    let price = model.price();
    let bar = progress(model, prompts.len());
    let budget = || budget.lock().unwrap_or_else(PoisonError::into_inner);
    let asking = stream::iter(prompts.iter().enumerate()).map(async |(at, prompt)| {
        let bytes = prompt.body(&model.id, false).to_string().len();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let most = price.map_or(PicoUsd(0), |price| models::most(&price, bytes, MAX_OUTPUT_TOKENS));
        if !budget().reserve(most) {
            return None;
        }
        let name = format!("live-{}-{at}", model.id);
        let outcome = ask::ask(server, prompt, &model.id, &name, prompt.is_streamed(at)).await;
        budget().settle(most, outcome.charge);
        bar.inc(1);
        Some((prompt.kind.as_str(), outcome))
    });
    let outcomes: Vec<Option<(&str, Outcome)>> = asking.buffer_unordered(AT_A_TIME).collect().await;
    bar.finish_and_clear();
    let asked: Vec<(&str, Outcome)> = outcomes.into_iter().flatten().collect();
    Summary::of(&model.id, &asked, prompts.len() - asked.len())
}

/// Moves on standard error while it goes on; hidden where that is no terminal.
fn progress(model: &Listed, prompts: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(prompts).unwrap_or(u64::MAX)).with_message(model.id.clone());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
