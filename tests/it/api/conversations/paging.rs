//! Items page by page, in both directions.

use serde_json::{Value, json};
use turnwise_core::limits::PAGE_SIZE;
use turnwise_tests::app::TestApp;

use super::{add, check_error, create, ids_of, items_of, list, say};

/// A conversation of turns and added items, and the ids of its items in order.
async fn long(app: &TestApp) -> (String, Vec<String>) {
    let id = create(app, &["a", "b", "c"]).await;
    for round in 0..3 {
        say(app, &id, &format!("turn {round}")).await;
        add(app, &id, &["d", "e"]).await;
        add(app, &id, &["f"]).await;
    }
    let ids = ids_of(&list(app, &id, "?order=asc&limit=100").await);
    assert_eq!(ids.len(), 18);
    (id, ids)
}

/// All pages of `limit` items behind each other.
async fn walk(app: &TestApp, id: &str, order: &str, limit: usize) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = list(app, id, &format!("?order={order}&limit={limit}{after}")).await;
        let ids = ids_of(&page);
        assert!(ids.len() <= limit);
        assert_eq!(page["first_id"].as_str(), Some(ids.first().map_or("", String::as_str)));
        assert_eq!(page["last_id"].as_str(), Some(ids.last().map_or("", String::as_str)));
        seen.extend(ids);
        if page["has_more"] == json!(false) {
            return seen;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
}

#[tokio::test]
async fn pages_of_any_size_amount_to_the_whole_in_both_directions() {
    let app = TestApp::start().await;
    let (id, ids) = long(&app).await;
    let newest: Vec<String> = ids.iter().rev().cloned().collect();
    for limit in [1, 2, 3, 4, 5, 7, 17, 18, 19, 100] {
        assert_eq!(walk(&app, &id, "asc", limit).await, ids, "{limit}");
        assert_eq!(walk(&app, &id, "desc", limit).await, newest, "{limit}");
    }
}

#[tokio::test]
async fn the_newest_twenty_come_first_unless_asked_otherwise() {
    let app = TestApp::start().await;
    let id = create(&app, &[]).await;
    let said: Vec<String> = (0..PAGE_SIZE).map(|n| n.to_string()).collect();
    let ids = add(&app, &id, &said.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let last = add(&app, &id, &["last"]).await;
    let page = list(&app, &id, "").await;
    let expected: Vec<String> = last.into_iter().chain(ids[1..].iter().rev().cloned()).collect();
    assert_eq!((ids_of(&page), &page["has_more"]), (expected, &json!(true)));
}

#[tokio::test]
async fn a_page_goes_on_behind_an_item_that_was_deleted() {
    let app = TestApp::start().await;
    let (id, ids) = long(&app).await;
    for at in [1, 4, 5] {
        assert_eq!(app.delete(&format!("{}/{}", items_of(&id), ids[at])).await.status, 200);
        let after = list(&app, &id, &format!("?order=asc&limit=1&after={}", ids[at])).await;
        assert_eq!(ids_of(&after), [ids[at + 1].clone()]);
        let before = list(&app, &id, &format!("?order=desc&limit=100&after={}", ids[at])).await;
        assert!(!ids_of(&before).contains(&ids[at]));
    }
    let left: Vec<String> =
        ids.iter().enumerate().filter(|(at, _)| ![1, 4, 5].contains(at)).map(|(_, id)| id.clone()).collect();
    for limit in [1, 2, 3, 100] {
        assert_eq!(walk(&app, &id, "asc", limit).await, left, "{limit}");
    }
}

#[tokio::test]
async fn the_last_page_says_so_and_nothing_follows_it() {
    let app = TestApp::start().await;
    let (id, ids) = long(&app).await;
    let page = list(&app, &id, &format!("?order=asc&after={}", ids[17])).await;
    assert_eq!((&page["data"], &page["has_more"]), (&json!([]), &json!(false)));
    let page = list(&app, &id, &format!("?after={}", ids[0])).await;
    assert_eq!((&page["data"], &page["has_more"]), (&json!([]), &json!(false)));
    let page = list(&app, &id, "?limit=18").await;
    assert_eq!(page["has_more"], false);
}

#[tokio::test]
async fn made_up_pages_are_refused() {
    let app = TestApp::start().await;
    let (id, ids) = long(&app).await;
    let foreign = add(&app, &create(&app, &[]).await, &["x"]).await.remove(0);
    let mut tampered = ids[0].clone();
    tampered.push('0');
    tampered.push('_');
    for (query, param) in [
        ("after=x", "after"),
        ("after=msg_1", "after"),
        (&format!("after={foreign}"), "after"),
        (&format!("after={tampered}"), "after"),
        (&format!("after={}", ids[0].replace("msg", "sgm")), "after"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("order=", "order"),
    ] {
        check_error(&app.get(&format!("{}?{query}", items_of(&id))).await, 400, "invalid_request", param);
    }
    let both = app.get(&format!("{}?limit=0&order=up", items_of(&id))).await.json();
    assert_eq!(both["error"]["faults"].as_array().map(Vec::len), Some(2));
    // Well formed, and far behind everything.
    let mark = ids[0].split('_').nth(1).unwrap();
    for far in [format!("msg_{mark}_18446744073709551615_18446744073709551615_7"), format!("rs_{mark}_99_0_0")] {
        assert_eq!(list(&app, &id, &format!("?order=asc&after={far}")).await["data"], json!([]));
        let page = list(&app, &id, &format!("?order=desc&limit=100&after={far}")).await;
        assert_eq!(ids_of(&page).len(), 18);
    }
    let none = list(&app, &id, &format!("?order=desc&after=msg_{mark}_0_0_0")).await;
    assert_eq!(none["data"], Value::Array(Vec::new()));
    assert_eq!(ids_of(&list(&app, &id, &format!("?order=asc&limit=100&after=msg_{mark}_0_0_0")).await), ids);
}
