//! What the API says and the command reads: the JSON forms of everything that is not a configuration object itself.

mod access;
mod applied;
mod backup;
mod candidate;
mod counters;
mod objects;
mod plan;
mod problem;
mod profiles;
mod revision;
mod series;
mod status;
mod trace;

pub use access::{
    AuditPage, CertificateRequest, CreatedToken, NewToken, NewUser, PasswordChange, Session,
    SessionList, SessionView, SetupRequest, SetupState, SignInRequest, Token, TokenList,
    TotpRequest, TotpState, User, UserList, UserPatch,
};
pub use applied::Applied;
pub use backup::{Backup, BackupRequest, KeyDerivation, Passphrase, RestoreRequest};
pub use candidate::{
    Candidate, CandidateDiff, CandidateEdit, CandidateList, CommitRequest, Conflict, EditAction,
    Validation, Warning, WarningKind,
};
pub use counters::{
    BackendCounters, Counters, PlacementTraffic, ReasonCount, ServiceCounters, TopPrefixCount,
    Traffic,
};
pub use objects::{Gateway, GatewayList, Origin, Prefilter, PrefilterList, Service, ServiceList};
pub use plan::{CardView, LinkPlan, Plan, ProbeAnswer, Supposition, TableSize};
pub use problem::{ProblemDetails, ProblemItem};
pub use profiles::{Capabilities, LinkCapabilities, ProfileNames, ShippedProfile};
pub use revision::{
    Confirmation, ConfirmationState, PendingCommit, Revision, RevisionDetail, RevisionList,
    RevisionOrigin,
};
pub use series::{SeriesAnswer, SeriesNames, SeriesValues};
pub use status::{DirectoryStatus, Readiness, Status, Totals, Version};
pub use trace::{
    TcpFlag, TraceAnswer, TraceBackend, TraceClass, TracePrefix, TraceProtocol, TraceRequest,
};

/// The media type of [`ProblemDetails`] (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The header by which the command tells in which session it was started: client address, client port, address, port of
/// this machine, as secure shell writes them into `SSH_CONNECTION`. It is believed on the Unix socket only.
pub const SESSION_HEADER: &str = "sluice-session";
