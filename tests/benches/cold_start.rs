//! Cold start of every function: from the start of its process to its first answer,
//! through a Runtime API on loopback and a table in memory, against a bare
//! `lambda_http` binary with a DynamoDB client.
//!
//! ```text
//! cargo bench --bench cold_start                                   # the deployed profile, 30 starts each
//! cargo bench --bench cold_start -- --starts 100 --profile release
//! cargo bench --bench cold_start -- --folder target/lambda           # as built before
//! ```

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a program for a terminal")]
#![allow(clippy::disallowed_methods, reason = "it measures the system's time, and runs no Lambda")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use turnwise_tests::lambda::{Event, Function, Setup, functions_in};
use turnwise_tests::table::Table;

/// The binary that the others are compared with.
const REFERENCE: &str = "bare";

/// Starts of each binary, unless told otherwise.
const STARTS: usize = 30;

/// The profile that is deployed.
const PROFILE: &str = "lambda";

/// One thing that is measured.
struct Case {
    binary: &'static str,
    what: &'static str,
    event: Value,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let starts = argument("--starts").map_or(STARTS, |text| text.parse().expect("--starts takes a number"));
    let profile = argument("--profile").unwrap_or_else(|| PROFILE.to_owned());
    let folder = argument("--folder").map_or_else(|| functions_in(&profile), PathBuf::from);
    let table = Table::start().await;
    let setup = Setup::of(&table);
    let cases = cases();

    // In turn, so that a busy moment of the machine meets all alike.
    let mut times: Vec<Vec<Duration>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..starts {
        for (case, times) in cases.iter().zip(&mut times) {
            times.push(start(&folder.join(case.binary), &setup, &case.event).await);
        }
    }

    let reference = median(&times[0]);
    println!("process start to first answer, medians of {starts} starts, profile {profile}");
    println!("{:<14} {:<28} {:>9} {:>9} {:>6} {:>8}", "binary", "first answer", "median", "slowest", "ratio", "size");
    for (case, times) in cases.iter().zip(&times) {
        let (median, slowest) = (median(times), times.iter().max().copied().unwrap_or_default());
        println!(
            "{:<14} {:<28} {:>6.1} ms {:>6.1} ms {:>6.2} {:>5.2} MB",
            case.binary,
            case.what,
            millis(median),
            millis(slowest),
            median.as_secs_f64() / reference.as_secs_f64(),
            megabytes(&folder.join(case.binary)),
        );
    }
}

/// The reference first.
fn cases() -> Vec<Case> {
    let message = Event::post("/v1/chat").json(&json!({"message": "Hi"}));
    let hint = json!({"kind": "turn", "tenant": "default", "key": {"conversation": "nobody", "turn": "1"}});
    vec![
        Case { binary: REFERENCE, what: "one read", event: Event::get("/").to_value() },
        Case { binary: "stream", what: "a turn: reads, T1, T2", event: message.to_value() },
        Case { binary: "stream", what: "a refusal, no read", event: message.without_key().to_value() },
        Case { binary: "conversations", what: "a list, one read", event: Event::get("/v1/threads").to_value() },
        Case { binary: "models", what: "health, no read", event: Event::get("/healthz").to_value() },
        Case { binary: "worker", what: "an unknown turn, one read", event: Event::sqs(&[("1", &hint.to_string())]) },
    ]
}

/// The time from the start of the process to the end of its first answer.
async fn start(binary: &Path, setup: &Setup, event: &Value) -> Duration {
    let began = Instant::now();
    let function = Function::start_binary(binary, setup).await;
    function.invoke(event.clone()).bytes().await;
    let taken = began.elapsed();
    function.kill().await;
    taken
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn megabytes(path: &Path) -> f64 {
    std::fs::metadata(path).expect("a built binary is there").len() as f64 / 1_000_000.0
}

/// The value after `name` on the command line.
fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}
