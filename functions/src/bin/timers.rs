//! Looks for what is due and has no message, every minute.

use std::process::ExitCode;

fn main() -> ExitCode {
    turnwise_functions::tick()
}
