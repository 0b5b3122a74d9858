//! A conversation is its tenant's alone.

use serde_json::json;
use turnwise_core::digest::Digest;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_core::items::{Metadata, parse_items};
use turnwise_engine::Error;
use turnwise_engine::conversations::{Addition, ItemQuery, NewConversation, Order};
use turnwise_engine::turn::Caller;
use turnwise_tests::app::TestApp;
use turnwise_tests::rig;

use super::{create, list, path, say};

fn stranger() -> Caller {
    Caller { tenant: Tenant::from_stored("other".to_owned()), ..rig::caller() }
}

fn is_not_found<T: std::fmt::Debug>(result: &Result<T, Error>) {
    assert!(matches!(result, Err(Error::NotFound { .. })), "{result:?}");
}

#[tokio::test]
async fn a_stranger_finds_nothing_and_changes_nothing() {
    let app = TestApp::start().await;
    let id = create(&app, &["mine"]).await;
    say(&app, &id, "hello").await;
    let item = list(&app, &id, "").await["data"][0]["id"].as_str().unwrap().to_owned();
    let before = app.table.rows().await.len();
    let (engine, caller, id_) = (&app.engine, stranger(), ConversationId::parse("c", &id).unwrap());
    let tenant = &caller.tenant;

    is_not_found(&engine.overview(tenant, "conversation", &id_).await);
    let query = ItemQuery { after: None, limit: 10, order: Order::Ascending };
    is_not_found(&engine.list_items(tenant, &id_, &query).await);
    let query = ItemQuery { after: Some(item.clone()), ..query };
    is_not_found(&engine.list_items(tenant, &id_, &query).await);
    is_not_found(&engine.find_item(tenant, &id_, &item).await);
    is_not_found(&engine.put_metadata(&caller, &id_, &Metadata::new()).await);
    is_not_found(&engine.delete_item(&caller, &id_, &item).await);
    is_not_found(&engine.erase(&caller, "conversation", &id_).await);
    is_not_found(&engine.turns(tenant, &id_, 0, 10).await);
    is_not_found(&engine.turns_with_input(tenant, &id_, &Digest::of(""), 0, 10).await);
    let items = parse_items("items", &json!([{"role": "user", "content": "theirs"}])).unwrap();
    let addition = Addition { items, key: Some("k".to_owned()), request_hash: Digest::of("") };
    is_not_found(&engine.add_items(&caller, &id_, addition).await);
    assert_eq!(app.table.rows().await.len(), before);
    assert_eq!(app.get(&path(&id)).await.status, 200);
}

#[tokio::test]
async fn a_strangers_item_cannot_be_mentioned() {
    let app = TestApp::start().await;
    let id = create(&app, &["mine"]).await;
    let item = list(&app, &id, "").await["data"][0]["id"].as_str().unwrap().to_owned();
    let caller = stranger();
    let new =
        || NewConversation { metadata: Metadata::new(), items: Vec::new(), key: None, request_hash: Digest::of("") };
    let (theirs, _) = app.engine.create_conversation(&caller, new()).await.unwrap();
    let items = parse_items("items", &json!([{"type": "item_reference", "id": item}])).unwrap();
    let addition = Addition { items, key: None, request_hash: Digest::of("") };
    let added = app.engine.add_items(&caller, &theirs.id, addition).await;
    assert!(matches!(added, Err(Error::Invalid(_))), "{added:?}");
}

#[tokio::test]
async fn one_key_of_two_tenants_creates_two_conversations() {
    let app = TestApp::start().await;
    let new = || NewConversation {
        metadata: Metadata::new(),
        items: Vec::new(),
        key: Some("k".to_owned()),
        request_hash: Digest::of(""),
    };
    let (mine, _) = app.engine.create_conversation(&rig::caller(), new()).await.unwrap();
    let (theirs, replayed) = app.engine.create_conversation(&stranger(), new()).await.unwrap();
    assert_ne!(mine.id, theirs.id);
    assert!(!replayed);
}
