//! Users.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sluice_model::Name;

use super::door::Told;
use super::state::{By, NameInPath, Small};
use super::{Api, ApiError};
use crate::access::{self, Caller, CallerKind, Role, SignInError};
use crate::wire::{
    NewUser, PasswordChange, ProblemDetails, TotpRequest, TotpState, User, UserList, UserPatch,
};

fn view(name: &Name, user: &access::User) -> User {
    User {
        name: name.clone(),
        role: user.role,
        created: user.created,
        password: user.has_password(),
        totp: user.has_totp(),
        certificate: user.certificate().map(str::to_owned),
    }
}

/// The answer, with what the audit log is told.
fn told(mut response: Response, before: Option<Value>, after: Option<Value>) -> Response {
    response.extensions_mut().insert(Told { before, after, ..Told::default() });
    response
}

fn recorded(user: &User) -> Option<Value> {
    serde_json::to_value(user).ok()
}

/// All users.
#[utoipa::path(get, path = "/v1/users", operation_id = "listUsers", tag = "access", responses((status = 200, body = UserList)))]
pub(super) async fn list(State(api): State<Api>) -> Json<UserList> {
    let items = api.access.users().iter().map(|(name, user)| view(name, user)).collect();
    Json(UserList { items })
}

/// Adds a user.
#[utoipa::path(
    post, path = "/v1/users", operation_id = "addUser", tag = "access",
    request_body = NewUser,
    responses(
        (status = 201, body = User),
        (status = 400, body = ProblemDetails),
        (status = 409, body = ProblemDetails, description = "There is one already"),
        (status = 422, body = ProblemDetails, description = "The name or the password is not taken"),
    )
)]
pub(super) async fn add(
    State(api): State<Api>,
    Small(new): Small<NewUser>,
) -> Result<Response, ApiError> {
    let NewUser { name, role, password, certificate } = new;
    if password.is_none() && certificate.is_none() {
        return Err(ApiError::Request(
            "a user needs a `password`, a `certificate`, or both, to sign in".to_owned(),
        ));
    }
    let certificate = certificate.map(dns_name).transpose()?;
    let user = api.access.add_user(name.clone(), role, password, certificate).await?;
    let user = view(&name, &user);
    let after = recorded(&user);
    Ok(told((StatusCode::CREATED, Json(user)).into_response(), None, after))
}

/// The name in a certificate, as certificates have it.
fn dns_name(text: String) -> Result<String, ApiError> {
    let is_name = rustls::pki_types::DnsName::try_from(text.as_str()).is_ok();
    if is_name {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(ApiError::Request(format!("certificate: `{}` is not a DNS name", text.escape_debug())))
    }
}

/// One user.
#[utoipa::path(
    get, path = "/v1/users/{name}", operation_id = "getUser", tag = "access",
    params(("name" = String, Path, description = "The name")),
    responses((status = 200, body = User), (status = 404, body = ProblemDetails))
)]
pub(super) async fn get(
    State(api): State<Api>,
    NameInPath(name): NameInPath,
) -> Result<Json<User>, ApiError> {
    Ok(Json(view(&name, &api.access.user(&name)?)))
}

/// Changes role or certificate. An empty certificate takes it away.
#[utoipa::path(
    patch, path = "/v1/users/{name}", operation_id = "patchUser", tag = "access",
    params(("name" = String, Path, description = "The name")),
    request_body = UserPatch,
    responses(
        (status = 200, body = User),
        (status = 400, body = ProblemDetails),
        (status = 404, body = ProblemDetails),
        (status = 409, body = ProblemDetails, description = "The last administrator"),
    )
)]
pub(super) async fn patch(
    State(api): State<Api>,
    NameInPath(name): NameInPath,
    Small(patch): Small<UserPatch>,
) -> Result<Response, ApiError> {
    let certificate = match patch.certificate {
        Some(text) if !text.is_empty() => Some(dns_name(text)?),
        other => other,
    };
    let (before, after) = api.access.alter_user(&name, patch.role, certificate)?;
    let (before, after) = (view(&name, &before), view(&name, &after));
    let (old, new) = (recorded(&before), recorded(&after));
    Ok(told(Json(after).into_response(), old, new))
}

/// Removes a user and ends their sessions.
#[utoipa::path(
    delete, path = "/v1/users/{name}", operation_id = "removeUser", tag = "access",
    params(("name" = String, Path, description = "The name")),
    responses(
        (status = 204),
        (status = 404, body = ProblemDetails),
        (status = 409, body = ProblemDetails, description = "The last administrator"),
    )
)]
pub(super) async fn remove(
    State(api): State<Api>,
    NameInPath(name): NameInPath,
) -> Result<Response, ApiError> {
    let before = view(&name, &api.access.remove_user(&name)?);
    Ok(told(StatusCode::NO_CONTENT.into_response(), recorded(&before), None))
}

/// Whether it is about oneself; about others only administrators may ask.
fn is_own(caller: &Caller, name: &Name) -> Result<bool, ApiError> {
    if caller.is_user() && *caller.name == *name.as_str() {
        Ok(true)
    } else if caller.role == Role::Administrator {
        Ok(false)
    } else {
        Err(ApiError::Forbidden { needs: Role::Administrator })
    }
}

/// Sets a password: one's own with the one so far, or as administrator anybody's. The user's other sessions end.
#[utoipa::path(
    post, path = "/v1/users/{name}/password", operation_id = "setPassword", tag = "access",
    params(("name" = String, Path, description = "The name")),
    request_body = PasswordChange,
    responses(
        (status = 204),
        (status = 400, body = ProblemDetails),
        (status = 401, body = ProblemDetails, description = "The password so far is wrong"),
        (status = 404, body = ProblemDetails),
        (status = 422, body = ProblemDetails, description = "The password is not taken"),
        (status = 429, body = ProblemDetails),
    )
)]
pub(super) async fn set_password(
    State(api): State<Api>,
    By(caller): By,
    NameInPath(name): NameInPath,
    Small(change): Small<PasswordChange>,
) -> Result<Response, ApiError> {
    if is_own(&caller, &name)? {
        let current = change.current.ok_or_else(|| {
            ApiError::Request("`current` is needed: the password so far".to_owned())
        })?;
        prove(&api, &caller, &name, current).await?;
    }
    let own = match &caller.kind {
        CallerKind::Session(id) => Some(&**id),
        _ => None,
    };
    api.access.set_password(&name, change.password, own).await?;
    let after = Some(json!({"password": "set"}));
    Ok(told(StatusCode::NO_CONTENT.into_response(), None, after))
}

async fn prove(
    api: &Api,
    caller: &Caller,
    name: &Name,
    current: access::Secret,
) -> Result<(), ApiError> {
    let proved = api.access.check_password(name, current, caller.connection.address()).await;
    proved.map_err(|error| match error {
        SignInError::Wrong => ApiError::CurrentPassword,
        other => ApiError::SignIn(other),
    })
}

/// Without a code: makes a key for an authenticator app, of one's own account. With a code of that key: puts it in force.
#[utoipa::path(
    post, path = "/v1/users/{name}/totp", operation_id = "setTotp", tag = "access",
    params(("name" = String, Path, description = "The name")),
    request_body = TotpRequest,
    responses(
        (status = 200, body = TotpState),
        (status = 400, body = ProblemDetails),
        (status = 401, body = ProblemDetails, description = "The password is wrong"),
        (status = 404, body = ProblemDetails),
        (status = 409, body = ProblemDetails, description = "There is no new key, or no password"),
        (status = 422, body = ProblemDetails, description = "The code is wrong"),
        (status = 429, body = ProblemDetails),
    )
)]
pub(super) async fn set_totp(
    State(api): State<Api>,
    By(caller): By,
    NameInPath(name): NameInPath,
    Small(request): Small<TotpRequest>,
) -> Result<Response, ApiError> {
    let own = is_own(&caller, &name)?;
    api.access.user(&name)?;
    if let Some(code) = request.code {
        api.access.confirm_totp(&name, &code)?;
        let state = TotpState { enabled: true, secret: None, uri: None };
        return Ok(told(Json(state).into_response(), None, Some(json!({"totp": true}))));
    }
    if own {
        let current = request
            .current
            .ok_or_else(|| ApiError::Request("`current` is needed: the password".to_owned()))?;
        prove(&api, &caller, &name, current).await?;
    }
    let (secret, uri) = api.access.new_totp(&name)?;
    let enabled = api.access.user(&name)?.has_totp();
    let state = TotpState { enabled, secret: Some(secret), uri: Some(uri) };
    Ok(told(Json(state).into_response(), None, None))
}

/// Takes the authenticator app away: the password alone signs in.
#[utoipa::path(
    delete, path = "/v1/users/{name}/totp", operation_id = "removeTotp", tag = "access",
    params(("name" = String, Path, description = "The name")),
    responses((status = 204), (status = 404, body = ProblemDetails), (status = 409, body = ProblemDetails))
)]
pub(super) async fn remove_totp(
    State(api): State<Api>,
    NameInPath(name): NameInPath,
) -> Result<Response, ApiError> {
    let before = api.access.user(&name)?.has_totp();
    api.access.remove_totp(&name)?;
    let (before, after) = (Some(json!({"totp": before})), Some(json!({"totp": false})));
    Ok(told(StatusCode::NO_CONTENT.into_response(), before, after))
}
