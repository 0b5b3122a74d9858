//! An API key as its holder has it: `tw_live_<id>_<secret><checksum>`.

use std::fmt;

/// What every key begins with, so that scanners of repositories find one that leaked.
const PREFIX: &str = "tw_live_";

/// Characters of a key's id: of 62 kinds, 71 bits. It names the key in logs and rows.
pub const KEY_ID_CHARS: usize = 12;

/// Characters of a key's secret: of 62 kinds, 256 bits. Nobody guesses it, also not from
/// a stolen digest.
pub const KEY_SECRET_CHARS: usize = 43;

/// Characters of the checksum: as many as a CRC-32 takes in base 62.
const CHECKSUM_CHARS: usize = 6;

/// The digits of base 62.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The id of a key in the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// The id that `text` is, if it has the form of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == KEY_ID_CHARS && is_alphanumeric(text)).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A whole key. It is told once, to whoever created it, and never stored; `Debug` shows its
/// id alone.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText {
    id: KeyId,
    text: String,
}

impl KeyText {
    /// The key of `id` whose secret is `secret`, [`KEY_SECRET_CHARS`] letters and digits.
    #[must_use]
    pub fn new(id: KeyId, secret: &str) -> Self {
        let body = format!("{PREFIX}{id}_{secret}");
        let text = format!("{body}{}", checksum(&body));
        Self { id, text }
    }

    /// The key that `text` is. `None` for anything mistyped, so that it is refused without
    /// a look at the table.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let id = KeyId::parse(id)?;
        let is_whole = secret.len() == KEY_SECRET_CHARS + CHECKSUM_CHARS && is_alphanumeric(secret);
        let (body, sum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_CHARS)?)?;
        (is_whole && checksum(body) == sum).then(|| Self { id, text: text.to_owned() })
    }

    /// Which key.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key itself, for whoever created it and for its digest.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_...", self.id)
    }
}

fn is_alphanumeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The CRC-32 of `text` in base 62, most significant digit first.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "abcDEF012345";
    const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    fn key() -> KeyText {
        KeyText::new(KeyId::parse(ID).unwrap(), SECRET)
    }

    #[test]
    fn a_key_is_read_back_and_shows_only_its_id() {
        let text = key().expose().to_owned();
        assert!(text.starts_with("tw_live_abcDEF012345_0123"), "{text}");
        assert_eq!(text.len(), "tw_live_".len() + KEY_ID_CHARS + 1 + KEY_SECRET_CHARS + CHECKSUM_CHARS);
        assert_eq!(KeyText::parse(&text), Some(key()));
        assert_eq!(format!("{:?}", key()), "tw_live_abcDEF012345_...");
    }

    #[test]
    fn what_has_another_form_is_no_key() {
        let text = key().expose().to_owned();
        let other =
            ["", "tw_live_", "sk-1234", &text[1..], &text[..text.len() - 1], &format!("{text}0"), &format!("{text}ä")];
        for other in other {
            assert_eq!(KeyText::parse(other), None, "{other}");
        }
        for id in ["", "short", "abcDEF01234_", "abcDEF0123456"] {
            assert_eq!(KeyId::parse(id), None, "{id}");
        }
    }

    proptest! {
        #[test]
        fn a_typo_is_noticed(at in 0_usize..70, to in "[0-9A-Za-z_ -]") {
            let text = key().expose().to_owned();
            let mut typo = text.clone();
            typo.replace_range(at..=at, &to);
            prop_assert_eq!(KeyText::parse(&typo).is_some(), typo == text);
        }

        #[test]
        fn any_text_is_read_without_harm(text in ".{0,100}") {
            prop_assert!(KeyText::parse(&text).is_none());
        }
    }
}
