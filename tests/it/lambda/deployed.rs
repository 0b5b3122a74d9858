//! Every function as it is deployed: its routes, its keys, its start.

use serde_json::json;
use turnwise_http::routes::{Entry, Function as Served, ROUTES};
use turnwise_tests::lambda::{Event, Function, Mode, Queue, Setup};
use turnwise_tests::table::{TABLE, Table};

use super::chat;

#[tokio::test]
async fn conversations_are_read_back() {
    let table = Table::start().await;
    let setup = Setup::of(&table);
    let stream = Function::start("stream", &setup).await;
    for turn in ["1", "2"] {
        let reply = stream.call(&chat(&format!("c:{turn}"), &json!({"message": format!("message {turn}")}))).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    let conversations = Function::start("conversations", &setup).await;
    let threads = conversations.call(&Event::get("/v1/threads")).await;
    assert_eq!((threads.status, threads.mode), (200, Mode::Buffered), "{}", threads.body);
    assert_eq!(threads.header("content-type"), Some("application/json"));
    assert_eq!(threads.json()["data"][0]["id"], "c");

    let turns = conversations.call(&Event::get("/v1/threads/c/turns").query("limit", "1")).await.json();
    assert_eq!((&turns["total"], &turns["has_more"]), (&json!(2), &json!(true)), "{turns}");

    let turn = stream.call(&Event::get("/v1/turns/c:2")).await;
    assert_eq!(turn.status, 200, "{}", turn.body);
    assert!(turn.body.contains("Echo: message 2"), "{}", turn.body);
    assert_eq!(stream.call(&Event::get("/v1/turns/c:3")).await.status, 404);
    assert_eq!(conversations.call(&chat("c:3", &json!({"message": "Hi"}))).await.status, 404, "a route of `stream`");
}

#[tokio::test]
async fn models_and_health_are_told() {
    let (table, queue) = (Table::start().await, Queue::start().await);
    let models = Function::start("models", &Setup::of(&table).queue(&queue)).await;
    let list = models.call(&Event::get("/v1/models")).await;
    assert_eq!((list.status, list.mode), (200, Mode::Buffered), "{}", list.body);
    assert_eq!(list.json()["data"][0]["id"], "local/echo");
    assert_eq!(models.call(&Event::get("/v1/models/local/echo")).await.json()["id"], "local/echo");
    assert_eq!(models.call(&Event::get("/v1/models/nobody/nothing")).await.status, 404);
    assert_eq!(models.call(&Event::get("/healthz").without_key()).await.status, 200);
    let ready = models.call(&Event::get("/readyz")).await;
    assert_eq!(ready.status, 200, "{}", ready.body);
    let document = models.call(&Event::get("/openapi.json").without_key()).await;
    assert!(document.json()["paths"]["/v1/chat"].is_object());
}

#[tokio::test]
async fn without_its_queue_the_service_is_not_ready() {
    let table = Table::start().await;
    let models = Function::start("models", &Setup::of(&table)).await;
    let reply = models.call(&Event::get("/readyz")).await;
    assert_eq!(reply.status, 503, "{}", reply.body);
}

#[tokio::test]
async fn without_configured_keys_everything_but_open_routes_is_refused() {
    let table = Table::start().await;
    let setup = Setup::of(&table).with("TURNWISE_API_KEYS_SHA256", "");
    for served in Served::ALL {
        let function = Function::start(served.name(), &setup).await;
        for route in ROUTES.iter().filter(|route| route.function == served) {
            let segment = |segment| match segment {
                "{key}" => "c:1",
                segment if str::starts_with(segment, '{') => "local",
                segment => segment,
            };
            let path = route.path.split('/').map(segment).collect::<Vec<_>>().join("/");
            let reply = function.call(&Event::new(route.method, &path).json(&json!({"message": "Hi"}))).await;
            let wanted = match route.entry {
                Entry::Open => 200,
                Entry::Keyed(_) => 401,
            };
            assert_eq!(reply.status, wanted, "{} {path}: {}", route.method, reply.body);
            if wanted == 401 {
                assert_eq!(reply.json()["error"]["code"], "invalid_api_key", "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused() {
    let table = Table::start().await;
    let stream = Function::start("stream", &Setup::of(&table)).await;
    let event = Event::post("/v1/chat").without_key().json(&json!({"message": "Hi"}));
    assert_eq!(stream.call(&event).await.status, 401);
    assert_eq!(stream.call(&event.header("Authorization", "Bearer tw_wrong")).await.status, 401);
}

#[tokio::test]
async fn a_malformed_environment_refuses_the_start_with_all_its_faults() {
    let table = Table::start().await;
    let setup = Setup::of(&table)
        .with("TURNWISE_TABLE", " ")
        .with("TURNWISE_QUEUE_URL", TABLE)
        .with("TURNWISE_API_KEYS_SHA256", "tw_plain_key")
        .with("TURNWISE_DEFAULT_MODEL", "nobody/nothing")
        .with("OPENAI_BASE_URL", "not a url")
        .with("RUST_LOG", "=,=");
    for name in ["stream", "conversations", "models", "admin", "worker", "timers"] {
        let exit = Function::start(name, &setup).await.ended().await;
        assert!(!exit.status.success(), "{name} started");
        let line: serde_json::Value = serde_json::from_str(exit.log.trim()).expect(&exit.log);
        let faults = line["faults"].as_str().unwrap_or_default();
        for variable in [
            "TURNWISE_TABLE",
            "TURNWISE_QUEUE_URL",
            "TURNWISE_API_KEYS_SHA256",
            "TURNWISE_DEFAULT_MODEL",
            "OPENAI_BASE_URL",
            "RUST_LOG",
        ] {
            assert!(faults.contains(&format!("{variable}: ")), "{name} does not name {variable}: {faults}");
        }
        assert!(!exit.log.contains("tw_plain_key"), "{}", exit.log);
    }
}
