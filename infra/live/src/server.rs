//! The real program, started for this run alone, and its public API.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rand::RngExt as _;
use rand::distr::Alphanumeric;
use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use turnwise_providers::environment;

/// What the program says in front of its address when it is ready.
const LISTENING: &str = "is listening on ";

/// Longest time it may take to start: an empty database in memory takes a tenth of it.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time for one answer: the time-outs of the server's calls come first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Characters of the key for this run: 190 bits.
const KEY_CHARS: usize = 32;

/// A running server. Its process ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    // Its standard output: closed, its next line would end the process.
    _out: Lines<BufReader<ChildStdout>>,
    client: Client,
    url: String,
    key: String,
}

impl Server {
    /// Starts the program beside this one on a free port, with everything in memory. It
    /// inherits the environment, so that it has the operator's keys; with `without_providers`
    /// it has none of them.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it listens.
    pub(crate) async fn start(without_providers: bool) -> anyhow::Result<Self> {
        let program = beside_this_one("turnwise")?;
        let key: String = rand::rng().sample_iter(Alphanumeric).take(KEY_CHARS).map(char::from).collect();
        let mut command = Command::new(&program);
        command.args(["--memory", "--port", "0", "serve"]).env("TURNWISE_DEV_KEY", &key);
        // What fails is in the report; its log would only tear the progress bar.
        command.env("RUST_LOG", "off");
        // An answer of another provider would be counted as this one's, and a table that
        // others share is none of this run's business.
        command.env_remove("TURNWISE_FALLBACK_MODELS").env_remove("AWS_ENDPOINT_URL_DYNAMODB");
        if without_providers {
            for variables in environment() {
                command.env_remove(variables.key).env_remove(variables.base_url);
            }
            command.env_remove("TURNWISE_DEFAULT_MODEL");
        }
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = spawned.with_context(|| format!("{} cannot be started", program.display()))?;
        let mut out = BufReader::new(child.stdout.take().context("it has no output")?).lines();
        let url =
            tokio::time::timeout(START_TIMEOUT, address(&mut out)).await.context("the server does not start")??;
        let client = turnwise_providers::http_client().context("no HTTP client")?;
        Ok(Self { child, _out: out, client, url, key })
    }

    /// Ends its process; nothing it holds is worth keeping.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("the server cannot be stopped")
    }

    /// The JSON at `path`.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let response = self.request(Method::GET, path).send().await?;
        let (status, body) = (response.status(), response.bytes().await?);
        if !status.is_success() {
            bail!("{path} answered with {status}");
        }
        serde_json::from_slice(&body).with_context(|| format!("{path} is no JSON"))
    }

    /// Asks for a chat completion under the idempotency key `name`; returns with the head of
    /// the answer, whatever its status.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn complete(&self, name: &str, body: &Value) -> reqwest::Result<Response> {
        let request = self.request(Method::POST, "/v1/chat/completions");
        let request = request.header("idempotency-key", name).header("content-type", "application/json");
        request.body(body.to_string()).send().await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.bearer_auth(&self.key).timeout(ANSWER_TIMEOUT)
    }
}

/// The program `name` in the folder of this one: cargo builds both into the same.
fn beside_this_one(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("this program has no file")?;
    let path = this.with_file_name(name);
    if !path.is_file() {
        bail!("there is no {}; `cargo xtask live` builds it", path.display());
    }
    Ok(path)
}

/// The address that the program says it listens on.
async fn address(out: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<String> {
    while let Some(line) = out.next_line().await? {
        if let Some((_, url)) = line.split_once(LISTENING) {
            return Ok(url.trim().to_owned());
        }
    }
    bail!("the server ended before it listened; it says above why")
}
