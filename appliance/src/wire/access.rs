//! Who may do what, as the API says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Role;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The user, or the name of the token or certificate; `root` on the Unix socket.
    pub user: String,
    /// What the user may do.
    pub role: Role,
    /// How the user is known: `socket`, `session`, `token` or `certificate`.
    pub kind: String,
    /// The address that the request came from, or `local`.
    pub from: String,
}
