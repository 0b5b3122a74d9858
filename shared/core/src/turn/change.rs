//! Whether a conversation's content can be changed by hand: items added, items deleted.
//!
//! An attempt is given the history at T1 and commits behind it at T2, so nothing may
//! change in between: a change waits for the lock to be free, and asserts that the
//! version is the one it has seen.

use super::record::Conversation;
use crate::items::RowId;

/// What a change of a conversation's content is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Write it, if the version still stands and nobody has taken the lock.
    Write {
        /// The version it was seen with.
        seen_version: u64,
        /// The row of items that are added now.
        row: RowId,
    },
    /// An attempt has the lock, or had it when it died: what it still commits must not
    /// follow another history than it was given.
    Busy,
    /// There is no such conversation.
    Absent,
    /// Its content was erased.
    Erased,
}

/// Decides what a change of `conversation` is to do.
///
/// A lease that has lapsed is not looked at: until the lock is taken over, its owner
/// may still commit.
#[must_use]
pub fn change(conversation: Option<&Conversation>) -> Change {
    match conversation {
        None => Change::Absent,
        Some(conversation) if conversation.erased => Change::Erased,
        Some(conversation) if conversation.holder.is_some() => Change::Busy,
        Some(conversation) => Change::Write {
            seen_version: conversation.version,
            row: RowId { number: conversation.head, version: conversation.version + 1 },
        },
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::id::{AttemptId, TurnId};
    use crate::time::Timestamp;
    use crate::turn::Holder;

    fn conversation() -> Conversation {
        Conversation {
            fence: 4,
            holder: None,
            head: 2,
            version: 7,
            queued: 0,
            queue_tail: 0,
            erased: false,
            project: None,
            parent: None,
            created_at: Timestamp(1),
            updated_at: Timestamp(1),
        }
    }

    #[test]
    fn items_are_added_behind_the_newest_turn_under_the_next_version() {
        let row = RowId { number: 2, version: 8 };
        assert_eq!(change(Some(&conversation())), Change::Write { seen_version: 7, row });
        assert_eq!(change(Some(&Conversation { queued: 3, ..conversation() })), change(Some(&conversation())));
    }

    #[test]
    fn a_held_conversation_is_left_alone_even_when_the_lease_has_lapsed() {
        let holder = Holder {
            attempt: AttemptId::new(Uuid::from_u128(1)),
            turn: TurnId::parse("turn_id", "t").unwrap(),
            lease_until: Timestamp(0),
        };
        assert_eq!(change(Some(&Conversation { holder: Some(holder), ..conversation() })), Change::Busy);
    }

    #[test]
    fn nothing_is_added_to_what_is_not_there() {
        assert_eq!(change(None), Change::Absent);
        assert_eq!(change(Some(&Conversation { erased: true, ..conversation() })), Change::Erased);
    }
}
