//! From the environment to a running engine.

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;
use turnwise_core::fault::Faults;
use turnwise_engine::Engine;
use turnwise_http::Access;
use turnwise_http::edge::Origins;
use turnwise_store::queue::Queue;
use turnwise_store::secrets::{self, Secrets};
use turnwise_store::{Store, client};

use crate::settings::{self, Settings};

/// Composes the engine and lets `body` run with it until the process ends. Lambda
/// reports an exit code other than 0 as a function that did not start.
pub(crate) fn run(body: impl AsyncFnOnce(Engine, Front) -> Result<(), lambda_runtime::Error>) -> ExitCode {
    log(&settings::log_of_environment());
    match block_on(body) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped) => ExitCode::FAILURE,
    }
}

/// What a function that serves HTTP shows to whom.
pub(crate) struct Front {
    /// The keys of the deployment itself.
    pub(crate) access: Access,
    /// The pages that may call it from a browser.
    pub(crate) origins: Origins,
}

/// The process cannot go on; the log says why.
struct Stopped;

fn refuse(faults: Faults) -> Stopped {
    tracing::error!(%faults, "the settings are not valid; nothing was started");
    Stopped
}

fn unread(error: secrets::Error) -> Stopped {
    tracing::error!(%error, "the secrets cannot be read; nothing was started");
    Stopped
}

/// One thread: several start no sooner, and a function has less than one processor
/// until it has more than 1,769 MB. See `infra/decisions/runtime-flavour.md`.
fn block_on(body: impl AsyncFnOnce(Engine, Front) -> Result<(), lambda_runtime::Error>) -> Result<(), Stopped> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        tracing::error!(%error, "the operating system refused what an async runtime needs");
        Stopped
    })?;
    runtime.block_on(async {
        let sdk = client::cloud().await;
        // See `infra/decisions/secrets.md`.
        let secrets = match settings::secrets_path() {
            Some(path) => Secrets::read(&sdk, &path).await.map_err(unread)?,
            None => Secrets::default(),
        };
        let settings = Settings::from_environment(&secrets).map_err(refuse)?;
        let (store, queue) = (
            Store::new(&sdk, &settings.table),
            Queue::sqs(&sdk, &settings.queue_url, settings.dead_letters_url.as_deref()),
        );
        let engine = Engine::new(store, queue, settings.providers).with_calls(settings.calls);
        let engine =
            engine.with_retention(settings.retention).with_peppers(settings.peppers).with_alerts(settings.alerts);
        let engine = engine.with_baseline(settings.baseline);
        let ended = body(engine, Front { access: settings.access, origins: settings.origins }).await;
        ended.map_err(|error| {
            tracing::error!(%error, "the Lambda runtime ended");
            Stopped
        })
    })
}

/// JSON lines on standard output, where Lambda takes them for CloudWatch.
fn log(filter: &str) {
    let log = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_ansi(false)
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stdout);
    // Fails only if somebody has set a logger before, and nobody does.
    let _ = log.try_init();
}
