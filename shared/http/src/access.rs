//! Who may come in, and for what.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;
use turnwise_core::access::{Grant, Scope};
use turnwise_core::digest::Digest;
use turnwise_core::id::Tenant;
use turnwise_engine::keys::Known;

use crate::app::App;
use crate::context::RequestContext;
use crate::error::Error;
use crate::refused;
use crate::routes::{Entry, Route};

/// Who has come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose data they see.
    pub tenant: Tenant,
    /// Whose list of conversations.
    pub user: String,
    /// The key's id, never the key.
    pub api_key: String,
    /// What it may do, and how much of it.
    pub grant: Arc<Grant>,
}

/// The keys that are accepted, as their digests. Without any, everything that asks
/// for a key is refused.
#[derive(Debug, Clone, Default)]
pub struct Access(Arc<[(Digest, Arc<Grant>)]>);

/// Digits of a key's digest that name it in logs and ledgers: enough to tell an
/// operator's few keys apart, too few to help anybody guess.
const KEY_ID_DIGITS: usize = 8;

/// Longest key that is looked at, in bytes: several times as long as any. A header may be longer
/// than is worth hashing.
const MAX_KEY_BYTES: usize = 512;

impl Access {
    /// Accepts the keys with these SHA-256 digests; those of `admins` also under `/admin`.
    #[must_use]
    pub fn to_digests(users: impl IntoIterator<Item = Digest>, admins: impl IntoIterator<Item = Digest>) -> Self {
        let (user, admin) = (Arc::new(Grant::of_user()), Arc::new(Grant::of_operator()));
        let users = users.into_iter().map(|digest| (digest, Arc::clone(&user)));
        Self(users.chain(admins.into_iter().map(|digest| (digest, Arc::clone(&admin)))).collect())
    }

    /// Accepts `key` everywhere: for a process that serves one person.
    #[must_use]
    pub fn to_key(key: &str) -> Self {
        Self::to_digests([], [Digest::of(key)])
    }

    /// Accepts `key` too, for what `grant` says; what holds for all keys of its tenant, the
    /// table says.
    #[must_use]
    pub fn with_grant(self, key: &str, grant: Grant) -> Self {
        let granted = (Digest::of(key), Arc::new(grant));
        Self(self.0.iter().cloned().chain([granted]).collect())
    }

    /// Who `key` is. Takes the same time for every key of the same length: only
    /// digests are compared, all of them, in constant time.
    fn principal(&self, key: &str) -> Option<Principal> {
        let digest = Digest::of(key);
        let mut found = None;
        for (accepted, grant) in self.0.iter() {
            // Of a key that is there twice the last grant holds, an administrator's.
            if bool::from(accepted.as_str().as_bytes().ct_eq(digest.as_str().as_bytes())) {
                found = Some(grant);
            }
        }
        found.map(|grant| Principal {
            tenant: Tenant::default_tenant(),
            user: "owner".to_owned(),
            api_key: digest.as_str().chars().take(KEY_ID_DIGITS).collect(),
            grant: Arc::clone(grant),
        })
    }
}

/// Lets a request with a good key through, as its [`Principal`].
pub(crate) async fn require_key(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let principal = match presented_key(request.headers()) {
        Some(key) => who(&app, key, asks_for_work(&request)).await,
        None => Ok(None),
    };
    match principal {
        Ok(Some(principal)) => {
            if let Some(context) = request.extensions().get::<RequestContext>() {
                context.note(|line| line.api_key = Some(principal.api_key.clone()));
            }
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Ok(None) => {
            refused::note(&app.engine, &request).await;
            Error::Unauthenticated.into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// Whether the request may cost something. Only then does it matter what holds for all keys of
/// the tenant, and an operator who looks why the table is away need not ask the table.
fn asks_for_work(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>();
    let route = path.and_then(|path| Route::matching(request.method(), path.as_str()));
    route.is_none_or(|route| route.entry == Entry::Keyed(Scope::Generate))
}

/// Who presents `key`: one of the deployment itself, or one of the table.
async fn who(app: &App, key: &str, asks_for_work: bool) -> Result<Option<Principal>, Error> {
    let Some(principal) = app.access.principal(key) else {
        return Ok(app.engine.authenticate(key).await?.map(Principal::from));
    };
    if !asks_for_work {
        return Ok(Some(principal));
    }
    let settings = app.engine.settings_of(&principal.tenant).await?;
    let prices = app.engine.prices_of(&principal.tenant).await?;
    let grant = Grant { settings: settings.as_ref().clone(), prices, ..principal.grant.as_ref().clone() };
    Ok(Some(Principal { grant: Arc::new(grant), ..principal }))
}

impl From<Known> for Principal {
    fn from(known: Known) -> Self {
        let Known { id, tenant, owner, grant } = known;
        Self { tenant, user: owner, api_key: id.to_string(), grant }
    }
}

/// Lets only keys with `scope` through; stands behind [`require_key`].
pub(crate) async fn require_scope(State(scope): State<Scope>, request: Request, next: Next) -> Response {
    let has_it = request.extensions().get::<Principal>().is_some_and(|principal| principal.grant.scopes.has(scope));
    if has_it { next.run(request).await } else { Error::Forbidden(scope).into_response() }
}

/// The key of `Authorization: Bearer` or of `x-api-key`: OpenAI's clients send the
/// one, Anthropic's the other.
pub(crate) fn presented_key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let key = bearer.or_else(|| headers.get("x-api-key").and_then(|value| value.to_str().ok()));
    key.filter(|key| key.len() <= MAX_KEY_BYTES)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(name: &'static str, value: &'static str, accepted: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        let access = Access::to_key("secret");
        let principal = presented_key(&headers).and_then(|key| access.principal(key));
        assert_eq!(principal.is_some(), accepted, "{name}: {value}");
    }

    #[test]
    fn a_key_comes_in_by_either_header() {
        check("authorization", "Bearer secret", true);
        check("authorization", "bearer secret", true);
        check("x-api-key", "secret", true);
        check("authorization", "Bearer wrong", false);
        check("authorization", "Basic secret", false);
        check("authorization", "secret", false);
        check("x-api-key", "", false);
    }

    #[test]
    fn only_an_administrators_key_is_one() {
        let access = Access::to_digests([Digest::of("user")], [Digest::of("admin")]);
        let is_admin = |key| access.principal(key).map(|principal| principal.grant.is_operator);
        assert_eq!(is_admin("user"), Some(false));
        assert_eq!(is_admin("admin"), Some(true));
        assert_eq!(is_admin("other"), None);
    }

    #[test]
    fn without_keys_everything_is_refused() {
        assert_eq!(Access::default().principal(""), None);
        assert_eq!(Access::default().principal("secret"), None);
    }
}
