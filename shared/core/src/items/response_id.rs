//! Names of responses, made of the turn that each one is and therefore stored nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::id::{KEY_SEPARATOR, TurnKey};

/// What a response's id begins with, as OpenAI's own do.
const PREFIX: &str = "resp_";

/// The id of the response that is the turn `key`.
#[must_use]
pub fn response_id(key: &TurnKey) -> String {
    // Not the key as it is shown: that of a hidden conversation looks like another's.
    let text = format!("{}{KEY_SEPARATOR}{}", key.conversation, key.turn);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(text))
}

/// The turn that a response's id names; `None` for a text that no response has. Those
/// that are not stored have an id, too, and it names nothing.
#[must_use]
pub fn parse_response_id(text: &str) -> Option<TurnKey> {
    let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
    let key = String::from_utf8(bytes).ok()?;
    TurnKey::parse("response_id", &key).ok().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::{ConversationId, TurnId};

    #[test]
    fn only_what_a_response_is_called_names_a_turn() {
        // printf c:t | base64
        assert_eq!(parse_response_id("resp_Yzp0").map(|key| key.to_string()), Some("c:t".to_owned()));
        // "c", "~c:t" and "c:t" again: padded, with a bit too many, under another prefix.
        for other in [
            "",
            "resp_",
            "resp_Yw",
            "resp_fmM6dA",
            "resp_Yzp0=",
            "resp_Yzp0YR",
            "Yzp0",
            "msg_Yzp0",
            "resp_Yzp0 ",
            "resp_/////w",
        ] {
            assert_eq!(parse_response_id(other), None, "{other}");
        }
    }

    #[test]
    fn a_response_that_is_not_stored_has_an_id_that_names_nothing() {
        let hidden = TurnKey::hidden("key", "s:1").unwrap();
        let named = TurnKey::parse("key", "s:1").unwrap().unwrap();
        assert_ne!(response_id(&hidden), response_id(&named));
        assert_eq!(parse_response_id(&response_id(&hidden)), None);
    }

    proptest! {
        #[test]
        fn an_id_and_its_turn_tell_each_other_apart(conversation in "[a-zü:]{1,20}", turn in "[a-zü]{1,20}") {
            let key = TurnKey {
                conversation: ConversationId::parse("c", &conversation).unwrap(),
                turn: TurnId::parse("t", &turn).unwrap(),
            };
            let id = response_id(&key);
            prop_assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'));
            prop_assert_eq!(parse_response_id(&id), Some(key));
        }

        #[test]
        fn no_text_breaks_the_reading_of_an_id(text in "(resp_)?\\PC{0,40}") {
            if let Some(key) = parse_response_id(&text) {
                prop_assert_eq!(response_id(&key), text);
            }
        }
    }
}
