//! Changes and erasures whose process dies, or misses a reply, at each of its requests to
//! the table in turn.

use serde_json::json;
use turnwise_core::digest::Digest;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_core::items::{Metadata, parse_items};
use turnwise_engine::conversations::{Addition, NewConversation};
use turnwise_engine::{Engine, Error, Message, Receiver};
use turnwise_store::queue::Queue;
use turnwise_store::{Store, client};
use turnwise_tests::app::TestApp;
use turnwise_tests::faults::{Cut, Happens};
use turnwise_tests::rig;
use turnwise_tests::table::{TABLE, number, text};

use super::erase::{check_erased, full};
use super::{create, ids_of, list, path, texts_of, user};

/// More requests than an erasure makes.
const MAX_REQUESTS: usize = 200;

/// A process whose requests go through `cut`, and its queue's other end.
fn process(app: &TestApp, cut: Option<&Cut>) -> (Engine, Receiver) {
    let sdk = client::local(app.table.endpoint(), cut.map(Cut::http_client));
    let (queue, receiver) = Queue::in_process();
    let providers = rig::openai_at(app.provider.base_url());
    (Engine::new(Store::new(&sdk, TABLE), queue, providers).with_calls(rig::one_call()), receiver)
}

/// Does what a sweep finds.
async fn sweep(app: &TestApp) {
    let (engine, receiver) = process(app, None);
    let swept = engine.sweep().await.unwrap();
    for _ in 0..swept.half_erased + swept.due + swept.stuck {
        let sent = receiver.receive().await.unwrap();
        if matches!(sent.message, Message::Erase { .. }) {
            engine.handle(&sent.message, None).await.unwrap();
        }
    }
}

/// Erases `s` until the process stops at request `at`; whether it came to its end before.
async fn erase_until(app: &TestApp, at: usize, happens: Happens) -> bool {
    let cut = Cut::at(at, happens);
    let (engine, _receiver) = process(app, Some(&cut));
    let id = ConversationId::parse("c", "s").unwrap();
    let caller = rig::caller();
    tokio::select! {
        biased;
        erased = engine.erase(&caller, "conversation", &id) => erased.map(|()| true).unwrap(),
        () = cut.stopped() => false,
    }
}

async fn is_begun(app: &TestApp) -> bool {
    let id = ConversationId::parse("c", "s").unwrap();
    let found = app.engine.store.conversation(&Tenant::default_tenant(), &id).await.unwrap();
    found.unwrap().erased
}

async fn interrupt_everywhere(stops: &[Happens], finish: impl AsyncFn(&TestApp)) {
    for &happens in stops {
        for at in 0.. {
            assert!(at < MAX_REQUESTS, "an erasure comes to its end");
            let app = TestApp::start().await;
            full(&app).await;
            let ended = erase_until(&app, at, happens).await;
            if is_begun(&app).await {
                finish(&app).await;
                check_erased(&app.table.rows().await, "s");
            } else {
                assert!(!ended && at < 2, "the first write ends the conversation");
                assert_eq!(app.get("/v1/threads/s/turns").await.json()["total"], 2, "nothing has happened");
            }
            let again = app.delete("/v1/conversations/s").await.status;
            assert!(again == 404 || !ended && at < 2, "{again} after request {at}");
            check_erased(&app.table.rows().await, "s");
            if ended {
                assert!(at > 10, "it was interrupted at each of its requests: {at}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_sweep_finishes_what_was_interrupted() {
    Box::pin(interrupt_everywhere(&[Happens::StopBefore, Happens::StopAfter], sweep)).await;
}

#[tokio::test]
async fn another_delete_finishes_what_was_interrupted() {
    interrupt_everywhere(&[Happens::StopAfter], async |app: &TestApp| {
        let status = app.delete("/v1/conversations/s").await.status;
        assert!(status == 200 || status == 404, "{status}");
    })
    .await;
}

/// A change by hand of the conversation `id`, as a process makes it.
#[derive(Debug, Clone, Copy)]
enum Edit {
    Create,
    Add,
    Delete,
    Label,
}

impl Edit {
    const ALL: [Self; 4] = [Self::Create, Self::Add, Self::Delete, Self::Label];

    /// Makes the change, with an idempotency key where `key` says so.
    async fn make(self, engine: &Engine, id: &str, item: &str, key: bool) -> Result<(), Error> {
        let (caller, key) = (rig::caller(), key.then(|| "key".to_owned()));
        let id = ConversationId::parse("c", id).unwrap();
        let items = parse_items("items", &json!([user("added")])).unwrap();
        let (metadata, request_hash) = (Metadata::from([("a".to_owned(), "b".to_owned())]), Digest::of("request"));
        match self {
            Self::Create => {
                let new = NewConversation { metadata, items, key, request_hash };
                engine.create_conversation(&caller, new).await.map(|_| ())
            }
            Self::Add => engine.add_items(&caller, &id, Addition { items, key, request_hash }).await.map(|_| ()),
            Self::Delete => engine.delete_item(&caller, &id, item).await.map(|_| ()),
            Self::Label => engine.put_metadata(&caller, &id, &metadata).await.map(|_| ()),
        }
    }

    /// Checks that it has happened exactly once.
    async fn check(self, app: &TestApp, id: &str) {
        let rows = app.table.rows().await;
        let metas: Vec<_> = rows.iter().filter(|row| text(row, "sk") == "META").collect();
        let texts = texts_of(&list(app, id, "?order=asc").await);
        match self {
            Self::Create => {
                assert_eq!(metas.len(), 2);
                let other = metas.iter().find(|row| !text(row, "pk").ends_with(id)).unwrap();
                let other = text(other, "pk").rsplit('#').next().unwrap().to_owned();
                assert_eq!(texts_of(&list(app, &other, "").await), ["added"]);
            }
            Self::Add => assert_eq!(texts, ["stays", "goes", "added"]),
            Self::Delete => assert_eq!(texts, ["stays"]),
            Self::Label => assert_eq!(app.get(&path(id)).await.json()["metadata"], json!({"a": "b"})),
        }
        let versions: u64 = metas.iter().map(|meta| number(meta, "version")).sum();
        let raised = u64::from(!matches!(self, Self::Label));
        assert_eq!(versions, 1 + raised);
        let messages: u64 = metas.iter().map(|meta| number(meta, "messages")).sum();
        let expected = match self {
            Self::Create | Self::Add => 3,
            Self::Delete => 1,
            Self::Label => 2,
        };
        assert_eq!(messages, expected);
    }
}

#[tokio::test]
async fn a_change_whose_reply_is_lost_happens_once() {
    for edit in Edit::ALL {
        for at in 0.. {
            let app = TestApp::start().await;
            let id = create(&app, &["stays", "goes"]).await;
            let item = ids_of(&list(&app, &id, "").await).remove(0);
            let cut = Cut::at(at, Happens::LostReply);
            let (engine, _receiver) = process(&app, Some(&cut));
            edit.make(&engine, &id, &item, false).await.unwrap();
            edit.check(&app, &id).await;
            if !cut.was_reached() {
                assert!(at > 0, "{edit:?}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_change_whose_process_dies_happens_once_when_it_is_tried_again() {
    for edit in Edit::ALL {
        for happens in [Happens::StopBefore, Happens::StopAfter] {
            for at in 0.. {
                let app = TestApp::start().await;
                let id = create(&app, &["stays", "goes"]).await;
                let item = ids_of(&list(&app, &id, "").await).remove(0);
                let cut = Cut::at(at, happens);
                let (engine, _receiver) = process(&app, Some(&cut));
                let ended = tokio::select! {
                    biased;
                    made = edit.make(&engine, &id, &item, true) => made.map(|()| true).unwrap(),
                    () = cut.stopped() => false,
                };
                match edit.make(&app.engine, &id, &item, true).await {
                    Ok(()) => {}
                    // It was deleted by the first try.
                    Err(Error::NotFound { what: "item", .. }) => assert!(matches!(edit, Edit::Delete)),
                    Err(error) => panic!("{edit:?}, {happens:?} {at}: {error}"),
                }
                edit.check(&app, &id).await;
                if ended {
                    break;
                }
            }
        }
    }
}
