//! Extractors whose refusals are problem details, like every other error.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::ApiError;
use crate::access::Caller;

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
