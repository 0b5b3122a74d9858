//! Turnwise as Lambda functions: one bootstrap, and a thin binary for each function.
//!
//! - [`serve`]: a function behind API Gateway; [`work`]: the one behind the queue
//! - `bootstrap`: from the environment to a running engine
//! - `settings`: what the environment says; nothing else here reads it
//! - `deadline`: when an invocation ends
//! - `finish`: an invocation ends only when the work it began has ended

mod bootstrap;
mod deadline;
mod finish;
mod serve;
mod settings;
mod work;

pub use serve::serve;
pub use work::work;
