//! The caller's candidate, and those of others.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::confirmation::committed;
use super::state::{By, Text, json};
use super::{Api, ApiError};
use crate::store::{Change, Order};
use crate::wire::{
    Applied, Candidate, CandidateDiff, CandidateList, CommitRequest, Plan, ProblemDetails,
    Validation,
};

/// The caller's candidate: which objects it touches, and where others are in its way.
#[utoipa::path(get, path = "/v1/candidate", operation_id = "getCandidate", tag = "configuration", responses((status = 200, body = Candidate)))]
pub(super) async fn get(
    State(api): State<Api>,
    By(caller): By,
) -> Result<Json<Candidate>, ApiError> {
    Ok(Json(api.engine.read(move |engine| engine.candidate(&caller.name)).await?))
}

/// Throws the caller's candidate away. Answers what was in it.
#[utoipa::path(delete, path = "/v1/candidate", operation_id = "discardCandidate", tag = "configuration", responses((status = 200, body = Candidate)))]
pub(super) async fn discard(
    State(api): State<Api>,
    By(caller): By,
) -> Result<Json<Candidate>, ApiError> {
    Ok(Json(api.engine.read(move |engine| engine.discard(&caller.name)).await??))
}

/// What a commit of the caller's candidate would change.
#[utoipa::path(get, path = "/v1/candidate/diff", operation_id = "diffCandidate", tag = "configuration", responses((status = 200, body = CandidateDiff)))]
pub(super) async fn diff(
    State(api): State<Api>,
    By(caller): By,
) -> Result<Json<CandidateDiff>, ApiError> {
    Ok(Json(api.engine.read(move |engine| engine.candidate_diff(&caller)).await?))
}

/// Whether the caller's candidate could be committed, and everything that speaks against it.
#[utoipa::path(post, path = "/v1/candidate/validate", operation_id = "validateCandidate", tag = "configuration", responses((status = 200, body = Validation)))]
pub(super) async fn validate(
    State(api): State<Api>,
    By(caller): By,
) -> Result<Json<Validation>, ApiError> {
    Ok(Json(api.engine.read(move |engine| engine.validate_candidate(&caller)).await?))
}

/// Where everything would run if the caller's candidate were committed.
#[utoipa::path(
    get, path = "/v1/candidate/plan", operation_id = "planCandidate", tag = "configuration",
    responses(
        (status = 200, body = Plan),
        (status = 409, body = ProblemDetails, description = "Somebody else changed the same fields"),
        (status = 422, body = ProblemDetails, description = "Not valid"),
    )
)]
pub(super) async fn plan(State(api): State<Api>, By(caller): By) -> Result<Json<Plan>, ApiError> {
    let order = Order { dry_run: true, ..Order::by(&caller, Change::Candidate) };
    Ok(Json(api.engine.submit(order).await?.plan.unwrap_or_default()))
}

/// Makes the caller's candidate take effect: all of it, or nothing.
#[utoipa::path(
    post, path = "/v1/candidate/commit", operation_id = "commitCandidate", tag = "configuration",
    request_body = CommitRequest,
    responses(
        (status = 200, body = Applied),
        (status = 409, body = ProblemDetails, description = "Somebody else changed the same fields; it would cut off this session; or a commit waits to be confirmed"),
        (status = 422, body = ProblemDetails, description = "Not valid; nothing was changed"),
    )
)]
pub(super) async fn commit(
    State(api): State<Api>,
    By(caller): By,
    Text(text): Text,
) -> Result<Response, ApiError> {
    let request: CommitRequest = json(&text, "how to commit")?;
    let order = Order {
        message: request.message,
        confirm_seconds: request.confirm_seconds,
        accept_warnings: request.accept_warnings,
        ..Order::by(&caller, Change::Candidate)
    };
    Ok(committed(api.engine.submit(order).await?))
}

/// The candidates of all editors, with the fields in which they contradict each other.
#[utoipa::path(get, path = "/v1/candidates", operation_id = "listCandidates", tag = "configuration", responses((status = 200, body = CandidateList)))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<CandidateList>, ApiError> {
    Ok(Json(api.engine.read(|engine| engine.candidates()).await?))
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get, discard))
        .routes(routes!(diff))
        .routes(routes!(validate))
        .routes(routes!(plan))
        .routes(routes!(commit))
        .routes(routes!(list))
}
