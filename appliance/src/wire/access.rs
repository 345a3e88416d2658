//! Who may do what, as the API says it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::Name;

use crate::access::{Record, Role, Secret};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The user, or the name of the token; `root` on the Unix socket.
    pub user: String,
    /// What the user may do.
    pub role: Role,
    /// Whether that is looking only, whatever the role.
    #[serde(default)]
    pub read_only: bool,
    /// How the user is known: `socket`, `session`, `token` or `certificate`.
    pub kind: String,
    /// The address that the request came from, or `local`.
    pub from: String,
    /// The session's public name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What every change sends as `x-csrf-token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf: Option<String>,
    /// When the session ends, however busy it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// Signing in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignInRequest {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// The code of the authenticator app, for users who have one.
    #[serde(default)]
    pub totp: Option<String>,
}

/// Making the first administrator.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetupRequest {
    /// What the link ends with.
    pub token: Secret,
    /// The administrator's name.
    pub user: Name,
    /// At least twelve characters.
    pub password: Secret,
}

/// Another certificate for the gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateRequest {
    /// The chain in PEM, the gateway's own certificate first.
    pub certificate: String,
    /// Its private key in PEM, without a passphrase.
    pub key: Secret,
}

/// Whether the first administrator is still to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetupState {
    /// It is.
    pub needed: bool,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// Its public name.
    pub id: String,
    /// Whose.
    pub user: String,
    /// The address it was begun from.
    pub from: String,
    /// What the browser called itself.
    pub agent: String,
    /// When it began.
    pub created: Timestamp,
    /// When it was used last.
    pub seen: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionList {
    /// The oldest first.
    pub items: Vec<SessionView>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The name.
    pub name: Name,
    /// What the user may do.
    pub role: Role,
    /// Since when.
    pub created: Timestamp,
    /// Whether the user has a password.
    pub password: bool,
    /// Whether a code of an authenticator app is needed too.
    pub totp: bool,
    /// The DNS name in the certificate that the user signs in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// Users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserList {
    /// By name.
    pub items: Vec<User>,
}

/// A user to be added.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUser {
    /// The name.
    pub name: Name,
    /// What the user may do.
    pub role: Role,
    /// At least twelve characters.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The DNS name in the certificate that the user signs in by.
    #[serde(default)]
    pub certificate: Option<String>,
}

/// What is to be changed of a user.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserPatch {
    /// What the user may do.
    #[serde(default)]
    pub role: Option<Role>,
    /// The DNS name in the certificate that the user signs in by; empty takes it away.
    #[serde(default)]
    pub certificate: Option<String>,
}

/// A new password.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordChange {
    /// At least twelve characters.
    pub password: Secret,
    /// The one so far, needed for one's own.
    #[serde(default)]
    pub current: Option<Secret>,
}

/// A key for an authenticator app.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TotpRequest {
    /// A code of the new key: puts it in force.
    #[serde(default)]
    pub code: Option<String>,
    /// The password, needed for a new key of one's own.
    #[serde(default)]
    pub current: Option<Secret>,
}

/// The state of a user's authenticator app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TotpState {
    /// Whether codes are needed.
    pub enabled: bool,
    /// The new key, for typing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The new key as an address, for a QR code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// Its public name.
    pub id: String,
    /// What it is for.
    pub name: Name,
    /// What may be done with it.
    pub role: Role,
    /// Whether that is looking only, whatever the role.
    pub read_only: bool,
    /// Since when.
    pub created: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it ends; never, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was used last, since the daemon started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
}

/// Tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenList {
    /// By public name.
    pub items: Vec<Token>,
}

/// A token to be made.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    pub name: Name,
    /// What may be done with it.
    pub role: Role,
    /// Looking only, whatever the role.
    #[serde(default)]
    pub read_only: bool,
    /// Days until it ends; never, if absent.
    #[serde(default)]
    pub days: Option<u32>,
}

/// A new token.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedToken {
    /// What is kept of it.
    #[serde(flatten)]
    pub token: Token,
    /// Its text, for `Authorization: Bearer`. It is told this once.
    pub secret: String,
}

/// Records of the audit log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// The newest first.
    pub items: Vec<Record>,
}
