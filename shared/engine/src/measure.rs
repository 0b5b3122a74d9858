//! What a model takes and gives, and how its tokens are estimated.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use turnwise_core::catalogue::Catalogue;
use turnwise_core::generation::Generation;
use turnwise_core::tokens::{Calibration, Family, Scale, count};
use turnwise_core::usage::{Source, Usage};
use turnwise_providers::Resolved;

use crate::engine::Engine;

/// Longest messages of a request that teaches, in bytes of their JSON: longer ones take
/// milliseconds to be estimated again, and say nothing that shorter ones do not.
const MAX_TAUGHT_BYTES: usize = 256 * 1024;

/// A model's limits and its factor, as of now: a turn keeps them from its check at the door
/// to its call.
#[derive(Debug, Clone)]
pub(crate) struct Measure {
    /// `provider/model`.
    pub(crate) model: String,
    /// Tokens it takes and gives in all, where the catalogue says so.
    pub(crate) context: Option<u64>,
    /// Tokens it gives at most, where the catalogue says so.
    pub(crate) most_output: Option<u64>,
    /// What estimates of text are multiplied with.
    pub(crate) scale: Scale,
    /// Whether it is given back what models thought.
    pub(crate) thoughts: bool,
}

impl Measure {
    /// The same without limits, for who wants to know how far they are passed.
    pub(crate) fn without_limits(&self) -> Self {
        Self { context: None, most_output: None, ..self.clone() }
    }
}

/// What this process has learned about estimates. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Learned(Arc<Mutex<Calibration>>);

impl Learned {
    fn with<T>(&self, body: impl FnOnce(&mut Calibration) -> T) -> T {
        // Numbers stay usable whatever happened to whoever held them.
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Engine {
    /// The measure of `resolved`, with what its reports have taught so far.
    pub(crate) fn measure(&self, resolved: &Resolved) -> Measure {
        let facts = Catalogue::shipped().get(resolved.provider.name(), &resolved.model);
        let learned = self.calibration.with(|calibration| calibration.scale(&resolved.name));
        Measure {
            model: resolved.name.clone(),
            context: resolved.context_tokens(),
            most_output: facts.and_then(|facts| facts.max_output_tokens),
            scale: family(resolved).factor().then(learned),
            thoughts: resolved.provider.takes_thoughts(),
        }
    }

    /// Learns from what a provider reported for a whole request of text.
    pub(crate) fn learn(&self, resolved: &Resolved, generation: &Generation, usage: &Usage) {
        if usage.source == Source::Estimated || generation.input_text().len() > MAX_TAUGHT_BYTES {
            return;
        }
        let messages: Vec<Value> = serde_json::from_str(generation.input_text()).unwrap_or_default();
        let counted = count(&messages, &generation.fields);
        if counted.attachments == 0 {
            let estimated = counted.scaled(family(resolved).factor());
            self.calibration.with(|calibration| calibration.learn(&resolved.name, usage.total_input(), estimated));
        }
    }
}

fn family(resolved: &Resolved) -> Family {
    Family::of(resolved.provider.name(), &resolved.model)
}
