//! The commit that waits to be confirmed.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::{Asking, By};
use super::{Api, ApiError};
use crate::engine::Engine;
use crate::store::{Author, Change, Order};
use crate::wire::{Applied, Confirmation, ProblemDetails, Revision};

/// The commit that waits to be confirmed, if one does.
#[utoipa::path(get, path = "/v1/confirmation", operation_id = "getConfirmation", tag = "configuration", responses((status = 200, body = Confirmation)))]
pub(super) async fn get(State(api): State<Api>) -> Result<Json<Confirmation>, ApiError> {
    Ok(Json(api.engine.read(|engine| engine.confirmation()).await?))
}

/// Confirms the commit that waits. Must come over another connection than the commit: that is what it proves.
#[utoipa::path(
    post, path = "/v1/confirmation", operation_id = "confirm", tag = "configuration",
    responses(
        (status = 200, body = Revision),
        (status = 409, body = ProblemDetails, description = "Nothing waits, or it is the connection of the commit"),
    )
)]
pub(super) async fn confirm(State(api): State<Api>, By(caller): By) -> Response {
    let confirm = move |engine: &mut Engine| {
        engine.may_confirm(caller.role)?;
        engine.confirm(&Author::from(&caller), Some(caller.connection))
    };
    let confirmed = api.engine.read(confirm).await;
    match confirmed.map_err(ApiError::from).and_then(|done| Ok(done?)) {
        Ok(revision) => Json(revision).into_response(),
        // A browser keeps its connections; without this one, the next try comes over another.
        Err(error) => closing(error.into_response()),
    }
}

/// Returns to the revision before now, without waiting for the time to be over.
#[utoipa::path(
    delete, path = "/v1/confirmation", operation_id = "returnNow", tag = "configuration",
    responses((status = 200, body = Applied), (status = 409, body = ProblemDetails, description = "Nothing waits"))
)]
pub(super) async fn return_now(
    State(api): State<Api>,
    asking: Asking,
) -> Result<Json<Applied>, ApiError> {
    let message = Some(format!("{} did not want to wait", asking.caller.name));
    // What it would cut off, the end of the time would cut off a little later.
    let order = Order { message, accept_warnings: true, ..asking.order(Change::Return) };
    Ok(Json(api.engine.submit(order).await?))
}

/// The answer to a commit. One that waits to be confirmed ends its connection, so that a browser makes a new one.
pub(super) fn committed(applied: Applied) -> Response {
    let waits = applied.pending.is_some();
    let response = Json(applied).into_response();
    if waits { closing(response) } else { response }
}

fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get, confirm, return_now))
}
