//! What embeddings cost, written down.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::{Gate, Script};
use turnwise_tests::table::{Row, number, text};

use super::{EMBEDDINGS, MODEL, asking, asking_local, embed, with};

/// The rows of one kind.
async fn rows(app: &TestApp, prefix: &str) -> Vec<Row> {
    app.table.rows().await.into_iter().filter(|row| text(row, "pk").starts_with(prefix)).collect()
}

/// Checks the one line that `body` leaves: phase, tokens and cost; `None` where it has no price.
async fn check(script: Script, body: &Value, model: &str, (phase, tokens, cost): (&str, u64, Option<u64>)) {
    let app = TestApp::start().await;
    app.provider.otherwise(script);
    assert_eq!(embed(&app, body).await.status, 200);
    let lines = rows(&app, "L#").await;
    let [line] = &lines[..] else { panic!("one line, not {}", lines.len()) };
    assert_eq!((text(line, "model"), text(line, "sk").split_once('#').unwrap().1), (model, phase));
    assert_eq!((number(line, "input_tokens"), number(line, "output_tokens")), (tokens, 0));
    assert_eq!(line.contains_key("cost_pico_usd").then(|| number(line, "cost_pico_usd")), cost);
    assert_eq!((line.get("turn"), line.get("project")), (None, None));
    assert_ne!(text(line, "api_key"), "");

    let counters = rows(&app, "U#").await;
    let [counter] = &counters[..] else { panic!("one counter, not {}", counters.len()) };
    assert_eq!((number(counter, "requests"), number(counter, "wasted")), (1, 0));
    assert_eq!((number(counter, "input_tokens"), number(counter, "cost_pico_usd")), (tokens, cost.unwrap_or(0)));
    assert_eq!((number(counter, "messages"), number(counter, "unpriced")), (0, u64::from(cost.is_none())));
    assert_eq!(lines.len() + counters.len(), app.table.rows().await.len(), "nothing else is kept");
}

#[tokio::test]
async fn every_request_leaves_a_line_with_its_exact_cost() {
    let two = || json!(["twelve chars", "one"]);
    let unreported = json!({"data": [{"embedding": [1]}, {"embedding": [1]}]}).to_string();
    let unreported = || Script::pieces(&[unreported.as_bytes()]);
    let large = "openai/text-embedding-3-large";
    check(Script::embeddings(), &asking(two()), MODEL, ("settled", 20, Some(400_000))).await;
    check(Script::embeddings(), &with(asking(two()), "model", large), large, ("settled", 20, Some(2_600_000))).await;
    check(unreported(), &asking(two()), MODEL, ("estimated", 5, Some(100_000))).await;
    check(unreported(), &asking(json!([[1, 2, 3], [4]])), MODEL, ("estimated", 4, Some(80_000))).await;
    let unpriced = with(asking(two()), "model", "openai/own");
    check(Script::embeddings(), &unpriced, "openai/own", ("settled", 20, None)).await;
    check(Script::embeddings(), &asking_local(two()), "local/hash-embedding", ("estimated", 5, Some(0))).await;
}

#[tokio::test]
async fn what_they_cost_is_in_the_statistics() {
    let app = TestApp::start().await;
    for _ in 0..3 {
        embed(&app, &asking("one")).await;
    }
    let stats = app.get("/v1/stats").await.json();
    assert_eq!((&stats["requests"], &stats["input_tokens"], &stats["messages"]), (&json!(3), &json!(30), &json!(0)));
}

#[tokio::test]
async fn a_client_that_leaves_is_still_in_the_ledger() {
    let app = TestApp::start().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::embeddings().gated(&gate));
    let body = asking("one");
    tokio::select! {
        reply = app.post(EMBEDDINGS, &body) => panic!("{}", reply.text()),
        () = gate.reached() => {}
    }
    gate.open();
    app.engine.tasks.idle().await;
    assert_eq!((rows(&app, "L#").await.len(), app.provider.abandoned()), (1, 0));
}
