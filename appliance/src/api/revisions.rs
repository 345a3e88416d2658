//! The history of the configuration, and the way back.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::confirmation::committed;
use super::state::{By, NumberInPath, Params, Text, json};
use super::{Api, ApiError};
use crate::store::{Change, Order};
use crate::wire::{Applied, CommitRequest, ProblemDetails, RevisionDetail, RevisionList};

/// Revisions in one answer, unless fewer are asked for.
const PAGE: usize = 100;

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Only revisions before this one.
    #[serde(default)]
    before: Option<u64>,
    /// At most so many; 100 at most.
    #[serde(default)]
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RollbackParams {
    /// Check and plan, but change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// The history, newest first.
#[utoipa::path(
    get, path = "/v1/revisions", operation_id = "listRevisions", tag = "configuration",
    params(ListParams),
    responses((status = 200, body = RevisionList))
)]
pub(super) async fn list(
    State(api): State<Api>,
    Params(params): Params<ListParams>,
) -> Result<Json<RevisionList>, ApiError> {
    let limit = params.limit.unwrap_or(PAGE).clamp(1, PAGE);
    Ok(Json(api.engine.read(move |engine| engine.revisions(params.before, limit)).await??))
}

/// A revision with what it changed.
#[utoipa::path(
    get, path = "/v1/revisions/{revision}", operation_id = "getRevision", tag = "configuration",
    params(("revision" = u64, Path, description = "Its number")),
    responses((status = 200, body = RevisionDetail), (status = 404, body = ProblemDetails))
)]
pub(super) async fn get(
    State(api): State<Api>,
    NumberInPath(revision): NumberInPath,
) -> Result<Json<RevisionDetail>, ApiError> {
    Ok(Json(api.engine.read(move |engine| engine.revision_detail(revision)).await??))
}

/// Makes the objects of a revision take effect again, as a new revision.
#[utoipa::path(
    post, path = "/v1/revisions/{revision}/rollback", operation_id = "rollback", tag = "configuration",
    params(("revision" = u64, Path, description = "Its number"), RollbackParams),
    request_body = CommitRequest,
    responses(
        (status = 200, body = Applied),
        (status = 404, body = ProblemDetails, description = "It is not kept any more, or never was"),
        (status = 409, body = ProblemDetails, description = "It would cut off this session, or a commit waits to be confirmed"),
        (status = 422, body = ProblemDetails, description = "This gateway cannot do it any more; nothing was changed"),
    )
)]
pub(super) async fn rollback(
    State(api): State<Api>,
    By(caller): By,
    NumberInPath(revision): NumberInPath,
    Params(params): Params<RollbackParams>,
    Text(text): Text,
) -> Result<Response, ApiError> {
    let request: CommitRequest = json(&text, "how to roll back")?;
    let order = Order {
        message: request.message,
        confirm_seconds: request.confirm_seconds,
        accept_warnings: request.accept_warnings,
        dry_run: params.dry_run,
        ..Order::by(&caller, Change::Rollback { to: revision })
    };
    Ok(committed(api.engine.submit(order).await?))
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(rollback))
}
