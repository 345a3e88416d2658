//! What cards can do: the gateway's own, and those whose profiles come with Sluice.

use axum::Json;
use axum::extract::State;
use sluice_profile::shipped;

use super::state::NameInPath;
use super::{Api, ApiError};
use crate::wire::{Capabilities, ProblemDetails, ProfileNames, ShippedProfile};

/// What the gateway's links and their cards can do, with the evidence.
#[utoipa::path(get, path = "/v1/capabilities", operation_id = "capabilities", tag = "state", responses((status = 200, body = Capabilities)))]
pub(super) async fn capabilities(State(api): State<Api>) -> Result<Json<Capabilities>, ApiError> {
    Ok(Json(api.engine.read(|engine| engine.capabilities()).await?))
}

/// The capability profiles that come with Sluice, to plan with.
#[utoipa::path(get, path = "/v1/profiles", operation_id = "profiles", tag = "state", responses((status = 200, body = ProfileNames)))]
pub(super) async fn names() -> Json<ProfileNames> {
    Json(ProfileNames { names: shipped::names().map(str::to_owned).collect() })
}

/// One of them.
#[utoipa::path(
    get, path = "/v1/profiles/{name}", operation_id = "profile", tag = "state",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = ShippedProfile), (status = 400, body = ProblemDetails))
)]
pub(super) async fn profile(
    NameInPath(name): NameInPath,
) -> Result<Json<ShippedProfile>, ApiError> {
    let known = || shipped::names().collect::<Vec<_>>().join(", ");
    let found = shipped::profile(name.as_str());
    let found = found.ok_or_else(|| {
        ApiError::Request(format!("no profile `{name}` comes with Sluice, but these: {}", known()))
    })?;
    let profile = found.map_err(|error| ApiError::Request(format!("profile {name}: {error}")))?;
    Ok(Json(ShippedProfile { profile }))
}
