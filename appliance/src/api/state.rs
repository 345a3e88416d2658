//! Extractors whose refusals are problem details, like every other error.

use axum::body::{Bytes, to_bytes};
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::ApiError;
use crate::access::{Caller, CallerKind};
use crate::store::{Change, Order, SessionEnds};
use crate::wire::SESSION_HEADER;

/// A body that is text.
pub(super) struct Text(pub(super) String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes =
            Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
                match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLong,
                    _ => ApiError::Request(format!(
                        "the body cannot be read: {}",
                        rejection.body_text()
                    )),
                }
            })?;
        String::from_utf8(bytes.into()).map(Self).map_err(|error| {
            ApiError::Request(format!("the body is not UTF-8: {}", error.utf8_error()))
        })
    }
}

/// Parameters behind the `?`.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(params) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection: QueryRejection| ApiError::Request(rejection.body_text()))?;
        Ok(Self(params))
    }
}

/// The name in the path.
pub(super) struct NameInPath(pub(super) sluice_model::Name);

impl<S: Send + Sync> FromRequestParts<S> for NameInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text): Path<String> = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection: PathRejection| ApiError::Request(rejection.body_text()))?;
        sluice_model::Name::new(text)
            .map(Self)
            .map_err(|error| ApiError::Request(error.to_string()))
    }
}

/// The public name of a token or session in the path.
pub(super) struct IdInPath(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for IdInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text): Path<String> = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection: PathRejection| ApiError::Request(rejection.body_text()))?;
        Ok(Self(text.chars().take(64).collect()))
    }
}

/// Bodies about users and the like are small; they come from people who are not known yet, too.
const SMALL_BYTES: usize = 64 << 10;

/// A small JSON body.
pub(super) struct Small<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Small<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = to_bytes(request.into_body(), SMALL_BYTES).await.map_err(|_| {
            ApiError::Request(format!(
                "the body cannot be read, or has more than {SMALL_BYTES} bytes"
            ))
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            ApiError::Request(format!("the body is not what is expected: {error}"))
        })
    }
}

/// Who asks.
pub(super) struct By(pub(super) Caller);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().map(Self).ok_or(ApiError::Unauthorized)
    }
}

/// The number in the path.
pub(super) struct NumberInPath(pub(super) u64);

impl<S: Send + Sync> FromRequestParts<S> for NumberInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(number): Path<u64> = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection: PathRejection| ApiError::Request(rejection.body_text()))?;
        Ok(Self(number))
    }
}

/// The JSON of a body; an empty one says nothing, as `{}` does.
pub(super) fn json<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, ApiError> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| ApiError::Request(format!("{what}: {error}")))
}

/// Who asks, and the session that a change should not cut off.
pub(super) struct Asking {
    pub(super) caller: Caller,
    pub(super) session: Option<SessionEnds>,
}

impl Asking {
    /// A change that the caller wants.
    pub(super) fn order(&self, change: Change) -> Order {
        Order { session: self.session, ..Order::by(&self.caller, change) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let By(caller) = By::from_request_parts(parts, state).await?;
        let told = || parts.headers.get(SESSION_HEADER)?.to_str().ok()?.parse().ok();
        let session = match caller.kind {
            // The command on this machine tells which session it was started in.
            CallerKind::Socket => told(),
            _ => caller.connection.ends.map(Into::into),
        };
        Ok(Self { caller, session })
    }
}
