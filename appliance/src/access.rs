//! Who may do what: users, tokens and sessions; who asks and what they may; the audit log.
//!
//! What is kept lies in the state directory, for its owner only: `users.json`, `tokens.json`, `certificate.pem`, `audit/`.

mod audit;
mod caller;
mod certificate;
mod certificates;
mod desk;
mod error;
mod files;
mod password;
mod register;
mod role;
mod secret;
mod sessions;
mod setup;
mod throttle;
mod token_file;
mod tokens;
mod totp;
mod users;

pub use audit::{AuditLog, Broken, Checked, Entry, Outcome, Record};
pub use caller::{Caller, CallerKind, Connection, Ends};
pub use certificate::CertificateAbout;
pub use certificates::{CertificateFiles, Certificates};
pub use desk::{Access, Kept, Options};
pub use error::{AccessError, SignInError};
pub use files::StateError;
pub use password::PasswordError;
pub use role::Role;
pub use secret::{NoRandom, Secret};
pub use sessions::SessionLimits;
pub use token_file::TokenError;

pub(crate) use certificate::{fingerprint, name_of};
pub(crate) use desk::SignIn;
pub(crate) use sessions::{Ending, Session};
pub(crate) use tokens::{Scope, Token};
pub(crate) use users::User;
