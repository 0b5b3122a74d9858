//! Embeddings: texts as vectors, near each other where the texts are.
//!
//! - [`request`]: what is asked, read strictly
//! - [`vector`]: a vector, as numbers and as base64
//! - [`hash`]: vectors made by hashing words, with no model

pub mod hash;
pub mod request;
pub mod vector;

pub use hash::HashDimensions;
pub use request::{Input, Request, reported};
pub use vector::{Encoding, Vector, Written};
