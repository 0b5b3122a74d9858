//! Price tables: one row each, put once and never changed.

use aws_sdk_dynamodb::types::Put;
use turnwise_core::audit::Entry;
use turnwise_core::id::Tenant;
use turnwise_core::prices::PriceTable;
use turnwise_core::time::Timestamp;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, binary, instant, text};
use crate::keys;
use crate::pack::{pack, unpack};
use crate::transact::{self, Outcome};

/// Most tables that are read: the newest. One of them holds, as fewer may wait for their day.
pub const MAX_TABLES: usize = 20;

/// A table as it was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPrices {
    /// The how many-th of its layer it is, from 1.
    pub number: u64,
    /// The table.
    pub table: PriceTable,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// The id of the key that did.
    pub imported_by: String,
}

impl Store {
    /// The newest [`MAX_TABLES`] tables of `tenant`, or else of the deployment, oldest first,
    /// read strongly.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn price_tables(&self, tenant: Option<&Tenant>) -> Result<Vec<StoredPrices>, Error> {
        let query = self.dynamo.query().table_name(&*self.table).consistent_read(true);
        let query = query
            .key_condition_expression("pk = :pk AND begins_with(sk, :prices)")
            .expression_attribute_values(":pk", text(keys::price_tables(tenant)))
            .expression_attribute_values(":prices", text(keys::PRICES))
            .scan_index_forward(false)
            .limit(i32::try_from(MAX_TABLES).unwrap_or(i32::MAX));
        let found = query.send().await.map_err(|error| Error::from_sdk("price_tables", &error))?;
        let mut tables = found.items().iter().map(read).collect::<Result<Vec<_>, _>>()?;
        tables.reverse();
        Ok(tables)
    }

    /// Puts a table behind all others of its layer, with the line of the audit log. False where
    /// its number is taken. Idempotent by the audit entry's id.
    ///
    /// # Errors
    /// When the table does not answer or refuses.
    pub async fn import_prices(
        &self,
        tenant: Option<&Tenant>,
        prices: &StoredPrices,
        audit: &Entry,
    ) -> Result<bool, Error> {
        let row: Item = [
            ("pk", text(keys::price_tables(tenant))),
            ("sk", text(keys::price_table(prices.number))),
            ("body", binary(pack(&prices.table)?)),
            ("imported_at", instant(prices.imported_at)),
            ("imported_by", text(&*prices.imported_by)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let put = Put::builder().table_name(&*self.table).set_item(Some(row));
        let members =
            vec![transact::put(put.condition_expression("attribute_not_exists(pk)"))?, self.audit_member(audit)?];
        match self.transact("import_prices", &audit.id.to_string(), members).await? {
            Outcome::Applied => Ok(true),
            Outcome::Refused(_) => Ok(false),
        }
    }
}

fn read(item: &Item) -> Result<StoredPrices, Error> {
    let row = Row(item);
    let sk = row.text("sk")?;
    let number = sk.strip_prefix(keys::PRICES).and_then(|digits| digits.parse().ok());
    let body = row.maybe_bytes("body")?.ok_or_else(|| Error::corrupt("a price table without a body"))?;
    Ok(StoredPrices {
        number: number.ok_or_else(|| Error::corrupt(format!("sort key {sk:?} of a price table")))?,
        table: unpack(body)?,
        imported_at: row.instant("imported_at")?,
        imported_by: row.text("imported_by")?,
    })
}
