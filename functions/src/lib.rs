//! Turnwise as Lambda functions: one bootstrap, and a thin binary for each function.
//!
//! - [`serve`]: a function behind API Gateway, [`serve_counting`] one that counts tokens; [`work`]: the one behind the queue;
//!   [`tick`]: the one that a schedule calls
//! - `bootstrap`: from the environment to a running engine
//! - `settings`: what the environment says; nothing else here reads it
//! - `deadline`: when an invocation ends
//! - `finish`: an invocation ends only when the work it began has ended

mod bootstrap;
mod deadline;
mod finish;
mod serve;
mod settings;
mod tick;
mod work;

pub use serve::{serve, serve_counting};
pub use tick::tick;
pub use work::work;
