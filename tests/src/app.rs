//! A whole Turnwise for one test: the real router on a loopback port, over a table in
//! memory and a scripted provider.

mod reply;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use axum::extract::Request;
use axum::middleware::map_request;
use axum::serve::ListenerExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use turnwise_core::access::{Grant, Peppers};
use turnwise_core::digest::Digest;
use turnwise_engine::Engine;
use turnwise_engine::admission::Alerts;
use turnwise_engine::clock::Clock;
use turnwise_engine::random::Random;
use turnwise_engine::upstream::policy::CallPolicy;
use turnwise_http::edge::{self, Origins};
use turnwise_http::routes::Function;
use turnwise_http::{Access, App, Deadline};
use turnwise_providers::count::with_tokenizers;
use turnwise_providers::{Aws, ProviderSettings, Providers, Secret, Settings, http_client};
use turnwise_store::queue::{Queue, Receiver, Sent};

pub use self::reply::{Events, Reply, Sse};
use crate::rig;
use crate::scripted::ScriptedProvider;
use crate::table::Table;

/// The API key that every request carries unless it says otherwise.
pub const KEY: &str = "tw-test-key-4711";

/// Our key at the scripted provider.
pub const PROVIDER_KEY: &str = "sk-scripted-0815";

/// What the digests of keys in the table depend on.
pub const PEPPER: &[u8] = b"a pepper of the tests' own, 32 by";

/// Longer than anything here takes on a busy machine; a request that waits so long failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks at something that is about to happen.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// One process of Turnwise. It stops taking connections when it is dropped.
#[derive(Debug)]
pub struct TestApp {
    /// The table.
    pub table: Arc<Table>,
    /// The provider behind `openai`.
    pub provider: Arc<ScriptedProvider>,
    /// The use cases of this process.
    pub engine: Engine,
    address: SocketAddr,
    client: Client,
    setup: Builder,
    server: JoinHandle<()>,
    receiver: Arc<Receiver>,
    worker: Option<JoinHandle<()>>,
}

/// How an app is set up.
#[derive(Debug, Clone)]
pub struct Builder {
    access: Access,
    origins: Origins,
    has_openai: bool,
    retention: Option<Duration>,
    clock: Clock,
    time: Option<Duration>,
    calls: CallPolicy,
    alerts: Alerts,
    settings: Vec<(&'static str, ProviderSettings)>,
    peppers: Peppers,
    sdk_client: Option<SharedHttpClient>,
}

impl Builder {
    /// Its time is that of `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Each of its requests has so much time, as one of a function has.
    #[must_use]
    pub fn with_time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Calls of the provider are repeated, and its models fallen back to, as `calls` says;
    /// without it, there is one call a request.
    #[must_use]
    pub fn with_calls(mut self, calls: CallPolicy) -> Self {
        self.calls = calls;
        self
    }

    /// `provider` is configured too, with `key` at `base_url`; Bedrock in some region.
    #[must_use]
    pub fn with_provider(mut self, provider: &'static str, base_url: &str, key: &str) -> Self {
        let (key, base_url) = (Some(Secret::new(key)), Some(base_url.to_owned()));
        let aws = Aws { region: Some("us-east-1".to_owned()), ..Aws::default() };
        let settings = ProviderSettings { key, base_url, aws };
        self.settings.push((provider, settings));
        self
    }

    /// Pages of `origins` may call it from a browser.
    #[must_use]
    pub fn with_origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// What is said is kept for `retention`.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// No key is accepted.
    #[must_use]
    pub fn without_keys(mut self) -> Self {
        self.access = Access::default();
        self
    }

    /// It has no pepper for the keys of the table.
    #[must_use]
    pub fn without_peppers(mut self) -> Self {
        self.peppers = Peppers::default();
        self
    }

    /// [`KEY`] is a user's, not an administrator's.
    #[must_use]
    pub fn without_admin(mut self) -> Self {
        self.access = Access::to_digests([Digest::of(KEY)], []);
        self
    }

    /// `key` is accepted too, for what `grant` says.
    #[must_use]
    pub fn with_key(mut self, key: &str, grant: Grant) -> Self {
        self.access = self.access.with_grant(key, grant);
        self
    }

    /// The SDK reaches the table by `client`.
    #[must_use]
    pub fn with_sdk_client(mut self, client: SharedHttpClient) -> Self {
        self.sdk_client = Some(client);
        self
    }

    /// Alerts go where `alerts` says.
    #[must_use]
    pub fn with_alerts(mut self, alerts: Alerts) -> Self {
        self.alerts = alerts;
        self
    }

    /// Only `local/echo` answers.
    #[must_use]
    pub fn without_openai(mut self) -> Self {
        self.has_openai = false;
        self
    }

    /// Starts it over a table and a provider of its own.
    pub async fn start(self) -> TestApp {
        let (table, provider) = tokio::join!(Table::start(), ScriptedProvider::start());
        self.start_over(Arc::new(table), Arc::new(provider)).await
    }

    /// Starts it as another process over the table and the provider of `app`.
    pub async fn start_beside(self, app: &TestApp) -> TestApp {
        self.start_over(Arc::clone(&app.table), Arc::clone(&app.provider)).await
    }

    async fn start_over(self, table: Arc<Table>, provider: Arc<ScriptedProvider>) -> TestApp {
        let (queue, receiver) = Queue::in_process();
        let providers = Providers::new(&self.settings(&provider)).expect("the settings are in order");
        let store = table.store_through(self.sdk_client.clone());
        let engine = Engine::new(store, queue, providers).with_calls(self.calls.clone());
        let engine = engine.with_retention(self.retention).with_counter(with_tokenizers);
        let engine = engine.with_peppers(self.peppers.clone()).with_alerts(self.alerts.clone());
        let engine = engine.with_time_and_chance(self.clock.clone(), Random::from_system());
        let app = App { engine: engine.clone(), access: self.access.clone() };
        let mut router = edge::open_to(turnwise_http::router(app, &Function::ALL), &self.origins);
        if let Some(time) = self.time {
            let clock = self.clock.clone();
            router = router.layer(map_request(move |mut request: Request| {
                request.extensions_mut().insert(Deadline(clock.now() + time));
                std::future::ready(request)
            }));
        }

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).expect("a TCP socket takes the option"));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(listener, service).await.expect("serving never fails") });
        let client = http_client().expect("a client");
        TestApp {
            table,
            provider,
            engine,
            address,
            client,
            setup: self,
            server,
            receiver: Arc::new(receiver),
            worker: None,
        }
    }

    fn settings(&self, provider: &ScriptedProvider) -> Settings {
        let openai = ProviderSettings {
            key: Some(Secret::new(PROVIDER_KEY)),
            base_url: Some(provider.base_url().to_owned()),
            ..ProviderSettings::default()
        };
        let openai = self.has_openai.then_some(("openai", openai));
        let providers = openai.into_iter().chain(self.settings.iter().cloned());
        let providers = providers.map(|(name, settings)| (name.to_owned(), settings)).collect();
        Settings { providers, default_model: None }
    }
}

impl TestApp {
    /// One that accepts [`KEY`] and has the scripted provider as `openai`.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// The same, to be changed before it starts.
    #[must_use]
    pub fn builder() -> Builder {
        let peppers = Peppers::of(PEPPER);
        let (access, clock, calls) = (Access::to_key(KEY), Clock::System, rig::one_call());
        Builder {
            access,
            origins: Origins::default(),
            has_openai: true,
            retention: None,
            clock,
            time: None,
            calls,
            settings: Vec::new(),
            peppers,
            alerts: Alerts::default(),
            sdk_client: None,
        }
    }

    /// Starts to do what the queue says is due, as a server does. Hints that came before
    /// are there.
    pub fn work(&mut self) {
        let (engine, receiver) = (self.engine.clone(), Arc::clone(&self.receiver));
        self.worker.get_or_insert_with(|| tokio::spawn(async move { engine.work(&receiver).await }));
    }

    /// The next hint of the queue of this process, where nobody works on it.
    pub async fn hint(&self) -> Sent {
        self.receiver.receive().await.expect("the engine keeps the sending end")
    }

    /// Another process over the same table and provider.
    pub async fn second_process(&self) -> Self {
        self.setup.clone().start_beside(self).await
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A request with the key and without a body, to be completed.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_without_key(method, path).header(AUTHORIZATION, format!("Bearer {KEY}"))
    }

    /// A request without a key.
    pub fn request_without_key(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address)).timeout(PATIENCE)
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_with(path, &[], body).await
    }

    /// Posts JSON with more headers.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        Reply::of(self.posting(path, headers, body)).await
    }

    /// Gets.
    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    /// Deletes.
    pub async fn delete(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::DELETE, path)).await
    }

    /// Posts JSON and reads all events of the answer.
    pub async fn sse(&self, path: &str, body: &Value) -> Vec<Sse> {
        self.open(path, &[], body).await.rest().await
    }

    /// Posts JSON and leaves the events of the answer to be read.
    pub async fn open(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Events {
        Events::of(self.posting(path, headers, body).send().await.expect("a reply"))
    }

    /// Gets with more headers, and leaves the events of the answer to be read.
    pub async fn follow(&self, path: &str, headers: &[(&str, &str)]) -> Events {
        Events::of(with_headers(self.request(Method::GET, path), headers).send().await.expect("a reply"))
    }

    /// The turn `key` as `GET /v1/turns/{key}` shows it, once it has `status`.
    pub async fn turn_in(&self, key: &str, status: &str) -> Value {
        let looking = async {
            loop {
                let turn = self.get(&format!("/v1/turns/{key}")).await;
                if turn.status == 200 && turn.json()["status"] == status {
                    return turn.json();
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, looking).await;
        in_time.unwrap_or_else(|_| panic!("turn {key} did not become {status}"))
    }

    fn posting(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> RequestBuilder {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
        with_headers(request, headers).body(body.to_string())
    }
}

fn with_headers(request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        request.header(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"))
    })
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.server.abort();
        if let Some(worker) = &self.worker {
            worker.abort();
        }
    }
}
