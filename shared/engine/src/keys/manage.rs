//! What administrators do with keys.

use std::time::Duration;

use turnwise_core::access::{Accepted, ApiKey, Budget, KEY_ID_CHARS, KEY_SECRET_CHARS, KeyId, KeyText, Limits, Scopes};
use turnwise_core::audit::{Action, Entry};
use turnwise_core::digest::Digest;
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::id::Tenant;
use turnwise_core::ledger::UsageTotals;
use turnwise_core::limits::MAX_CONFLICT_RETRIES;
use turnwise_core::time::Timestamp;
use turnwise_store::{KeyPage, StoredKey};

use crate::engine::Engine;
use crate::error::Error;
use crate::turn::Caller;

/// Longest time that the secret before a rotation may stay good: a week of rolling it out.
pub const MAX_ROTATION_GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Days that a key's usage is summed up over, today among them.
pub const KEY_USAGE_DAYS: u32 = 30;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What an administrator says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    /// What people call it.
    pub name: String,
    /// Who uses it.
    pub owner: String,
    /// What it is for.
    pub scopes: Scopes,
    /// The models it may ask; `None` for all.
    pub models: Option<Vec<String>>,
    /// How much of it.
    pub limits: Limits,
    /// What it may spend.
    pub budget: Budget,
    /// From when on it is not accepted any more.
    pub expires_at: Option<Timestamp>,
}

/// A key that was created, or found by the idempotency key that created it.
#[derive(Debug)]
pub struct Created {
    /// The key's row.
    pub stored: StoredKey,
    /// The key itself, told only this once; `None` for a retry.
    pub text: Option<KeyText>,
}

impl KeySpec {
    fn of(key: &ApiKey) -> Self {
        Self {
            name: key.name.clone(),
            owner: key.owner.clone(),
            scopes: key.scopes,
            models: key.models.clone(),
            limits: key.limits,
            budget: key.budget.clone(),
            expires_at: key.expires_at,
        }
    }

    fn apply_to(self, key: &mut ApiKey) {
        let Self { name, owner, scopes, models, limits, budget, expires_at } = self;
        *key = ApiKey { name, owner, scopes, models, limits, budget, expires_at, ..key.clone() };
    }
}

impl Engine {
    /// Creates a key of `tenant`. Idempotent by `idempotency_key`, where there is one: a
    /// retry finds the key, but cannot be told its text again.
    ///
    /// # Errors
    /// [`Error::OperatorOnly`] for another tenant's, [`Error::NoPepper`].
    pub async fn create_key(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        spec: KeySpec,
        idempotency_key: Option<&str>,
    ) -> Result<Created, Error> {
        check_tenant(caller, tenant)?;
        let id = match idempotency_key {
            Some(key) => named_by(tenant, key),
            None => KeyId::parse(&self.random.alphanumeric(KEY_ID_CHARS)),
        };
        // Both make as many letters and digits as an id has.
        let id = id.ok_or(Error::NoPepper)?;
        let (text, digest) = self.secret_for(&id)?;
        let now = self.clock.now();
        let mut key = ApiKey {
            tenant: tenant.clone(),
            owner: String::new(),
            name: String::new(),
            scopes: Scopes::default(),
            models: None,
            limits: Limits::default(),
            budget: Budget::default(),
            created_at: now,
            created_by: caller.api_key.clone(),
            expires_at: None,
            rotated_at: None,
            revoked_at: None,
            digests: vec![Accepted { digest, until: None }],
        };
        spec.clone().apply_to(&mut key);
        let audit = self.audit_entry_of(caller, tenant, Action::KeyCreate, id.as_str()).changed(None, Some(&key));
        let audit = audit.detail("name", key.name.as_str()).detail("owner", key.owner.as_str());
        if self.retry(|_| self.store.create_api_key(&id, &key, &audit)).await? {
            // A process that was asked for it before it was there remembers that it is not.
            self.key_cache.forget(&id);
            tracing::info!(key.id = %id, tenant = %tenant, by = %caller.api_key, "a key was created");
            let stored = StoredKey { id, key, version: 0, last_used_at: None };
            return Ok(Created { stored, text: Some(text) });
        }
        let stored = self.key(caller, &id).await?;
        let is_same = KeySpec { expires_at: None, ..KeySpec::of(&stored.key) } == KeySpec { expires_at: None, ..spec };
        if is_same { Ok(Created { stored, text: None }) } else { Err(Error::KeyReused) }
    }

    /// The key `id`, if it is one that `caller` may see.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for another tenant's.
    pub async fn key(&self, caller: &Caller, id: &KeyId) -> Result<StoredKey, Error> {
        let found = self.retry(|_| self.store.api_key(id)).await?;
        let found = found.filter(|found| check_tenant(caller, &found.key.tenant).is_ok());
        found.ok_or_else(|| not_found(id.as_str()))
    }

    /// What the work that a key asked for came to, today and the 29 days before.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn key_usage(&self, stored: &StoredKey) -> Result<UsageTotals, Error> {
        let (now, tenant) = (self.clock.now(), &stored.key.tenant);
        let since = now - DAY * (KEY_USAGE_DAYS - 1);
        Ok(self.retry(|_| self.store.usage_of_key(tenant, stored.id.as_str(), since, now)).await?)
    }

    /// A page of the keys of `tenant`, newest first.
    ///
    /// # Errors
    /// [`Error::OperatorOnly`] for another tenant's.
    pub async fn keys(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        after: Option<&str>,
        limit: usize,
    ) -> Result<KeyPage, Error> {
        check_tenant(caller, tenant)?;
        if let Some(after) = after.filter(|after| !KeyPage::is_cursor(after)) {
            let message = format!("{after:?} is not the `next` of a page.");
            return Err(Error::Invalid(Fault::new("after", message).into()));
        }
        Ok(self.retry(|_| self.store.api_keys(tenant, after, limit)).await?)
    }

    /// Changes what a key is for, as `change` makes it of what it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], and what `change` finds wrong.
    pub async fn change_key(
        &self,
        caller: &Caller,
        id: &KeyId,
        change: impl Fn(KeySpec) -> Result<KeySpec, Faults>,
    ) -> Result<StoredKey, Error> {
        self.update_key(caller, id, Action::KeyUpdate, "", |key| {
            change(KeySpec::of(key)).map_err(Error::Invalid)?.apply_to(key);
            Ok(())
        })
        .await
    }

    /// Gives a key another secret, and says what it is now. The one before stays good for
    /// `grace`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoPepper`].
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        id: &KeyId,
        grace: Duration,
    ) -> Result<(StoredKey, KeyText), Error> {
        let (text, digest) = self.secret_for(id)?;
        let now = self.clock.now();
        let until = now + grace.min(MAX_ROTATION_GRACE);
        let stored = self
            .update_key(caller, id, Action::KeyRotate, "", |key| {
                key.rotate(digest.clone(), now, until);
                Ok(())
            })
            .await?;
        Ok((stored, text))
    }

    /// Takes a key back, for good. Other processes accept it for at most a minute more.
    /// Idempotent.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn revoke_key(&self, caller: &Caller, id: &KeyId, reason: &str) -> Result<StoredKey, Error> {
        let found = self.key(caller, id).await?;
        if found.key.revoked_at.is_some() {
            return Ok(found);
        }
        let now = self.clock.now();
        self.update_key(caller, id, Action::KeyRevoke, reason, |key| {
            key.revoked_at = key.revoked_at.or(Some(now));
            Ok(())
        })
        .await
    }

    async fn update_key(
        &self,
        caller: &Caller,
        id: &KeyId,
        action: Action,
        reason: &str,
        change: impl Fn(&mut ApiKey) -> Result<(), Error>,
    ) -> Result<StoredKey, Error> {
        for round in 0..=MAX_CONFLICT_RETRIES {
            let mut stored = self.key(caller, id).await?;
            let before = stored.key.clone();
            change(&mut stored.key)?;
            let tenant = stored.key.tenant.clone();
            let audit = self.audit_entry_of(caller, &tenant, action, id.as_str());
            let audit = Some(reason).filter(|reason| !reason.is_empty()).into_iter().fold(audit, Entry::because);
            let audit = audit.changed(Some(&before), Some(&stored.key));
            let changed = self.retry(|_| self.store.change_api_key(&stored, &audit)).await?;
            self.key_cache.forget(id);
            if changed {
                tracing::info!(key.id = %id, %tenant, by = %caller.api_key, %action, "a key was changed");
                return Ok(StoredKey { version: stored.version + 1, ..stored });
            }
            self.pause(round).await;
        }
        Err(Error::ConversationBusy { retry_after: turnwise_core::limits::BUSY_RETRY_AFTER })
    }

    fn secret_for(&self, id: &KeyId) -> Result<(KeyText, turnwise_core::access::KeyDigest), Error> {
        let text = KeyText::new(id.clone(), &self.random.alphanumeric(KEY_SECRET_CHARS));
        let digest = self.peppers.digest(&text).ok_or(Error::NoPepper)?;
        Ok((text, digest))
    }
}

/// Whether `caller` may act for `tenant`.
///
/// # Errors
/// [`Error::OperatorOnly`].
pub(crate) fn check_tenant(caller: &Caller, tenant: &Tenant) -> Result<(), Error> {
    let may = caller.tenant == *tenant || caller.grant.is_operator;
    if may { Ok(()) } else { Err(Error::OperatorOnly) }
}

fn not_found(id: &str) -> Error {
    Error::NotFound { what: "key", name: id.to_owned() }
}

/// The id of the key that the idempotency key `key` creates: always the same.
fn named_by(tenant: &Tenant, key: &str) -> Option<KeyId> {
    let digest = Digest::of(format!("{tenant}#{key}"));
    KeyId::parse(&digest.as_str()[..KEY_ID_CHARS])
}
