//! The HTTP API: the same on a Unix socket and on TCP, described by OpenAPI 3.1.

mod apply;
mod audit;
mod backup;
mod candidate;
mod certificate;
mod collections;
mod confirmation;
mod console;
mod door;
mod error;
mod events;
mod headers;
mod metrics;
mod openapi;
mod probes;
mod profiles;
mod redirect;
mod revisions;
mod rules;
mod series;
mod server;
mod session;
mod state;
mod tokens;
mod users;
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

pub(crate) use door::Entrance;
pub(crate) use server::stopped;
pub use server::{Listeners, ServeError, serve};

use crate::access::{Access, Certificates};
use crate::engine::Handle;
use crate::event::EventLog;
use crate::series::Series;
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
    access: Arc<Access>,
    certificates: Arc<Certificates>,
    series: Arc<Series>,
}

/// All routes, behind the door that finds out who asks.
pub fn router(
    engine: Handle,
    events: Arc<EventLog>,
    access: Arc<Access>,
    certificates: Arc<Certificates>,
) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = openapi::complete(&document);
    let described = axum::routing::get(move || async move { Json(document) });
    router
        .route("/openapi.json", described)
        .fallback(console::file)
        .method_not_allowed_fallback(|request: Request| async move {
            ApiError::Method(request.method().clone(), request.uri().path().to_owned())
        })
        .layer(middleware::from_fn(within_time))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(access.clone(), door::check))
        .layer(middleware::from_fn(headers::careful))
        .with_state(Api {
            series: crate::series::start(engine.clone()),
            engine,
            events,
            access,
            certificates,
        })
}

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .merge(collections::routes())
        .merge(candidate::routes())
        .merge(revisions::routes())
        .merge(confirmation::routes())
        .merge(backup::routes())
        .routes(routes!(apply::apply))
        .routes(routes!(views::status))
        .routes(routes!(views::counters))
        .routes(routes!(views::plan, views::suppose))
        .routes(routes!(views::probe))
        .routes(routes!(views::trace))
        .routes(routes!(views::version))
        .routes(routes!(session::setup_state, session::set_up))
        .routes(routes!(session::session, session::sign_in, session::sign_out))
        .routes(routes!(session::sessions))
        .routes(routes!(session::end_session))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::get, users::patch, users::remove))
        .routes(routes!(users::set_password))
        .routes(routes!(users::set_totp, users::remove_totp))
        .routes(routes!(tokens::list, tokens::add))
        .routes(routes!(tokens::remove))
        .routes(routes!(audit::audit))
        .routes(routes!(audit::check))
        .routes(routes!(certificate::get, certificate::replace))
        .routes(routes!(profiles::capabilities))
        .routes(routes!(profiles::names))
        .routes(routes!(profiles::profile))
        .routes(routes!(series::series))
        .routes(routes!(series::names))
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
