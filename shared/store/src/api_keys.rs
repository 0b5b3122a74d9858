//! API keys: one row each, and a list by tenant. The row has digests of a key's secrets and
//! nothing that the key could be made from.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, Update};
use turnwise_core::access::{ApiKey, KeyId};
use turnwise_core::audit::Entry;
use turnwise_core::id::Tenant;
use turnwise_core::time::Timestamp;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, instant, json, number, text};
use crate::keys;
use crate::transact::{self, Outcome};

/// A key with what its row says beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Which.
    pub id: KeyId,
    /// The key.
    pub key: ApiKey,
    /// How often the row was changed: a change names the version that it saw.
    pub version: u64,
    /// When it was last seen in use, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// One page of a tenant's keys, newest first.
#[derive(Debug, Clone, Default)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<StoredKey>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

impl KeyPage {
    /// Whether `text` can be the [`Self::next`] of some page.
    #[must_use]
    pub fn is_cursor(text: &str) -> bool {
        keys::parse_api_key_row(text).is_some()
    }
}

impl Store {
    /// Puts a new key, its place in the list and the line of the audit log: all or none.
    /// False if there is a key of this id. Idempotent by the audit entry's id.
    ///
    /// # Errors
    /// When the table does not answer or refuses.
    pub async fn create_api_key(&self, id: &KeyId, key: &ApiKey, audit: &Entry) -> Result<bool, Error> {
        let row = Put::builder()
            .table_name(&*self.table)
            .item("pk", text(keys::api_key(id)))
            .item("sk", text(keys::API_KEY))
            .item("key", json(key)?)
            .item("version", number(0))
            .condition_expression("attribute_not_exists(pk)");
        let listed = Put::builder()
            .table_name(&*self.table)
            .item("pk", text(keys::api_keys(&key.tenant)))
            .item("sk", text(keys::api_key_row(key.created_at, id)));
        let members = vec![transact::put(row)?, transact::put(listed)?, self.audit_member(audit)?];
        match self.transact("create_api_key", &audit.id.to_string(), members).await? {
            Outcome::Applied => Ok(true),
            Outcome::Refused(_) => Ok(false),
        }
    }

    /// The key `id`, read strongly.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn api_key(&self, id: &KeyId) -> Result<Option<StoredKey>, Error> {
        let get = self.dynamo.get_item().table_name(&*self.table).set_key(Some(row_key(id))).consistent_read(true);
        let found = get.send().await.map_err(|error| Error::from_sdk("api_key", &error))?;
        found.item().map(read).transpose()
    }

    /// Changes a key that is as it was seen, with the line of the audit log. False if it has
    /// changed meanwhile. Idempotent by the audit entry's id.
    ///
    /// # Errors
    /// When the table does not answer or refuses.
    pub async fn change_api_key(&self, changed: &StoredKey, audit: &Entry) -> Result<bool, Error> {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(row_key(&changed.id)))
            .update_expression("SET #key = :key, version = :next")
            .condition_expression("version = :seen")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":key", json(&changed.key)?)
            .expression_attribute_values(":seen", number(changed.version))
            .expression_attribute_values(":next", number(changed.version + 1));
        let members = vec![transact::update(update)?, self.audit_member(audit)?];
        match self.transact("change_api_key", &audit.id.to_string(), members).await? {
            Outcome::Applied => Ok(true),
            Outcome::Refused(_) => Ok(false),
        }
    }

    /// A page of a tenant's keys, newest first, behind the cursor `after` of an earlier one.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn api_keys(&self, tenant: &Tenant, after: Option<&str>, limit: usize) -> Result<KeyPage, Error> {
        let query = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .expression_attribute_values(":pk", text(keys::api_keys(tenant)));
        let query = match after {
            Some(after) => query
                .key_condition_expression("pk = :pk AND sk < :after")
                .expression_attribute_values(":after", text(after)),
            None => query.key_condition_expression("pk = :pk"),
        };
        let page = query.send().await.map_err(|error| Error::from_sdk("api_keys", &error))?;
        let ids = page.items().iter().map(listed_id).collect::<Result<Vec<_>, _>>()?;
        let mut found = self.api_keys_named(&ids).await?;
        // A batch comes back in any order.
        let keys = ids.iter().filter_map(|id| found.remove(id)).collect();
        let next = page.last_evaluated_key().and_then(|key| key.get("sk")).and_then(|sk| sk.as_s().ok()).cloned();
        Ok(KeyPage { keys, next })
    }

    async fn api_keys_named(&self, ids: &[KeyId]) -> Result<HashMap<KeyId, StoredKey>, Error> {
        let mut found = HashMap::new();
        let mut wanted: Vec<_> = ids.iter().map(row_key).collect();
        while !wanted.is_empty() {
            let request = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true).build();
            let request = request.map_err(|error| Error::corrupt(format!("a batch of keys: {error}")))?;
            let get = self.dynamo.batch_get_item().request_items(&*self.table, request);
            let batch = get.send().await.map_err(|error| Error::from_sdk("api_keys", &error))?;
            for item in batch.responses().and_then(|tables| tables.get(&*self.table)).into_iter().flatten() {
                let key = read(item)?;
                found.insert(key.id.clone(), key);
            }
            let left = batch.unprocessed_keys().and_then(|tables| tables.get(&*self.table));
            wanted = left.map(|left| left.keys().to_vec()).unwrap_or_default();
        }
        Ok(found)
    }

    /// Notes that the key `id` was in use at `now`. Idempotent; does nothing where there is
    /// no such key.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn touch_api_key(&self, id: &KeyId, now: Timestamp) -> Result<(), Error> {
        let result = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(row_key(id)))
            .update_expression("SET last_used_at = :now")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(last_used_at) OR last_used_at < :now)",
            )
            .expression_attribute_values(":now", instant(now))
            .send()
            .await;
        match result {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(()),
            Err(error) => Err(Error::from_sdk("touch_api_key", &error)),
        }
    }
}

fn row_key(id: &KeyId) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), text(keys::api_key(id))), ("sk".to_owned(), text(keys::API_KEY))])
}

fn listed_id(item: &Item) -> Result<KeyId, Error> {
    let sk = Row(item).text("sk")?;
    keys::parse_api_key_row(&sk).ok_or_else(|| Error::corrupt(format!("sort key {sk:?} of an API key")))
}

fn read(item: &Item) -> Result<StoredKey, Error> {
    let row = Row(item);
    let pk = row.text("pk")?;
    let id = pk.strip_prefix("K#").and_then(KeyId::parse);
    Ok(StoredKey {
        id: id.ok_or_else(|| Error::corrupt(format!("key {pk:?} of an API key")))?,
        key: row.json("key")?,
        version: row.number("version")?,
        last_used_at: row.maybe_number("last_used_at")?.map(Timestamp),
    })
}
