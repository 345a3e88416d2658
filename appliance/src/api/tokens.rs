//! Tokens for machines.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};

use super::door::Told;
use super::state::{By, IdInPath, Small};
use super::{Api, ApiError};
use crate::access;
use crate::wire::{CreatedToken, NewToken, ProblemDetails, Token, TokenList};

/// The longest life of a token that is to end; ten years.
const MOST_DAYS: u32 = 3650;

fn view(id: &str, token: &access::Token, used: Option<Timestamp>) -> Token {
    Token {
        id: id.to_owned(),
        name: token.name.clone(),
        role: token.role,
        read_only: token.read_only,
        created: token.created,
        created_by: token.created_by.clone(),
        expires: token.expires,
        used,
    }
}

/// All tokens, without their secrets.
#[utoipa::path(get, path = "/v1/tokens", operation_id = "listTokens", tag = "access", responses((status = 200, body = TokenList)))]
pub(super) async fn list(State(api): State<Api>) -> Json<TokenList> {
    let tokens = api.access.tokens();
    Json(TokenList {
        items: tokens.iter().map(|(id, token, used)| view(id, token, *used)).collect(),
    })
}

/// Makes a token. Its text is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "addToken", tag = "access",
    request_body = NewToken,
    responses(
        (status = 201, body = CreatedToken),
        (status = 400, body = ProblemDetails),
        (status = 409, body = ProblemDetails, description = "There are too many"),
    )
)]
pub(super) async fn add(
    State(api): State<Api>,
    By(caller): By,
    Small(new): Small<NewToken>,
) -> Result<Response, ApiError> {
    let expires = match new.days {
        None => None,
        Some(days @ 1..=MOST_DAYS) => {
            Some(Timestamp::now() + SignedDuration::from_hours(24 * i64::from(days)))
        }
        Some(days) => {
            let message =
                format!("days: expected 1 to {MOST_DAYS}, or none for no end, and found {days}");
            return Err(ApiError::Request(message));
        }
    };
    let NewToken { name, role, read_only, .. } = new;
    let scope = access::Scope { name, role, read_only, expires };
    let (id, token, secret) = api.access.add_token(scope, &caller)?;
    let token = view(&id, &token, None);
    let after = serde_json::to_value(&token).ok();
    let created = CreatedToken { token, secret: secret.reveal().to_owned() };
    let mut response = (StatusCode::CREATED, Json(created)).into_response();
    response.extensions_mut().insert(Told { after, ..Told::default() });
    Ok(response)
}

/// Removes a token: it opens nothing any more.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", operation_id = "removeToken", tag = "access",
    params(("id" = String, Path, description = "Its public name")),
    responses((status = 204), (status = 404, body = ProblemDetails))
)]
pub(super) async fn remove(
    State(api): State<Api>,
    IdInPath(id): IdInPath,
) -> Result<Response, ApiError> {
    let token = api.access.remove_token(&id)?;
    let before = serde_json::to_value(view(&id, &token, None)).ok();
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.extensions_mut().insert(Told { before, ..Told::default() });
    Ok(response)
}
