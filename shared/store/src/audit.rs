//! The audit log: what people with power over others' data have done. Rows are put
//! and never changed; the functions' roles allow nothing else.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use turnwise_core::audit::Entry;
use turnwise_core::digest::Digest;
use turnwise_core::id::Tenant;
use turnwise_core::time::Timestamp;
use uuid::Uuid;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, binary, instant, json, text};
use crate::{keys, transact};

/// Partitions of a day's entries.
pub const AUDIT_SHARDS: u8 = keys::DAY_SHARDS;

/// Which entries are wanted; `None` wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only this action, by its name.
    pub action: Option<String>,
    /// Only what this key did, by its id.
    pub actor: Option<String>,
    /// Only what was done to this.
    pub subject: Option<String>,
}

/// Entries of one partition, and how many of them are looked at.
#[derive(Debug, Clone, Copy)]
pub struct AuditPart<'a> {
    /// Whose log.
    pub tenant: &'a Tenant,
    /// An instant of the day.
    pub day: Timestamp,
    /// Which of the day's partitions, below [`AUDIT_SHARDS`].
    pub shard: u8,
    /// The lowest id that is wanted.
    pub lowest: Uuid,
    /// The highest id that is wanted.
    pub highest: Uuid,
    /// Which are wanted.
    pub filter: &'a AuditFilter,
    /// How many are looked at, wanted or not.
    pub most: usize,
}

/// What was found in a partition.
#[derive(Debug)]
pub struct AuditFound {
    /// The entries that are wanted, newest first.
    pub entries: Vec<Entry>,
    /// The last id that was looked at, if there are more behind it.
    pub reached: Option<Uuid>,
}

impl Store {
    /// Puts an entry. Idempotent by its id.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn append_audit(&self, entry: &Entry) -> Result<(), Error> {
        let put = self.dynamo.put_item().table_name(&*self.table).set_item(Some(write(entry)?));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Ok(_) => Ok(()),
            // An earlier try has put it, and its answer was lost.
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(()),
            Err(error) => Err(Error::from_sdk("append_audit", &error)),
        }
    }

    /// The put of an entry, for the transaction that does what it tells of.
    pub(crate) fn audit_member(&self, entry: &Entry) -> Result<TransactWriteItem, Error> {
        let put = Put::builder().table_name(&*self.table).set_item(Some(write(entry)?));
        transact::put(put.condition_expression("attribute_not_exists(pk)"))
    }

    /// Entries of one partition, newest first.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn audit_entries(&self, part: &AuditPart<'_>) -> Result<AuditFound, Error> {
        let AuditFilter { action, actor, subject } = part.filter;
        let wanted = [("action", action), ("actor", actor), ("subject", subject)];
        let wanted: Vec<_> = wanted.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
        let clauses: Vec<String> = wanted.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let names = wanted.iter().map(|(name, _)| (format!("#{name}"), (*name).to_owned()));
        let names: HashMap<String, String> = names.collect();
        let mut values: HashMap<String, AttributeValue> =
            wanted.iter().map(|(name, value)| (format!(":{name}"), text(*value))).collect();
        values.insert(":pk".to_owned(), text(keys::audit(part.tenant, &part.day.day(), part.shard)));
        values.insert(":lowest".to_owned(), text(part.lowest.to_string()));
        values.insert(":highest".to_owned(), text(part.highest.to_string()));
        let page = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(i32::try_from(part.most).unwrap_or(i32::MAX))
            .key_condition_expression("pk = :pk AND sk BETWEEN :lowest AND :highest")
            .set_filter_expression(Some(clauses.join(" AND ")).filter(|clauses| !clauses.is_empty()))
            .set_expression_attribute_names(Some(names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(values))
            .send()
            .await
            .map_err(|error| Error::from_sdk("audit_entries", &error))?;
        let entries = page.items().iter().map(|item| read(part.tenant, item)).collect::<Result<Vec<_>, _>>()?;
        let reached = page.last_evaluated_key().map(|key| id(&Row(key))).transpose()?;
        Ok(AuditFound { entries, reached })
    }
}

fn write(entry: &Entry) -> Result<Item, Error> {
    let shard = entry.id.as_bytes().last().copied().unwrap_or(0);
    let mut row = Item::from(
        [
            ("pk", text(keys::audit(&entry.tenant, &entry.at.day(), shard))),
            ("sk", text(entry.id.to_string())),
            ("action", text(&*entry.action)),
            ("subject", text(&*entry.subject)),
            ("actor", text(&*entry.actor)),
            ("request_id", text(&*entry.request_id)),
            ("at", instant(entry.at)),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    if let Some(reason) = &entry.reason {
        row.insert("reason".to_owned(), text(&**reason));
    }
    for (name, digest) in [("before", &entry.before), ("after", &entry.after)] {
        if let Some(digest) = digest {
            row.insert(name.to_owned(), binary(digest.to_bytes()));
        }
    }
    if !entry.detail.is_empty() {
        row.insert("detail".to_owned(), json(&entry.detail)?);
    }
    Ok(row)
}

fn read(tenant: &Tenant, item: &Item) -> Result<Entry, Error> {
    let row = Row(item);
    let digest = |name| Ok::<_, Error>(row.maybe_bytes(name)?.map(Digest::from_stored));
    // What the first entries of all called their actor.
    let actor = row.maybe_text("actor")?.or(row.maybe_text("by")?);
    Ok(Entry {
        id: id(&row)?,
        at: row.instant("at")?,
        tenant: tenant.clone(),
        action: row.text("action")?,
        subject: row.text("subject")?,
        actor: actor.unwrap_or_default(),
        reason: row.maybe_text("reason")?,
        request_id: row.text("request_id")?,
        before: digest("before")?,
        after: digest("after")?,
        detail: if item.contains_key("detail") { row.json("detail")? } else { serde_json::Map::new() },
    })
}

fn id(row: &Row<'_>) -> Result<Uuid, Error> {
    let sk = row.text("sk")?;
    Uuid::try_parse(&sk).map_err(|_| Error::corrupt(format!("sort key {sk:?} of an audit entry")))
}
