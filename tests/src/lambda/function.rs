//! A function: a real binary that polls a Runtime API of its own.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::api::Api;
use super::reply::{Invocation, Reply};
use super::{Setup, binary, in_time};

/// Time of an invocation, unless a test says otherwise: the template's longest.
const TIME: Duration = Duration::from_secs(900);

/// A running function. It is killed when this is dropped.
#[derive(Debug)]
pub struct Function {
    api: Api,
    process: Child,
    log: Arc<Mutex<Vec<u8>>>,
    readers: [JoinHandle<()>; 2],
}

/// How a function ended.
#[derive(Debug)]
pub struct Exit {
    /// Its exit status.
    pub status: ExitStatus,
    /// All it had written.
    pub log: String,
}

impl Function {
    /// Starts the workspace's binary `name` with the environment of `setup`.
    ///
    /// # Panics
    /// If it cannot be built or started.
    pub async fn start(name: &str, setup: &Setup) -> Self {
        Self::start_binary(&binary(name), setup).await
    }

    /// Starts the binary at `path` with the environment of `setup`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start_binary(path: &Path, setup: &Setup) -> Self {
        let api = Api::start().await;
        let mut command = Command::new(path);
        command.env_clear().envs(&setup.variables).env("AWS_LAMBDA_RUNTIME_API", &api.address);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", path.display()));
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let readers = [
            tokio::spawn(keep(process.stdout.take().expect("it is piped"), Arc::clone(&log))),
            tokio::spawn(keep(process.stderr.take().expect("it is piped"), Arc::clone(&log))),
        ];
        Self { api, process, log, readers }
    }

    /// Invokes it; the answer can be watched as it comes.
    pub fn invoke(&self, event: impl Into<Value>) -> Invocation {
        self.invoke_for(event, TIME)
    }

    /// As [`Self::invoke`], with a deadline in `time`.
    pub fn invoke_for(&self, event: impl Into<Value>, time: Duration) -> Invocation {
        self.api.invoke(&event.into(), time)
    }

    /// Invokes it and waits for the whole HTTP answer.
    pub async fn call(&self, event: impl Into<Value>) -> Reply {
        self.invoke(event).reply().await
    }

    /// How often it has asked for an event. One more than the invocations that have
    /// ended for it, as soon as it is idle.
    #[must_use]
    pub fn polls(&self) -> usize {
        *self.api.polls().borrow()
    }

    /// Waits until it has asked for an event `times` times.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn polled(&self, times: usize) {
        let mut polls = self.api.polls();
        in_time("a poll", polls.wait_for(|polls| *polls >= times)).await.expect("the emulator lives");
    }

    /// All it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Kills it with SIGKILL, and waits until it is dead.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub async fn kill(mut self) {
        self.process.kill().await.expect("a child can be killed");
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// If it does not.
    pub async fn ended(mut self) -> Exit {
        let status = in_time("the function's end", self.process.wait()).await.expect("a child can be waited for");
        for reader in &mut self.readers {
            in_time("the end of its output", reader).await.expect("a reader does not panic");
        }
        Exit { status, log: self.log() }
    }
}

async fn keep(mut output: impl AsyncRead + Unpin, log: Arc<Mutex<Vec<u8>>>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut bytes).await {
        log.lock().unwrap().extend_from_slice(&bytes[..count]);
    }
}
