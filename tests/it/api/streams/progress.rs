//! How far an answer is: told at most once a second, to whoever cares.

use std::time::Duration;

use serde_json::{Value, json};
use turnwise_core::time::Timestamp;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_tests::app::{Events, TestApp};
use turnwise_tests::rig;
use turnwise_tests::scripted::{Gate, Script};

use super::{Asked, Shape, numbers};

/// Any time after the lease of nobody.
const BEGIN: Timestamp = Timestamp(1_800_000_000_000);

/// Milliseconds between the words.
const PAUSES_MS: [u64; 6] = [500, 500, 400, 700, 3000, 1];

/// What was told of progress: the tokens, and how long they took.
fn progress(shape: Shape, asides: &[String]) -> Vec<(u64, u64)> {
    let told = asides.iter().filter(|aside| aside.contains("progress") || aside.contains("event: ping"));
    let told = told.map(|aside| {
        assert!(!aside.contains("id:"), "it has no number: {aside}");
        match shape {
            Shape::Chat | Shape::Messages => {
                let data = aside.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
                let data: Value = serde_json::from_str(data).unwrap();
                (data["output_tokens"].as_u64().unwrap(), data["elapsed_ms"].as_u64().unwrap())
            }
            Shape::Completions | Shape::Responses => {
                let (_, counts) = aside.split_once(": progress output_tokens=").expect("a comment");
                let (tokens, elapsed) = counts.trim_end().split_once(" elapsed_ms=").unwrap();
                (tokens.parse().unwrap(), elapsed.parse().unwrap())
            }
        }
    });
    told.collect()
}

async fn word(events: &mut Events, word: &str) {
    while !events.next().await.expect("another word").data.contains(word) {}
}

#[tokio::test]
async fn progress_is_told_at_most_once_a_second() {
    for shape in Shape::ALL {
        let manual = Manual::new(BEGIN);
        let clock = Clock::Manual(manual.clone());
        let app = TestApp::builder().with_clock(clock.clone()).start().await;
        let gates: Vec<Gate> = PAUSES_MS.iter().map(|_| Gate::closed()).collect();
        let words = ["w0 ", "w1 ", "w2 ", "w3 ", "w4 ", "w5 "];
        let script =
            gates.iter().enumerate().fold(Script::chunks(words), |script, (at, gate)| script.gated_after(at + 1, gate));
        app.provider.otherwise(script);
        let (_, mut events) = Asked::new(shape, "s:1", "hello", &json!({})).begin(&app).await;
        for ((said, pause_ms), gate) in words.iter().zip(PAUSES_MS).zip(&gates) {
            word(&mut events, said).await;
            gate.reached().await;
            rig::pass(&clock, &manual, Duration::from_millis(pause_ms)).await;
            gate.open();
        }
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            seen.push(event);
        }
        assert!(!numbers(&seen).is_empty());
        let told = progress(shape, &events.asides);
        let elapsed: Vec<u64> = told.iter().map(|(_, elapsed)| *elapsed).collect();
        assert_eq!(elapsed, [1000, 2100, 5100], "{shape:?}");
        let tokens: Vec<u64> = told.iter().map(|(tokens, _)| *tokens).collect();
        assert_eq!(tokens, [4, 6, 7], "chunks, of which the first says nothing");
    }
}

#[tokio::test]
async fn progress_is_never_told_before_the_first_word() {
    for shape in Shape::ALL {
        let manual = Manual::new(BEGIN);
        let clock = Clock::Manual(manual.clone());
        let app = TestApp::builder().with_clock(clock.clone()).start().await;
        let gate = Gate::closed();
        app.provider.otherwise(Script::answer("word").gated(&gate));
        let opening = Asked::new(shape, "s:1", "hello", &json!({})).begin(&app);
        tokio::pin!(opening);
        // Time passes until the reply's status is sent without a word.
        let (_, mut events) = loop {
            tokio::select! {
                biased;
                opened = &mut opening => break opened,
                () = tokio::time::sleep(Duration::from_millis(10)) => {
                    rig::pass(&clock, &manual, Duration::from_secs(1)).await;
                }
            }
        };
        gate.reached().await;
        rig::pass(&clock, &manual, Duration::from_secs(5)).await;
        gate.open();
        // The first chunk of a completion is its model's first word, if it says something or not.
        word(&mut events, if shape == Shape::Completions { "chunk" } else { "word" }).await;
        // A comment is a part of the first word's own event.
        let with_the_word = usize::from(matches!(shape, Shape::Completions | Shape::Responses));
        let told = progress(shape, &events.asides).len();
        assert_eq!(told, with_the_word, "{shape:?}: what was told by the first word");
        while events.next().await.is_some() {}
        assert_eq!(progress(shape, &events.asides).len(), 1, "{shape:?}");
    }
}
