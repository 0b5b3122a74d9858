//! Reads conversations and turns, and counts tokens.

use std::process::ExitCode;

use turnwise_http::routes::Function;

fn main() -> ExitCode {
    turnwise_functions::serve_counting(Function::Conversations, turnwise_providers::count::with_tokenizers)
}
