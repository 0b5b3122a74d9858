//! A conversation from the terminal, streaming.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use turnwise_providers::sse::{Frame, Parser};

use crate::banner::print;
use crate::key;
use crate::settings::{ChatOptions, Settings};

/// Talks to a server until the input ends.
///
/// # Errors
/// When there is no key, the server cannot be reached, or standard output is closed.
pub(crate) async fn run(settings: &Settings, options: &ChatOptions) -> anyhow::Result<()> {
    let mut talk = Talk {
        client: turnwise_providers::http_client().context("no HTTP client")?,
        url: options.url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}", settings.port)),
        key: find_key(settings)?,
        model: options.model.clone(),
        thread: options.thread.clone(),
    };
    let interactive = std::io::stdin().is_terminal();
    if interactive {
        print(&format!("Talking to {}. Empty line or Ctrl-D ends.\n", talk.url))?;
    }
    loop {
        if interactive {
            print("\nyou> ")?;
        }
        let line = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next()).await?;
        let Some(line) = line.transpose().context("the input cannot be read")? else { return Ok(()) };
        if line.trim().is_empty() {
            return Ok(());
        }
        talk.say(&line).await?;
    }
}

struct Talk {
    client: reqwest::Client,
    url: String,
    key: String,
    model: Option<String>,
    thread: Option<String>,
}

impl Talk {
    /// Sends one message and prints the answer as it comes.
    async fn say(&mut self, message: &str) -> anyhow::Result<()> {
        let body = json!({"message": message, "thread_id": self.thread, "model": self.model, "stream": true});
        let response = self
            .client
            .post(format!("{}/v1/chat", self.url))
            .bearer_auth(&self.key)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .with_context(|| format!("no server at {}; start one with `turnwise serve`", self.url))?;
        if !response.status().is_success() {
            let status = response.status();
            let text = response.text().await.unwrap_or_default();
            bail!("{status}: {}", error_text(&text));
        }
        let mut bytes = response.bytes_stream();
        let (mut parser, mut frames) = (Parser::default(), Vec::new());
        while let Some(chunk) = bytes.next().await {
            parser.push(&chunk.context("the stream broke off; the turn goes on")?, &mut frames)?;
            for frame in frames.drain(..) {
                self.show(&frame)?;
            }
        }
        print("\n")
    }

    fn show(&mut self, frame: &Frame) -> anyhow::Result<()> {
        let data: Value = serde_json::from_str(&frame.data).unwrap_or_default();
        match frame.event.as_str() {
            "turn" => {
                self.thread = data["thread_id"].as_str().map(str::to_owned);
                Ok(())
            }
            "delta" => print(data["text"].as_str().unwrap_or_default()),
            "done" => {
                let cost = data["cost_usd"].as_f64().map(|cost| format!(", {cost} USD")).unwrap_or_default();
                let (number, tokens) = (&data["turn_number"], &data["usage"]["total_tokens"]);
                let model = data["model"].as_str().unwrap_or_default();
                print(&format!("\n  [turn {number}, {model}, {tokens} tokens{cost}]"))
            }
            "error" => print(&format!("\n  [{}]", data["error"]["message"].as_str().unwrap_or_default())),
            _ => Ok(()),
        }
    }
}

fn find_key(settings: &Settings) -> anyhow::Result<String> {
    if let Some(key) = settings.fixed_key()? {
        return Ok(key.to_owned());
    }
    let path = settings.data_dir.join(key::FILE);
    key::read(&path)?.with_context(|| {
        format!("no key: set TURNWISE_DEV_KEY, or run this where the server's data folder {} is", path.display())
    })
}

fn error_text(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    value["error"]["message"].as_str().unwrap_or(body).to_owned()
}
