//! An API key as the table has it.

use serde::{Deserialize, Serialize};

use super::key::KeyText;
use super::pepper::{KeyDigest, Peppers};
use super::{Budget, Grant, Limits, Scopes, TenantSettings};
use crate::id::Tenant;
use crate::prices::Prices;
use crate::time::Timestamp;

/// Most digests of one key: the one in use, and one that a rotation leaves good for a while.
/// As many are compared for every key, also for one that is not there.
const MAX_DIGESTS: usize = 2;

/// An API key, without what its holder has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Whose data it opens.
    pub tenant: Tenant,
    /// Who uses it: whose list of conversations it shows.
    pub owner: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub scopes: Scopes,
    /// The models it may ask; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// How much of it.
    #[serde(default)]
    pub limits: Limits,
    /// What it may spend.
    #[serde(default)]
    pub budget: Budget,
    /// When it was created.
    pub created_at: Timestamp,
    /// The id of the key that created it.
    pub created_by: String,
    /// From when on it is not accepted any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was given its newest secret, if not at its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Timestamp>,
    /// When it was revoked, for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Digests of its secrets, newest first.
    pub digests: Vec<Accepted>,
}

/// A secret that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its digest.
    pub digest: KeyDigest,
    /// Until when; `None` as long as the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What may be done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is accepted.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
}

impl Standing {
    /// Its name, as answers have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl ApiKey {
    /// How it stands at `now`.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        let is_over = self.expires_at.is_some_and(|expires_at| now >= expires_at);
        match (self.revoked_at, is_over) {
            (Some(_), _) => Standing::Revoked,
            (None, true) => Standing::Expired,
            (None, false) => Standing::Active,
        }
    }

    /// What a request with it may do, in a tenant with `settings` and `prices`.
    #[must_use]
    pub fn grant(&self, settings: TenantSettings, prices: Prices) -> Grant {
        Grant {
            scopes: self.scopes,
            is_operator: false,
            models: self.models.clone(),
            limits: self.limits,
            budget: self.budget.clone(),
            settings,
            prices,
        }
    }

    /// Gives it another secret. The one before stays good until `until`; any other is gone.
    pub fn rotate(&mut self, digest: KeyDigest, now: Timestamp, until: Timestamp) {
        self.digests.truncate(1);
        for before in &mut self.digests {
            before.until = Some(until);
        }
        self.digests.retain(|before| before.until.is_some_and(|until| until > now));
        self.digests.insert(0, Accepted { digest, until: None });
        self.rotated_at = Some(now);
    }
}

/// Whether `text` is the key `found` and accepted at `now`. Does the same work whether there
/// is such a key, it is revoked, it has expired, or its secret is another one: who asks learns
/// nothing from the time it takes.
#[must_use]
pub fn accepts(peppers: &Peppers, text: &KeyText, found: Option<&ApiKey>, now: Timestamp) -> bool {
    let nobody = KeyDigest { pepper: 1, mac: crate::digest::Digest::of("nobody") };
    let mut accepted = false;
    for at in 0..MAX_DIGESTS {
        let candidate = found.and_then(|key| key.digests.get(at));
        let matches = peppers.matches(text, candidate.map_or(&nobody, |candidate| &candidate.digest));
        let in_time = candidate.is_some_and(|candidate| candidate.until.is_none_or(|until| now < until));
        accepted |= matches & in_time;
    }
    let is_active = found.is_some_and(|key| key.standing(now) == Standing::Active);
    accepted & is_active
}

#[cfg(test)]
mod tests {
    use super::super::key::{KEY_SECRET_CHARS, KeyId};
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_276_800_000);
    const LATER: Timestamp = Timestamp(NOW.0 + 1000);

    fn text(secret: char) -> KeyText {
        let secret: String = std::iter::repeat_n(secret, KEY_SECRET_CHARS).collect();
        KeyText::new(KeyId::parse("abcDEF012345").unwrap(), &secret)
    }

    fn peppers() -> Peppers {
        Peppers::of(&[7; 32])
    }

    fn key() -> ApiKey {
        ApiKey {
            tenant: Tenant::default_tenant(),
            owner: "ada".to_owned(),
            name: "test".to_owned(),
            scopes: Scopes::ALL,
            models: None,
            limits: Limits::default(),
            budget: Budget::default(),
            created_at: NOW,
            created_by: "root".to_owned(),
            expires_at: None,
            rotated_at: None,
            revoked_at: None,
            digests: vec![Accepted { digest: peppers().digest(&text('a')).unwrap(), until: None }],
        }
    }

    fn check(key: Option<&ApiKey>, secret: char, now: Timestamp, expected: bool) {
        assert_eq!(accepts(&peppers(), &text(secret), key, now), expected, "{secret} at {now}");
    }

    #[test]
    fn a_key_is_accepted_until_it_expires_or_is_revoked() {
        check(Some(&key()), 'a', NOW, true);
        check(Some(&key()), 'b', NOW, false);
        check(None, 'a', NOW, false);
        let expires = ApiKey { expires_at: Some(LATER), ..key() };
        check(Some(&expires), 'a', Timestamp(LATER.0 - 1), true);
        check(Some(&expires), 'a', LATER, false);
        let revoked = ApiKey { revoked_at: Some(NOW), ..key() };
        check(Some(&revoked), 'a', NOW, false);
        let standings = [key(), expires, revoked].map(|key| key.standing(LATER).name());
        assert_eq!(standings, ["active", "expired", "revoked"]);
    }

    #[test]
    fn a_rotated_key_leaves_the_secret_before_good_for_a_while() {
        let mut key = key();
        key.rotate(peppers().digest(&text('b')).unwrap(), NOW, LATER);
        check(Some(&key), 'b', NOW, true);
        check(Some(&key), 'a', Timestamp(LATER.0 - 1), true);
        check(Some(&key), 'a', LATER, false);
        check(Some(&key), 'b', LATER, true);
        // Twice within the while: only the last two are good.
        key.rotate(peppers().digest(&text('c')).unwrap(), NOW, LATER);
        check(Some(&key), 'a', NOW, false);
        check(Some(&key), 'b', NOW, true);
        check(Some(&key), 'c', NOW, true);
        // At once.
        key.rotate(peppers().digest(&text('d')).unwrap(), NOW, NOW);
        check(Some(&key), 'c', NOW, false);
        check(Some(&key), 'd', NOW, true);
    }
}
