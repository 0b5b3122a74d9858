//! How many tokens a request for a response would send.

use turnwise_core::id::TurnId;
use turnwise_core::json;
use turnwise_core::turn::Parent;
use turnwise_store::Entry;

use super::{Place, ResponseRequest, hidden_key};
use crate::engine::Engine;
use crate::error::Error;
use crate::turn::remember;

impl Engine {
    /// How many tokens the model would be sent for `request`: exactly where its tokenizer is
    /// at hand. Nothing is called, stored or written.
    ///
    /// # Errors
    /// As [`Self::respond`]; of a conversation that is too long only where it has more
    /// turns than one request takes.
    pub async fn count_input(&self, request: ResponseRequest) -> Result<u64, Error> {
        let resolved = self.providers.resolve(request.input.model.as_deref()).map_err(Error::Model)?;
        let (history, before) = self.history_of(&request).await?;
        // Stands for the turn that is not made.
        let key = hidden_key(&TurnId::new(self.random.uuid_v7(self.clock.now())), &Place::New)?;
        let items = self.resolve_mentions(&request, &key, before).await?;
        let mut input = request.input;
        input.items = Some(json::raw(&serde_json::Value::Array(items)));
        let measure = self.measure(&resolved);
        // Without the model's limit: who asks wants to know how far it is passed.
        remember::check(&input, &history, &measure.without_limits())?;
        let messages = remember::messages(&input, &history, &measure);
        input.fields.insert("messages".to_owned(), messages);
        Ok(self.count_for(&resolved, input.fields).await?.tokens)
    }

    /// What was said before, as far as the request's window looks, and where that ends.
    async fn history_of(&self, request: &ResponseRequest) -> Result<(Vec<Entry>, Option<Parent>), Error> {
        let (tenant, wanted) = (&request.caller.tenant, request.input.window.rows());
        match &request.place {
            Place::New => Ok((Vec::new(), None)),
            Place::After(previous) => {
                let before = self.parent_behind(request, previous, None).await?;
                Ok((self.reach_back(tenant, Vec::new(), before.clone(), wanted).await?, before))
            }
            Place::In(name) => {
                let now = self.clock.now();
                let opened = self.retry(|_| self.store.open(tenant, name, wanted, now)).await?;
                let conversation = opened.conversation.filter(|_| !name.is_hidden());
                let not_found = || Error::NotFound { what: "conversation", name: name.to_string() };
                let conversation = conversation.ok_or_else(not_found)?;
                if conversation.erased {
                    return Err(Error::ConversationErased);
                }
                let rows = self.reach_back(tenant, opened.newest, conversation.parent, wanted).await?;
                Ok((rows, Some(Parent { conversation: name.clone(), number: u64::MAX })))
            }
        }
    }
}
