//! The route table: every operation, its path, and the function that serves it.

use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post};
use turnwise_core::access::Scope;
use turnwise_engine::rates::Class;

use crate::app::App;
use crate::handlers;

/// A deployed function. The local runner serves all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// Asks providers, for answers and for embeddings; its responses can stream.
    Stream,
    /// Reads and changes conversations, reads and cancels turns.
    Conversations,
    /// Models, health, the OpenAPI document.
    Models,
    /// Locks, dead letters, audit log, erasures, health: what an operator sees and does.
    Admin,
}

impl Function {
    /// All functions that serve HTTP.
    pub const ALL: [Self; 4] = [Self::Stream, Self::Conversations, Self::Models, Self::Admin];

    /// Its name, as in the template and as its binary's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Conversations => "conversations",
            Self::Models => "models",
            Self::Admin => "admin",
        }
    }
}

/// The path of embeddings, which are counted for themselves.
const EMBEDDINGS: &str = "/v1/embeddings";

/// Whether an operation asks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Anybody may call it.
    Open,
    /// Only with a key that has this scope.
    Keyed(Scope),
}

/// One operation.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// In axum's and OpenAPI's form: `/v1/threads/{id}/turns`.
    pub path: &'static str,
    /// Who serves it.
    pub function: Function,
    /// Who may call it.
    pub entry: Entry,
    handler: fn() -> MethodRouter<App>,
}

/// Every operation.
pub const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/v1/chat",
        function: Function::Stream,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::chat::chat),
    },
    Route {
        method: "POST",
        path: "/v1/chat/completions",
        function: Function::Stream,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::chat_completions::create_chat_completion),
    },
    // It asks a provider, writes to the ledger, and may answer with tens of megabytes.
    Route {
        method: "POST",
        path: EMBEDDINGS,
        function: Function::Stream,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::embeddings::create_embeddings),
    },
    Route {
        method: "POST",
        path: "/v1/conversations",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::conversations::objects::create_conversation),
    },
    Route {
        method: "GET",
        path: "/v1/conversations/{id}",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::conversations::objects::get_conversation),
    },
    Route {
        method: "POST",
        path: "/v1/conversations/{id}",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::conversations::objects::update_conversation),
    },
    Route {
        method: "DELETE",
        path: "/v1/conversations/{id}",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || delete(handlers::conversations::delete::delete_conversation),
    },
    Route {
        method: "GET",
        path: "/v1/conversations/{id}/items",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::conversations::items::list_items),
    },
    Route {
        method: "POST",
        path: "/v1/conversations/{id}/items",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::conversations::items::add_items),
    },
    Route {
        method: "GET",
        path: "/v1/conversations/{id}/items/{item}",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::conversations::items::get_item),
    },
    Route {
        method: "DELETE",
        path: "/v1/conversations/{id}/items/{item}",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || delete(handlers::conversations::items::delete_item),
    },
    Route {
        method: "POST",
        path: "/v1/responses",
        function: Function::Stream,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::responses::create::create_response),
    },
    Route {
        method: "POST",
        path: "/v1/responses/compact",
        function: Function::Stream,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::responses::compact::compact),
    },
    Route {
        method: "POST",
        path: "/v1/responses/input_tokens",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::responses::input_tokens::count_input_tokens),
    },
    Route {
        method: "GET",
        path: "/v1/responses/{id}",
        function: Function::Stream,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::responses::get::get_response),
    },
    Route {
        method: "DELETE",
        path: "/v1/responses/{id}",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || delete(handlers::responses::delete::delete_response),
    },
    Route {
        method: "POST",
        path: "/v1/responses/{id}/cancel",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::responses::cancel::cancel_response),
    },
    Route {
        method: "GET",
        path: "/v1/responses/{id}/input_items",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::responses::input_items::list_input_items),
    },
    Route {
        method: "POST",
        path: "/v1/messages",
        function: Function::Stream,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::messages::create::create_message),
    },
    Route {
        method: "POST",
        path: "/v1/messages/count_tokens",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::messages::count_tokens::count_message_tokens),
    },
    Route {
        method: "GET",
        path: "/v1/threads",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::threads::list_threads),
    },
    Route {
        method: "GET",
        path: "/v1/threads/{id}",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::threads::get_thread),
    },
    Route {
        method: "DELETE",
        path: "/v1/threads/{id}",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || delete(handlers::conversations::delete::delete_thread),
    },
    Route {
        method: "GET",
        path: "/v1/threads/{id}/turns",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::threads::list_turns),
    },
    Route {
        method: "GET",
        path: "/v1/turns/{key}",
        function: Function::Stream,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::turns::get_turn),
    },
    Route {
        method: "POST",
        path: "/v1/turns/{key}/cancel",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Generate),
        handler: || post(handlers::turns::cancel_turn),
    },
    Route {
        method: "GET",
        path: "/v1/stats",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Reports),
        handler: || get(handlers::stats::get_stats),
    },
    Route {
        method: "GET",
        path: "/v1/usage",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Reports),
        handler: || get(handlers::usage::get_usage),
    },
    Route {
        method: "GET",
        path: "/v1/value",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Reports),
        handler: || get(handlers::value::get_value),
    },
    Route {
        method: "POST",
        path: "/v1/roi",
        function: Function::Conversations,
        entry: Entry::Keyed(Scope::Reports),
        handler: || post(handlers::value::reckon_roi),
    },
    Route {
        method: "GET",
        path: "/v1/models",
        function: Function::Models,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::models::list_models),
    },
    Route {
        method: "GET",
        path: "/v1/models/{id}",
        function: Function::Models,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::models::get_model),
    },
    Route {
        method: "GET",
        path: "/v1/providers",
        function: Function::Models,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::providers::list_providers),
    },
    Route {
        method: "GET",
        path: "/healthz",
        function: Function::Models,
        entry: Entry::Open,
        handler: || get(handlers::health::healthz),
    },
    Route {
        method: "GET",
        path: "/readyz",
        function: Function::Models,
        entry: Entry::Keyed(Scope::Read),
        handler: || get(handlers::health::readyz),
    },
    Route {
        method: "GET",
        path: "/openapi.json",
        function: Function::Models,
        entry: Entry::Open,
        handler: || get(handlers::openapi::document),
    },
    Route {
        method: "POST",
        path: "/admin/keys",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || post(handlers::admin::keys::create_key),
    },
    Route {
        method: "GET",
        path: "/admin/keys",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::keys::list_keys),
    },
    Route {
        method: "GET",
        path: "/admin/keys/{id}",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::keys::get_key),
    },
    Route {
        method: "POST",
        path: "/admin/keys/{id}",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || post(handlers::admin::keys::update_key),
    },
    Route {
        method: "POST",
        path: "/admin/keys/{id}/rotate",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || post(handlers::admin::keys::rotate_key),
    },
    Route {
        method: "POST",
        path: "/admin/keys/{id}/revoke",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || post(handlers::admin::keys::revoke_key),
    },
    Route {
        method: "GET",
        path: "/admin/tenants/{tenant}",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::tenants::get_tenant),
    },
    Route {
        method: "POST",
        path: "/admin/tenants/{tenant}",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || post(handlers::admin::tenants::update_tenant),
    },
    Route {
        method: "GET",
        path: "/admin/locks",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::locks::list_locks),
    },
    Route {
        method: "GET",
        path: "/admin/locks/{conversation}",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::locks::get_lock),
    },
    Route {
        method: "POST",
        path: "/admin/locks/{conversation}/release",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || post(handlers::admin::locks::release_lock),
    },
    Route {
        method: "GET",
        path: "/admin/dead-letters",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::dead_letters::list_dead_letters),
    },
    Route {
        method: "POST",
        path: "/admin/dead-letters/redrive",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || post(handlers::admin::dead_letters::redrive),
    },
    Route {
        method: "GET",
        path: "/admin/prices",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::prices::list_prices),
    },
    Route {
        method: "POST",
        path: "/admin/prices",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || post(handlers::admin::prices::import_prices),
    },
    Route {
        method: "POST",
        path: "/admin/usage/check",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || post(handlers::admin::usage::check_usage),
    },
    Route {
        method: "GET",
        path: "/admin/audit",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::audit::list_audit),
    },
    Route {
        method: "GET",
        path: "/admin/audit/export",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::audit::export_audit),
    },
    Route {
        method: "DELETE",
        path: "/admin/conversations/{id}",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || delete(handlers::admin::erase::erase_conversation),
    },
    Route {
        method: "POST",
        path: "/admin/erase",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || post(handlers::admin::erase::erase_person),
    },
    Route {
        method: "GET",
        path: "/admin/turns",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::turns::list_recent_turns),
    },
    Route {
        method: "GET",
        path: "/admin/health",
        function: Function::Admin,
        entry: Entry::Keyed(Scope::Admin),
        handler: || get(handlers::admin::health::check_health),
    },
];

impl Route {
    /// The path as axum mounts it: a model's name contains slashes.
    #[must_use]
    pub fn mounted_path(&self) -> &'static str {
        if self.path == "/v1/models/{id}" { "/v1/models/{*id}" } else { self.path }
    }

    /// Whose requests it is counted with; nobody's where anybody may call it.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        let asks_providers = self.function == Function::Stream && self.method == "POST";
        match self.entry {
            Entry::Open => None,
            Entry::Keyed(Scope::Admin) => Some(Class::Admin),
            Entry::Keyed(_) if self.path == EMBEDDINGS => Some(Class::Embeddings),
            Entry::Keyed(_) if asks_providers => Some(Class::Generate),
            Entry::Keyed(_) => Some(Class::Read),
        }
    }

    /// The operation that `method` is at the path that axum has matched.
    pub(crate) fn matching(method: &Method, mounted_path: &str) -> Option<&'static Self> {
        // axum answers HEAD by the operation that answers GET.
        let method = if method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
        ROUTES.iter().find(|route| route.method == method && route.mounted_path() == mounted_path)
    }

    pub(crate) fn mount(&self) -> MethodRouter<App> {
        (self.handler)()
    }
}
