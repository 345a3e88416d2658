//! The objects of each kind: list, get, put, patch, delete.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use sluice_model::{Kind, Name, ObjectId, Parsed, parse};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::{By, NameInPath, Params, Text};
use super::{Api, ApiError};
use crate::access::Caller;
use crate::engine::ChangeError;
use crate::store::{Change, Order, Refusal};
use crate::wire::{self, Applied, ProblemDetails};

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WriteParams {
    /// Check and plan, but change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Put it into the caller's candidate; nothing takes effect.
    #[serde(default)]
    candidate: bool,
    /// Do it in spite of warnings.
    #[serde(default)]
    accept_warnings: bool,
    /// Replace the object without saying which version of it was seen.
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PatchParams {
    /// Check and plan, but change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Put it into the caller's candidate; nothing takes effect.
    #[serde(default)]
    candidate: bool,
    /// Do it in spite of warnings.
    #[serde(default)]
    accept_warnings: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeleteParams {
    /// Check and plan, but change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Put it into the caller's candidate; nothing takes effect.
    #[serde(default)]
    candidate: bool,
    /// Do it in spite of warnings.
    #[serde(default)]
    accept_warnings: bool,
    /// Delete only if this is still the object's version.
    #[serde(default)]
    resource_version: Option<String>,
}

/// A change with what the parameters of all its requests say. The three kinds of parameters have these fields in common.
macro_rules! order {
    ($caller:ident, $params:ident, $change:ident) => {
        Order {
            accept_warnings: $params.accept_warnings,
            dry_run: $params.dry_run,
            to_candidate: $params.candidate,
            ..Order::by($caller, $change)
        }
    };
}

async fn put(
    api: &Api,
    caller: &Caller,
    id: ObjectId,
    params: &WriteParams,
    text: &str,
) -> Result<Json<Applied>, ApiError> {
    let parsed = one(parse("request", text), &id)?;
    let change = Change::Put { id, parsed: Box::new(parsed), force: params.force };
    Ok(Json(api.engine.submit(order!(caller, params, change)).await?))
}

/// The one object of a body.
fn one(
    parsed: Result<Vec<Parsed>, Vec<sluice_model::Problem>>,
    id: &ObjectId,
) -> Result<Parsed, ApiError> {
    let refused = |refusal| ApiError::Change(ChangeError::Refused(refusal));
    let parsed = parsed.map_err(|problems| refused(Refusal::Invalid(problems)))?;
    let count = parsed.len();
    <[Parsed; 1]>::try_from(parsed).map(|[one]| one).map_err(|_| {
        ApiError::Request(format!(
            "expected one object, {id}, in the body and found {count}: POST /v1/apply takes several"
        ))
    })
}

async fn patch(
    api: &Api,
    caller: &Caller,
    id: ObjectId,
    params: &PatchParams,
    text: &str,
) -> Result<Json<Applied>, ApiError> {
    let patch: Value = serde_json::from_str(text).map_err(|error| {
        ApiError::Request(format!("the body is not a JSON merge patch (RFC 7396): {error}"))
    })?;
    let change = Change::Patch { id, patch };
    Ok(Json(api.engine.submit(order!(caller, params, change)).await?))
}

async fn delete(
    api: &Api,
    caller: &Caller,
    id: ObjectId,
    params: DeleteParams,
) -> Result<Json<Applied>, ApiError> {
    let change = Change::Delete { id, version: params.resource_version };
    Ok(Json(api.engine.submit(order!(caller, params, change)).await?))
}

/// The five operations of one kind. A macro, because the description of each operation names its types and its path.
macro_rules! collection {
    ($module:ident $object:ident $list:ident $kind:ident $read:ident $collection:literal $item:literal
     $list_id:literal $get_id:literal $put_id:literal $patch_id:literal $delete_id:literal) => {
        mod $module {
            use super::*;

            fn id(name: Name) -> ObjectId {
                ObjectId { kind: Kind::$kind, name }
            }

            /// All of them, with status.
            #[utoipa::path(
                get, path = $collection, operation_id = $list_id, tag = "objects",
                responses((status = 200, body = wire::$list))
            )]
            pub(super) async fn list(State(api): State<Api>) -> Result<Json<wire::$list>, ApiError> {
                let (revision, items) = api.engine.read(|engine| (engine.revision(), engine.$read(None))).await?;
                Ok(Json(wire::$list { revision, items: items? }))
            }

            /// One of them, with status.
            #[utoipa::path(
                get, path = $item, operation_id = $get_id, tag = "objects",
                params(("name" = String, Path, description = "Its name")),
                responses((status = 200, body = wire::$object), (status = 404, body = ProblemDetails))
            )]
            pub(super) async fn get(
                State(api): State<Api>,
                NameInPath(name): NameInPath,
            ) -> Result<Json<wire::$object>, ApiError> {
                let wanted = name.clone();
                let found = api.engine.read(move |engine| engine.$read(Some(&wanted))).await??;
                found.into_iter().next().map(Json).ok_or_else(|| ApiError::NotFound(id(name)))
            }

            /// Creates it or puts another in its place. YAML or JSON. To replace one, send its `resourceVersion` back.
            #[utoipa::path(
                put, path = $item, operation_id = $put_id, tag = "objects",
                params(("name" = String, Path, description = "Its name"), WriteParams),
                request_body(content((wire::$object = "application/json"), (wire::$object = "application/yaml"))),
                responses(
                    (status = 200, body = Applied),
                    (status = 409, body = ProblemDetails, description = "Changed in between, or owned by a file"),
                    (status = 422, body = ProblemDetails, description = "Not valid; nothing was changed"),
                    (status = 428, body = ProblemDetails, description = "It exists, and its version was not sent"),
                )
            )]
            pub(super) async fn put(
                State(api): State<Api>,
                By(caller): By,
                NameInPath(name): NameInPath,
                Params(params): Params<WriteParams>,
                Text(text): Text,
            ) -> Result<Json<Applied>, ApiError> {
                super::put(&api, &caller, id(name), &params, &text).await
            }

            /// Changes parts of it by a JSON merge patch (RFC 7396).
            #[utoipa::path(
                patch, path = $item, operation_id = $patch_id, tag = "objects",
                params(("name" = String, Path, description = "Its name"), PatchParams),
                request_body(content = Object, content_type = "application/merge-patch+json"),
                responses(
                    (status = 200, body = Applied),
                    (status = 404, body = ProblemDetails),
                    (status = 409, body = ProblemDetails, description = "Changed in between, or owned by a file"),
                    (status = 422, body = ProblemDetails, description = "Not valid; nothing was changed"),
                )
            )]
            pub(super) async fn patch(
                State(api): State<Api>,
                By(caller): By,
                NameInPath(name): NameInPath,
                Params(params): Params<PatchParams>,
                Text(text): Text,
            ) -> Result<Json<Applied>, ApiError> {
                super::patch(&api, &caller, id(name), &params, &text).await
            }

            /// Removes it.
            #[utoipa::path(
                delete, path = $item, operation_id = $delete_id, tag = "objects",
                params(("name" = String, Path, description = "Its name"), DeleteParams),
                responses(
                    (status = 200, body = Applied),
                    (status = 404, body = ProblemDetails),
                    (status = 409, body = ProblemDetails, description = "Changed in between, or owned by a file"),
                    (status = 422, body = ProblemDetails, description = "Others need it; nothing was changed"),
                )
            )]
            pub(super) async fn delete(
                State(api): State<Api>,
                By(caller): By,
                NameInPath(name): NameInPath,
                Params(params): Params<DeleteParams>,
            ) -> Result<Json<Applied>, ApiError> {
                super::delete(&api, &caller, id(name), params).await
            }

            pub(super) fn routes() -> OpenApiRouter<Api> {
                OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, patch, delete))
            }
        }
    };
}

collection!(gateways Gateway GatewayList Gateway gateway_views "/v1/gateways" "/v1/gateways/{name}"
    "listGateways" "getGateway" "putGateway" "patchGateway" "deleteGateway");
collection!(services Service ServiceList Service service_views "/v1/services" "/v1/services/{name}"
    "listServices" "getService" "putService" "patchService" "deleteService");
collection!(prefilters Prefilter PrefilterList Prefilter prefilter_views "/v1/prefilters" "/v1/prefilters/{name}"
    "listPrefilters" "getPrefilter" "putPrefilter" "patchPrefilter" "deletePrefilter");

pub(super) fn routes() -> OpenApiRouter<Api> {
    gateways::routes().merge(services::routes()).merge(prefilters::routes())
}
