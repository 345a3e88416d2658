//! Several objects at once: all or nothing.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use sluice_model::parse;
use utoipa::IntoParams;

use super::state::{By, Params, Text};
use super::{Api, ApiError};
use crate::engine::ChangeError;
use crate::store::{Change, Order, Refusal};
use crate::wire::{Applied, ProblemDetails};

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ApplyParams {
    /// Check and plan, but change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Put them into the caller's candidate; nothing takes effect.
    #[serde(default)]
    candidate: bool,
    /// Do it in spite of warnings.
    #[serde(default)]
    accept_warnings: bool,
    /// What it is for, for the history.
    #[serde(default)]
    message: Option<String>,
    /// What problems call the body. Default: `request`.
    #[serde(default)]
    file: Option<String>,
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
    By(caller): By,
    Params(params): Params<ApplyParams>,
    Text(text): Text,
) -> Result<Json<Applied>, ApiError> {
    let file = params.file.as_deref().unwrap_or("request");
    let parsed =
        parse(file, &text).map_err(|problems| ChangeError::Refused(Refusal::Invalid(problems)))?;
    let order = Order {
        message: params.message,
        accept_warnings: params.accept_warnings,
        dry_run: params.dry_run,
        to_candidate: params.candidate,
        ..Order::by(&caller, Change::Apply(parsed))
    };
    Ok(Json(api.engine.submit(order).await?))
}
