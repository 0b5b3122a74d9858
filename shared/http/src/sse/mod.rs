//! A turn's frames as server-sent events.
//!
//! - [`reply`]: the streaming reply of a route
//! - [`shape`]: how a route writes the frames; [`chat`], [`completion`], [`message`], [`response`]:
//!   the four that do
//! - [`teller`]: what is told and what is left out, for a client that comes back

mod chat;
mod completion;
mod message;
mod response;
mod shape;
mod teller;

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderName;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse as _, Response, Sse as Body};
use futures_util::{StreamExt as _, stream};
use turnwise_core::limits::PING_EVERY;
use turnwise_engine::clock::Clock;
use turnwise_engine::follow::Frames;
use turnwise_engine::turn::Facts;

pub use self::chat::Chat;
pub use self::completion::ChatCompletion;
pub use self::message::Message;
pub use self::response::Response as ResponseShape;
pub use self::shape::{Progress, Shape, Told};
use self::teller::Teller;
use crate::context::RequestContext;
use crate::error::Error;
use crate::render;

/// How long a stream's first word is waited for before its status is sent. A provider
/// that refuses does so at once: then the client gets an error it can act on, and its
/// library tries again where that helps. One that thinks must not keep the client from
/// knowing which turn it is waiting for.
const FIRST_WORD_PATIENCE: Duration = Duration::from_secs(2);

/// The same where the provider has refused a call and another one is made: the client hears
/// what came of it. Shorter than what load balancers wait for a first byte.
const REPEATING_PATIENCE: Duration = Duration::from_secs(25);

/// A stream to be told.
pub struct Stream<S> {
    /// The turn's frames.
    pub frames: Frames,
    /// How they are written.
    pub shape: S,
    /// What is known of the turn.
    pub facts: Facts,
    /// Whether this request found it, rather than began it.
    pub replayed: bool,
    /// What the client has seen, and wants.
    pub resume: Resume,
    /// Whether a turn that fails before its first word is an error of this request.
    pub refuses: bool,
}

/// Where a client goes on that comes back to a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resume {
    /// The number of the last event it has seen.
    pub after: Option<u64>,
    /// Where it says so.
    pub field: &'static str,
    /// Whether it takes another attempt's text in place of what it has seen.
    pub restartable: bool,
}

/// A streaming reply.
///
/// # Errors
/// What stops it before its first word.
pub async fn reply<S: Shape>(stream: Stream<S>, context: RequestContext, clock: &Clock) -> Result<Response, Error> {
    let replayed = stream.replayed;
    let waits = stream.refuses || stream.resume.after.is_some();
    let mut teller = Teller::new(stream, context, clock.clone());
    let mut first: Vec<Sse> = Vec::new();
    if waits {
        let began = clock.now();
        while !teller.has_spoken() {
            let patience = if teller.is_repeating() { REPEATING_PATIENCE } else { FIRST_WORD_PATIENCE };
            tokio::select! {
                biased;
                told = teller.next() => match told {
                    Some(told) => first.extend(told?),
                    None => break,
                },
                () = clock.sleep_until(began + patience) => break,
            }
        }
    }
    teller.status_is_sent();
    let still_there = teller.still_there();
    let mut headers = render::turn_headers(teller.facts());
    if replayed {
        headers.push((HeaderName::from_static("idempotent-replayed"), "true".to_owned()));
    }
    // Proxies that buffer would hold the stream back.
    headers.push((HeaderName::from_static("x-accel-buffering"), "no".to_owned()));

    let rest = stream::unfold(teller, |mut teller| async move {
        let told = teller.next().await?;
        // Errors come only before the status is sent.
        Some((told.unwrap_or_default(), teller))
    });
    let events = stream::iter(first).chain(rest.flat_map(stream::iter)).map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(PING_EVERY);
    let keep_alive = match still_there {
        Some(event) => keep_alive.event(event),
        None => keep_alive.text("ping"),
    };
    let mut response = Body::new(events).keep_alive(keep_alive).into_response();
    render::put_headers(&mut response, headers);
    Ok(response)
}
