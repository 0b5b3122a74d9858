//! Which model is asked, where the request leaves the choice to us.
//!
//! - [`score`]: how complex a text looks, and why
//! - [`Lexicon`]: the words it looks for
//! - [`Registry`]: what is known of the models among which there is a choice
//! - [`select`]: the models that may be asked, the best first
//! - [`Policy`]: what a tenant says about the choice
//! - [`Auto`]: the names that leave it to us
//!
//! A score is an explainable policy and no prophecy: what a text looks like hardly predicts
//! which model it needs (`infra/decisions/complexity-score.md`).

mod auto;
mod lexicon;
mod policy;
mod registry;
mod score;
mod select;
mod tier;
mod window;

pub use auto::Auto;
pub use lexicon::{Category, Lexicon};
pub use policy::{Case, MAX_NAMED, MAX_RULES, Policy, Rule, Use, When};
pub use registry::{Capabilities, Facts, MAX_MODELS, Registry, Set};
pub use score::{Contribution, Feature, MAX_SCORE, Score, TOP, score};
pub use select::{Chain, Counts, Filter, Health, MAX_CHAIN, Need, NoneLeft, Objective, Selection, select};
pub use tier::{COMPLEX_FROM, MEDIUM_FROM, Tier};
