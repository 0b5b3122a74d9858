//! A conversation from the terminal, streaming.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use turnwise_providers::sse::{Frame, Parser};

use crate::banner::print;
use crate::client::Server;
use crate::settings::{ChatOptions, Settings};

/// Talks to a server until the input ends.
///
/// # Errors
/// When there is no key, the server cannot be reached, or standard output is closed.
pub(crate) async fn run(settings: &Settings, options: &ChatOptions) -> anyhow::Result<()> {
    let mut talk = Talk { server: Server::of(settings)?, model: options.model.clone(), thread: options.thread.clone() };
    let interactive = std::io::stdin().is_terminal();
    if interactive {
        print(&format!("Talking to {}. Empty line or Ctrl-D ends.\n", talk.server.url()))?;
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
    server: Server,
    model: Option<String>,
    thread: Option<String>,
}

impl Talk {
    /// Sends one message and prints the answer as it comes.
    async fn say(&mut self, message: &str) -> anyhow::Result<()> {
        let body = json!({"message": message, "thread_id": self.thread, "model": self.model, "stream": true});
        let response = self.server.send(Method::POST, "/v1/chat", Some(&body)).await?;
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
