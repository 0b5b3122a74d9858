//! Somebody is told when a budget is half, mostly and wholly spent: once, whichever of the
//! processes sees it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use turnwise_engine::admission::Alerts;
use turnwise_providers::Secret;
use turnwise_providers::webhook::{Reach, Webhooks};

use super::*;

/// Somebody who takes webhooks: refuses the first, and takes all others.
struct Receiver {
    url: String,
    taken: Arc<Mutex<Vec<(String, Value)>>>,
    server: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    async fn start() -> Self {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (keeping, refused) = (Arc::clone(&taken), Arc::new(Mutex::new(false)));
        let take = move |headers: HeaderMap, body: String| {
            let was_refused = std::mem::replace(&mut *refused.lock().unwrap(), true);
            if was_refused {
                let signature = headers["turnwise-signature"].to_str().unwrap().to_owned();
                keeping.lock().unwrap().push((signature, serde_json::from_str(&body).unwrap()));
            }
            std::future::ready(if was_refused { http::StatusCode::OK } else { http::StatusCode::SERVICE_UNAVAILABLE })
        };
        let router = Router::new().route("/hook", post(take));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, taken, server }
    }

    fn alerts(&self) -> Alerts {
        let webhooks = Webhooks::new(Reach::Loopback, Some(Secret::new("secret")));
        Alerts { webhook: Some(self.url.clone()), webhooks }
    }

    fn percents(&self) -> Vec<u64> {
        let taken = self.taken.lock().unwrap();
        let mut percents: Vec<u64> = taken.iter().filter_map(|(_, body)| body["percent"].as_u64()).collect();
        percents.sort_unstable();
        percents
    }
}

#[tokio::test]
async fn each_share_of_a_budget_is_told_once_over_two_processes() {
    let receiver = Receiver::start().await;
    // Thirteen answers fit, and are nearly all of it.
    let limit = 12 * USUAL + worst("hello");
    assert!(13 * USUAL * 100 / limit > 80 && 13 * USUAL + worst("hello") > limit);
    let app = with_grant(daily(limit)).with_alerts(receiver.alerts()).start().await;
    let other = app.second_process().await;
    let mut answered = 0;
    for n in 0..16 {
        let process = if n % 2 == 0 { &app } else { &other };
        let reply = process.post(COMPLETIONS, &asking("hello")).await;
        answered += usize::from(reply.status == 200);
        assert!([200, 402].contains(&reply.status), "{}", reply.text());
    }
    assert_eq!(answered, 13);
    app.engine.tasks.idle().await;
    other.engine.tasks.idle().await;

    check_returned(&app.table).await;
    assert_eq!(receiver.percents(), [50, 80, 100]);
    let taken = receiver.taken.lock().unwrap();
    let (signature, body) = &taken[0];
    assert!(signature.starts_with("t=") && signature.contains(",v1="), "{signature}");
    assert_eq!(
        (&body["type"], &body["scope"], &body["period"]),
        (&json!("budget.threshold"), &json!("key"), &json!("day"))
    );
    assert_eq!((&body["limit_usd"], &body["tenant"]), (&json!(PicoUsd(limit).to_string()), &json!("default")));
}

#[tokio::test]
async fn an_address_of_our_own_network_is_refused() {
    let app = TestApp::start().await;
    for url in
        ["https://127.0.0.1/", "https://[::1]/", "https://10.1.2.3/x", "http://example.com/", "https://a@b.example/"]
    {
        assert!(app.engine.check_webhook(url).is_err(), "{url}");
    }
    assert!(app.engine.check_webhook("https://hooks.example.com/turnwise").is_ok());
}
