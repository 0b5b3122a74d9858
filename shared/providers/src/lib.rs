//! Upstream LLM providers: their wire formats over HTTP, and the choice among them.
//!
//! - [`registry`]: [`Providers`], all that are configured; [`resolve`]: which one
//!   serves a model's name
//! - [`provider`]: [`Provider`], one of them, ready to be called
//! - [`call`]: what is asked, and the stream that answers
//! - [`embedding`]: embeddings, asked for and checked; `local`: those made without a model
//! - [`error`]: what can go wrong upstream, and whether the call may have run
//! - [`openai`]: OpenAI's chat completions, which most upstreams speak
//! - [`anthropic`]: Anthropic's Messages API; [`gemini`]: Google's Gemini API;
//!   [`bedrock`]: Amazon Bedrock's Converse
//! - [`echo`]: `local/echo`, which needs no key and no network
//! - [`count`]: how many tokens a request is, where that can be known exactly
//! - [`webhook`]: requests to addresses that somebody else chose
//! - [`settings`]: keys and addresses, passed in; [`catalogue`]: the known providers as data
//! - [`sse`]: server-sent events, parsed byte by byte; `stream`: bytes into an answer's
//!   events; `endpoint`: an upstream's address and our key there
//!
//! This crate never reads the environment and never logs a key or a prompt.

pub mod anthropic;
pub mod bedrock;
pub mod call;
pub mod catalogue;
mod chunks;
pub mod count;
pub mod echo;
pub mod embedding;
mod endpoint;
pub mod error;
pub mod gemini;
mod local;
pub mod openai;
mod prompt;
pub mod provider;
pub mod registry;
pub mod resolve;
pub mod settings;
pub mod sse;
mod stream;
mod transport;
pub mod webhook;

pub use call::{Call, EventStream};
pub use embedding::{EmbedCall, Embeddings};
pub use endpoint::Place;
pub use error::{Dispatched, Error};
pub use provider::Provider;
pub use registry::{Listed, Providers};
pub use resolve::{Reason, Resolved, Unknown};
pub use settings::{Aws, ProviderSettings, Secret, Settings, environment};
pub use transport::{BuildError, http_client};
