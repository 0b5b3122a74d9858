//! Generates turns, buffered and streamed.

use std::process::ExitCode;

use turnwise_http::routes::Function;

fn main() -> ExitCode {
    turnwise_functions::serve(Function::Stream)
}
