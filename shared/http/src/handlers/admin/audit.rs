//! `GET /admin/audit` and `GET /admin/audit/export`: who has done what.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use turnwise_core::audit::{Action, Cursor, Entry, Range};
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::id::Tenant;
use turnwise_core::limits::PAGE_SIZE;
use turnwise_engine::audit::{AuditFilter, AuditQuery};
use utoipa::{IntoParams, ToSchema};

use super::audit_format::Format;
use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::{Params, page_size};
use crate::handlers::caller;

/// One page of the audit log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditList {
    /// `list`.
    pub object: &'static str,
    /// The entries.
    pub data: Vec<AuditBody>,
    /// Whether there may be more: a page with a filter may be short, or empty, and not the last.
    pub has_more: bool,
    /// `after` of the next page. Entries that are added meanwhile do not move it.
    pub next: Option<String>,
}

/// One act. Entries are never changed and never deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditBody {
    /// `audit.entry`.
    pub object: &'static str,
    /// Its id, a UUIDv7.
    pub id: String,
    /// When, RFC 3339.
    pub at: String,
    /// Whose data it touched.
    pub tenant: String,
    /// What was done, such as `lock.release`.
    pub action: String,
    /// To what: a conversation, a key's id, a turn's key, a person.
    pub subject: String,
    /// The id of the API key that did it; null where nobody had come in.
    pub actor: Option<String>,
    /// Why, in the words of who did it.
    pub reason: Option<String>,
    /// The request, to be found in the log.
    pub request_id: String,
    /// SHA-256 of the canonical JSON of the subject before it.
    pub before: Option<String>,
    /// SHA-256 of the canonical JSON of the subject after it.
    pub after: Option<String>,
    /// What else there is to know: short fields, never a secret or what was said.
    #[schema(value_type = Object)]
    pub detail: Value,
}

impl From<Entry> for AuditBody {
    fn from(entry: Entry) -> Self {
        Self {
            object: "audit.entry",
            id: entry.id.to_string(),
            at: entry.at.to_string(),
            tenant: entry.tenant.to_string(),
            action: entry.action,
            subject: entry.subject,
            actor: Some(entry.actor).filter(|actor| !actor.is_empty()),
            reason: entry.reason,
            request_id: entry.request_id,
            before: entry.before.map(|digest| digest.to_string()),
            after: entry.after.map(|digest| digest.to_string()),
            detail: Value::Object(entry.detail),
        }
    }
}

/// Which entries, on which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// The first instant or day, RFC 3339; seven days before `to` unless given.
    from: Option<String>,
    /// The instant behind the last, or the last day; now unless given. At most 366 days.
    to: Option<String>,
    /// Only this action, such as `key.revoke`.
    action: Option<String>,
    /// Only what this key did, by its id.
    actor: Option<String>,
    /// Only what was done to this.
    subject: Option<String>,
    /// Another tenant's log: for keys of the deployment itself.
    tenant: Option<String>,
    /// `next` of the page before, with the same filters.
    after: Option<String>,
    /// Entries, 1 to 100.
    #[param(value_type = Option<u64>)]
    limit: Option<String>,
}

/// Which entries, in which format.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `jsonl`, one JSON object a line, or `csv`; `jsonl` unless given.
    format: Option<String>,
    /// The first instant or day, RFC 3339; seven days before `to` unless given.
    from: Option<String>,
    /// The instant behind the last, or the last day; now unless given. At most 366 days.
    to: Option<String>,
    /// Only this action, such as `key.revoke`.
    action: Option<String>,
    /// Only what this key did, by its id.
    actor: Option<String>,
    /// Only what was done to this.
    subject: Option<String>,
    /// Another tenant's log: for keys of the deployment itself.
    tenant: Option<String>,
}

/// Lists the audit log, newest first.
#[utoipa::path(
    get, path = "/admin/audit", tag = "admin", params(ListQuery),
    responses(
        (status = 200, description = "One page", body = AuditList),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key, or another tenant's log", body = ErrorBody),
    ),
)]
pub(crate) async fn list_audit(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Params(query): Params<ListQuery>,
) -> Result<Json<AuditList>, Error> {
    let mut faults = Faults::default();
    let limit = faults.keep(page_size(query.limit.as_deref())).unwrap_or(PAGE_SIZE);
    let after = query.after.as_deref().filter(|after| !after.is_empty());
    let after = after.and_then(|after| faults.keep(cursor(after)));
    let ListQuery { from, to, action, actor, subject, tenant, .. } = query;
    let wanted = Wanted { from, to, action, actor, subject, tenant }.read(&app, faults)?;
    let page = Box::pin(app.engine.audit(&caller(&principal, &context), &wanted, after, limit)).await?;
    let next = page.next.map(|next| next.to_string());
    let data = page.entries.into_iter().map(AuditBody::from).collect();
    Ok(Json(AuditList { object: "list", data, has_more: next.is_some(), next }))
}

/// Exports the audit log of a range, newest first, as a file. At most 2,000 entries: a longer
/// range is refused whole. The export is itself an entry of the log.
#[utoipa::path(
    get, path = "/admin/audit/export", tag = "admin", params(ExportQuery),
    responses(
        (status = 200, description = "The entries. In CSV, a cell that a spreadsheet would take for a formula begins \
            with an apostrophe",
            content((String = "application/x-ndjson"), (String = "text/csv"))),
        (status = 400, description = "Invalid request, or too many entries", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key, or another tenant's log", body = ErrorBody),
    ),
)]
pub(crate) async fn export_audit(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Params(query): Params<ExportQuery>,
) -> Result<Response, Error> {
    let mut faults = Faults::default();
    let format = faults.keep(Format::parse(query.format.as_deref())).unwrap_or(Format::JsonLines);
    let ExportQuery { from, to, action, actor, subject, tenant, .. } = query;
    let wanted = Wanted { from, to, action, actor, subject, tenant }.read(&app, faults)?;
    let caller = caller(&principal, &context);
    let entries = Box::pin(app.engine.export_audit(&caller, &wanted, format.name())).await?;
    let day = |at: turnwise_core::time::Timestamp| at.day();
    let name = format!("audit-{}-{}.{}", day(wanted.range.from), day(wanted.range.to), format.name());
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let text = format.write(entries.into_iter().map(AuditBody::from))?;
    let mut response = ([(header::CONTENT_TYPE, format.content_type())], text).into_response();
    if let Ok(disposition) = disposition {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// What both routes ask for alike.
struct Wanted {
    from: Option<String>,
    to: Option<String>,
    action: Option<String>,
    actor: Option<String>,
    subject: Option<String>,
    tenant: Option<String>,
}

impl Wanted {
    /// Reads it; tells all that is wrong with it and with what was read before.
    fn read(self, app: &App, mut faults: Faults) -> Result<AuditQuery, Error> {
        let range = Range::parse(self.from.as_deref(), self.to.as_deref(), app.engine.clock.now());
        let range = range.map_err(|found| faults.0.extend(found.0)).ok();
        let action = self.action.and_then(|action| faults.keep(known_action(action)));
        let tenant = self.tenant.and_then(|tenant| faults.keep(Tenant::parse("tenant", &tenant)));
        let Some(range) = range.filter(|_| faults.0.is_empty()) else { return Err(Error::Invalid(faults)) };
        let filter = AuditFilter { action, actor: self.actor, subject: self.subject };
        Ok(AuditQuery { tenant, range, filter })
    }
}

fn known_action(name: String) -> Result<String, Fault> {
    if Action::named(&name).is_some() {
        return Ok(name);
    }
    let names = Action::ALL.map(Action::name).join(", ");
    Err(Fault::new("action", format!("Expected one of {names}; got {name:?}.")))
}

fn cursor(text: &str) -> Result<Cursor, Fault> {
    Cursor::parse(text).ok_or_else(|| Fault::new("after", "Expected the \"next\" of an earlier page."))
}
