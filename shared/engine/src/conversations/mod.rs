//! Conversations as things of their own: created, looked at, changed by hand, erased.
//!
//! - `create`: a conversation that begins without a turn; its metadata
//! - `items`: what it holds, as a list of items; `row`: the items of one row
//! - `change`: items added and deleted, while no turn runs
//! - `erase`: all that was said in it removed; `erase_by_admin`: for others, and written down
//! - `same_input`: which of its turns had the same input

mod change;
mod create;
mod erase;
mod erase_by_admin;
mod items;
mod row;
mod same_input;

pub use change::{Added, Addition};
pub use create::NewConversation;
pub use erase_by_admin::ErasedPerson;
pub use items::{ItemPage, ItemQuery, Order};
pub(crate) use row::places;
pub use turnwise_store::{Overview, Totals};

use turnwise_core::id::{ConversationId, Tenant};

use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// A conversation with its metadata and totals. `what` is what the route calls it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not there, or no longer.
    pub async fn overview(
        &self,
        tenant: &Tenant,
        what: &'static str,
        conversation: &ConversationId,
    ) -> Result<Overview, Error> {
        let found = self.retry(|_| self.store.overview(tenant, conversation)).await?;
        let there = found.filter(|found| !found.conversation.erased);
        there.ok_or_else(|| Error::NotFound { what, name: conversation.to_string() })
    }
}

fn not_found(conversation: &ConversationId) -> Error {
    Error::NotFound { what: "conversation", name: conversation.to_string() }
}
