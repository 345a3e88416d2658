//! What can go wrong with users, tokens and certificates.

use std::path::PathBuf;
use std::time::Duration;

use sluice_model::Name;

use super::{NoRandom, PasswordError, StateError};

/// Why a change of users, tokens or certificates was refused.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is such a user already.
    #[error("user {0}: exists already; choose another name, or change it by PATCH /v1/users/{0}")]
    Exists(Name),
    /// There is no such user.
    #[error("user {0}: does not exist; `sluice user list` shows who does")]
    NoUser(Name),
    /// The name means something else.
    #[error("user {0}: the name is taken by the machine itself; choose another")]
    Reserved(Name),
    /// Nobody would be left who may do everything.
    #[error("user {0}: is the last administrator who can sign in; make another first")]
    LastAdministrator(Name),
    /// Another user has this certificate.
    #[error("certificate {0}: belongs to the user {1}")]
    CertificateTaken(String, Name),
    /// The user signs in by a certificate.
    #[error("user {0}: has no password; set one by POST /v1/users/{0}/password")]
    NoPassword(Name),
    /// There is no such token.
    #[error("token {0}: does not exist; `sluice token list` shows which do")]
    NoToken(String),
    /// There is no such session.
    #[error("session {0}: does not exist, or has ended; GET /v1/sessions shows which do")]
    NoSession(String),
    /// More than that would fill memory and disk.
    #[error("{what}: there are {most} already; remove one first")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// The password is not taken.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The code of the authenticator app is not the one of now.
    #[error(
        "code: it is not the one that the key gives now; check the clocks of phone and gateway"
    )]
    Code,
    /// No key was asked for that this code could confirm.
    #[error("code: there is no new key to confirm; POST without a code first")]
    NoNewKey,
    /// The certificate or its key cannot be used.
    #[error("{field}: {problem}")]
    Certificate {
        /// Which of the two.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The certificate comes from files that somebody else keeps.
    #[error("certificate: the gateway was started with --certificate {}: replace that file, it is read again", .0.display())]
    CertificateFiles(PathBuf),
    /// It could not be kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// What should be users and tokens of a backup is something else.
    #[error("users and tokens of the backup: {0}")]
    Backup(String),
    /// There are no random numbers.
    #[error(transparent)]
    Random(#[from] NoRandom),
}

/// Why somebody was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The user does not exist, or the password is not theirs, or the code is wrong: which of them is not told.
    #[error("user, password or code is wrong")]
    Wrong,
    /// The password is right, a code is needed too.
    #[error("this user needs the code of the authenticator app too: send it as `totp`")]
    CodeNeeded,
    /// Too many mistakes.
    #[error("too many wrong tries for this user or from this address: wait {} s", .0.as_secs() + 1)]
    Throttled(Duration),
    /// The one-time link is used, or was never right.
    #[error(
        "the link for setting up is not valid (any more): `sluice user add` makes users on the machine itself"
    )]
    Link,
    /// It could not be done.
    #[error(transparent)]
    Access(#[from] AccessError),
}
