//! Errors as problem details (RFC 9457): the one place where they become HTTP.

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::door::Why;
use crate::access::{AccessError, Role, SignInError};
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
    /// Nobody is known, or somebody who is not.
    #[error("sign in, or send the header `Authorization: Bearer TOKEN` with a token that is valid")]
    Unauthorized,
    /// Somebody who may not.
    #[error("this needs the role {needs}: an administrator can give it")]
    Forbidden {
        /// The least role.
        needs: Role,
    },
    /// A token for reading only.
    #[error("this token is for reading only: `sluice token add` without --read-only makes another")]
    ReadOnly,
    /// A change with a cookie, without what only a page of ours knows.
    #[error(
        "a change with a cookie needs the headers `Origin` and `x-csrf-token`, as GET /v1/session tells it"
    )]
    Csrf,
    /// A page of another site asked.
    #[error("the request comes from another site ({}): only pages of this gateway may ask", .0.escape_debug())]
    Origin(String),
    /// Signing out without being signed in.
    #[error("this is not the session of a browser: there is nothing to sign out of")]
    NotASession,
    /// The password so far is wrong.
    #[error("current: the password is wrong")]
    CurrentPassword,
    /// Somebody was not signed in.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// A change of users, tokens or certificates was refused.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Of a backup, the objects are in force and the rest could not be kept.
    #[error(
        "the objects of the backup are in force, its users and tokens could not be kept: {0}; make that possible and \
         restore it again"
    )]
    HalfRestored(Box<AccessError>),
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
                Refusal::NotFound(_) | Refusal::NoRevision { .. } => StatusCode::NOT_FOUND,
                Refusal::ConfirmTime(_) | Refusal::NotForCandidate(_) => StatusCode::BAD_REQUEST,
                Refusal::NoVersion { .. } => StatusCode::PRECONDITION_REQUIRED,
                Refusal::NotAllowed { .. } => StatusCode::FORBIDDEN,
                Refusal::Stale { .. }
                | Refusal::Gone { .. }
                | Refusal::OwnedByFile { .. }
                | Refusal::Conflicts(_)
                | Refusal::Warned(_)
                | Refusal::Unconfirmed { .. }
                | Refusal::NothingPending
                | Refusal::SameConnection
                | Refusal::EmptyCandidate => StatusCode::CONFLICT,
            },
            Self::Change(ChangeError::Unplannable(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Change(ChangeError::Link { .. }) => StatusCode::CONFLICT,
            Self::Change(ChangeError::Gone(_)) | Self::Gone(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Change(_) | Self::Read(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound(_) | Self::NoLink(_) | Self::NoRoute(_) => StatusCode::NOT_FOUND,
            Self::Method(..) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Request(_) => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthorized | Self::CurrentPassword => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } | Self::ReadOnly | Self::Csrf | Self::Origin(_) => {
                StatusCode::FORBIDDEN
            }
            Self::NotASession => StatusCode::NOT_FOUND,
            Self::SignIn(error) => sign_in_status(error),
            Self::Access(error) => access_status(error),
            Self::HalfRestored(_) => StatusCode::INTERNAL_SERVER_ERROR,
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
                Refusal::NotAllowed { .. } => ("forbidden", "The role does not allow it"),
                Refusal::Conflicts(_) => ("conflicts", "Others changed the same"),
                Refusal::Warned(_) => ("warned", "The change would cut off this session"),
                Refusal::Unconfirmed { .. } => ("unconfirmed", "A commit waits to be confirmed"),
                Refusal::NothingPending => ("nothing-pending", "No commit waits to be confirmed"),
                Refusal::SameConnection => {
                    ("same-connection", "The confirmation needs a new connection")
                }
                Refusal::NoRevision { .. } => ("not-found", "The revision is not kept"),
                Refusal::EmptyCandidate => ("empty-candidate", "There is nothing to commit"),
                Refusal::ConfirmTime(_) | Refusal::NotForCandidate(_) => {
                    ("request", "The request cannot be understood")
                }
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
            Self::Unauthorized => ("unauthorized", "Nobody is signed in"),
            Self::Forbidden { .. } => ("forbidden", "The role does not allow it"),
            Self::ReadOnly => ("read-only", "The token is for reading only"),
            Self::Csrf => ("csrf", "The request does not come from the console"),
            Self::Origin(_) => ("origin", "The request comes from another site"),
            Self::NotASession => ("not-found", "There is no session"),
            Self::CurrentPassword => ("wrong-password", "The password is wrong"),
            Self::SignIn(error) => match error {
                SignInError::Wrong => ("wrong-credentials", "User, password or code is wrong"),
                SignInError::CodeNeeded => ("code-needed", "A code is needed"),
                SignInError::Throttled(_) => ("throttled", "Too many wrong tries"),
                SignInError::Link => ("link", "The link is not valid"),
                SignInError::Access(error) => access_kind(error),
            },
            Self::Access(error) => access_kind(error),
            Self::HalfRestored(_) => ("half-restored", "The backup is restored in part"),
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
            Self::Change(ChangeError::Refused(Refusal::Conflicts(conflicts))) => {
                conflicts.iter().map(ProblemItem::from).collect()
            }
            Self::Change(ChangeError::Refused(Refusal::Warned(warnings))) => {
                warnings.iter().map(ProblemItem::from).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn sign_in_status(error: &SignInError) -> StatusCode {
    match error {
        SignInError::Wrong | SignInError::CodeNeeded => StatusCode::UNAUTHORIZED,
        SignInError::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        SignInError::Link => StatusCode::FORBIDDEN,
        SignInError::Access(error) => access_status(error),
    }
}

fn access_status(error: &AccessError) -> StatusCode {
    match error {
        AccessError::NoUser(_) | AccessError::NoToken(_) | AccessError::NoSession(_) => {
            StatusCode::NOT_FOUND
        }
        AccessError::Exists(_)
        | AccessError::LastAdministrator(_)
        | AccessError::CertificateTaken(..)
        | AccessError::CertificateFiles(_)
        | AccessError::NoPassword(_)
        | AccessError::NoNewKey
        | AccessError::TooMany { .. } => StatusCode::CONFLICT,
        AccessError::Reserved(_)
        | AccessError::Password(_)
        | AccessError::Code
        | AccessError::Backup(_)
        | AccessError::Certificate { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        AccessError::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
        AccessError::Random(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn access_kind(error: &AccessError) -> (&'static str, &'static str) {
    match access_status(error) {
        StatusCode::NOT_FOUND => ("not-found", "It does not exist"),
        StatusCode::CONFLICT => ("conflict", "It is not possible as things are"),
        StatusCode::UNPROCESSABLE_ENTITY => ("not-taken", "What was sent is not taken"),
        _ => ("state", "It could not be kept"),
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
        // What a parser says of a request may quote a password in it: that is for its sender only.
        let why = Why(match &self {
            Self::Request(_) => "the request cannot be understood".to_owned(),
            _ => details.detail.clone(),
        });
        let mut response = (status, axum::Json(details)).into_response();
        response.extensions_mut().insert(why);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::SignIn(SignInError::Throttled(wait)) = &self {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        response
    }
}
