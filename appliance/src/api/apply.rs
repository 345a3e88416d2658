//! Several objects at once: all or nothing.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use sluice_model::{Kind, parse};
use utoipa::IntoParams;

use super::confirmation::committed;
use super::state::{Asking, Params, Text};
use super::{Api, ApiError};
use crate::access::{Caller, Role};
use crate::engine::ChangeError;
use crate::store::{Change, Order, Refusal};
use crate::wire::{Applied, ProblemDetails};

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ApplyParams {
    /// Check and plan, but change nothing.
    #[serde(default)]
    pub(super) dry_run: bool,
    /// Put them into the caller's candidate; nothing takes effect.
    #[serde(default)]
    pub(super) candidate: bool,
    /// Do it in spite of warnings.
    #[serde(default)]
    pub(super) accept_warnings: bool,
    /// What it is for, for the history.
    #[serde(default)]
    pub(super) message: Option<String>,
    /// Return to the revision before unless it is confirmed within so many seconds, over a new connection.
    #[serde(default)]
    pub(super) confirm_seconds: Option<u32>,
    /// What problems call the body. Default: `request`.
    #[serde(default)]
    pub(super) file: Option<String>,
}

/// Creates or replaces all objects of the body, or none: several YAML documents, or JSON. Objects with a
/// `resourceVersion` only if it is still theirs.
#[utoipa::path(
    post, path = "/v1/apply", operation_id = "apply", tag = "objects",
    params(ApplyParams),
    request_body(content((String = "application/yaml"), (Object = "application/json"))),
    responses(
        (status = 200, body = Applied),
        (status = 409, body = ProblemDetails, description = "Changed in between, or owned by a file"),
        (status = 422, body = ProblemDetails, description = "Not valid; nothing was changed"),
    )
)]
pub(super) async fn apply(
    State(api): State<Api>,
    asking: Asking,
    Params(params): Params<ApplyParams>,
    Text(text): Text,
) -> Result<Response, ApiError> {
    let file = params.file.as_deref().unwrap_or("request");
    let parsed =
        parse(file, &text).map_err(|problems| ChangeError::Refused(Refusal::Invalid(problems)))?;
    for object in &parsed {
        may_change(&asking.caller, object.object.kind())?;
    }
    let order = Order {
        message: params.message,
        confirm_seconds: params.confirm_seconds,
        accept_warnings: params.accept_warnings,
        dry_run: params.dry_run,
        to_candidate: params.candidate,
        ..asking.order(Change::Apply(parsed))
    };
    Ok(committed(api.engine.submit(order).await?))
}

/// Refuses a change of objects that is for a higher role.
pub(super) fn may_change(caller: &Caller, kind: Kind) -> Result<(), ApiError> {
    let needs = Role::to_change(kind);
    if caller.role < needs { Err(ApiError::Forbidden { needs }) } else { Ok(()) }
}
