//! Backup and restore: the whole configuration with its secrets in one sealed file.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A passphrase. It is written into requests and read from them, and shown nowhere else.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "password", "writeOnly" = true))]
pub struct Passphrase(String);

impl Passphrase {
    /// A passphrase.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// How a backup is to be sealed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupRequest {
    /// Whoever knows it can open the backup; there is no other way.
    pub passphrase: Passphrase,
}

/// A backup: what it is in clear, what it holds encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backup {
    /// Always `sluice-backup`.
    pub format: String,
    /// The version of this form.
    pub version: u32,
    /// When it was made.
    pub created: Timestamp,
    /// The revision it holds.
    pub revision: u64,
    /// How the key is made of the passphrase.
    pub key: KeyDerivation,
    /// The cipher: `chacha20-poly1305`. It also covers everything above.
    pub cipher: String,
    /// Base64.
    pub nonce: String,
    /// Base64.
    pub sealed: String,
}

/// Argon2id (RFC 9106) with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyDerivation {
    /// Always `argon2id`.
    pub algorithm: String,
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Base64.
    pub salt: String,
}

/// A backup to return to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreRequest {
    /// The backup.
    pub backup: Backup,
    /// What it was sealed with.
    pub passphrase: Passphrase,
    /// Leave users and tokens as they are.
    #[serde(default)]
    pub keep_users: bool,
    /// Open and check it, but change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Return to the revision before unless it is confirmed within so many seconds, over a new connection. Only with
    /// `keepUsers`: users and tokens that were replaced do not return by themselves.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    pub confirm_seconds: Option<u32>,
    /// Do it in spite of warnings.
    #[serde(default)]
    pub accept_warnings: bool,
}
