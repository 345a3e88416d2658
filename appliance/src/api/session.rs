//! Signing in and out, and who is signed in.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::door::{COOKIE, Told, WithSession, beginning, cookie};
use super::state::{By, IdInPath, Small};
use super::{Api, ApiError};
use crate::access::{self, Caller, CallerKind, Connection, Role, Secret, SignIn};
use crate::wire::{
    ProblemDetails, Session, SessionList, SessionView, SetupRequest, SetupState, SignInRequest,
};

/// Who I am, as far as the API knows.
#[utoipa::path(
    get, path = "/v1/session", operation_id = "session", tag = "access",
    responses((status = 200, body = Session), (status = 401, body = ProblemDetails))
)]
pub(super) async fn session(
    By(caller): By,
    session: Option<Extension<WithSession>>,
) -> Json<Session> {
    Json(shown(&caller, session.as_ref().map(|Extension(WithSession(session))| session)))
}

fn shown(caller: &Caller, session: Option<&access::Session>) -> Session {
    Session {
        user: caller.name.to_string(),
        role: caller.role,
        read_only: caller.read_only,
        kind: caller.kind.as_str().to_owned(),
        from: caller.connection.to_string(),
        id: session.map(|session| session.id.to_string()),
        csrf: session.map(|session| session.csrf.reveal().to_owned()),
        expires: session.map(|session| session.expires),
    }
}

/// Signs in. An earlier session of the same browser ends.
#[utoipa::path(
    post, path = "/v1/session", operation_id = "signIn", tag = "access",
    request_body = SignInRequest,
    responses(
        (status = 200, body = Session, description = "The cookie holds the session; `csrf` goes with every change as `x-csrf-token`"),
        (status = 400, body = ProblemDetails),
        (status = 401, body = ProblemDetails, description = "User, password or code is wrong, or a code is needed (`/problems/code-needed`)"),
        (status = 429, body = ProblemDetails, description = "Too many wrong tries: `Retry-After` says how long to wait"),
    )
)]
pub(super) async fn sign_in(
    State(api): State<Api>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    Small(request): Small<SignInRequest>,
) -> Response {
    let user = request.user.clone();
    let sign_in = SignIn {
        user: request.user,
        password: request.password,
        code: request.totp,
        agent: agent(&headers),
    };
    let begun = api.access.sign_in(sign_in, connection.address()).await;
    let told = Told { who: Some(user.chars().take(64).collect()), ..Told::default() };
    let mut response = match begun {
        Ok(begun) => {
            forget_old(&api, connection, &headers);
            signed_in(begun, connection)
        }
        Err(error) => ApiError::SignIn(error).into_response(),
    };
    response.extensions_mut().insert(told);
    response
}

fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    agent.unwrap_or_default().to_owned()
}

fn forget_old(api: &Api, connection: Connection, headers: &HeaderMap) {
    let old = cookie(headers).and_then(|cookie| api.access.by_cookie(cookie, connection));
    if let Some((_, old)) = old {
        let _ = api.access.end_session(&old.id, None);
    }
}

fn signed_in(
    (value, session, role): (Secret, access::Session, Role),
    connection: Connection,
) -> Response {
    let caller = Caller {
        name: session.user.clone(),
        role,
        read_only: false,
        kind: CallerKind::Session(session.id.clone()),
        connection,
    };
    let mut response = Json(shown(&caller, Some(&session))).into_response();
    set_cookie(&mut response, value.reveal(), "");
    response
}

fn set_cookie(response: &mut Response, value: &str, more: &str) {
    let text = format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{more}");
    if let Ok(mut value) = HeaderValue::from_str(&text) {
        value.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

/// Signs out.
#[utoipa::path(
    delete, path = "/v1/session", operation_id = "signOut", tag = "access",
    responses((status = 204), (status = 404, body = ProblemDetails, description = "Not a session of a browser"))
)]
pub(super) async fn sign_out(
    State(api): State<Api>,
    session: Option<Extension<WithSession>>,
) -> Result<Response, ApiError> {
    let Extension(WithSession(session)) = session.ok_or(ApiError::NotASession)?;
    api.access.end_session(&session.id, None)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, "", "; Max-Age=0");
    Ok(response)
}

/// Who is signed in: administrators see everybody, others themselves.
#[utoipa::path(get, path = "/v1/sessions", operation_id = "listSessions", tag = "access", responses((status = 200, body = SessionList)))]
pub(super) async fn sessions(State(api): State<Api>, By(caller): By) -> Json<SessionList> {
    let all = caller.role == Role::Administrator;
    let own = |session: &access::Session| caller.is_user() && session.user == caller.name;
    let sessions = api.access.sessions().into_iter().filter(|session| all || own(session));
    let view = |session: access::Session| SessionView {
        current: caller.kind == CallerKind::Session(session.id.clone()),
        id: session.id.to_string(),
        user: session.user.to_string(),
        from: session.address.map_or("local".to_owned(), |address| address.to_string()),
        agent: session.agent,
        created: session.created,
        seen: session.seen,
        expires: session.expires,
    };
    Json(SessionList { items: sessions.map(view).collect() })
}

/// Ends a session: one's own, or as administrator anybody's.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", operation_id = "endSession", tag = "access",
    params(("id" = String, Path, description = "Its public name")),
    responses((status = 204), (status = 404, body = ProblemDetails))
)]
pub(super) async fn end_session(
    State(api): State<Api>,
    By(caller): By,
    IdInPath(id): IdInPath,
) -> Result<StatusCode, ApiError> {
    let own = if caller.role == Role::Administrator {
        None
    } else if caller.is_user() {
        Some(&*caller.name)
    } else {
        return Err(ApiError::Forbidden { needs: Role::Administrator });
    };
    api.access.end_session(&id, own)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the first administrator is still to be made.
#[utoipa::path(get, path = "/v1/setup", operation_id = "setupState", tag = "access", responses((status = 200, body = SetupState)))]
pub(super) async fn setup_state(State(api): State<Api>) -> Json<SetupState> {
    Json(SetupState { needed: api.access.setup_token().is_some() })
}

/// Makes the first administrator, with the token of the link that the daemon printed, and signs in.
#[utoipa::path(
    post, path = "/v1/setup", operation_id = "setUp", tag = "access",
    request_body = SetupRequest,
    responses(
        (status = 200, body = Session),
        (status = 400, body = ProblemDetails),
        (status = 403, body = ProblemDetails, description = "The link is wrong, or was used"),
        (status = 422, body = ProblemDetails, description = "The name or the password is not taken"),
        (status = 429, body = ProblemDetails),
    )
)]
pub(super) async fn set_up(
    State(api): State<Api>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    Small(request): Small<SetupRequest>,
) -> Result<Response, ApiError> {
    let SetupRequest { token, user, password } = request;
    let from = connection.address();
    api.access.check_link(&token, from)?;
    let beginning = beginning(None, connection, "POST /v1/setup".to_owned());
    let mut told = Told {
        who: Some(user.to_string()),
        begun: Some(api.access.record_beginning(beginning).await?),
        ..Told::default()
    };
    let after = json!({"user": user, "role": Role::Administrator});
    let begun = api.access.set_up(&token, user, password, &agent(&headers), from).await;
    let mut response = match begun {
        Ok(begun) => {
            told.after = Some(after);
            signed_in(begun, connection)
        }
        Err(error) => ApiError::SignIn(error).into_response(),
    };
    response.extensions_mut().insert(told);
    Ok(response)
}
