//! A request for an answer, let in.

use turnwise_core::access::Grant;
use turnwise_core::json::RawMap;
use turnwise_store::Entry;

use super::demand::{bounded, most};
use super::{Admission, Demand, Hindrance, accounts_of, has_budget, is_free, not_priced};
use crate::engine::Engine;
use crate::error::Error;
use crate::turn::{Caller, Input};
use crate::upstream::Chain;

/// Why another model answers than the one that was asked for.
const SOFT_LIMIT: &str = "the budget's soft limit is reached";

/// A request at the door.
pub(crate) struct Entrant<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) input: &'a Input,
    /// The newest rows of its conversation.
    pub(crate) history: &'a [Entry],
    /// Whether it goes on with what a dead attempt began.
    pub(crate) is_resumed: bool,
}

/// A request that is let in.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    /// Who is asked.
    pub(crate) chain: Chain,
    /// The request's fields, where they are not as they came in.
    pub(crate) fields: Option<RawMap>,
    pub(crate) admission: Admission,
}

impl Engine {
    /// Lets a request in, with the models that it may ask and the length its answer may have.
    /// Whoever gets an [`Admitted`] has to leave it.
    ///
    /// # Errors
    /// Those of the chain; [`Error::NotAdmitted`]; [`Error::Store`] where a budget cannot be
    /// asked.
    pub(crate) async fn admit_work(&self, entrant: &Entrant<'_>) -> Result<Admitted, Error> {
        let Entrant { caller, input, history, is_resumed } = entrant;
        if is_free(caller) {
            let chain = self.chain(input, &caller.grant)?;
            return Ok(Admitted { chain, fields: None, admission: Admission::default() });
        }
        let asked = self.fitted(&caller.grant, (*input).clone())?;
        if accounts_of(caller).is_empty() {
            return Ok(asked.let_in(Admission::default()));
        }
        // What a dead attempt asked is asked again: its answer may be there already.
        let demand = demand(&asked, history, *is_resumed, *is_resumed);
        let model = match self.enter_all(caller, demand).await {
            Ok(admission) => return Ok(asked.let_in(admission)),
            Err(Hindrance::Error(error)) => return Err(error),
            Err(Hindrance::Downgrade(model)) => model,
        };
        let cheaper = Input { model: Some(model), fallbacks: Some(Vec::new()), ..(*input).clone() };
        // Whoever wrote the budget chose it, whatever the key itself may ask.
        let any = Grant { models: None, ..Grant::clone(&caller.grant) };
        let asked = match self.fitted(&any, cheaper) {
            Ok(cheaper) => Asked { chain: cheaper.chain.because(SOFT_LIMIT), ..cheaper },
            // The budget itself still holds.
            Err(error) => {
                tracing::error!(%error, "the model of a budget's soft limit cannot be asked; the one asked for is");
                asked
            }
        };
        match self.enter_all(caller, self::demand(&asked, history, true, false)).await {
            Ok(admission) => Ok(asked.let_in(admission)),
            Err(Hindrance::Error(error)) => Err(error),
            // Who asks the cheaper model is not told to.
            Err(Hindrance::Downgrade(_)) => Err(not_priced(&asked.chain.first().resolved)),
        }
    }

    /// The models for `input`, and its fields with the length that its answer may have.
    fn fitted(&self, grant: &Grant, input: Input) -> Result<Asked, Error> {
        let chain = self.chain(&input, grant)?;
        let (chain, input, max_output) = match bounded(&input, grant, &chain.first().measure)? {
            None => (chain, input, None),
            Some((fields, most)) => {
                let input = Input { fields, ..input };
                (self.chain(&input, grant)?, input, Some(most))
            }
        };
        if !has_budget(grant) {
            return Ok(Asked { chain, input, max_output });
        }
        let unpriced = chain.first().resolved.clone();
        let chain = chain.priced().ok_or_else(|| not_priced(&unpriced))?;
        Ok(Asked { chain, input, max_output })
    }
}

/// A request as it would go out.
struct Asked {
    chain: Chain,
    input: Input,
    max_output: Option<u64>,
}

impl Asked {
    fn let_in(self, mut admission: Admission) -> Admitted {
        admission.allowance.max_output = self.max_output;
        let fields = self.max_output.map(|_| self.input.fields);
        Admitted { chain: self.chain, fields, admission }
    }
}

fn demand(asked: &Asked, history: &[Entry], is_downgraded: bool, is_resumed: bool) -> Demand {
    let most = most(&asked.input, history, &asked.chain);
    Demand { tokens: most.tokens, cost: most.cost, is_downgraded, is_resumed }
}
