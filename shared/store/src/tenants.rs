//! What holds for all keys of a tenant: one row.

use aws_sdk_dynamodb::types::Update;
use turnwise_core::access::TenantSettings;
use turnwise_core::audit::Entry;
use turnwise_core::id::Tenant;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Row, json, number, text};
use crate::keys;
use crate::transact::{self, Outcome};

/// A tenant's settings as they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredSettings {
    /// The settings; the default where none were ever made.
    pub settings: TenantSettings,
    /// How often they were changed.
    pub version: u64,
}

impl Store {
    /// The settings of `tenant`, read strongly.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn tenant_settings(&self, tenant: &Tenant) -> Result<StoredSettings, Error> {
        let get = self.dynamo.get_item().table_name(&*self.table).consistent_read(true);
        let get = get.key("pk", text(keys::tenant_settings(tenant))).key("sk", text(keys::SETTINGS));
        let found = get.send().await.map_err(|error| Error::from_sdk("tenant_settings", &error))?;
        let Some(item) = found.item() else { return Ok(StoredSettings::default()) };
        let row = Row(item);
        Ok(StoredSettings { settings: row.json("settings")?, version: row.number("version")? })
    }

    /// Changes settings that are as they were seen, with the line of the audit log. False if
    /// they have changed meanwhile. Idempotent by the audit entry's id.
    ///
    /// # Errors
    /// When the table does not answer or refuses.
    pub async fn change_tenant_settings(
        &self,
        tenant: &Tenant,
        changed: &StoredSettings,
        audit: &Entry,
    ) -> Result<bool, Error> {
        let update = Update::builder()
            .table_name(&*self.table)
            .key("pk", text(keys::tenant_settings(tenant)))
            .key("sk", text(keys::SETTINGS))
            .update_expression("SET settings = :settings, version = :next")
            .condition_expression("version = :seen OR (:seen = :never AND attribute_not_exists(pk))")
            .expression_attribute_values(":settings", json(&changed.settings)?)
            .expression_attribute_values(":seen", number(changed.version))
            .expression_attribute_values(":next", number(changed.version + 1))
            .expression_attribute_values(":never", number(0));
        let members = vec![transact::update(update)?, self.audit_member(audit)?];
        match self.transact("change_tenant_settings", &audit.id.to_string(), members).await? {
            Outcome::Applied => Ok(true),
            Outcome::Refused(_) => Ok(false),
        }
    }
}
