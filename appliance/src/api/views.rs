//! What is: status, counters, plan, trace, version.

use axum::Json;
use axum::extract::{Path, State};
use sluice_datapath::abi::ABI_VERSION;
use sluice_model::API_VERSION;

use super::state::Text;
use super::{Api, ApiError};
use crate::wire::{
    Counters, Plan, ProbeAnswer, ProblemDetails, Status, Supposition, TraceAnswer, TraceRequest,
    Version,
};

/// The state of the whole.
#[utoipa::path(get, path = "/v1/status", operation_id = "status", tag = "state", responses((status = 200, body = Status)))]
pub(super) async fn status(State(api): State<Api>) -> Result<Json<Status>, ApiError> {
    Ok(Json(api.engine.read(|engine| engine.status()).await??))
}

/// Everything that is counted.
#[utoipa::path(get, path = "/v1/counters", operation_id = "counters", tag = "state", responses((status = 200, body = Counters)))]
pub(super) async fn counters(State(api): State<Api>) -> Result<Json<Counters>, ApiError> {
    Ok(Json(api.engine.read(|engine| engine.counters()).await??))
}

/// Where everything runs, and why.
#[utoipa::path(get, path = "/v1/plan", operation_id = "plan", tag = "state", responses((status = 200, body = Plan)))]
pub(super) async fn plan(State(api): State<Api>) -> Result<Json<Plan>, ApiError> {
    Ok(Json(api.engine.read(|engine| engine.plan_view(None)).await??))
}

/// Where everything would run if cards could do what a capability profile says.
#[utoipa::path(
    post, path = "/v1/plan", operation_id = "suppose", tag = "state",
    request_body = Supposition,
    responses((status = 200, body = Plan), (status = 400, body = ProblemDetails))
)]
pub(super) async fn suppose(
    State(api): State<Api>,
    Text(text): Text,
) -> Result<Json<Plan>, ApiError> {
    let supposed: Supposition = serde_json::from_str(&text)
        .map_err(|error| ApiError::Request(format!("the profile to plan for: {error}")))?;
    Ok(Json(api.engine.read(move |engine| engine.plan_view(Some(supposed))).await??))
}

/// Asks at once what the card of a link can do and takes, without waiting for the next time that it would be asked anyway.
#[utoipa::path(
    post, path = "/v1/links/{name}/probe", operation_id = "probeLink", tag = "state",
    params(("name" = String, Path, description = "A link of the gateway")),
    responses((status = 200, body = ProbeAnswer), (status = 404, body = ProblemDetails))
)]
pub(super) async fn probe(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<ProbeAnswer>, ApiError> {
    let link = name.clone();
    let answer = api.engine.read(move |engine| engine.probe_link(&link)).await?;
    answer.map(Json).ok_or(ApiError::NoLink(name))
}

/// What would happen to a packet now. Nothing is sent, and nothing is remembered.
#[utoipa::path(
    post, path = "/v1/trace", operation_id = "trace", tag = "state",
    request_body = TraceRequest,
    responses((status = 200, body = TraceAnswer), (status = 400, body = ProblemDetails))
)]
pub(super) async fn trace(
    State(api): State<Api>,
    Text(text): Text,
) -> Result<Json<TraceAnswer>, ApiError> {
    let request: TraceRequest = serde_json::from_str(&text)
        .map_err(|error| ApiError::Request(format!("the packet to try: {error}")))?;
    let answer = api.engine.read(move |engine| engine.trace(&request)).await?;
    answer.map(Json).map_err(|error| ApiError::Request(error.to_string()))
}

/// Versions of the daemon and of what it speaks.
#[utoipa::path(get, path = "/v1/version", operation_id = "version", tag = "state", responses((status = 200, body = Version)))]
pub(super) async fn version() -> Json<Version> {
    Json(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        abi: ABI_VERSION,
        api_version: API_VERSION.to_owned(),
    })
}
