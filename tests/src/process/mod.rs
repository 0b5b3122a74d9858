//! The real, unmodified program as a process of its own: started, killed, started again.
//!
//! ```no_run
//! # use turnwise_tests::process::Program;
//! # async fn example() {
//! let folder = tempfile::tempdir().unwrap();
//! let program = Program::new(folder.path());
//! let server = program.start().await;
//! let reply = server.post("/v1/chat", r#"{"message": "hello"}"#, &[]).await.unwrap();
//! server.kill().await;
//! let server = program.start().await;
//! # }
//! ```

mod build;
mod http;
mod log;

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

pub use self::http::Reply;
use self::log::Log;

/// Longer than anything here takes on a busy machine, a lapsing lease included; a
/// test that waits so long failed.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// The development key, unless the program makes its own.
pub const KEY: &str = "tw_dev_fixed";

/// Open files: a thousand clients, and beside them some seventy programs with an
/// engine, a provider and a proxy each.
const SOCKETS: u64 = 4096;

/// What the program says in front of its address when it is ready.
const LISTENING: &str = "is listening on ";

/// How the program is to be started.
#[derive(Debug, Clone)]
pub struct Program {
    data_dir: PathBuf,
    settings: Vec<(&'static str, String)>,
    arguments: Vec<&'static str>,
    key: Option<String>,
}

impl Program {
    /// On the data folder `data_dir`, with the key [`KEY`], on a free port. Nothing of
    /// the test's own environment reaches it.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        let program = Self { data_dir: data_dir.to_owned(), settings: Vec::new(), arguments: Vec::new(), key: None };
        // The system picks the port as it binds it, so that nobody can come between.
        program.setting("TURNWISE_PORT", "0").key(KEY)
    }

    /// With the OpenAI-compatible provider at `base_url`, as the default.
    #[must_use]
    pub fn provider(self, base_url: &str) -> Self {
        let program = self.setting("OPENAI_BASE_URL", base_url).setting("OPENAI_API_KEY", "mock");
        program.setting("TURNWISE_DEFAULT_MODEL", "openai/scripted")
    }

    /// With the DynamoDB engine at `endpoint` in place of its own.
    #[must_use]
    pub fn table(self, endpoint: &str) -> Self {
        self.setting("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
    }

    /// With this development key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.settings.retain(|(name, _)| *name != "TURNWISE_DEV_KEY");
        self.key = Some(key.to_owned());
        self.setting("TURNWISE_DEV_KEY", key)
    }

    /// Without a development key: it makes one of its own.
    #[must_use]
    pub fn own_key(mut self) -> Self {
        self.settings.retain(|(name, _)| *name != "TURNWISE_DEV_KEY");
        self.key = None;
        self
    }

    /// With a command line argument.
    #[must_use]
    pub fn argument(mut self, argument: &'static str) -> Self {
        self.arguments.push(argument);
        self
    }

    /// Starts it, and waits until it is healthy.
    ///
    /// # Panics
    /// With its log, if it does not become healthy.
    pub async fn start(&self) -> Server {
        let (mut child, log) = self.spawn();
        let ready = tokio::select! {
            ready = log.line_with(LISTENING) => ready,
            status = child.wait() => panic!("turnwise ended with {status:?} before it listened:\n{}", log.whole().await),
            () = tokio::time::sleep(PATIENCE) => panic!("turnwise does not listen:\n{}", log.text()),
        };
        let url = ready.split_once(LISTENING).map_or("", |(_, url)| url).trim().to_owned();
        let key = self.key.clone().unwrap_or_default();
        let server = Server { child, log, url, key, http: http::client() };
        server.wait_until_healthy().await;
        server
    }

    /// Starts it and waits for its end, for one that is to refuse: its status, and
    /// all it said.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn run(&self) -> (ExitStatus, String) {
        let (mut child, log) = self.spawn();
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("turnwise goes on:\n{}", log.text()));
        (status.expect("a child can be waited for"), log.whole().await)
    }

    /// With this environment variable.
    #[must_use]
    pub fn setting(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    fn spawn(&self) -> (Child, Log) {
        let mut child = Command::new(build::binary())
            .args(&self.arguments)
            .env_clear()
            .env("TURNWISE_DATA_DIR", &self.data_dir)
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            // Where it would leave files if it ignored its data folder.
            .current_dir(self.data_dir.parent().expect("a data folder is not the root"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary can be started");
        let log = Log::of(&mut child);
        (child, log)
    }
}

/// A running program. It is killed when this is dropped; its log is printed if that
/// is because the test failed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: Log,
    url: String,
    key: String,
    http: reqwest::Client,
}

impl Server {
    /// Takes `key` for the requests from here on.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }

    /// SIGKILL; returns when the process is gone.
    ///
    /// # Panics
    /// If it ended before by itself.
    pub async fn kill(mut self) {
        let early = self.child.try_wait().expect("a child can be waited for");
        assert_eq!(early, None, "it lived until it was killed");
        self.child.kill().await.expect("a child can be killed");
    }

    /// Memory that the process holds now, in bytes: its resident set, as Linux counts it.
    ///
    /// # Panics
    /// If the process is gone.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id().expect("it runs"));
        let status = std::fs::read_to_string(status).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
        resident.and_then(|kb| kb.trim().parse::<u64>().ok()).expect("a number") * 1024
    }

    /// SIGINT, as Ctrl-C sends it.
    ///
    /// # Panics
    /// If the process is gone.
    pub fn interrupt(&self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.expect("it runs"), Signal::INT).expect("a child takes signals");
    }

    /// Runs the program's own command line against this server, and stops it after `longest`
    /// where it goes on for ever. What it printed, or what it complained of.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn command(&self, arguments: &[&str], longest: Duration) -> Result<String, String> {
        let child = Command::new(build::binary())
            .args(arguments)
            .args(["--url", &self.url])
            .env_clear()
            .env("TURNWISE_DEV_KEY", &self.key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = child.expect("the binary can be started");
        let (mut out, mut complaint) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        // Bytes that are read stay read when the time is over.
        let (mut printed, mut complained) = (Vec::new(), Vec::new());
        let running = async {
            let reading = tokio::join!(out.read_to_end(&mut printed), complaint.read_to_end(&mut complained));
            reading.0.expect("a pipe can be read");
            reading.1.expect("a pipe can be read");
            child.wait().await.expect("a child can be waited for").success()
        };
        let succeeded = tokio::time::timeout(longest, running).await.unwrap_or(true);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints UTF-8");
        if succeeded { Ok(text(printed)) } else { Err(text(complained)) }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn ended(mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends").expect("a child can be waited for")
    }

    /// Waits until it has logged `text`.
    ///
    /// # Panics
    /// If it does not.
    pub async fn logged(&self, text: &str) {
        let logged = tokio::time::timeout(PATIENCE, self.log.line_with(text)).await;
        assert!(logged.is_ok(), "it logs {text:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of turnwise at {} ---\n{}---", self.url, self.log.text());
        }
    }
}

/// Lets this process, and those it starts from now on, open as many sockets as these
/// tests need, which is more than the 1,024 of many a shell.
///
/// # Panics
/// If the system does not allow so many.
pub fn allow_sockets() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    assert!(most >= SOCKETS, "{SOCKETS} open files are needed and {most} allowed: see ulimit -Hn");
    if limit.current.is_some_and(|current| current < SOCKETS) {
        let raised = Rlimit { current: Some(SOCKETS), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("the soft limit may be raised up to the hard one");
    }
}
