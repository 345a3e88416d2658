//! What the API says and the command reads: the JSON forms of everything that is not a configuration object itself.

mod applied;
mod counters;
mod objects;
mod plan;
mod problem;
mod status;
mod trace;

pub use applied::Applied;
pub use counters::{
    BackendCounters, Counters, PlacementTraffic, ReasonCount, ServiceCounters, TopPrefixCount,
    Traffic,
};
pub use objects::{Gateway, GatewayList, Origin, Prefilter, PrefilterList, Service, ServiceList};
pub use plan::{CardView, LinkPlan, Plan, ProbeAnswer, Supposition, TableSize};
pub use problem::{ProblemDetails, ProblemItem};
pub use status::{DirectoryStatus, Readiness, Status, Totals, Version};
pub use trace::{
    TcpFlag, TraceAnswer, TraceBackend, TraceClass, TracePrefix, TraceProtocol, TraceRequest,
};

/// The media type of [`ProblemDetails`] (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";
