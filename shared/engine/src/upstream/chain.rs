//! Which models are asked, one after another, until one answers.

use serde_json::value::RawValue;
use turnwise_core::access::Grant;
use turnwise_core::generation::Generation;
use turnwise_core::json::RawMap;
use turnwise_providers::Resolved;

use crate::engine::Engine;
use crate::error::Error;
use crate::measure::Measure;
use crate::turn::{Input, remember};

/// The models of one request, in the order in which they are asked. Never empty.
#[derive(Debug, Clone)]
pub(crate) struct Chain(Vec<Candidate>);

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) resolved: Resolved,
    /// What it takes.
    pub(crate) measure: Measure,
    /// Fields of the request that it is not sent: it does not have what they ask for.
    pub(crate) dropped: Vec<String>,
}

impl Chain {
    /// The one that was asked for.
    pub(crate) fn first(&self) -> &Candidate {
        &self.0[0]
    }

    /// Those among them that have a price; `None` where the one that was asked for has none.
    pub(crate) fn priced(mut self) -> Option<Self> {
        self.0.first().and_then(|first| first.resolved.price())?;
        self.0.retain(|candidate| candidate.resolved.price().is_some());
        Some(self)
    }

    /// The same, with another reason for the first.
    pub(crate) fn because(mut self, why: &'static str) -> Self {
        self.0.iter_mut().take(1).for_each(|first| first.resolved.why = why);
        self
    }

    pub(crate) fn candidates(&self) -> &[Candidate] {
        &self.0
    }

    /// The one called `name`, else the first.
    pub(crate) fn named(&self, name: &str) -> &Candidate {
        self.0.iter().find(|candidate| candidate.resolved.name == name).unwrap_or_else(|| self.first())
    }
}

impl Engine {
    /// The models for `input`: the one that it asks for, and those that it, or else the
    /// operator, names to fall back to. Of these, one that nobody serves any more, that
    /// cannot be asked this or that `grant` does not allow is left out.
    ///
    /// # Errors
    /// [`Error::Model`] when nobody serves the first, [`Error::ModelNotAllowed`] when it is
    /// not allowed, [`Error::Invalid`] when it cannot be asked this.
    pub(crate) fn chain(&self, input: &Input, grant: &Grant) -> Result<Chain, Error> {
        let at = self.clock.now();
        let resolved = self.providers.resolve(input.model.as_deref()).map_err(Error::Model)?;
        let resolved = resolved.priced_by(&grant.prices, at);
        check_allowed(&resolved, grant)?;
        let messages = input.messages();
        let dropped = check(&resolved, &input.fields, &messages)?;
        let measure = self.measure(&resolved);
        let mut chain = vec![Candidate { resolved, measure, dropped }];
        for name in input.fallbacks.as_ref().unwrap_or(&self.calls.fallbacks) {
            let Ok(resolved) = self.providers.resolve(Some(name)) else { continue };
            let resolved = resolved.priced_by(&grant.prices, at);
            let is_allowed = grant.may_use(&resolved.name);
            let is_new = is_allowed && !chain.iter().any(|candidate| candidate.resolved.name == resolved.name);
            let measure = self.measure(&resolved);
            let fits = remember::check(input, &[], &measure).is_ok();
            if let Some(dropped) = check(&resolved, &input.fields, &messages).ok().filter(|_| is_new && fits) {
                chain.push(Candidate { resolved, measure, dropped });
            }
        }
        Ok(Chain(chain))
    }
}

/// Whether `grant` allows the model.
///
/// # Errors
/// [`Error::ModelNotAllowed`].
pub(crate) fn check_allowed(resolved: &Resolved, grant: &Grant) -> Result<(), Error> {
    let is_allowed = grant.may_use(&resolved.name);
    if is_allowed { Ok(()) } else { Err(Error::ModelNotAllowed { model: resolved.name.clone() }) }
}

fn check(resolved: &Resolved, fields: &RawMap, messages: &RawValue) -> Result<Vec<String>, Error> {
    let mut fields = fields.clone();
    fields.insert("messages".to_owned(), messages.to_owned());
    resolved.provider.check(&Generation { model: resolved.model.clone(), fields }).map_err(Error::Invalid)
}
