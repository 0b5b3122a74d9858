//! Names of tenants, conversations, turns and projects.
//!
//! An id that exists as a value of these types is safe to stand in a storage key
//! and in a log line: it has no control characters and no `#`.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use crate::fault::Fault;
use crate::limits::MAX_KEY_CHARS;

/// Separates the conversation from the turn in an idempotency key.
pub const KEY_SEPARATOR: char = ':';

/// Longest idempotency key that is a turn's name as it is, in characters: beside it a
/// conversation's name of the same length fits in a turn's key.
const MAX_PLAIN_KEY_CHARS: usize = 127;

/// Longest name of a tenant, in characters: it stands in most of the table's keys.
const MAX_TENANT_CHARS: usize = 64;

/// Starts the name of a conversation that has no name of its own: a stateless
/// request with an idempotency key. Clients cannot use it.
const HIDDEN_PREFIX: char = '~';

/// Starts the name of a conversation that began with a response whose client named
/// none: the client knows it by the ids of its responses alone.
const IMPLICIT_PREFIX: &str = "resp-";

/// The only turn of a hidden conversation.
const HIDDEN_TURN: &str = "turn";

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// An id read back from storage, where only valid ones are written.
            #[must_use]
            pub fn from_stored(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// Whose data it is. Comes from the credential, never from a request.
    Tenant
}
text_id! {
    /// An ordered sequence of turns; also called session or thread.
    ConversationId
}
text_id! {
    /// One turn within its conversation.
    TurnId
}
text_id! {
    /// One attempt at a turn: a UUIDv7, the owner of the conversation's lock.
    AttemptId
}
text_id! {
    /// A project: a UUIDv5 of the name a client gave.
    ProjectId
}

text_id! {
    /// A piece of work that is no turn and is to be done once: a webhook's delivery, a
    /// report's sending.
    ExecutionKey
}

impl ExecutionKey {
    /// The work that `text`, given in `field`, names.
    ///
    /// # Errors
    /// A fault for an empty or oversized name, control characters or `#`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        check_id(field, text)?;
        Ok(Self(text.to_owned()))
    }
}

impl Tenant {
    /// The tenant of a single-tenant installation.
    #[must_use]
    pub fn default_tenant() -> Self {
        Self("default".to_owned())
    }

    /// The tenant that an operator names in `field`.
    ///
    /// # Errors
    /// A fault for anything but 1 to 64 letters, digits, `-`, `_` and `.` of ASCII.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_good = (1..=MAX_TENANT_CHARS).contains(&text.len()) && text.bytes().all(is_plain);
        let message =
            || format!("A tenant is named by 1 to {MAX_TENANT_CHARS} of the characters a-z, A-Z, 0-9, '-', '_', '.'.");
        if is_good { Ok(Self(text.to_owned())) } else { Err(Fault::new(field, message())) }
    }
}

/// The person named in `field`, whose conversations stand in one list.
///
/// # Errors
/// A fault for an empty or oversized name, control characters or `#`.
pub fn person(field: &str, text: &str) -> Result<String, Fault> {
    check_id(field, text)?;
    Ok(text.to_owned())
}

impl AttemptId {
    /// The attempt named by `uuid`.
    #[must_use]
    pub fn new(uuid: Uuid) -> Self {
        Self(uuid.to_string())
    }
}

impl ConversationId {
    /// A conversation named by a client in `field`.
    ///
    /// # Errors
    /// A fault for an empty or oversized name, control characters, `#`, or a
    /// leading `~`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        check_id(field, text)?;
        if text.starts_with(HIDDEN_PREFIX) {
            return Err(Fault::new(field, "An id must not begin with '~'."));
        }
        Ok(Self(text.to_owned()))
    }

    /// A new conversation, named `thread-<uuid>`.
    #[must_use]
    pub fn new(uuid: Uuid) -> Self {
        Self(format!("thread-{uuid}"))
    }

    /// A new conversation that a client asked for by itself, named `conv_<32 hex>` as
    /// OpenAI's are.
    #[must_use]
    pub fn created(uuid: Uuid) -> Self {
        Self(format!("conv_{}", uuid.simple()))
    }

    /// The conversation that the idempotency key `key` of `tenant` creates: always the
    /// same, so that a retry finds it.
    ///
    /// # Errors
    /// A fault when the key is not valid.
    pub fn created_by_key(field: &str, tenant: &Tenant, key: &str) -> Result<Self, Fault> {
        check_id(field, key)?;
        Ok(Self::created(Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{tenant}#{key}").as_bytes())))
    }

    /// A new conversation of responses, named `resp-<uuid>`.
    #[must_use]
    pub fn implicit(uuid: Uuid) -> Self {
        Self(format!("{IMPLICIT_PREFIX}{uuid}"))
    }

    /// Whether it began with a response whose client named no conversation.
    #[must_use]
    pub fn is_implicit(&self) -> bool {
        self.0.starts_with(IMPLICIT_PREFIX)
    }

    /// Whether this is the hidden conversation of a stateless request.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.0.starts_with(HIDDEN_PREFIX)
    }
}

impl TurnId {
    /// A turn named by a client in `field`.
    ///
    /// # Errors
    /// A fault for an empty or oversized name, control characters, `#`, or `:`,
    /// which separates conversation and turn in a key.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        check_id(field, text)?;
        if text.contains(KEY_SEPARATOR) {
            let message = "A turn_id must not contain ':'; it separates session and turn in a key.";
            return Err(Fault::new(field, message));
        }
        Ok(Self(text.to_owned()))
    }

    /// The turn that an idempotency key names, whatever it is: one that cannot stand as a
    /// turn's name beside a conversation's becomes the UUIDv5 (RFC 9562) of its text.
    ///
    /// # Errors
    /// A fault for an empty or oversized key, control characters, or `#`.
    pub fn of_key(field: &str, key: &str) -> Result<Self, Fault> {
        check_id(field, key)?;
        let fits = key.chars().count() <= MAX_PLAIN_KEY_CHARS && !key.contains(KEY_SEPARATOR);
        Ok(if fits { Self(key.to_owned()) } else { Self::new(Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes())) })
    }

    /// A turn the client did not name.
    #[must_use]
    pub fn new(uuid: Uuid) -> Self {
        Self(uuid.to_string())
    }
}

/// Identity of a turn: its conversation and its name there.
///
/// Written as `conversation:turn`. As a turn's name has no `:`, the text and the
/// pair tell each other apart without doubt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TurnKey {
    /// The conversation the turn belongs to.
    pub conversation: ConversationId,
    /// The turn's name in it.
    pub turn: TurnId,
}

impl TurnKey {
    /// The turn `turn` of `conversation`.
    ///
    /// # Errors
    /// A fault when the two together are longer than a key may be.
    pub fn new(field: &str, conversation: ConversationId, turn: TurnId) -> Result<Self, Fault> {
        let key = Self { conversation, turn };
        if key.to_string().chars().count() > MAX_KEY_CHARS {
            let message = format!("The key session:turn must have at most {MAX_KEY_CHARS} characters.");
            return Err(Fault::new(field, message));
        }
        Ok(key)
    }

    /// The turn a key `session:turn` names, or `None` when it has no `:`.
    ///
    /// # Errors
    /// A fault when the key or one of its halves is not valid.
    pub fn parse(field: &str, key: &str) -> Result<Option<Self>, Fault> {
        check_id(field, key)?;
        let Some((conversation, turn)) = key.rsplit_once(KEY_SEPARATOR) else { return Ok(None) };
        let conversation = ConversationId::parse(field, conversation)?;
        let turn = TurnId::parse(field, turn)?;
        Ok(Some(Self { conversation, turn }))
    }

    /// The turn of a stateless request with idempotency key `key`: the only one
    /// of a hidden conversation.
    ///
    /// # Errors
    /// A fault when the key is not valid.
    pub fn hidden(field: &str, key: &str) -> Result<Self, Fault> {
        check_id(field, key)?;
        Ok(Self { conversation: ConversationId(format!("{HIDDEN_PREFIX}{key}")), turn: TurnId(HIDDEN_TURN.to_owned()) })
    }
}

impl fmt::Display for TurnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.conversation.0.strip_prefix(HIDDEN_PREFIX) {
            Some(key) => f.write_str(key),
            None => write!(f, "{}{KEY_SEPARATOR}{}", self.conversation, self.turn),
        }
    }
}

impl ProjectId {
    /// The project a client means by `name`: trimmed, case-folded, then UUIDv5
    /// (RFC 9562) in the URL namespace. A UUIDv5 is taken as the id it already is, so that
    /// an id from an answer can be sent back. Empty and `system-master` mean none.
    ///
    /// # Errors
    /// A fault for an oversized name, control characters or `#`.
    pub fn parse(field: &str, name: &str) -> Result<Option<Self>, Fault> {
        let folded = caseless::default_case_fold_str(name.trim()).nfc().collect::<String>();
        if folded.is_empty() || folded == "system-master" {
            return Ok(None);
        }
        check_id(field, &folded)?;
        let uuid = match Uuid::try_parse(&folded) {
            Ok(uuid) if uuid.get_version_num() == 5 => uuid,
            Ok(_) | Err(_) => Uuid::new_v5(&Uuid::NAMESPACE_URL, folded.as_bytes()),
        };
        Ok(Some(Self(uuid.to_string())))
    }
}

/// The conversation a client's `thread_id` names: `None` for a missing one, for
/// null, and for the text "null" in any case, all of which ask for a new one.
///
/// # Errors
/// A fault when the id is not valid.
pub fn parse_thread(field: &str, text: Option<&str>) -> Result<Option<ConversationId>, Fault> {
    match text {
        None => Ok(None),
        Some(text) if text.eq_ignore_ascii_case("null") => Ok(None),
        Some(text) => ConversationId::parse(field, text).map(Some),
    }
}

fn check_id(field: &str, text: &str) -> Result<(), Fault> {
    let chars = text.chars().count();
    if chars == 0 {
        return Err(Fault::new(field, "An id must not be empty."));
    }
    if chars > MAX_KEY_CHARS {
        return Err(Fault::new(
            field,
            format!("An id must have at most {MAX_KEY_CHARS} characters; this one has {chars}."),
        ));
    }
    if let Some(bad) = text.chars().find(|c| c.is_control() || *c == '#' || is_invisible(*c)) {
        return Err(Fault::new(field, format!("An id must not contain {}.", bad.escape_debug())));
    }
    Ok(())
}

/// Line separators and direction overrides: printable by class, not by sight.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_may_have_255_characters_and_not_256() {
        assert!(TurnKey::hidden("key", &"k".repeat(255)).is_ok());
        assert!(TurnKey::hidden("key", &"k".repeat(256)).is_err());
        assert!(TurnKey::hidden("key", &"ü".repeat(255)).is_ok());
        let half = |n: usize| ConversationId::parse("session_id", &"s".repeat(n)).unwrap();
        let turn = TurnId::parse("turn_id", "1").unwrap();
        assert!(TurnKey::new("turn_id", half(253), turn.clone()).is_ok());
        assert!(TurnKey::new("turn_id", half(254), turn).is_err());
    }

    #[test]
    fn ids_that_could_break_a_storage_key_are_refused() {
        for bad in ["", "a#b", "a\nb", "a\u{0}", "~hidden", "a\u{202e}b"] {
            assert!(ConversationId::parse("session_id", bad).is_err(), "{bad:?}");
        }
        for good in ["a", "user:42", "Ünïcode ok", "a b"] {
            assert!(ConversationId::parse("session_id", good).is_ok(), "{good:?}");
        }
        assert!(TurnId::parse("turn_id", "1:2").is_err());
    }

    #[test]
    fn a_key_creates_one_conversation_for_each_tenant() {
        let created =
            |tenant: &str, key| ConversationId::created_by_key("key", &Tenant::from_stored(tenant.to_owned()), key);
        let id = created("a", "k").unwrap();
        assert!(id.as_str().strip_prefix("conv_").is_some_and(|hex| hex.len() == 32), "{id}");
        assert_eq!(created("a", "k"), Ok(id.clone()));
        assert_ne!(created("b", "k"), Ok(id.clone()));
        assert_ne!(created("a", "l"), Ok(id));
        assert!(created("a", "#").is_err() && created("a", "").is_err());
    }

    #[test]
    fn any_idempotency_key_names_a_turn() {
        let named = |key: &str| TurnId::of_key("key", key).unwrap();
        for plain in ["k", "Ünïcode ok", &"k".repeat(127)] {
            assert_eq!(named(plain).as_str(), plain);
        }
        for other in ["a:b", &"k".repeat(128)] {
            assert_eq!(named(other), TurnId::new(Uuid::new_v5(&Uuid::NAMESPACE_OID, other.as_bytes())));
        }
        assert!(TurnId::of_key("key", "").is_err() && TurnId::of_key("key", "a#b").is_err());
    }

    #[test]
    fn projects_are_folded_and_none_is_none() {
        let id = |name: &str| ProjectId::parse("project_id", name).unwrap();
        assert_eq!(id(" Straße "), id("STRASSE"));
        assert_eq!(id(""), None);
        assert_eq!(id("  System-Master "), None);
        let once = id("alpha").unwrap();
        assert_eq!(id(once.as_str()), Some(once));
    }

    #[test]
    fn null_in_any_case_asks_for_a_new_thread() {
        for text in [None, Some("null"), Some("NULL"), Some("Null")] {
            assert_eq!(parse_thread("thread_id", text), Ok(None));
        }
        assert!(parse_thread("thread_id", Some("nullable")).unwrap().is_some());
    }

    proptest! {
        #[test]
        fn a_key_and_its_pair_tell_each_other_apart(session in "[a-z:]{1,20}", turn in "[a-z]{1,20}") {
            let key = TurnKey {
                conversation: ConversationId::parse("s", &session).unwrap(),
                turn: TurnId::parse("t", &turn).unwrap(),
            };
            prop_assert_eq!(TurnKey::parse("key", &key.to_string()), Ok(Some(key)));
        }
    }
}
