//! `turnwise verify-keys`: whether each configured provider answers, and takes our key.
//!
//! - `verdict`: what an answer, or its absence, says of address and key
//! - `report`: the same as a table and as JSON

mod report;
mod verdict;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use indicatif::ProgressBar;
use tokio::time::Instant;
use turnwise_core::fault::Faults;
use turnwise_providers::catalogue::{Known, known};
use turnwise_providers::{Place, Provider, Providers};

use self::report::{Check, Report, Row};
use self::verdict::Verdict;
use crate::banner::print;
use crate::settings::{Settings, VerifyOptions};

/// Longest time for one provider: two small answers, for each of which `turnwise_providers`
/// waits 3 s, and room for one that signs its requests with credentials it has to fetch.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two frames of the spinner: ten a second look smooth.
const SPINNER_TICK: Duration = Duration::from_millis(100);

/// The code it ends with when a provider fails.
const SOME_FAIL: u8 = 1;

/// The code it ends with when a setting is malformed, as for a malformed command line.
const MALFORMED: u8 = 2;

/// Asks all configured providers at once, prints what came of it and gives the code to end
/// with: 0 when all are fine, 1 when one fails, 2 when a setting is malformed.
///
/// # Errors
/// When standard output is closed.
pub(crate) async fn run(settings: &Settings, options: &VerifyOptions) -> anyhow::Result<ExitCode> {
    let by_name = options.provider.as_deref();
    let asked_for: Vec<&Known> = known().iter().filter(|known| by_name.is_none_or(|name| known.name == name)).collect();
    let report = match settings.providers() {
        Ok(providers) => Report::of(check_all(&providers, &asked_for).await, by_name.is_some()),
        Err(error) => Report::malformed(error.downcast::<Faults>()?),
    };
    print(&if options.json { report.json() } else { report.text() })?;
    Ok(match (report.ok, report.faults.is_empty()) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => ExitCode::from(SOME_FAIL),
        (false, false) => ExitCode::from(MALFORMED),
    })
}

/// A row for each of `asked_for`, in the order of preference.
async fn check_all(providers: &Providers, asked_for: &[&'static Known]) -> Vec<Row> {
    let spinner = spinner();
    let rows = join_all(asked_for.iter().map(async |known| {
        let configured = providers.configured().find(|provider| provider.name() == known.name);
        match configured.and_then(|provider| Some((provider, provider.place()?))) {
            Some((provider, place)) => Row::checked(known, check(known, provider, place).await),
            None => Row::not_configured(known),
        }
    }))
    .await;
    spinner.finish_and_clear();
    rows
}

async fn check(known: &Known, provider: &Arc<Provider>, place: Place) -> Check {
    let begun = Instant::now();
    let answer = tokio::time::timeout(CHECK_TIMEOUT, provider.check_key()).await;
    let latency = begun.elapsed();
    let verdict = match answer {
        Ok(Ok(models)) => Verdict::fine(&place, models.len()),
        Ok(Err(error)) => Verdict::of_error(known, &place, &error),
        Err(_) => Verdict::silent(known, &place, CHECK_TIMEOUT),
    };
    Check { place, verdict, latency }
}

/// Turns on standard error while it waits; hidden where that is no terminal.
fn spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message("asking the providers");
    spinner.enable_steady_tick(SPINNER_TICK);
    spinner
}
