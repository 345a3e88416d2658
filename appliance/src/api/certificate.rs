//! The gateway's certificate.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::task::spawn_blocking;

use super::door::Told;
use super::state::Small;
use super::{Api, ApiError};
use crate::access::CertificateAbout;
use crate::engine::EngineGone;
use crate::wire::{CertificateRequest, ProblemDetails};

/// What the certificate in use says.
#[utoipa::path(get, path = "/v1/certificate", operation_id = "certificate", tag = "access", responses((status = 200, body = CertificateAbout)))]
pub(super) async fn get(State(api): State<Api>) -> Json<CertificateAbout> {
    Json(api.certificates.about())
}

/// Gives the gateway another certificate. Connections from now on see it; the one before is kept beside it.
#[utoipa::path(
    put, path = "/v1/certificate", operation_id = "replaceCertificate", tag = "access",
    request_body = CertificateRequest,
    responses(
        (status = 200, body = CertificateAbout),
        (status = 409, body = ProblemDetails, description = "The certificate comes from files"),
        (status = 422, body = ProblemDetails, description = "Certificate or key cannot be used"),
    )
)]
pub(super) async fn replace(
    State(api): State<Api>,
    Small(request): Small<CertificateRequest>,
) -> Result<Response, ApiError> {
    let take = move || api.certificates.replace(&request.certificate, &request.key);
    let (before, after) = spawn_blocking(take).await.map_err(|_| EngineGone)??;
    let told = Told { before: Some(json!(before)), after: Some(json!(after)), ..Told::default() };
    let mut response = Json(after).into_response();
    response.extensions_mut().insert(told);
    Ok(response)
}
