//! Reads conversations and turns.

use std::process::ExitCode;

use turnwise_http::routes::Function;

fn main() -> ExitCode {
    turnwise_functions::serve(Function::Conversations)
}
