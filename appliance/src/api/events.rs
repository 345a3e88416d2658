//! Events as they come: server-sent events (HTML standard, section 9.2), to be resumed by `Last-Event-ID`.

use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::state::Params;
use super::{Api, ApiError};
use crate::event::{Cursor, Event, EventKind, Follower, Next};

/// Proxies close connections that are silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventParams {
    /// Only these kinds, separated by commas: `backend-up,backend-down`.
    #[serde(default)]
    kind: Option<String>,
    /// Begin behind this event, as the header `Last-Event-ID` does.
    #[serde(default)]
    after: Option<String>,
    /// `now` (default): only what comes. `start`: from the oldest event that is kept.
    #[serde(default)]
    #[param(inline)]
    from: From,
    /// Wait for more. Default: yes.
    #[serde(default = "yes")]
    follow: bool,
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum From {
    #[default]
    Now,
    Start,
}

fn yes() -> bool {
    true
}

/// Events as they come. An event named `lost` tells how many are gone before they could be sent; `restarted`, that the
/// daemon restarted since `Last-Event-ID`.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "events", tag = "state",
    params(EventParams, ("Last-Event-ID" = Option<String>, Header, description = "Begin behind this event")),
    responses((status = 200, body = Event, content_type = "text/event-stream"))
)]
pub(super) async fn events(
    State(api): State<Api>,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, ApiError> {
    let kinds = params.kind.as_deref().map(kinds).transpose().map_err(ApiError::Request)?;
    let last =
        headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let after = match last.or(params.after) {
        Some(text) => text.parse().map_err(ApiError::Request)?,
        None => match params.from {
            From::Now => api.events.end(),
            From::Start => Cursor::default(),
        },
    };
    let follower = api.events.follow(after);
    Ok(Sse::new(messages(follower, kinds, params.follow))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn kinds(text: &str) -> Result<Vec<EventKind>, String> {
    text.split(',').map(EventKind::from_str).collect()
}

fn messages(
    follower: Follower,
    kinds: Option<Vec<EventKind>>,
    follow: bool,
) -> impl Stream<Item = Result<Message, Infallible>> {
    stream::unfold((follower, kinds), move |(mut follower, kinds)| async move {
        loop {
            let next = if follow { follower.next().await } else { follower.try_next() }?;
            if let Some(message) = message(next, kinds.as_deref()) {
                return Some((Ok(message), (follower, kinds)));
            }
        }
    })
}

/// `None` for what the reader does not want.
fn message(next: Next, kinds: Option<&[EventKind]>) -> Option<Message> {
    match next {
        Next::Event(event) => {
            if kinds.is_some_and(|kinds| !kinds.contains(&event.kind)) {
                return None;
            }
            Message::default()
                .id(event.id.to_string())
                .event(event.kind.as_str())
                .json_data(&*event)
                .ok()
        }
        Next::Lost(count) => {
            Message::default().event("lost").json_data(json!({ "lost": count })).ok()
        }
        Next::Restarted => Message::default().event("restarted").json_data(json!({})).ok(),
    }
}
