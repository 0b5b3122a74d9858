//! The secrets of the deployment that the digests of keys depend on: whoever can write to the
//! table, and has no pepper, cannot make a key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::key::KeyText;
use crate::digest::Digest;
use crate::fault::Fault;

/// Fewest bytes of a pepper: as many as the digest has.
pub const MIN_PEPPER_BYTES: usize = 32;

/// Between two peppers of a setting.
const SEPARATOR: char = ',';

/// The peppers of a deployment. A new one is added with a higher version; keys that were made
/// with an older one stay good until they are rotated. `Debug` shows versions alone.
#[derive(Clone, Default)]
pub struct Peppers(Vec<Pepper>);

#[derive(Clone)]
struct Pepper {
    version: u32,
    secret: Vec<u8>,
}

/// A key's digest, and the version of the pepper that it was made with.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyDigest {
    /// The pepper's version.
    pub pepper: u32,
    /// HMAC-SHA256 of the whole key.
    pub mac: Digest,
}

impl Peppers {
    /// The one pepper `secret`.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(vec![Pepper { version: 1, secret: secret.to_vec() }])
    }

    /// The peppers of the setting `field`: `1:<base64>,2:<base64>`.
    ///
    /// # Errors
    /// A fault, without the value, when one is malformed or short, or two have one version.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        let fault = |at: usize, what: &str| Fault::new(field, format!("Pepper {} {what}.", at + 1));
        let mut peppers: Vec<Pepper> = Vec::new();
        for (at, entry) in text.split(SEPARATOR).map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            let parts = entry.split_once(':').and_then(|(version, secret)| {
                Some((version.trim().parse().ok()?, STANDARD.decode(secret.trim()).ok()?))
            });
            let (version, secret) = parts.ok_or_else(|| fault(at, "is not of the form <version>:<base64>"))?;
            if secret.len() < MIN_PEPPER_BYTES {
                return Err(fault(at, &format!("has fewer than {MIN_PEPPER_BYTES} bytes")));
            }
            if peppers.iter().any(|known| known.version == version) {
                return Err(fault(at, "has the version of another one"));
            }
            peppers.push(Pepper { version, secret });
        }
        peppers.sort_by_key(|pepper| pepper.version);
        Ok(Self(peppers))
    }

    /// The digest that a new key is stored as, made with the newest pepper; `None` where
    /// there is none.
    #[must_use]
    pub fn digest(&self, key: &KeyText) -> Option<KeyDigest> {
        let newest = self.0.last()?;
        Some(KeyDigest { pepper: newest.version, mac: newest.mac(key) })
    }

    /// Whether `stored` is the digest of `key`. Takes the same time whatever it says, also
    /// for a pepper that is not known.
    #[must_use]
    pub fn matches(&self, key: &KeyText, stored: &KeyDigest) -> bool {
        let known = self.0.iter().find(|pepper| pepper.version == stored.pepper);
        let unknown = Pepper { version: 0, secret: Vec::new() };
        let mac = known.unwrap_or(&unknown).mac(key);
        let same = bool::from(mac.as_str().as_bytes().ct_eq(stored.mac.as_str().as_bytes()));
        same & known.is_some()
    }
}

impl Pepper {
    fn mac(&self, key: &KeyText) -> Digest {
        // A key of any length will do for an HMAC, also none.
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret).map(|mac| mac.chain_update(key.expose()));
        mac.map_or_else(|_| Digest::of(""), |mac| Digest::from_stored(&mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|pepper| pepper.version)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::KeyId;
    use super::*;

    fn key(secret: char) -> KeyText {
        let secret: String = std::iter::repeat_n(secret, super::super::key::KEY_SECRET_CHARS).collect();
        KeyText::new(KeyId::parse("abcDEF012345").unwrap(), &secret)
    }

    fn setting(rows: &[(u32, u8)]) -> String {
        let entry = |(version, byte): &(u32, u8)| format!("{version}:{}", STANDARD.encode([*byte; MIN_PEPPER_BYTES]));
        rows.iter().map(entry).collect::<Vec<_>>().join(" , ")
    }

    #[test]
    fn a_digest_depends_on_key_and_pepper() {
        let one = Peppers::parse("p", &setting(&[(1, 7)])).unwrap();
        let other = Peppers::parse("p", &setting(&[(1, 8)])).unwrap();
        let digest = one.digest(&key('a')).unwrap();
        assert!(one.matches(&key('a'), &digest));
        assert!(!one.matches(&key('b'), &digest));
        assert!(!other.matches(&key('a'), &digest));
        assert_eq!(Peppers::default().digest(&key('a')), None);
        assert!(!Peppers::default().matches(&key('a'), &digest));
        // Of RFC 4231's construction: computed with `openssl dgst -sha256 -mac HMAC`.
        assert_ne!(digest.mac, Digest::of(key('a').expose()));
    }

    #[test]
    fn a_newer_pepper_leaves_older_keys_good() {
        let old = Peppers::parse("p", &setting(&[(1, 7)])).unwrap();
        let digest = old.digest(&key('a')).unwrap();
        let both = Peppers::parse("p", &setting(&[(2, 8), (1, 7)])).unwrap();
        assert!(both.matches(&key('a'), &digest));
        assert_eq!(both.digest(&key('a')).unwrap().pepper, 2);
        let new = Peppers::parse("p", &setting(&[(2, 8)])).unwrap();
        assert!(!new.matches(&key('a'), &digest));
    }

    #[test]
    fn a_setting_is_refused_without_being_shown() {
        let short = format!("1:{}", STANDARD.encode([7; MIN_PEPPER_BYTES - 1]));
        let twice = setting(&[(1, 7), (1, 8)]);
        for bad in ["c2VjcmV0", "1:?", "x:c2VjcmV0", &short, &twice] {
            let fault = Peppers::parse("TURNWISE_KEY_PEPPERS", bad).unwrap_err();
            assert!(!fault.message.contains("c2Vj"), "{}", fault.message);
        }
        assert_eq!(format!("{:?}", Peppers::parse("p", &setting(&[(3, 7)])).unwrap()), "[3]");
        assert!(Peppers::parse("p", "").unwrap().digest(&key('a')).is_none());
    }
}
