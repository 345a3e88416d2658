//! The HTTP API: the same on a Unix socket and on TCP, described by OpenAPI 3.1.

mod apply;
mod auth;
mod collections;
mod error;
mod events;
mod metrics;
mod openapi;
mod probes;
mod server;
mod state;
mod views;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use tokio::time::timeout;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use auth::{Access, Secret, TokenError};
pub(crate) use server::stopped;
pub use server::{Listeners, ServeError, serve};

use crate::engine::Handle;
use crate::event::EventLog;
use error::ApiError;

/// A million prefixes take some 30 MB.
const BODY_BYTES: usize = 64 << 20;

/// A request that takes longer is given up; a large change takes a second or two.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What the handlers work with.
#[derive(Clone)]
struct Api {
    engine: Handle,
    events: Arc<EventLog>,
}

/// All routes, open to everybody who can connect.
pub fn router(engine: Handle, events: Arc<EventLog>) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = openapi::complete(&document);
    let described = axum::routing::get(move || async move { Json(document) });
    router
        .route("/openapi.json", described)
        .fallback(
            |request: Request| async move { ApiError::NoRoute(request.uri().path().to_owned()) },
        )
        .method_not_allowed_fallback(|request: Request| async move {
            ApiError::Method(request.method().clone(), request.uri().path().to_owned())
        })
        .layer(middleware::from_fn(within_time))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(Api { engine, events })
}

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .merge(collections::routes())
        .routes(routes!(apply::apply))
        .routes(routes!(views::status))
        .routes(routes!(views::counters))
        .routes(routes!(views::plan, views::suppose))
        .routes(routes!(views::probe))
        .routes(routes!(views::trace))
        .routes(routes!(views::version))
        .routes(routes!(events::events))
        .routes(routes!(metrics::metrics))
        .routes(routes!(probes::healthz))
        .routes(routes!(probes::readyz))
}

/// The OpenAPI document, as it is served.
pub fn openapi() -> serde_json::Value {
    openapi::complete(&routes().into_openapi())
}

/// Bounds everything up to the head of the answer; a stream of events may last.
async fn within_time(request: Request, next: Next) -> Response {
    match timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::Timeout.into_response(),
    }
}
