//! The audit log.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tokio::task::spawn_blocking;
use utoipa::IntoParams;

use super::state::Params;
use super::{Api, ApiError};
use crate::access::{AccessError, Checked};
use crate::engine::EngineGone;
use crate::wire::{AuditPage, ProblemDetails};

const MOST: usize = 1000;

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParams {
    /// Only records with smaller numbers.
    #[serde(default)]
    before: Option<u64>,
    /// So many at most.
    #[serde(default = "hundred")]
    #[param(minimum = 1, maximum = 1000)]
    limit: usize,
}

fn hundred() -> usize {
    100
}

/// Who did or tried what, the newest first.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "audit", tag = "access",
    params(AuditParams),
    responses((status = 200, body = AuditPage), (status = 400, body = ProblemDetails))
)]
pub(super) async fn audit(
    State(api): State<Api>,
    Params(params): Params<AuditParams>,
) -> Result<Json<AuditPage>, ApiError> {
    if !(1..=MOST).contains(&params.limit) {
        let message = format!("limit: expected 1 to {MOST} and found {}", params.limit);
        return Err(ApiError::Request(message));
    }
    let read = move || api.access.audit.read(params.before, params.limit);
    let items = spawn_blocking(read).await.map_err(|_| EngineGone)?.map_err(AccessError::State)?;
    Ok(Json(AuditPage { items }))
}

/// Whether the audit log is whole: follows the hashes from record to record.
#[utoipa::path(get, path = "/v1/audit/check", operation_id = "checkAudit", tag = "access", responses((status = 200, body = Checked)))]
pub(super) async fn check(State(api): State<Api>) -> Result<Json<Checked>, ApiError> {
    let check = move || api.access.audit.check();
    Ok(Json(spawn_blocking(check).await.map_err(|_| EngineGone)?.map_err(AccessError::State)?))
}
