//! SHA-256 over canonical forms.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self::from_stored(&Sha256::digest(bytes.as_ref()))
    }

    /// A digest read back from storage, as its 32 bytes.
    #[must_use]
    pub fn from_stored(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// A digest an operator has written, 64 digits in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| Self(text.to_ascii_lowercase()))
    }

    /// Its 32 bytes, half as long to store as its digits.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let digits = self.0.as_bytes().chunks(2);
        digits
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or(0))
            .collect()
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_sha_256_in_hexadecimal() {
        // FIPS 180-4, example of the empty message.
        let empty = Digest::of("");
        assert_eq!(Digest::from_stored(&empty.to_bytes()), empty);
        assert_eq!(Digest::parse(&empty.as_str().to_uppercase()), Some(empty));
        assert_eq!(Digest::parse("e3b0"), None);
        assert_eq!(Digest::of("").as_str(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
