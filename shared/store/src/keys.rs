//! The table's key strings. Each partition key begins with its kind and the
//! authenticated tenant; ids cannot contain `#`, so no two entities share a key.

use turnwise_core::access::KeyId;
use turnwise_core::digest::Digest;
use turnwise_core::id::{ConversationId, ProjectId, Tenant, TurnId, TurnKey};
use turnwise_core::items::RowId;
use turnwise_core::ledger::UsageRow;
use turnwise_core::rate::Class;
use turnwise_core::task::Task;
use turnwise_core::time::Timestamp;

use crate::error::Error;

/// Sort key of a conversation's META item.
pub(crate) const META: &str = "META";

/// Partition of the open breakers: all tenants share the providers, and open ones are few.
pub(crate) const BREAKERS: &str = "BREAKERS";

/// Both keys of the row that a health check reads; it need not be there.
pub(crate) const HEALTH: &str = "HEALTH";

/// Sort key of a rate limit's bucket.
pub(crate) const RATE: &str = "TAT";

/// Sort key prefix of committed turns. `M#` sorts right below `META`, so that one
/// descending query from META returns it and the newest turns.
pub(crate) const MESSAGES: &str = "M#";

/// Sorts behind every row of a conversation's content and below `META`.
pub(crate) const LAST_ENTRY: &str = "M#~";

/// Partitions of the index of running turns: enough that no turn rate one table
/// serves makes one of them hot.
pub(crate) const ACTIVE_SHARDS: u8 = 16;

/// Partitions of the index of queued turns, for the same reason.
pub(crate) const QUEUED_SHARDS: u8 = 16;

/// Sort key prefix of a conversation's queue.
pub(crate) const QUEUE: &str = "Q#";

/// Partitions of the index of conversations whose erasure has begun and not ended.
pub(crate) const ERASE_SHARDS: u8 = 16;

/// Sort key prefix of the idempotency keys under which items were added.
pub(crate) const ADDED_KEYS: &str = "I#";

/// Sort key prefix of a conversation's turns.
pub(crate) const TURNS: &str = "T#";

/// Sort key of an account: what is left of the limits and budgets of a key or a tenant.
pub(crate) const ACCOUNT: &str = "ACCOUNT";

/// Partitions a day's usage counters and ledger lines are spread over.
pub(crate) const DAY_SHARDS: u8 = 4;

/// Digits of an instant in a key.
const INSTANT_DIGITS: usize = 15;

/// Hexadecimal digits that tell apart conversations of one millisecond.
const THREAD_DIGITS: usize = 32;

/// Sort key prefix of every row of a stream log.
pub(crate) const LOG_BATCHES: &str = "E";

/// Sort key of a stream log's terminal row; sorts behind every batch of its epoch.
const LOG_END: &str = "END";

pub(crate) fn conversation(tenant: &Tenant, conversation: &ConversationId) -> String {
    format!("C#{tenant}#{conversation}")
}

/// A row of a conversation. What was added after a turn sorts right behind it.
pub(crate) fn entry(row: RowId) -> String {
    match row {
        RowId { number, version: 0 } => format!("{MESSAGES}{number:010}"),
        RowId { number, version } => format!("{MESSAGES}{number:010}#{version:010}"),
    }
}

/// The row that has this sort key.
pub(crate) fn parse_entry(sk: &str) -> Result<RowId, Error> {
    let rest = sk.strip_prefix(MESSAGES).unwrap_or_default();
    let (number, version) = rest.split_once('#').unwrap_or((rest, "0"));
    let parsed = number.parse().ok().zip(version.parse().ok());
    let (number, version) = parsed.ok_or_else(|| Error::corrupt(format!("sort key {sk:?} of a conversation's row")))?;
    Ok(RowId { number, version })
}

pub(crate) fn turn(turn: &TurnId) -> String {
    format!("{TURNS}{turn}")
}

/// What was added under the idempotency key `key`. It is hashed: a key may be longer
/// than is worth paying for.
pub(crate) fn added_key(key: &str) -> String {
    format!("{ADDED_KEYS}{}", Digest::of(key))
}

/// A place in a conversation's queue.
pub(crate) fn place(place: u64) -> String {
    format!("{QUEUE}{place:010}")
}

/// The place that a row of a queue stands for.
pub(crate) fn parse_place(sk: &str) -> Result<u64, Error> {
    let place = sk.strip_prefix(QUEUE).and_then(|digits| digits.parse().ok());
    place.ok_or_else(|| Error::corrupt(format!("sort key {sk:?} of a queue")))
}

pub(crate) fn stream_log(tenant: &Tenant, key: &TurnKey) -> String {
    format!("S#{tenant}#{}#{}", key.conversation, key.turn)
}

pub(crate) fn log_batch(epoch: u64, first: u64) -> String {
    format!("E{epoch:06}#{first:010}")
}

pub(crate) fn log_end(epoch: u64) -> String {
    format!("E{epoch:06}#{LOG_END}")
}

/// The epoch that a row of a stream log belongs to.
pub(crate) fn epoch_of(sk: &str) -> Result<u64, Error> {
    let epoch = sk.strip_prefix('E').and_then(|rest| rest.split_once('#')).and_then(|(epoch, _)| epoch.parse().ok());
    epoch.ok_or_else(|| Error::corrupt(format!("sort key {sk:?} of a stream log")))
}

pub(crate) fn is_log_end(sk: &str) -> bool {
    sk.ends_with(LOG_END)
}

pub(crate) fn threads_of_user(tenant: &Tenant, user: &str) -> String {
    format!("CL#{tenant}#{user}")
}

pub(crate) fn threads_of_project(tenant: &Tenant, project: &ProjectId) -> String {
    format!("CP#{tenant}#{project}")
}

/// Sort key of a conversation in a list, which is also the cursor behind it. The name
/// is hashed: sort keys end at 1,024 bytes, and a cursor stands in a query string.
pub(crate) fn thread_row(created_at: Timestamp, conversation: &ConversationId) -> String {
    let digest = Digest::of(conversation.as_str());
    format!("{}-{}", instant(created_at), &digest.as_str()[..THREAD_DIGITS])
}

/// Whether `text` has the form of a [`thread_row`].
pub(crate) fn is_thread_row(text: &str) -> bool {
    text.split_once('-').is_some_and(|(instant, digest)| {
        let made_of = |part: &str, digits: usize| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit());
        made_of(instant, INSTANT_DIGITS) && made_of(digest, THREAD_DIGITS)
    })
}

pub(crate) fn active(tenant: &Tenant, key: &TurnKey) -> String {
    active_shard(sixteenth(tenant, key) % ACTIVE_SHARDS)
}

pub(crate) fn active_shard(shard: u8) -> String {
    format!("ACTIVE#{shard}")
}

pub(crate) fn queued(tenant: &Tenant, key: &TurnKey) -> String {
    queued_shard(sixteenth(tenant, key) % QUEUED_SHARDS)
}

pub(crate) fn queued_shard(shard: u8) -> String {
    format!("QUEUED#{shard}")
}

pub(crate) fn erase(tenant: &Tenant, conversation: &ConversationId) -> String {
    erase_shard(digit(&format!("{tenant}#{conversation}")) % ERASE_SHARDS)
}

pub(crate) fn erase_shard(shard: u8) -> String {
    format!("ERASE#{shard}")
}

fn sixteenth(tenant: &Tenant, key: &TurnKey) -> u8 {
    digit(&format!("{tenant}#{}#{}", key.conversation, key.turn))
}

/// One of 16, evenly spread: the first hexadecimal digit of a digest.
fn digit(text: &str) -> u8 {
    u8::from_str_radix(&Digest::of(text).as_str()[..1], 16).unwrap_or(0)
}

pub(crate) fn dead_letters(tenant: &Tenant) -> String {
    format!("D#{tenant}")
}

/// Sort key of a dead letter, which is also the cursor behind it.
pub(crate) fn dead_letter(at: Timestamp, key: &TurnKey) -> String {
    let digest = Digest::of(key.to_string());
    format!("{}-{}", instant(at), &digest.as_str()[..THREAD_DIGITS])
}

pub(crate) fn api_key(id: &KeyId) -> String {
    format!("K#{id}")
}

/// Sort key of an API key's row.
pub(crate) const API_KEY: &str = "KEY";

/// The list of a tenant's API keys.
pub(crate) fn api_keys(tenant: &Tenant) -> String {
    format!("KL#{tenant}")
}

/// Sort key of an API key in its list, which is also the cursor behind it.
pub(crate) fn api_key_row(created_at: Timestamp, id: &KeyId) -> String {
    format!("{}-{id}", instant(created_at))
}

/// The API key that a [`api_key_row`] stands for.
pub(crate) fn parse_api_key_row(text: &str) -> Option<KeyId> {
    let (instant, id) = text.split_once('-')?;
    let is_instant = instant.len() == INSTANT_DIGITS && instant.bytes().all(|byte| byte.is_ascii_digit());
    KeyId::parse(id).filter(|_| is_instant)
}

/// What holds for all keys of a tenant.
pub(crate) fn tenant_settings(tenant: &Tenant) -> String {
    format!("CFG#{tenant}")
}

/// Where price tables are: a tenant's, or the deployment's, which no tenant has the name of.
pub(crate) fn price_tables(tenant: Option<&Tenant>) -> String {
    tenant.map_or_else(|| "CFG#".to_owned(), tenant_settings)
}

/// Sort key prefix of price tables.
pub(crate) const PRICES: &str = "PRICES#";

/// Sort key of the price table that was imported as the `number`th.
pub(crate) fn price_table(number: u64) -> String {
    format!("{PRICES}{number:010}")
}

/// Sort key of a tenant's settings.
pub(crate) const SETTINGS: &str = "SETTINGS";

pub(crate) fn executions(tenant: &Tenant, scope: &str) -> String {
    format!("IX#{tenant}#{scope}")
}

/// A bucket of requests of one class: those of one key, or of all keys of the tenant.
pub(crate) fn rate(tenant: &Tenant, api_key: Option<&str>, class: Class) -> String {
    match api_key {
        Some(api_key) => format!("R#{tenant}#K#{api_key}#{class}"),
        None => format!("R#{tenant}#T#{class}"),
    }
}

pub(crate) fn audit(tenant: &Tenant, day: &str, shard: u8) -> String {
    format!("A#{tenant}#{day}#{}", shard % DAY_SHARDS)
}

pub(crate) fn ledger(tenant: &Tenant, day: &str, shard: u8) -> String {
    format!("L#{tenant}#{day}#{}", shard % DAY_SHARDS)
}

pub(crate) fn usage(tenant: &Tenant, day: &str, shard: u8) -> String {
    format!("U#{tenant}#{day}#{}", shard % DAY_SHARDS)
}

/// Where the project stands in the sort key of a usage counter that has none.
const NO_PROJECT: &str = "-";

/// Sort key of a usage counter: `<provider>#<model>#<project>#<key>#<task>`, nothing for no
/// task.
pub(crate) fn usage_row(row: &UsageRow) -> String {
    let UsageRow { provider, model, project, api_key, task, .. } = row;
    let project = project.as_ref().map_or(NO_PROJECT, ProjectId::as_str);
    format!("{provider}#{model}#{project}#{api_key}#{}", task.as_ref().map_or("", Task::as_str))
}

/// What the sort key of a usage counter says.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
pub(crate) struct UsageOf {
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) project: Option<ProjectId>,
    pub(crate) api_key: String,
    pub(crate) task: Option<Task>,
}

/// What the usage counter with the sort key `sk` counts. Counters that were written before
/// there were tasks have one part less.
pub(crate) fn parse_usage_row(sk: &str) -> Result<UsageOf, Error> {
    let parts: Vec<&str> = sk.split('#').collect();
    let (provider, model, project, api_key, task) = match parts[..] {
        [provider, model, project, api_key, task] => (provider, model, project, api_key, task),
        [provider, model, project, api_key] => (provider, model, project, api_key, ""),
        _ => return Err(Error::corrupt(format!("sort key {sk:?} of a usage counter"))),
    };
    let there = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty() && text != NO_PROJECT);
    Ok(UsageOf {
        provider: provider.to_owned(),
        model: model.to_owned(),
        project: there(project).map(ProjectId::from_stored),
        api_key: api_key.to_owned(),
        task: Some(task).filter(|task| !task.is_empty()).map(|task| Task::from_stored(task.to_owned())),
    })
}

/// The account of a tenant. It has no key's form: a key's id is never empty.
pub(crate) fn account_of_tenant(tenant: &Tenant) -> String {
    format!("B#{tenant}#")
}

/// The account of a key.
pub(crate) fn account_of_key(tenant: &Tenant, key: &str) -> String {
    format!("B#{tenant}#{}", key.replace('#', "_"))
}

/// What calling the providers took on a day.
pub(crate) fn call_counts(day: &str) -> String {
    format!("CALLS#{day}")
}

/// An instant that sorts as text: milliseconds.
pub(crate) fn instant(at: Timestamp) -> String {
    format!("{:0INSTANT_DIGITS$}", at.as_millis())
}

/// The instant that [`instant`] wrote.
pub(crate) fn parse_instant(text: &str) -> Result<Timestamp, Error> {
    text.parse().map(Timestamp).map_err(|_| Error::corrupt(format!("instant {text:?} in a key")))
}

/// The tenant and turn whose row has these keys.
pub(crate) fn parse_turn(pk: &str, sk: &str) -> Result<(Tenant, TurnKey), Error> {
    let (tenant, conversation) = parse_conversation(pk)?;
    let turn = sk.strip_prefix(TURNS).ok_or_else(|| Error::corrupt(format!("keys of a turn: {pk:?}, {sk:?}")))?;
    Ok((tenant, TurnKey { conversation, turn: TurnId::from_stored(turn.to_owned()) }))
}

/// The tenant and conversation whose rows have this partition key.
pub(crate) fn parse_conversation(pk: &str) -> Result<(Tenant, ConversationId), Error> {
    let parts = pk.strip_prefix("C#").and_then(|rest| rest.split_once('#'));
    let (tenant, conversation) = parts.ok_or_else(|| Error::corrupt(format!("key of a conversation: {pk:?}")))?;
    Ok((Tenant::from_stored(tenant.to_owned()), ConversationId::from_stored(conversation.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_turns_sort_right_below_meta() {
        let last = RowId { number: 9_999_999_999, version: 9_999_999_999 };
        assert!(entry(RowId::of_turn(1)).as_str() < META);
        assert!(entry(last).as_str() < LAST_ENTRY && LAST_ENTRY < META);
        let added = entry(RowId { number: 3, version: 7 });
        assert!(entry(RowId::of_turn(3)) < added && added < entry(RowId::of_turn(4)));
        assert_eq!(parse_entry(&added).unwrap(), RowId { number: 3, version: 7 });
        assert_eq!(parse_entry(&entry(RowId::of_turn(3))).unwrap(), RowId::of_turn(3));
        assert!("T#a" > META && place(1).as_str() > META && added_key("k").as_str() < MESSAGES);
        assert_eq!(parse_place(&place(12)).unwrap(), 12);
    }

    #[test]
    fn the_end_of_a_log_sorts_behind_its_batches_and_before_the_next_epoch() {
        assert!(log_batch(1, 9_999_999_999) < log_end(1));
        assert!(log_end(1) < log_batch(2, 0));
        assert_eq!(epoch_of(&log_batch(12, 3)).unwrap(), 12);
        assert_eq!(epoch_of(&log_end(7)).unwrap(), 7);
    }

    #[test]
    fn a_place_in_a_list_is_told_from_other_texts() {
        let longest = ConversationId::from_stored("😀".repeat(255));
        let row = thread_row(Timestamp(1_795_276_800_000), &longest);
        assert!(is_thread_row(&row) && row.len() < 1024);
        for other in ["", "-", "x", &row[1..], &format!("{row}0"), &row.replace('-', "#")] {
            assert!(!is_thread_row(other), "{other}");
        }
    }

    #[test]
    fn a_turns_keys_are_read_back() {
        let tenant = Tenant::default_tenant();
        let key = TurnKey {
            conversation: ConversationId::from_stored("user:42".to_owned()),
            turn: TurnId::from_stored("1".to_owned()),
        };
        let parsed = parse_turn(&conversation(&tenant, &key.conversation), &turn(&key.turn)).unwrap();
        assert_eq!(parsed, (tenant, key));
        assert!(parse_turn("X#t#c", "T#1").is_err());
    }

    #[test]
    fn a_usage_counters_key_is_read_back_also_without_a_task() {
        let usage = |project: Option<&str>, task: Option<&str>| UsageOf {
            provider: "groq".to_owned(),
            model: "openai/gpt-oss-20b".to_owned(),
            project: project.map(|project| ProjectId::from_stored(project.to_owned())),
            api_key: "01234567".to_owned(),
            task: task.map(|task| Task::from_stored(task.to_owned())),
        };
        let check = |sk: &str, expected: UsageOf| assert_eq!(parse_usage_row(sk).unwrap(), expected, "{sk}");
        check("groq#openai/gpt-oss-20b#-#01234567#sort", usage(None, Some("sort")));
        check("groq#openai/gpt-oss-20b#-#01234567#-", usage(None, Some("-")));
        check("groq#openai/gpt-oss-20b#p-1#01234567#", usage(Some("p-1"), None));
        check("groq#openai/gpt-oss-20b#p-1#01234567", usage(Some("p-1"), None));
        for bad in ["", "a#b", "a#b#c", "a#b#c#d#e#f"] {
            assert!(parse_usage_row(bad).is_err(), "{bad}");
        }
    }
}
