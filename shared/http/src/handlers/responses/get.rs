//! `GET /v1/responses/{id}`: a response read back.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use turnwise_core::fault::Faults;
use utoipa::IntoParams;

use super::super::caller;
use super::body;
use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::{Params, Segment, flag};
use crate::params::event_number;
use crate::sse::{self, Resume};

/// The parameter that says where to go on.
const STARTING_AFTER: &str = "starting_after";

/// How to answer.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResponseQuery {
    /// `true`: the response's events, from the first one on, as they came and as they come.
    #[param(value_type = Option<bool>)]
    stream: Option<String>,
    /// With `stream`: only the events behind the one with this `sequence_number`.
    #[param(value_type = Option<u64>)]
    starting_after: Option<String>,
    /// With `stream`: whether another attempt's text may take the place of what was sent.
    #[param(value_type = Option<bool>)]
    restartable: Option<String>,
}

impl ResponseQuery {
    /// How the stream is wanted; `None` where none is.
    fn resume(&self) -> Result<Option<Resume>, Error> {
        let mut faults = Faults::default();
        let stream = faults.keep(flag("stream", self.stream.as_deref())).unwrap_or(false);
        let restartable = faults.keep(flag("restartable", self.restartable.as_deref())).unwrap_or(false);
        let after = self.starting_after.as_deref().map(|text| event_number(STARTING_AFTER, text));
        let after = after.and_then(|after| faults.keep(after));
        if after.is_some() && !stream {
            faults.add(STARTING_AFTER, "Only a stream starts after an event: give stream=true as well.");
        }
        faults.into_result().map_err(Error::Invalid)?;
        Ok(stream.then_some(Resume { after, field: STARTING_AFTER, restartable }))
    }
}

/// Reads a response back, whether it has its answer or not; or its stream, from any place.
#[utoipa::path(
    get, path = "/v1/responses/{id}", tag = "responses",
    params(("id" = String, Path, description = "The response"), ResponseQuery),
    responses(
        (status = 200, description = "OpenAI's response object, or its stream",
            content((Object = "application/json"), (String = "text/event-stream"))),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such response", body = ErrorBody),
        (status = 410, description = "Its content is no longer kept", body = ErrorBody),
    ),
)]
pub(crate) async fn get_response(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
    Params(query): Params<ResponseQuery>,
) -> Result<Response, Error> {
    if let Some(resume) = query.resume()? {
        let caller = caller(&principal, &context);
        let (head, facts, frames) = app.engine.stream_response(&caller, &id).await?;
        context.note(|line| line.turn = Some(head.key.to_string()));
        let shape = sse::ResponseShape::new(head);
        let stream = sse::Stream { frames, shape, facts, replayed: false, resume, refuses: false };
        return sse::reply(stream, context, &app.engine.clock).await;
    }
    let found = app.engine.response(&principal.tenant, &id).await?;
    context.note(|line| line.turn = Some(found.found.turn.key.to_string()));
    Ok(body::found(&found))
}
