//! Does what the queue says is due.

use std::process::ExitCode;

fn main() -> ExitCode {
    turnwise_functions::work()
}
