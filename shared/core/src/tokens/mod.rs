//! How many tokens a request is, before its provider has counted them.
//!
//! - [`estimate_tokens`]: a text, in one pass over its characters
//! - [`count`]: a request; what counts in one, and what stands around it
//! - [`Family`]: whose tokenizer a model has, and how it differs from the one estimated
//! - [`Calibration`]: what providers' own counts have taught
//!
//! An estimate stands beside a limit, never beside a price: what is charged is what the
//! provider reports. Who needs the exact number asks the provider or its tokenizer.

mod calibration;
mod family;
mod request;
mod tables;
mod text;

pub use calibration::{Calibration, Scale};
pub use family::{Family, Tokenizer};
pub use request::{Counted, count, count_part, count_with};
pub use text::estimate_tokens;

/// Characters of English text a token stands for, where a text is to be cut that nobody has
/// counted: a little fewer than there are.
pub(crate) const CHARS_PER_TOKEN: usize = 4;
