//! Errors as problem details (RFC 9457): the one place where they become HTTP.

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::engine::{ChangeError, EngineGone};
use crate::store::Refusal;
use crate::wire::{PROBLEM_JSON, ProblemDetails, ProblemItem};

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// A change was refused or failed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// An object that does not exist was asked for.
    #[error("{kind}/{name} does not exist: `sluice get {plural}` lists what does", kind = .0.kind, name = .0.name, plural = .0.kind.plural())]
    NotFound(sluice_model::ObjectId),
    /// A link that is not the gateway's was asked for.
    #[error("{0} is no link of the gateway: `sluice get gateways` lists those that are")]
    NoLink(String),
    /// There is nothing at this address.
    #[error("there is nothing at {0}: /openapi.json lists what there is")]
    NoRoute(String),
    /// The address exists, the method does not.
    #[error("{1} does not know the method {0}: /openapi.json lists what it knows")]
    Method(Method, String),
    /// The request itself cannot be understood.
    #[error("{0}")]
    Request(String),
    /// The body is longer than what is read.
    #[error("the body is longer than {} MiB: split it into several requests", super::BODY_BYTES >> 20)]
    TooLong,
    /// No token, or a wrong one.
    #[error(
        "this address needs the header `Authorization: Bearer TOKEN` with the token of --token-file"
    )]
    Unauthorized,
    /// The engine ended.
    #[error(transparent)]
    Gone(#[from] EngineGone),
    /// It took too long.
    #[error("no answer within {} s; the change may still take effect: look at /v1/status", super::REQUEST_TIMEOUT.as_secs())]
    Timeout,
    /// The datapath could not be read.
    #[error("the datapath cannot be read: {0}")]
    Read(#[from] sluice_kernel::Error),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Change(ChangeError::Refused(refusal)) => match refusal {
                Refusal::Invalid(_) | Refusal::OtherObject { .. } => {
                    StatusCode::UNPROCESSABLE_ENTITY
                }
                Refusal::NotFound(_) => StatusCode::NOT_FOUND,
                Refusal::NoVersion { .. } => StatusCode::PRECONDITION_REQUIRED,
                Refusal::Stale { .. } | Refusal::Gone { .. } | Refusal::OwnedByFile { .. } => {
                    StatusCode::CONFLICT
                }
            },
            Self::Change(ChangeError::Unplannable(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Change(ChangeError::Link { .. }) => StatusCode::CONFLICT,
            Self::Change(ChangeError::Gone(_)) | Self::Gone(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Change(_) | Self::Read(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound(_) | Self::NoLink(_) | Self::NoRoute(_) => StatusCode::NOT_FOUND,
            Self::Method(..) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Request(_) => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The kind of problem: a word for programs, and a few words for people.
    fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::Change(ChangeError::Refused(refusal)) => match refusal {
                Refusal::Invalid(_) | Refusal::OtherObject { .. } => {
                    ("invalid", "The configuration is not valid")
                }
                Refusal::NotFound(_) => ("not-found", "The object does not exist"),
                Refusal::Stale { .. } | Refusal::Gone { .. } => {
                    ("stale", "The object was changed in between")
                }
                Refusal::NoVersion { .. } => ("version-required", "The object's version is needed"),
                Refusal::OwnedByFile { .. } => ("owned-by-file", "The object belongs to a file"),
            },
            Self::Change(ChangeError::Unplannable(_)) => {
                ("unplannable", "The gateway cannot do this")
            }
            Self::Change(ChangeError::Link { .. }) => ("link", "A link cannot be used"),
            Self::Change(ChangeError::Kernel(_) | ChangeError::Card(_)) => {
                ("kernel", "The kernel refused")
            }
            Self::Change(ChangeError::State(_)) => ("state", "The configuration could not be kept"),
            Self::Change(ChangeError::NotUndone { .. }) => {
                ("not-undone", "A change failed and left something behind")
            }
            Self::Change(ChangeError::Gone(_)) | Self::Gone(_) => {
                ("stopping", "The daemon is stopping")
            }
            Self::NoLink(_) => ("not-found", "The link does not exist"),
            Self::NotFound(_) => ("not-found", "The object does not exist"),
            Self::NoRoute(_) => ("no-route", "There is nothing at this address"),
            Self::Method(..) => ("method", "This address does not know the method"),
            Self::Request(_) => ("request", "The request cannot be understood"),
            Self::TooLong => ("too-long", "The request is too long"),
            Self::Unauthorized => ("unauthorized", "A token is needed"),
            Self::Timeout => ("timeout", "It took too long"),
            Self::Read(_) => ("kernel", "The datapath cannot be read"),
        }
    }

    fn problems(&self) -> Vec<ProblemItem> {
        match self {
            Self::Change(
                ChangeError::Refused(Refusal::Invalid(problems))
                | ChangeError::Unplannable(problems),
            ) => problems.iter().map(ProblemItem::from).collect(),
            _ => Vec::new(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let (kind, title) = self.kind();
        let details = ProblemDetails {
            kind: format!("/problems/{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
            problems: self.problems(),
        };
        let mut response = (status, axum::Json(details)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
