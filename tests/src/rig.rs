//! An engine over a table and a scripted provider, for tests and benchmarks below HTTP.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use turnwise_core::digest::Digest;
use turnwise_core::id::{ConversationId, Tenant, TurnId, TurnKey};
use turnwise_core::limits::BUSY_WAIT;
use turnwise_core::turn::{Delivery, Lineage, OnBusy, Standing};
use turnwise_core::upstream::RetryPolicy;
use turnwise_core::window::Window;
use turnwise_engine::Engine;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::turn::{Caller, Input, TurnRequest};
use turnwise_engine::upstream::policy::CallPolicy;
use turnwise_providers::{ProviderSettings, Providers, Secret, Settings};
use turnwise_store::queue::Queue;

use crate::table::Table;

/// Providers of which `openai` is the server at `base_url`.
#[must_use]
pub fn openai_at(base_url: &str) -> Providers {
    let settings = ProviderSettings {
        key: Some(Secret::new("mock")),
        base_url: Some(base_url.to_owned()),
        ..ProviderSettings::default()
    };
    let settings = Settings { providers: [("openai".to_owned(), settings)].into(), default_model: None };
    Providers::new(&settings).expect("settings")
}

/// An engine over `table` whose `openai` is the server at `base_url`.
#[must_use]
pub fn engine(table: &Table, base_url: &str) -> Engine {
    Engine::new(table.store(), Queue::in_process().0, openai_at(base_url)).with_calls(one_call())
}

/// Moves the time of `clock`, which is `manual`, on by `time`.
///
/// # Panics
/// If it is another clock.
pub async fn pass(clock: &Clock, manual: &Manual, time: Duration) {
    // Without the runtime's patience, which tells one task that has much to do to wait.
    let sleeping = tokio::task::unconstrained(clock.sleep(time));
    tokio::pin!(sleeping);
    // Others may wait for the same moment, and come first.
    while futures_util::poll!(&mut sleeping).is_pending() {
        assert!(manual.advance_to_next_timer(), "the sleeper itself waits for a timer");
    }
}

/// Who asks in tests.
#[must_use]
pub fn caller() -> Caller {
    Caller {
        tenant: Tenant::default_tenant(),
        user: "owner".to_owned(),
        api_key: "01234567".to_owned(),
        grant: Arc::default(),
        request_id: "req_0123456789abcdef0123456789abcdef".to_owned(),
        deadline: None,
    }
}

/// One call a request: what repeats calls has tests of its own.
#[must_use]
pub fn one_call() -> CallPolicy {
    CallPolicy { retry: RetryPolicy { retries: 0, ..RetryPolicy::default() }, ..CallPolicy::default() }
}

/// The turn `turn` of `conversation`: `text`, buffered, by `model`.
#[must_use]
pub fn request(conversation: &str, turn: &str, text: &str, model: &str) -> TurnRequest {
    let messages = json!([{"role": "user", "content": text}]);
    TurnRequest {
        caller: caller(),
        key: TurnKey {
            conversation: ConversationId::parse("conversation", conversation).expect("a conversation's name"),
            turn: TurnId::parse("turn", turn).expect("a turn's name"),
        },
        input_hash: Digest::of(text),
        number: None,
        delivery: Delivery::AtLeastOnce,
        on_busy: OnBusy::default(),
        wait: BUSY_WAIT,
        project: None,
        input: Input {
            model: Some(model.to_owned()),
            fallbacks: None,
            fields: [("messages".to_owned(), turnwise_core::json::raw(&messages))].into(),
            items: None,
            instructions: None,
            echo: turnwise_core::json::RawMap::new(),
            remembers: true,
            window: Window::default(),
            api_key: "01234567".to_owned(),
            user: "owner".to_owned(),
            stream: false,
            task: None,
            needs_text: false,
        },
        background: false,
        standing: Standing::Behind,
        lineage: Lineage::default(),
    }
}
