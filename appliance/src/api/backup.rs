//! Taking the configuration out and bringing it back: as YAML, and as a sealed backup.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sluice_model::parse;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::apply::ApplyParams;
use super::confirmation::committed;
use super::state::{Asking, By, Params, Text, json};
use super::{Api, ApiError};
use crate::access::AccessError;
use crate::engine::{ChangeError, EngineGone};
use crate::store::{BackupError, Change, Contents, Order, Refusal};
use crate::wire::{Applied, Backup, BackupRequest, ProblemDetails, RestoreRequest, RevisionOrigin};

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportParams {
    /// The caller's candidate in place of what is in force.
    #[serde(default)]
    candidate: bool,
}

/// All objects as YAML, as they would stand in files: without status and versions.
#[utoipa::path(
    get, path = "/v1/export", operation_id = "exportConfiguration", tag = "configuration",
    params(ExportParams),
    responses((status = 200, body = String, content_type = "application/yaml"))
)]
pub(super) async fn export(
    State(api): State<Api>,
    By(caller): By,
    Params(params): Params<ExportParams>,
) -> Result<Response, ApiError> {
    let editor = params.candidate.then_some(caller.name);
    let text = api.engine.read(move |engine| engine.export(editor.as_deref())).await??;
    Ok(([(header::CONTENT_TYPE, "application/yaml")], text).into_response())
}

/// Makes the body the whole configuration: objects of the API that are not in it are removed. Objects of files stay, and
/// the body may only say the same of them.
#[utoipa::path(
    post, path = "/v1/import", operation_id = "importConfiguration", tag = "configuration",
    params(ApplyParams),
    request_body(content((String = "application/yaml"), (Object = "application/json"))),
    responses(
        (status = 200, body = Applied),
        (status = 409, body = ProblemDetails, description = "Owned by a file; it would cut off this session; or a commit waits to be confirmed"),
        (status = 422, body = ProblemDetails, description = "Not valid; nothing was changed"),
    )
)]
pub(super) async fn import(
    State(api): State<Api>,
    asking: Asking,
    Params(params): Params<ApplyParams>,
    Text(text): Text,
) -> Result<Response, ApiError> {
    let file = params.file.as_deref().unwrap_or("request");
    let parsed =
        parse(file, &text).map_err(|problems| ChangeError::Refused(Refusal::Invalid(problems)))?;
    let change = Change::Replace { objects: parsed, origin: RevisionOrigin::Import };
    let order = Order {
        message: params.message,
        confirm_seconds: params.confirm_seconds,
        accept_warnings: params.accept_warnings,
        dry_run: params.dry_run,
        to_candidate: params.candidate,
        ..asking.order(change)
    };
    Ok(committed(api.engine.submit(order).await?))
}

/// The whole configuration with its secrets in one file, encrypted.
#[utoipa::path(
    post, path = "/v1/backup", operation_id = "backup", tag = "configuration",
    request_body = BackupRequest,
    responses((status = 200, body = Backup), (status = 400, body = ProblemDetails))
)]
pub(super) async fn backup(State(api): State<Api>, Text(text): Text) -> Result<Response, ApiError> {
    let request: BackupRequest = json(&text, "how to seal the backup")?;
    let secrets = api.access.export().map_err(|error| AccessError::Backup(error.to_string()))?;
    let contents = api.engine.read(move |engine| engine.backup_contents(secrets)).await?;
    let backup = sealed(move || contents.seal(&request.passphrase)).await?;
    let name = format!("attachment; filename=\"sluice-{}.backup\"", backup.revision);
    Ok(([(header::CONTENT_DISPOSITION, name)], Json(backup)).into_response())
}

/// Makes the configuration of a backup take effect, secrets and all. Objects of files stay as the files say.
#[utoipa::path(
    post, path = "/v1/restore", operation_id = "restore", tag = "configuration",
    request_body = RestoreRequest,
    responses(
        (status = 200, body = Applied),
        (status = 400, body = ProblemDetails, description = "Not a backup, or another passphrase"),
        (status = 409, body = ProblemDetails, description = "It would cut off this session, or a commit waits to be confirmed"),
        (status = 422, body = ProblemDetails, description = "This gateway cannot do it; nothing was changed"),
    )
)]
pub(super) async fn restore(
    State(api): State<Api>,
    asking: Asking,
    Text(text): Text,
) -> Result<Response, ApiError> {
    let request: RestoreRequest = json(&text, "the backup to restore")?;
    let RestoreRequest { backup, passphrase, keep_users, dry_run, .. } = request;
    if request.confirm_seconds.is_some() && !keep_users {
        return Err(ApiError::Request(
            "confirmSeconds: users and tokens that were replaced do not return by themselves: restore with \
             keepUsers=true (`--keep-users`), or without waiting for a confirmation"
                .to_owned(),
        ));
    }
    let made = backup.created;
    let mut contents = sealed(move || Contents::open(&backup, &passphrase)).await?;
    let secrets = contents.secrets.take();
    // Everything that can be wrong with them is found before anything changes.
    let known =
        if keep_users || secrets.is_null() { None } else { Some(api.access.read(secrets)?) };
    let order = Order {
        message: Some(format!("the backup of {made}, revision {}", contents.revision)),
        confirm_seconds: request.confirm_seconds,
        accept_warnings: request.accept_warnings,
        dry_run,
        ..asking.order(Change::Restore(Box::new(contents)))
    };
    // To its end even if the client hangs up in between.
    let restoring = tokio::spawn(async move {
        let applied = api.engine.submit(order).await?;
        if let Some(known) = known.filter(|_| !dry_run) {
            let imported = tokio::task::spawn_blocking(move || api.access.import(known)).await;
            let imported = imported.map_err(|_| EngineGone)?;
            imported.map_err(|error| ApiError::HalfRestored(Box::new(error)))?;
        }
        Ok::<_, ApiError>(applied)
    });
    Ok(committed(restoring.await.map_err(|_| EngineGone)??))
}

/// Making a key of a passphrase takes a while on purpose: others should not wait for it.
async fn sealed<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| ApiError::Request(format!("the backup: {error}")))?;
    done.map_err(|error| ApiError::Request(error.to_string()))
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(export))
        .routes(routes!(import))
        .routes(routes!(backup))
        .routes(routes!(restore))
}
