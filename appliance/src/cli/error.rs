//! What can go wrong with a command.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::access::TokenError;
use crate::wire::ProblemDetails;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The daemon refused.
    #[error("{}", refusal(.0))]
    Api(ProblemDetails),
    /// Nobody answers.
    #[error(
        "error: cannot reach sluiced at {place}: {error}; is it running? Another place: --socket or --server"
    )]
    Unreachable {
        /// Where.
        place: String,
        /// Why.
        error: String,
    },
    /// The answer makes no sense.
    #[error(
        "error: the answer of {place} cannot be understood: {error}; are command and daemon of one version?"
    )]
    Answer {
        /// Where it came from.
        place: String,
        /// Why.
        error: String,
    },
    /// A file cannot be read or written.
    #[error("error: {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// An argument has a form that only its use shows to be wrong.
    #[error("error: {0}")]
    Argument(String),
    /// What was asked for is told already; it only could not be committed.
    #[error("error: the candidate cannot be committed as it is; nothing was changed")]
    NotValid,
    /// What was found is told already.
    #[error("error: the audit log is not whole")]
    AuditBroken,
    /// The token cannot be used.
    #[error("error: {0}")]
    Token(#[from] TokenError),
    /// The terminal is gone.
    #[error("error: cannot write: {0}")]
    Output(#[from] io::Error),
}

/// Problems of objects one per line, as a compiler prints them; else what the API says.
fn refusal(details: &ProblemDetails) -> impl fmt::Display {
    if details.problems.is_empty() {
        return format!("error: {}", details.detail);
    }
    let mut lines = vec![format!("error: {}; nothing was changed", details.title)];
    lines.extend(details.problems.iter().map(|problem| problem.text.clone()));
    lines.join("\n")
}
