//! The look at a key that is presented, and the keys seen lately.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use turnwise_core::access::{ApiKey, Grant, KeyId, KeyText, Standing, TenantSettings, accepts};
use turnwise_core::id::Tenant;
use turnwise_core::prices::{PriceTable, Prices};
use turnwise_core::time::Timestamp;
use turnwise_store::StoredKey;

use crate::engine::Engine;
use crate::error::Error;

/// How long a process believes what it has read of a key or of a tenant: so long a revoked
/// key may go on being accepted elsewhere.
pub const KEY_CACHE_TTL: Duration = Duration::from_secs(60);

/// How exactly it is known when a key was last in use: each process writes no more often.
const LAST_USE_EVERY: Duration = Duration::from_secs(60);

/// Keys remembered, also those that there are none of: more than serve in one process, and
/// few enough for somebody who tries out keys to fill no memory.
const MAX_REMEMBERED: usize = 10_000;

/// Who has come in with a key of the table.
#[derive(Debug, Clone)]
pub struct Known {
    /// Which key.
    pub id: KeyId,
    /// Whose data.
    pub tenant: Tenant,
    /// Whose list of conversations.
    pub owner: String,
    /// What it may do, and how much of it.
    pub grant: Arc<Grant>,
}

/// What this process has read of keys and tenants. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct KeyCache {
    keys: Arc<Cache<KeyId, Seen<Option<Arc<StoredKey>>>>>,
    tenants: Arc<Cache<Tenant, Seen<Arc<TenantSettings>>>>,
    prices: Arc<Cache<Option<Tenant>, Seen<Tables>>>,
}

/// The price tables of a layer.
type Tables = Arc<Vec<PriceTable>>;

/// Something as it was read.
#[derive(Debug, Clone)]
struct Seen<T> {
    at: Timestamp,
    what: T,
}

impl<T> Seen<T> {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.at) < KEY_CACHE_TTL
    }
}

impl Default for KeyCache {
    fn default() -> Self {
        Self {
            keys: Arc::new(Cache::new(MAX_REMEMBERED)),
            tenants: Arc::new(Cache::new(MAX_REMEMBERED)),
            prices: Arc::new(Cache::new(MAX_REMEMBERED)),
        }
    }
}

impl KeyCache {
    /// Forgets a key that this process has changed.
    pub(super) fn forget(&self, id: &KeyId) {
        self.keys.remove(id);
    }

    /// Forgets the settings of a tenant that this process has changed.
    pub(crate) fn forget_tenant(&self, tenant: &Tenant) {
        self.tenants.remove(tenant);
    }

    /// Forgets prices that this process has changed.
    pub(crate) fn forget_prices(&self, tenant: Option<&Tenant>) {
        self.prices.remove(&tenant.cloned());
    }
}

impl Engine {
    /// Who `presented` is, if it is a key of the table that is accepted now. Does the same
    /// work for a key that is not there, revoked or expired; only what is mistyped is known
    /// without a look.
    ///
    /// # Errors
    /// When the table does not answer: nobody is let in on trust.
    pub async fn authenticate(&self, presented: &str) -> Result<Option<Known>, Error> {
        let Some(text) = KeyText::parse(presented) else { return Ok(None) };
        let now = self.clock.now();
        let found = self.seen_key(text.id(), now).await?;
        if !accepts(&self.peppers, &text, found.as_ref().map(|found| &found.key), now) {
            return Ok(None);
        }
        let Some(found) = found else { return Ok(None) };
        let settings = self.seen_settings(&found.key.tenant, now).await?;
        let prices = self.prices_of(&found.key.tenant).await?;
        Ok(Some(known(&found, &settings, prices)))
    }

    /// What a turn of the queue may do whose request came with the key called `name`. `None`
    /// where that key has been revoked or has expired since.
    ///
    /// # Errors
    /// When the table does not answer.
    pub(crate) async fn grant(&self, tenant: &Tenant, name: &str) -> Result<Option<Arc<Grant>>, Error> {
        let now = self.clock.now();
        let settings = self.seen_settings(tenant, now).await?;
        let prices = self.prices_of(tenant).await?;
        // The keys of the deployment itself have ids of another form.
        let key = match KeyId::parse(name) {
            Some(id) => self.seen_key(&id, now).await?.filter(|found| found.key.tenant == *tenant),
            None => None,
        };
        Ok(match key {
            None => Some(Arc::new(Grant { settings: TenantSettings::clone(&settings), prices, ..Grant::default() })),
            Some(found) if is_active(&found.key, now) => Some(known(&found, &settings, prices).grant),
            Some(_) => None,
        })
    }

    /// What holds for all keys of `tenant`, at most a minute old.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn settings_of(&self, tenant: &Tenant) -> Result<Arc<TenantSettings>, Error> {
        self.seen_settings(tenant, self.clock.now()).await
    }

    async fn seen_key(&self, id: &KeyId, now: Timestamp) -> Result<Option<Arc<StoredKey>>, Error> {
        if let Some(seen) = self.key_cache.keys.get(id).filter(|seen| seen.is_fresh(now)) {
            return Ok(seen.what);
        }
        let what = self.retry(|_| self.store.api_key(id)).await?.map(Arc::new);
        self.key_cache.keys.insert(id.clone(), Seen { at: now, what: what.clone() });
        if let Some(found) = &what {
            self.note_use(found, now);
        }
        Ok(what)
    }

    async fn seen_settings(&self, tenant: &Tenant, now: Timestamp) -> Result<Arc<TenantSettings>, Error> {
        if let Some(seen) = self.key_cache.tenants.get(tenant).filter(|seen| seen.is_fresh(now)) {
            return Ok(seen.what);
        }
        let what = Arc::new(self.retry(|_| self.store.tenant_settings(tenant)).await?.settings);
        self.key_cache.tenants.insert(tenant.clone(), Seen { at: now, what: Arc::clone(&what) });
        Ok(what)
    }

    /// The price tables of a layer, at most a minute old.
    pub(crate) async fn seen_prices(&self, tenant: Option<&Tenant>, now: Timestamp) -> Result<Tables, Error> {
        let layer = tenant.cloned();
        if let Some(seen) = self.key_cache.prices.get(&layer).filter(|seen| seen.is_fresh(now)) {
            return Ok(seen.what);
        }
        let stored = self.retry(|_| self.store.price_tables(tenant)).await?;
        let tables = stored.into_iter().map(|stored| stored.table).collect();
        let what = Arc::new(if layer.is_none() { self.with_file(tables) } else { tables });
        self.key_cache.prices.insert(layer, Seen { at: now, what: Arc::clone(&what) });
        Ok(what)
    }

    /// Writes down when a key was last in use. Nobody waits for it.
    fn note_use(&self, found: &Arc<StoredKey>, now: Timestamp) {
        let is_known = found.last_used_at.is_some_and(|last| now.since(last) < LAST_USE_EVERY);
        if is_known || !is_active(&found.key, now) {
            return;
        }
        let (engine, id) = (self.clone(), found.id.clone());
        self.tasks.spawn(async move {
            if let Err(error) = engine.store.touch_api_key(&id, now).await {
                tracing::warn!(%error, key.id = %id, "when this key was last in use could not be written down");
            }
        });
    }
}

fn is_active(key: &ApiKey, now: Timestamp) -> bool {
    match key.standing(now) {
        Standing::Active => true,
        Standing::Expired | Standing::Revoked => false,
    }
}

fn known(found: &StoredKey, settings: &TenantSettings, prices: Prices) -> Known {
    Known {
        id: found.id.clone(),
        tenant: found.key.tenant.clone(),
        owner: found.key.owner.clone(),
        grant: Arc::new(found.key.grant(settings.clone(), prices)),
    }
}
