//! The items of one row of a conversation, each at its place.

use serde_json::{Value, json};
use turnwise_core::id::ConversationId;
use turnwise_core::items::{output_items, with_ids};
use turnwise_core::json;
use turnwise_store::{AddedItems, CommittedTurn, Content, Entry};

/// All items of a row, null in the place of each that was deleted. A turn's answer comes
/// behind what came in with it, so nothing moves when it is deleted.
pub(crate) fn places(entry: &Entry) -> Vec<Value> {
    match entry {
        Entry::Added(added) => list(added.items.get()),
        Entry::Turn(turn) => {
            let mut items = input(&turn.input);
            if !turn.is_unanswered() {
                items.extend(output_items(&serde_json::from_str(turn.output.get()).unwrap_or_default()));
            }
            items
        }
    }
}

/// The items of a row that are there, with their ids and, of a turn's, its number.
pub(super) fn named(entry: &Entry, conversation: &ConversationId) -> Vec<(usize, Value)> {
    let items = with_ids(places(entry), conversation, entry.row(), 0);
    let mut named: Vec<(usize, Value)> = items.into_iter().enumerate().filter(|(_, item)| !item.is_null()).collect();
    if let Some(turn) = entry.as_turn() {
        for (_, item) in &mut named {
            item["turn_number"] = json!(turn.number);
        }
    }
    named
}

/// The row without its item number `index`; `None` if there is none, or no longer.
///
/// An answer is one thing: with any of its items all of it goes. What a model said and
/// what it called in one breath would mean something else apart, and no upstream takes
/// half of it.
pub(super) fn without(entry: &Entry, index: usize) -> Option<Entry> {
    let there = places(entry).get(index).is_some_and(|item| !item.is_null());
    if !there {
        return None;
    }
    Some(match entry {
        Entry::Added(added) => {
            let items = json::raw(&Value::Array(emptied(list(added.items.get()), index)));
            Entry::Added(AddedItems { items, ..added.clone() })
        }
        Entry::Turn(turn) => {
            let items = input(&turn.input);
            if index >= items.len() {
                return Some(Entry::Turn(CommittedTurn { output: json::raw(&Value::Null), ..turn.clone() }));
            }
            // Places are those of items: a message may have been several.
            let items = json::raw(&Value::Array(emptied(items, index)));
            Entry::Turn(CommittedTurn { input: Content::Items(items), ..turn.clone() })
        }
    })
}

/// Whether the item number `index` belongs to a turn's answer.
pub(super) fn is_answer(entry: &Entry, index: usize) -> bool {
    entry.as_turn().is_some_and(|turn| index >= input(&turn.input).len())
}

fn input(content: &Content) -> Vec<Value> {
    content.items()
}

fn emptied(mut items: Vec<Value>, index: usize) -> Vec<Value> {
    if let Some(item) = items.get_mut(index) {
        *item = Value::Null;
    }
    items
}

fn list(array: &str) -> Vec<Value> {
    serde_json::from_str(array).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use turnwise_core::id::TurnId;
    use turnwise_core::items::RowId;
    use turnwise_core::json::RawMap;
    use turnwise_core::time::Timestamp;

    use super::*;

    fn turn(messages: &Value, said: &str) -> Entry {
        let output = json!({"choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]});
        Entry::Turn(CommittedTurn {
            number: 2,
            turn: TurnId::parse("turn", "t").unwrap(),
            input: Content::Messages(json::raw(messages)),
            output: json::raw(&output),
            echo: RawMap::new(),
            completed_at: Timestamp(1),
            expires_at: None,
        })
    }

    fn added(items: &Value) -> Entry {
        Entry::Added(AddedItems {
            row: RowId { number: 2, version: 5 },
            items: json::raw(items),
            added_at: Timestamp(1),
            expires_at: None,
            request: String::new(),
        })
    }

    /// The ids of what is there, without the conversation's mark.
    fn ids(entry: &Entry) -> Vec<String> {
        let conversation = ConversationId::parse("c", "a").unwrap();
        let text = |item: &Value| item["id"].as_str().unwrap().replace("_ca978112ca1b", "");
        named(entry, &conversation).iter().map(|(_, item)| text(item)).collect()
    }

    #[test]
    fn items_keep_their_places_when_others_are_deleted() {
        let calls: Vec<Value> =
            (0..2).map(|n| json!({"id": n.to_string(), "function": {"name": "f", "arguments": "{}"}})).collect();
        let messages = json!([
            {"role": "assistant", "content": "a", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "0", "content": "b"},
        ]);
        let whole = turn(&messages, "c");
        assert_eq!(ids(&whole), ["msg_2_0_0", "fc_2_0_1", "fc_2_0_2", "fco_2_0_3", "msg_2_0_4"]);
        let less = without(&whole, 1).unwrap();
        assert_eq!(ids(&less), ["msg_2_0_0", "fc_2_0_2", "fco_2_0_3", "msg_2_0_4"]);
        assert!(without(&less, 1).is_none(), "it is deleted already");
        let unanswered = without(&less, 4).unwrap();
        assert_eq!(ids(&unanswered), ["msg_2_0_0", "fc_2_0_2", "fco_2_0_3"]);
        assert!(without(&unanswered, 4).is_none());
        assert!((is_answer(&whole, 4), is_answer(&whole, 3), is_answer(&less, 4)) == (true, false, true));
    }

    #[test]
    fn added_items_keep_their_places_too() {
        let message = json!({"type": "message", "role": "user", "content": [], "status": "completed"});
        let row = added(&json!([message, message, message]));
        let less = without(&row, 1).unwrap();
        assert_eq!(ids(&less), ["msg_2_5_0", "msg_2_5_2"]);
        assert!(without(&less, 3).is_none());
        assert!(!is_answer(&row, 0));
    }

    #[test]
    fn a_turns_items_say_so() {
        let conversation = ConversationId::parse("c", "a").unwrap();
        let numbers = |entry: &Entry| -> Vec<Value> {
            named(entry, &conversation).into_iter().map(|(_, mut item)| item["turn_number"].take()).collect()
        };
        assert_eq!(numbers(&turn(&json!([{"role": "user", "content": "a"}]), "b")), [json!(2), json!(2)]);
        assert_eq!(numbers(&added(&json!([{"type": "message"}]))), [Value::Null]);
    }
}
