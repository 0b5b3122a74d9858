//! The OpenAPI document, from the handlers' own descriptions.

use turnwise_engine::rates::Class;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, Response, ResponseBuilder, Type};
use utoipa::{Modify, OpenApi};

use crate::error::{MessageErrorBody, Standard};
use crate::handlers;
use crate::routes::{Entry, ROUTES};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Turnwise",
        description = "A serverless LLM gateway with durable conversations: a turn happens once.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        handlers::chat::chat,
        handlers::chat_completions::create_chat_completion,
        handlers::conversations::objects::create_conversation,
        handlers::conversations::objects::get_conversation,
        handlers::conversations::objects::update_conversation,
        handlers::conversations::delete::delete_conversation,
        handlers::conversations::items::list_items,
        handlers::conversations::items::add_items,
        handlers::conversations::items::get_item,
        handlers::conversations::items::delete_item,
        handlers::responses::create::create_response,
        handlers::responses::compact::compact,
        handlers::responses::input_tokens::count_input_tokens,
        handlers::responses::get::get_response,
        handlers::responses::delete::delete_response,
        handlers::responses::cancel::cancel_response,
        handlers::responses::input_items::list_input_items,
        handlers::messages::create::create_message,
        handlers::messages::count_tokens::count_message_tokens,
        handlers::threads::list_threads,
        handlers::threads::get_thread,
        handlers::conversations::delete::delete_thread,
        handlers::threads::list_turns,
        handlers::turns::get_turn,
        handlers::turns::cancel_turn,
        handlers::stats::get_stats,
        handlers::usage::get_usage,
        handlers::value::get_value,
        handlers::value::reckon_roi,
        handlers::embeddings::create_embeddings,
        handlers::models::list_models,
        handlers::models::get_model,
        handlers::providers::list_providers,
        handlers::health::healthz,
        handlers::health::readyz,
        handlers::openapi::document,
        handlers::admin::keys::create_key,
        handlers::admin::keys::list_keys,
        handlers::admin::keys::get_key,
        handlers::admin::keys::update_key,
        handlers::admin::keys::rotate_key,
        handlers::admin::keys::revoke_key,
        handlers::admin::tenants::get_tenant,
        handlers::admin::tenants::update_tenant,
        handlers::admin::locks::list_locks,
        handlers::admin::locks::get_lock,
        handlers::admin::locks::release_lock,
        handlers::admin::dead_letters::list_dead_letters,
        handlers::admin::dead_letters::redrive,
        handlers::admin::audit::list_audit,
        handlers::admin::audit::export_audit,
        handlers::admin::erase::erase_conversation,
        handlers::admin::erase::erase_person,
        handlers::admin::health::check_health,
        handlers::admin::turns::list_recent_turns,
        handlers::admin::usage::check_usage,
        handlers::admin::prices::list_prices,
        handlers::admin::prices::import_prices,
    ),
    // What only descriptions of answers name, which are not searched for types.
    components(schemas(handlers::AcceptedBody, MessageErrorBody)),
    security(("bearer" = []), ("x-api-key" = [])),
    modifiers(&Keys, &Refusals),
)]
struct Document;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let header = ApiKey::Header(ApiKeyValue::new("x-api-key"));
        components.add_security_scheme("x-api-key", SecurityScheme::ApiKey(header));
    }
}

/// How operations are refused that their own descriptions do not speak of.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for route in ROUTES {
            let Some(item) = document.paths.paths.get_mut(route.path) else { continue };
            let operation = match route.method {
                "GET" => item.get.as_mut(),
                "POST" => item.post.as_mut(),
                "DELETE" => item.delete.as_mut(),
                _ => None,
            };
            let Some(operation) = operation else { continue };
            let mut refusals = Vec::new();
            if matches!(route.class(), Some(Class::Generate | Class::Embeddings)) {
                refusals.push(("402", refusal(route.path, "A spending limit is reached")));
            }
            if matches!(route.entry, Entry::Keyed(_)) {
                refusals.push(("403", refusal(route.path, "The key does not have the scope")));
            }
            if operation.request_body.is_some() {
                refusals.push(("413", refusal(route.path, "Too large")));
            }
            if route.class().is_some() {
                refusals.push(("429", too_many(route.path)));
            }
            for (status, response) in refusals {
                operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
            }
        }
    }
}

/// An error of `path`, in its standard.
fn refusal(path: &str, description: &str) -> Response {
    let body = match Standard::of(path, &axum::http::HeaderMap::new()) {
        Standard::OpenAi => "ErrorBody",
        Standard::Anthropic => "MessageErrorBody",
    };
    ResponseBuilder::new()
        .description(description)
        .content("application/json", ContentBuilder::new().schema(Some(Ref::from_schema_name(body))).build())
        .build()
}

/// The answer to one request too many at `path`.
fn too_many(path: &str) -> Response {
    let retry_after = HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::Integer)));
    let retry_after = retry_after.description(Some("Seconds until there is room for one more")).build();
    let mut response = refusal(path, "Too many requests: the limit a minute is reached");
    response.headers.insert("retry-after".to_owned(), retry_after.into());
    response
}

/// The document as pretty JSON, with a line feed at its end.
#[must_use]
pub fn document() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
