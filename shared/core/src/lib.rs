//! What Turnwise decides, apart from how it does it.
//!
//! Synchronous and pure: no I/O, no clock, no randomness, no vendor's types.
//! Time, ids and random numbers are arguments, so every decision can be tested
//! as a table and model checked.
//!
//! - [`turn`]: the durable turn, its states and what a request with a key may do
//! - [`execution`]: work that is no turn and is to be done once
//! - [`generation`]: one request for an answer, its stream and its completion
//! - [`fold`]: chunks of a stream put together into the completion; [`rebuild`]: the way back;
//!   [`outline`]: the order in which an answer's pieces came
//! - [`embedding`]: one request for embeddings, their vectors, and those made by hashing
//! - [`position`]: the numbers of a stream's events
//! - [`items`]: OpenAI's items, in which responses and conversations speak, and the way to messages and back
//! - [`messages`]: Anthropic's messages, in and out
//! - [`compaction`]: how a long conversation is made short
//! - `reader`, `raw`: requests read field by field, and put together as they are written
//! - [`id`]: names of tenants, conversations, turns, projects
//! - [`json`]: strict parsing, canonical form; [`digest`]: hashes over it
//! - [`access`]: who may do what, and how much of it; [`admission`]: whether that much is left;
//!   [`audit`]: who has done what
//! - [`rate`]: how many requests a minute
//! - [`category`]: the 12 error categories and 4 severities
//! - [`route`]: how complex a request looks, and which model is asked
//! - [`catalogue`], [`money`], [`usage`]: models, prices, tokens, exact cost; [`ledger`]: what was paid, line by
//!   line and summed up; [`task`]: what it was for;
//!   [`rounding`]: amounts for people; [`roi`]: whether it all pays; [`prices`]: tables of
//!   prices over one another, and what a new one changes
//! - [`upstream`]: how often providers are called, how long, and when not
//! - [`tokens`]: how many tokens a request is, before anybody has counted them
//! - [`limits`]: every limit, with its reason
//! - [`fault`]: what is wrong with a request, and where
//! - [`window`]: how much of a conversation goes along with a new message
//! - [`net`]: which addresses are the public internet's
//! - [`time`]: instants and their written form

pub mod access;
pub mod admission;
pub mod audit;
pub mod catalogue;
pub mod category;
pub mod compaction;
pub mod digest;
pub mod embedding;
pub mod execution;
pub mod fault;
pub mod fold;
pub mod generation;
pub mod id;
pub mod items;
pub mod json;
pub mod ledger;
pub mod limits;
pub mod messages;
pub mod money;
pub mod net;
pub mod outline;
pub mod position;
pub mod prices;
pub mod rate;
mod raw;
mod reader;
pub mod rebuild;
pub mod roi;
pub mod rounding;
pub mod route;
pub mod task;
pub mod time;
pub mod tokens;
pub mod turn;
pub mod upstream;
pub mod usage;
pub mod window;
