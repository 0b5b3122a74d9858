//! Everything in one process: the table's engine, the use cases, HTTP, the page.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal as signal_stream};
use turnwise_core::limits::SHUTDOWN_GRACE;
use turnwise_engine::{Engine, Receiver};
use turnwise_http::routes::Function;
use turnwise_http::{Access, App, edge};
use turnwise_providers::count::with_tokenizers;
use turnwise_store::queue::Queue;

use crate::banner::{self, Banner};
use crate::folder::Folder;
use crate::settings::Settings;
use crate::{database, key};

/// The page at `/`: one file, no build step.
const PAGE: &str = include_str!("../page/index.html");

/// Connections that may wait to be accepted, as many as Linux allows: a thousand that come
/// at once on a busy machine are not reset.
const BACKLOG: u32 = 4096;

/// File of the database in the data folder.
const DATABASE_FILE: &str = "turnwise.db";

/// How long turns that are handed over may take to let go of their locks.
const HANDOVER_GRACE: Duration = Duration::from_secs(5);

/// Serves until a signal.
///
/// # Errors
/// Malformed settings, a data folder or port in use, a database that does not open.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    banner::log_to_stderr();
    let providers = settings.providers()?;
    let calls = Settings::calls(&providers)?;
    let folder = if settings.memory { None } else { Some(Folder::open(&settings.data_dir)?) };
    let key = match (settings.fixed_key()?, &folder) {
        (Some(key), _) => key.to_owned(),
        (None, Some(folder)) => key::keep(&folder.file(key::FILE))?,
        (None, None) => key::make(),
    };
    let peppers = match settings.peppers()? {
        Some(peppers) => peppers,
        None => key::peppers(folder.as_ref().map(|folder| folder.file(key::PEPPER_FILE)).as_deref())?,
    };
    let listener = listen(settings.port)?;
    let store = match &settings.table_endpoint {
        Some(endpoint) => database::connect(endpoint).await?,
        None => database::start(folder.as_ref().map(|folder| folder.file(DATABASE_FILE)).as_deref()).await?,
    };
    let (queue, receiver) = Queue::in_process();
    let engine = Engine::new(store, queue, providers).with_calls(calls).with_counter(with_tokenizers);
    let engine = engine.with_retention(settings.retention()).with_peppers(peppers).with_alerts(settings.alerts()?);
    let engine = engine.with_price_file(settings.price_file()?).with_baseline(settings.baseline()?);
    if settings.table_endpoint.is_none() {
        free_dead_turns(&engine).await?;
    }

    let app = App { engine: engine.clone(), access: Access::to_key(&key) };
    let router = turnwise_http::router(app, &Function::ALL).merge(edge::guarded(page(&key)));
    let router = edge::open_to(router, &settings.origins()?);
    Banner { address: listener.local_addr()?, settings: &settings, key: &key, engine: &engine }.print().await?;
    let sweeping = sweep(engine.clone(), Duration::from_secs(settings.sweep_every_s));
    serve(listener, router, engine, receiver, sweeping).await
}

/// Looks for due work again and again; never, where `pause` is zero.
async fn sweep(engine: Engine, pause: Duration) {
    if pause.is_zero() { std::future::pending().await } else { engine.keep_sweeping(pause).await }
}

/// Frees what an earlier run left unfinished: the data folder's lock says that it is
/// dead. A table that others share says nothing of the kind; there leases lapse.
async fn free_dead_turns(engine: &Engine) -> anyhow::Result<()> {
    let freed = engine.free_dead_turns().await.context("turns of an earlier run cannot be freed")?;
    if freed > 0 {
        tracing::info!(freed, "turns that an earlier run left unfinished can be retried at once");
    }
    Ok(())
}

fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listening = TcpSocket::new_v4().and_then(|socket| {
        // A port that an earlier run has just left is free.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    });
    listening.with_context(|| format!("cannot listen on {address}; choose another port with TURNWISE_PORT"))
}

/// The page, with the development key in it: it is served to this machine only.
fn page(key: &str) -> Router {
    let escaped = serde_json::json!(key).to_string().replace('<', "\\u003c");
    let page = PAGE.replace("\"__TURNWISE_KEY__\"", &escaped);
    let policy = "default-src 'self'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  frame-ancestors 'none'";
    let headers = [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store")];
    Router::new().route("/", get(move || std::future::ready((headers, Html(page.clone())))))
}

async fn serve(
    listener: TcpListener,
    router: Router,
    engine: Engine,
    receiver: Receiver,
    sweeping: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
    });
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut stopping = stopped.clone();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        // The sender lives until the end of this function.
        let _ = stopping.wait_for(|stop| *stop).await;
    });
    let mut serving = std::pin::pin!(serving.into_future());

    tokio::select! {
        result = &mut serving => return result.context("the server stopped"),
        () = engine.work(&receiver) => {}
        () = sweeping => {}
        signal = signal() => signal?,
    }
    stop.send_replace(true);
    engine.tasks.stop();
    let finished = finish(&engine, serving).await;
    Box::pin(engine.flush_call_counts()).await;
    finished
}

/// Lets running turns and open responses end; after the grace, or at a second
/// signal, turns are handed over: they let go of their locks, and a retry with the
/// same key goes on.
async fn finish(engine: &Engine, serving: impl Future<Output = std::io::Result<()>>) -> anyhow::Result<()> {
    let running = engine.tasks.running();
    if running > 0 {
        tracing::info!(running, "finishing what is running; a second Ctrl-C hands it over");
    }
    let mut ending = std::pin::pin!(async {
        let (result, ()) = tokio::join!(serving, engine.tasks.idle());
        result
    });
    tokio::select! {
        result = &mut ending => return result.context("the server stopped"),
        () = engine.clock.sleep(SHUTDOWN_GRACE) => {}
        signal = signal() => signal?,
    }
    tracing::info!(running = engine.tasks.running(), "handing running turns over");
    engine.tasks.hand_over();
    if engine.clock.timeout(HANDOVER_GRACE, ending).await.is_none() {
        tracing::warn!("some work did not end in time; its lease will lapse");
    }
    Ok(())
}

/// Completes at Ctrl-C or SIGTERM.
///
/// # Errors
/// When the signals cannot be listened for.
async fn signal() -> anyhow::Result<()> {
    let mut terminate = signal_stream(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.context("Ctrl-C cannot be listened for"),
        _ = terminate.recv() => Ok(()),
    }
}
