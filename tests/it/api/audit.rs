//! The audit log, as it is written, read page by page and exported.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use http::Method;
use serde_json::{Value, json};
use turnwise_core::access::{Grant, KEY_ID_CHARS, KEY_SECRET_CHARS, KeyId, KeyText};
use turnwise_core::audit::Action;
use turnwise_core::id::Tenant;
use turnwise_core::time::Timestamp;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::turn::Caller;
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::rig::pass;
use turnwise_tests::table::TABLE;

use super::{check_error, held_first};

const AUDIT: &str = "/admin/audit";
const BEGIN: Timestamp = Timestamp(1_795_276_800_000); // 2026-11-21T16:00:00Z
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn operator() -> Caller {
    Caller {
        tenant: Tenant::default_tenant(),
        user: "owner".to_owned(),
        api_key: "k1".to_owned(),
        grant: Arc::new(Grant::of_operator()),
        request_id: "req_test".to_owned(),
        deadline: None,
    }
}

/// Time that is moved by hand.
struct Time(Clock, Arc<Manual>);

impl Time {
    async fn advance(&self, by: Duration) {
        pass(&self.0, &self.1, by).await;
    }
}

/// An app at [`BEGIN`], and its time.
async fn on_manual_time() -> (TestApp, Time) {
    let manual = Manual::new(BEGIN);
    let clock = Clock::Manual(Arc::clone(&manual));
    (TestApp::builder().with_clock(clock.clone()).start().await, Time(clock, manual))
}

/// Writes `count` entries, `pause` apart, of the subjects `s0`, `s1` and so on.
async fn write(app: &TestApp, clock: &Time, count: usize, pause: Duration) {
    for n in 0..count {
        let action = if n % 3 == 0 { Action::KeyCreate } else { Action::KeyUpdate };
        let entry = app.engine.audit_entry(&operator(), action, format!("s{n}"));
        app.engine.append_audit(&entry).await.unwrap();
        clock.advance(pause).await;
    }
}

/// Puts `count` rows of entries, a second apart, of the day on which an app begins.
async fn write_many(app: &TestApp, count: usize) {
    let row = |n: usize| {
        let at = Timestamp(BEGIN.0 + 1000 * u64::try_from(n).unwrap());
        let text = |text: String| AttributeValue::S(text);
        let put = PutRequest::builder()
            .item("pk", text(format!("A#default#{}#{}", at.day(), n % 4)))
            .item("sk", text(app.engine.random.uuid_v7(at).to_string()))
            .item("at", AttributeValue::N(at.as_millis().to_string()));
        let names = ["action", "subject", "actor", "request_id"];
        let put = names.into_iter().fold(put, |put, name| put.item(name, text(name.to_owned())));
        WriteRequest::builder().put_request(put.build().unwrap()).build()
    };
    for rows in (0..count).map(row).collect::<Vec<_>>().chunks(25) {
        app.table.client().batch_write_item().request_items(TABLE, rows.to_vec()).send().await.unwrap();
    }
}

/// The subjects on all pages of `query`, in order.
async fn all(app: &TestApp, query: &str) -> Vec<String> {
    let (mut subjects, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{AUDIT}?{query}{after}")).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let page = page.json();
        let data = page["data"].as_array().unwrap();
        subjects.extend(data.iter().map(|entry| entry["subject"].as_str().unwrap().to_owned()));
        assert_eq!(page["has_more"], page["next"].is_string(), "{page}");
        let Some(next) = page["next"].as_str() else { return subjects };
        after = format!("&after={next}");
    }
}

/// The subjects `s<last>` down to `s<first>`.
fn subjects(first: usize, last: usize) -> Vec<String> {
    (first..=last).rev().map(|n| format!("s{n}")).collect()
}

#[tokio::test]
async fn a_forced_release_is_told_with_who_why_and_what_it_changed() {
    let app = TestApp::start().await;
    let (_gate, _events) = held_first(&app).await;
    assert_eq!(app.post("/admin/locks/s/release", &json!({"reason": "stuck"})).await.status, 200);
    let page = app.get(AUDIT).await.json();
    let [entry] = page["data"].as_array().unwrap().as_slice() else { panic!("one entry: {page}") };
    assert_eq!((&entry["object"], &entry["action"]), (&json!("audit.entry"), &json!("lock.release")));
    assert_eq!((&entry["subject"], &entry["reason"]), (&json!("s"), &json!("stuck")));
    assert_eq!((&entry["tenant"], &entry["detail"]), (&json!("default"), &json!({"turn": "first"})));
    assert_eq!(entry["actor"].as_str().map(str::len), Some(8), "{entry}");
    assert!(entry["request_id"].as_str().is_some_and(|id| id.starts_with("req_")), "{entry}");
    let digests = [&entry["before"], &entry["after"]].map(|digest| digest.as_str().map_or(0, str::len));
    assert_eq!((digests, entry["before"] == entry["after"]), ([64, 64], false), "{entry}");
    assert_eq!((&page["has_more"], &page["next"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn pages_give_every_entry_once_and_newest_first() {
    let (app, clock) = on_manual_time().await;
    write(&app, &clock, 40, HOUR).await;
    for limit in [1, 7, 39, 40, 41, 100] {
        assert_eq!(all(&app, &format!("limit={limit}")).await, subjects(0, 39), "{limit}");
    }
}

#[tokio::test]
async fn entries_of_one_instant_are_told_once() {
    let (app, clock) = on_manual_time().await;
    write(&app, &clock, 30, Duration::ZERO).await;
    let told = all(&app, "limit=4").await;
    assert_eq!((told.len(), told.into_iter().collect::<BTreeSet<_>>().len()), (30, 30));
}

#[tokio::test]
async fn a_cursor_stands_still_while_entries_are_added() {
    let (app, clock) = on_manual_time().await;
    write(&app, &clock, 12, HOUR).await;
    let first = app.get("/admin/audit?limit=5").await.json();
    write(&app, &clock, 9, DAY).await;
    let after = first["next"].as_str().unwrap();
    let rest = app.get(&format!("{AUDIT}?limit=100&after={after}")).await.json();
    let rest: Vec<_> = rest["data"].as_array().unwrap().iter().map(|entry| entry["subject"].clone()).collect();
    assert_eq!(rest, subjects(0, 6));
}

#[tokio::test]
async fn a_filter_gives_what_fits_it_wherever_it_stands() {
    let (app, clock) = on_manual_time().await;
    write(&app, &clock, 30, DAY).await;
    let range = "from=2026-11-01&to=2027-01-01";
    let created: Vec<String> =
        subjects(0, 29).into_iter().filter(|s| s[1..].parse::<u32>().unwrap() % 3 == 0).collect();
    assert_eq!(all(&app, &format!("{range}&limit=3&action=key.create")).await, created);
    assert_eq!(all(&app, &format!("{range}&subject=s2")).await, ["s2"]);
    assert_eq!(all(&app, &format!("{range}&actor=k1&limit=100")).await, subjects(0, 29));
    assert!(all(&app, &format!("{range}&actor=k2")).await.is_empty());
    assert!(all(&app, &format!("{range}&action=key.create&subject=s1")).await.is_empty());
}

#[tokio::test]
async fn a_range_has_its_first_instant_and_not_its_last() {
    let (app, clock) = on_manual_time().await;
    write(&app, &clock, 24 * 9, HOUR).await;
    // The first entry is of 2026-11-21T16:00:00Z, the last of 2026-11-30T15:00:00Z; it is 16:00 now.
    assert_eq!(all(&app, "limit=100").await, subjects(24 * 2 + 1, 24 * 9 - 1), "seven days");
    assert_eq!(all(&app, "limit=100&from=2026-11-22&to=2026-11-22").await, subjects(8, 31));
    let hours = "from=2026-11-22T00:00:00Z&to=2026-11-22T02:00:00Z";
    assert_eq!(all(&app, hours).await, subjects(8, 9));
    assert!(all(&app, "from=2025-12-01&to=2026-11-20").await.is_empty(), "a quiet year");
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_told() {
    let app = TestApp::start().await;
    let check = |query: &'static str, param: &'static str| {
        let app = &app;
        async move { check_error(&app.get(&format!("{AUDIT}{query}")).await, 400, "invalid_request", param) }
    };
    check("?from=yesterday", "from").await;
    check("?to=2026-13-01", "to").await;
    check("?from=2026-11-21&to=2026-11-20", "from").await;
    check("?from=2025-01-01&to=2026-11-20", "from").await;
    check("?limit=0", "limit").await;
    check("?limit=101", "limit").await;
    check("?after=x", "after").await;
    check("?action=key.forget", "action").await;
    check("?tenant=a%23b", "tenant").await;
    check("/export?format=xml", "format").await;
}

#[tokio::test]
async fn another_tenants_log_is_an_operators() {
    let app = TestApp::start().await;
    let other = Caller { tenant: Tenant::from_stored("acme".to_owned()), ..operator() };
    let entry = app.engine.audit_entry(&other, Action::KeyCreate, "theirs");
    app.engine.append_audit(&entry).await.unwrap();
    assert!(all(&app, "limit=100").await.is_empty());
    assert_eq!(all(&app, "tenant=acme").await, ["theirs"]);
    let range = turnwise_core::audit::Range::parse(None, None, app.engine.clock.now()).unwrap();
    let asked = |tenant: &str| turnwise_engine::audit::AuditQuery {
        tenant: Some(Tenant::from_stored(tenant.to_owned())),
        range,
        filter: turnwise_engine::audit::AuditFilter::default(),
    };
    let administrator = Caller { grant: Arc::new(Grant::default()), ..operator() };
    let refused = app.engine.audit(&administrator, &asked("acme"), None, 10).await.unwrap_err();
    assert!(matches!(refused, turnwise_engine::Error::OperatorOnly), "{refused}");
    assert!(app.engine.export_audit(&administrator, &asked("acme"), "csv").await.is_err());
    assert!(app.engine.audit(&administrator, &asked("default"), None, 10).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn an_export_is_a_file_and_an_entry() {
    let (app, clock) = on_manual_time().await;
    let entry = app.engine.audit_entry(&operator(), Action::KeyCreate, "=cmd|' /C calc'!A0").because("two\nlines");
    app.engine.append_audit(&entry).await.unwrap();
    clock.advance(HOUR).await;
    let lines = app.get("/admin/audit/export").await;
    assert_eq!((lines.status, lines.header("content-type")), (200, "application/x-ndjson"), "{}", lines.text());
    let name = "attachment; filename=\"audit-20261114-20261121.jsonl\"";
    assert_eq!(lines.header("content-disposition"), name);
    let read: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((read.len(), &read[0]["reason"]), (1, &json!("two\nlines")));

    clock.advance(HOUR).await;
    let csv = app.get("/admin/audit/export?format=csv&action=key.create").await;
    assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert!(csv.text().contains(",key.create,'=cmd|' /C calc'!A0,k1,\"two\nlines\","), "{}", csv.text());
    let exports = app.get("/admin/audit?action=audit.export").await.json();
    let told: Vec<_> = exports["data"].as_array().unwrap().iter().map(|entry| entry["detail"].clone()).collect();
    let detail = |format: &str, hour: u8| {
        json!({"entries": 1, "format": format, "from": format!("2026-11-14T{hour}:00:02.000Z"),
               "to": format!("2026-11-21T{hour}:00:02.000Z")})
    };
    assert_eq!(told, [detail("csv", 18), detail("jsonl", 17)]);
}

#[tokio::test]
async fn an_export_of_too_much_is_refused() {
    let (app, clock) = on_manual_time().await;
    write_many(&app, turnwise_engine::audit::MAX_EXPORTED).await;
    clock.advance(HOUR).await;
    let whole = app.get("/admin/audit/export").await;
    assert_eq!((whole.status, whole.text().lines().count()), (200, turnwise_engine::audit::MAX_EXPORTED));
    // That export is an entry more.
    check_error(&app.get("/admin/audit/export").await, 400, "invalid_request", "from");
}

#[tokio::test]
async fn the_tenth_refused_key_within_a_minute_leaves_one_entry() {
    let (app, clock) = on_manual_time().await;
    let id = KeyId::parse(&"a".repeat(KEY_ID_CHARS)).unwrap();
    let key = KeyText::new(id.clone(), &"s".repeat(KEY_SECRET_CHARS));
    let refuse = || async {
        let request = app.request_without_key(Method::GET, "/v1/models").bearer_auth(key.expose());
        check_error(&Reply::of(request).await, 401, "invalid_api_key", "");
    };
    for _ in 0..9 {
        refuse().await;
    }
    assert!(all(&app, "limit=100").await.is_empty());
    for _ in 0..20 {
        refuse().await;
    }
    let page = app.get(AUDIT).await;
    let entries = page.json()["data"].as_array().unwrap().clone();
    let [entry] = entries.as_slice() else { panic!("one entry: {}", page.text()) };
    assert_eq!((&entry["action"], &entry["actor"]), (&json!("auth.failures"), &Value::Null));
    assert_eq!((&entry["subject"], &entry["detail"]["failures"]), (&json!("address 127.0.0.1"), &json!(10)));
    assert_eq!((&entry["detail"]["key"], &entry["detail"]["source"]), (&json!(id.as_str()), &json!("127.0.0.1")));
    assert!(!page.text().contains("ssss"));
    clock.advance(Duration::from_secs(61)).await;
    for _ in 0..10 {
        refuse().await;
    }
    assert_eq!(all(&app, "limit=100").await.len(), 2);
}

#[tokio::test]
async fn the_log_is_an_administrators() {
    let app = TestApp::builder().without_admin().start().await;
    for path in [AUDIT, "/admin/audit/export"] {
        check_error(&app.get(path).await, 403, "admin_key_required", "");
    }
}
