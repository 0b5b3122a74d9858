//! Lists of conversations, by person and by project. A conversation is listed with
//! its first committed turn.

use aws_sdk_dynamodb::types::Select;
use turnwise_core::id::{ConversationId, ProjectId, Tenant};
use turnwise_core::time::Timestamp;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, instant, text};
use crate::keys;

/// One conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadRow {
    /// Its name.
    pub conversation: ConversationId,
    /// Its project, if any.
    pub project: Option<ProjectId>,
    /// When its first turn was committed.
    pub created_at: Timestamp,
}

/// One page of a list, newest first.
#[derive(Debug, Clone, Default)]
pub struct ThreadPage {
    /// The conversations.
    pub threads: Vec<ThreadRow>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

impl ThreadPage {
    /// Whether `text` can be the [`Self::next`] of some page.
    #[must_use]
    pub fn is_cursor(text: &str) -> bool {
        keys::is_thread_row(text)
    }
}

impl Store {
    /// Conversations of a project, or of a person where no project is given,
    /// newest first, behind the cursor `after` of an earlier page.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn threads(
        &self,
        tenant: &Tenant,
        user: &str,
        project: Option<&ProjectId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ThreadPage, Error> {
        let partition = match project {
            Some(project) => keys::threads_of_project(tenant, project),
            None => keys::threads_of_user(tenant, user),
        };
        let query = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .expression_attribute_values(":pk", text(partition));
        let query = match after {
            Some(after) => query
                .key_condition_expression("pk = :pk AND sk < :after")
                .expression_attribute_values(":after", text(after)),
            None => query.key_condition_expression("pk = :pk"),
        };
        let page = query.send().await.map_err(|error| Error::from_sdk("list_threads", &error))?;

        let threads = page.items().iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let more = page.last_evaluated_key().and_then(|key| key.get("sk")).and_then(|sk| sk.as_s().ok()).cloned();
        Ok(ThreadPage { threads, next: more })
    }

    /// Conversations in a person's list; of a list longer than one read, those of one read.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn count_threads(&self, tenant: &Tenant, user: &str) -> Result<u64, Error> {
        let count = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .select(Select::Count)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::threads_of_user(tenant, user)))
            .send()
            .await;
        let count = count.map_err(|error| Error::from_sdk("count_threads", &error))?;
        Ok(u64::try_from(count.count()).unwrap_or(0))
    }

    /// Takes a conversation out of the list of `user` and of its project, where it stands there.
    /// Idempotent.
    ///
    /// # Errors
    /// As [`Self::erase_some`].
    pub async fn unlist_row(&self, tenant: &Tenant, user: &str, row: &ThreadRow) -> Result<(), Error> {
        self.delete_rows(rows(tenant, user, row.project.as_ref(), &row.conversation, row.created_at)).await
    }
}

/// The rows that list a new conversation.
pub(crate) fn rows(
    tenant: &Tenant,
    user: &str,
    project: Option<&ProjectId>,
    conversation: &ConversationId,
    created_at: Timestamp,
) -> Vec<Item> {
    let by_user = Some(keys::threads_of_user(tenant, user));
    let by_project = project.map(|project| keys::threads_of_project(tenant, project));
    [by_user, by_project]
        .into_iter()
        .flatten()
        .map(|partition| {
            let mut row = Item::from([
                ("pk".to_owned(), text(partition)),
                ("sk".to_owned(), text(keys::thread_row(created_at, conversation))),
                ("conversation".to_owned(), text(conversation.as_str())),
                ("created_at".to_owned(), instant(created_at)),
            ]);
            if let Some(project) = project {
                row.insert("project".to_owned(), text(project.as_str()));
            }
            row
        })
        .collect()
}

fn read(item: &Item) -> Result<ThreadRow, Error> {
    let row = Row(item);
    Ok(ThreadRow {
        conversation: ConversationId::from_stored(row.text("conversation")?),
        project: row.maybe_text("project")?.map(ProjectId::from_stored),
        created_at: row.instant("created_at")?,
    })
}
