//! What a person at the terminal sees.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use turnwise_engine::Engine;

use crate::settings::Settings;

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_LOG: &str = "info";

/// What is printed when the server is ready.
pub(crate) struct Banner<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) settings: &'a Settings,
    pub(crate) key: &'a str,
    pub(crate) engine: &'a Engine,
}

impl Banner<'_> {
    /// Prints it.
    ///
    /// # Errors
    /// When standard output is closed.
    pub(crate) async fn print(&self) -> anyhow::Result<()> {
        let url = format!("http://{}", self.address);
        let data = match (&self.settings.table_endpoint, self.settings.memory) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, true) => "in memory, gone when it stops".to_owned(),
            (None, false) => self.settings.data_dir.display().to_string(),
        };
        let default = self.engine.model("auto").await.map(|model| model.name).unwrap_or_default();
        let providers = self.engine.providers.configured().map(|provider| provider.name().to_owned());
        let providers = providers.collect::<Vec<_>>().join(", ");
        let turn = format!(
            "curl -i {url}/v1/chat -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \\\n       \
             -d '{{\"session_id\":\"demo\",\"turn_id\":\"1\",\"message\":\"Hello, Turnwise\"}}'",
            self.key
        );
        print(&format!(
            "\nTurnwise {version} is listening on {url}\n\n  \
             page       {url}/\n  \
             OpenAI     base_url = {url}/v1\n  \
             key        {key}\n  \
             data       {data}\n  \
             providers  {providers}\n  \
             default    {default}\n\n  \
             A turn:\n    {turn}\n\n  \
             Its retry, which gets the same answer and says so (Idempotent-Replayed: true):\n    {turn}\n\n  \
             Ctrl-C finishes what is running and stops.\n\n",
            version = env!("CARGO_PKG_VERSION"),
            key = self.key,
        ))
    }
}

/// Prints `text` as it is.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output is closed")
}

/// Says something to the person at the terminal that is no part of what was asked for.
///
/// # Errors
/// When standard error is closed.
pub(crate) fn hint(text: &str) -> anyhow::Result<()> {
    std::io::stderr().write_all(text.as_bytes()).context("standard error is closed")
}

/// Says why the program ends, and gives the code it ends with.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    // Standard error may be closed too; there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "turnwise: {error:#}");
    ExitCode::from(1)
}

/// Logs to standard error, as `RUST_LOG` says.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_ansi(colours);
    let log = log.with_writer(std::io::stderr);
    // Fails only if somebody has set a logger before, and nobody does.
    let _ = log.try_init();
}
