//! A turn is let in before T1, so that one that is refused burns no key.

use turnwise_core::admission::Refusal;
use turnwise_core::turn::{Acquire, Previous, Standing};
use turnwise_store::Entry;

use super::request::TurnRequest;
use crate::admission::{Admission, Admitted, Entrant, Spent, is_free};
use crate::engine::Engine;
use crate::error::Error;
use crate::upstream::Chain;

/// A turn that was let in, with the history it was let in with.
pub(super) struct LetIn {
    pub(super) admitted: Admitted,
    /// Why it was not let in after all, where that is no longer its client's to hear.
    pub(super) refused: Option<Refusal>,
    version: u64,
}

impl Engine {
    /// Lets the turn in that `acquire` would begin behind `history`, unless it is in already.
    ///
    /// # Errors
    /// As [`Engine::admit_work`]; a turn of the queue whose budget is used up, and one that a
    /// dead attempt left, are no errors here: they go on to their end.
    pub(super) async fn let_in(
        &self,
        request: &TurnRequest,
        acquire: &Acquire,
        history: &[Entry],
        chain: Chain,
        before: Option<LetIn>,
    ) -> Result<LetIn, Error> {
        let version = acquire.seen_version;
        match before {
            Some(before) if before.version == version => return Ok(before),
            Some(before) => self.leave(&before.admitted.admission, Spent::default()).await,
            None => {}
        }
        if is_free(&request.caller) {
            // The chain is as good as another one.
            let admitted = Admitted { chain, fields: None, admission: Admission::default() };
            return Ok(LetIn { admitted, refused: None, version });
        }
        let is_resumed = matches!(acquire.previous, Previous::Lost { .. });
        let is_due = matches!(request.standing, Standing::Head { .. });
        let entrant = Entrant { caller: &request.caller, input: &request.input, history, is_resumed };
        match self.admit_work(&entrant).await {
            Ok(admitted) => Ok(LetIn { admitted, refused: None, version }),
            Err(Error::NotAdmitted(refusal)) if is_resumed || (is_due && refusal.wait().is_none()) => {
                let admitted = Admitted { chain, fields: None, admission: Admission::default() };
                Ok(LetIn { admitted, refused: Some(refusal), version })
            }
            Err(error) => Err(error),
        }
    }
}
