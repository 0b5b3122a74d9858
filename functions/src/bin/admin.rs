//! What an operator sees and does: locks, dead letters, health.

use std::process::ExitCode;

use turnwise_http::routes::Function;

fn main() -> ExitCode {
    turnwise_functions::serve(Function::Admin)
}
