//! Names of items, made of where an item is and therefore stored nowhere.

use serde_json::{Value, json};

use super::kind::Kind;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::id::ConversationId;

/// Digits of the conversation's digest in an id. They guard against mix-ups, where
/// one in 2^48 slips through, not against attacks: what an id names is looked for in
/// the caller's own conversation alone.
const DIGEST_CHARS: usize = 12;

/// The row of a conversation that holds some of its items. Rows are in the order of
/// the conversation: a turn comes before what was added after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId {
    /// The turn, or the last one before the items were added; 0 before the first.
    pub number: u64,
    /// 0 for a turn; for items added by hand the version the conversation had then.
    pub version: u64,
}

impl RowId {
    /// The row of the committed turn `number`.
    #[must_use]
    pub const fn of_turn(number: u64) -> Self {
        Self { number, version: 0 }
    }

    /// A place behind every row before this one; `None` before the first.
    #[must_use]
    pub fn just_before(self) -> Option<Self> {
        match self.version.checked_sub(1) {
            Some(version) => Some(Self { version, ..self }),
            None => Some(Self { number: self.number.checked_sub(1)?, version: Self::LAST_VERSION }),
        }
    }

    /// A place before every row behind this one.
    #[must_use]
    pub const fn just_after(self) -> Self {
        Self { number: self.number, version: self.version.saturating_add(1) }
    }

    /// Behind everything that was ever added after the turn `number`.
    #[must_use]
    pub const fn behind_turn(number: u64) -> Self {
        Self { number, version: Self::LAST_VERSION }
    }

    /// Larger than every version that a conversation comes to: keys have ten digits for it.
    const LAST_VERSION: u64 = 9_999_999_999;
}

/// Where an item of a known conversation is.
///
/// Written as `msg_<12 hex>_<number>_<version>_<index>`: the kind, the beginning of
/// the SHA-256 of the conversation's id, the row, the place in the row. The same item
/// always has the same id, and nothing but its place has to be kept for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ItemId {
    /// What the item is.
    pub kind: Kind,
    /// The row that holds it.
    pub row: RowId,
    /// Its place in the row, from 0.
    pub index: usize,
}

impl ItemId {
    /// The id as text, for an item of `conversation`.
    #[must_use]
    pub fn text(&self, conversation: &ConversationId) -> String {
        let (prefix, row) = (self.kind.prefix(), self.row);
        format!("{prefix}_{}_{}_{}_{}", mark(conversation), row.number, row.version, self.index)
    }

    /// The place that `text`, given in `field`, names in `conversation`. Whether there
    /// is an item of that kind is for the caller to see.
    ///
    /// # Errors
    /// A fault for what is no id of an item, or is one of another conversation.
    pub fn parse(field: &str, conversation: &ConversationId, text: &str) -> Result<Self, Fault> {
        let id = Self::read(text).filter(|id| id.text(conversation) == text);
        // What another conversation has is not told from what nobody has.
        id.ok_or_else(|| Fault::new(field, format!("There is no item {text:?} in this conversation.")))
    }

    /// Where `text` claims to be. Numbers may still be written in other ways (`01`,
    /// `+1`): only the comparison with [`Self::text`] decides.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('_');
        let kind = Kind::from_prefix(parts.next()?)?;
        let _mark = parts.next()?;
        let row = RowId { number: parts.next()?.parse().ok()?, version: parts.next()?.parse().ok()? };
        let index = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { kind, row, index })
    }
}

/// `items` of one row, the first of them at `first_index`, each with its `id` and
/// with the `status` that the schema of its kind requires.
#[must_use]
pub fn with_ids(items: Vec<Value>, conversation: &ConversationId, row: RowId, first_index: usize) -> Vec<Value> {
    let mut items = items;
    for (index, item) in items.iter_mut().enumerate() {
        let kind = Kind::of(item);
        let id = ItemId { kind, row, index: first_index + index }.text(conversation);
        let Some(fields) = item.as_object_mut() else { continue };
        fields.insert("id".to_owned(), json!(id));
        if kind.has_status() {
            fields.entry("status").or_insert_with(|| json!("completed"));
        }
    }
    items
}

fn mark(conversation: &ConversationId) -> String {
    Digest::of(conversation.as_str()).as_str().chars().take(DIGEST_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn conversation(name: &str) -> ConversationId {
        ConversationId::parse("c", name).unwrap()
    }

    fn check(text: &str, expected: bool) {
        let parsed = ItemId::parse("id", &conversation("a"), text);
        assert_eq!(parsed.is_ok(), expected, "{text}: {parsed:?}");
    }

    #[test]
    fn made_up_ids_are_refused() {
        // printf a | sha256sum
        check("msg_ca978112ca1b_3_0_1", true);
        check("item_ca978112ca1b_0_7_0", true);
        for made_up in [
            "",
            "msg",
            "msg_3",
            "msg_68a8f8f6a9e2",
            "nop_ca978112ca1b_3_0_1",
            "msg_ca978112ca1b_3_0",
            "msg_ca978112ca1b_3_0_1_0",
            "msg_ca978112ca1b_03_0_1",
            "msg_ca978112ca1b_+3_0_1",
            "msg_ca978112ca1b_-3_0_1",
            "msg_CA978112CA1B_3_0_1",
            "msg_ca978112ca1b_3_0_99999999999999999999999",
            "msg_ca978112ca1b_3_0_1 ",
        ] {
            check(made_up, false);
        }
    }

    #[test]
    fn rows_are_in_the_order_of_the_conversation() {
        let added = |number, version| RowId { number, version };
        let mut rows = [added(1, 4), RowId::of_turn(2), RowId::of_turn(1), added(0, 1), added(1, 3)];
        rows.sort();
        assert_eq!(rows, [added(0, 1), RowId::of_turn(1), added(1, 3), added(1, 4), RowId::of_turn(2)]);
    }

    #[test]
    fn a_row_stands_between_its_neighbours() {
        for row in [RowId::of_turn(2), RowId { number: 2, version: 7 }, RowId { number: 0, version: 1 }] {
            assert!(row.just_before().is_none_or(|before| before < row) && row < row.just_after());
        }
        assert_eq!(RowId::of_turn(2).just_before(), Some(RowId::behind_turn(1)));
        assert_eq!(RowId::of_turn(0).just_before(), None);
    }

    #[test]
    fn items_are_named_by_kind_and_place() {
        let items = ["message", "function_call", "function_call_output", "reasoning", "compaction", "web_search_call"];
        let items = items.iter().map(|kind| json!({"type": kind, "id": "theirs"})).collect();
        let named = with_ids(items, &conversation("a"), RowId { number: 2, version: 9 }, 4);
        let ids: Vec<&str> = named.iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(
            ids,
            [
                "msg_ca978112ca1b_2_9_4",
                "fc_ca978112ca1b_2_9_5",
                "fco_ca978112ca1b_2_9_6",
                "rs_ca978112ca1b_2_9_7",
                "cmp_ca978112ca1b_2_9_8",
                "item_ca978112ca1b_2_9_9"
            ]
        );
        let with_status: Vec<bool> = named.iter().map(|item| item["status"] == "completed").collect();
        assert_eq!(with_status, [true, true, true, false, false, false]);
    }

    #[test]
    fn a_status_that_is_there_stays() {
        let items = vec![json!({"type": "message", "status": "incomplete"})];
        assert_eq!(with_ids(items, &conversation("a"), RowId::of_turn(1), 0)[0]["status"], "incomplete");
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop::sample::select(vec![
            Kind::Message,
            Kind::FunctionCall,
            Kind::FunctionCallOutput,
            Kind::Reasoning,
            Kind::Compaction,
            Kind::Other,
        ])
    }

    proptest! {
        #[test]
        fn an_id_names_its_item_in_its_conversation_only(kind in kinds(), number: u64, version: u64, index: usize,
                                                          name in "[a-z:]{1,20}", other in "[a-z:]{1,20}") {
            let id = ItemId { kind, row: RowId { number, version }, index };
            let text = id.text(&conversation(&name));
            prop_assert_eq!(ItemId::parse("id", &conversation(&name), &text), Ok(id));
            prop_assert_eq!(ItemId::parse("id", &conversation(&other), &text).is_ok(), name == other);
        }

        #[test]
        fn no_text_breaks_the_reading_of_an_id(text in "\\PC{0,40}") {
            let _ = ItemId::parse("id", &conversation("a"), &text);
        }
    }
}
