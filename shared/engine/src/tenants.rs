//! What holds for all keys of a tenant.

use turnwise_core::access::TenantSettings;
use turnwise_core::audit::Action;
use turnwise_core::fault::Faults;
use turnwise_core::id::Tenant;
use turnwise_core::limits::{BUSY_RETRY_AFTER, MAX_CONFLICT_RETRIES};
use turnwise_store::StoredSettings;

use crate::engine::Engine;
use crate::error::Error;
use crate::keys::check_tenant;
use crate::turn::Caller;

impl Engine {
    /// The settings of `tenant` as they stand.
    ///
    /// # Errors
    /// [`Error::OperatorOnly`] for another tenant's.
    pub async fn tenant(&self, caller: &Caller, tenant: &Tenant) -> Result<StoredSettings, Error> {
        check_tenant(caller, tenant)?;
        Ok(self.retry(|_| self.store.tenant_settings(tenant)).await?)
    }

    /// Changes the settings of `tenant`, as `change` makes them of what they are. Only the
    /// operator may: an administrator of a tenant could lift its own limits.
    ///
    /// # Errors
    /// [`Error::OperatorOnly`], and what `change` finds wrong.
    pub async fn change_tenant(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        change: impl Fn(TenantSettings) -> Result<TenantSettings, Faults>,
    ) -> Result<StoredSettings, Error> {
        if !caller.grant.is_operator {
            return Err(Error::OperatorOnly);
        }
        for round in 0..=MAX_CONFLICT_RETRIES {
            let StoredSettings { settings, version } = self.retry(|_| self.store.tenant_settings(tenant)).await?;
            let before = settings.clone();
            let changed = StoredSettings { settings: change(settings).map_err(Error::Invalid)?, version };
            let audit = self.audit_entry_of(caller, tenant, Action::TenantUpdate, tenant.as_str());
            let audit = audit.changed(Some(&before), Some(&changed.settings));
            let applied = self.retry(|_| self.store.change_tenant_settings(tenant, &changed, &audit)).await?;
            self.key_cache.forget_tenant(tenant);
            if applied {
                return Ok(StoredSettings { version: version + 1, ..changed });
            }
            self.pause(round).await;
        }
        Err(Error::ConversationBusy { retry_after: BUSY_RETRY_AFTER })
    }
}
