//! Passwords: argon2id, as RFC 9106 and OWASP recommend.

use std::fmt;
use std::sync::OnceLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use serde::{Deserialize, Serialize};

use super::Secret;

/// Shorter passwords are guessed.
const LEAST: usize = 12;
/// Longer ones are no password; hashing them would be work for nothing.
const MOST: usize = 256;

/// What is kept of a password: a PHC string with its own salt and parameters (argon2id, 19 MiB, 2 passes).
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PasswordHash(String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Why a password is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It is too short.
    #[error("password: expected at least {LEAST} characters; several words are easy to remember")]
    Short,
    /// It is too long.
    #[error("password: expected at most {MOST} bytes")]
    Long,
    /// It is the user's name.
    #[error("password: it contains the user's name; choose another")]
    Name,
    /// It cannot be hashed.
    #[error("password: it cannot be hashed: {0}")]
    Hash(String),
}

impl PasswordHash {
    /// Hashes a new password. Takes some 20 ms and 19 MiB on purpose.
    pub(super) fn new(user: &str, password: &Secret) -> Result<Self, PasswordError> {
        let text = password.reveal();
        if text.chars().count() < LEAST {
            return Err(PasswordError::Short);
        }
        if text.len() > MOST {
            return Err(PasswordError::Long);
        }
        // A name of a letter or two is in every password.
        if user.len() > 3 && text.to_lowercase().contains(&user.to_lowercase()) {
            return Err(PasswordError::Name);
        }
        hash(text).map_err(PasswordError::Hash)
    }

    /// Whether it is the password. As slow as [`Self::new`].
    pub(super) fn is(&self, password: &Secret) -> bool {
        if password.reveal().len() > MOST {
            return false;
        }
        phc::PasswordHash::new(&self.0).is_ok_and(|hash| {
            Argon2::default().verify_password(password.reveal().as_bytes(), &hash).is_ok()
        })
    }

    /// Takes the time of a check and fails, so that nobody learns from the time which users exist.
    pub(super) fn pretend(password: &Secret) {
        static NOBODY: OnceLock<Option<PasswordHash>> = OnceLock::new();
        if let Some(nobody) = NOBODY.get_or_init(|| hash("nobody has this password").ok()) {
            nobody.is(password);
        }
    }
}

fn hash(text: &str) -> Result<PasswordHash, String> {
    Argon2::default()
        .hash_password(text.as_bytes())
        .map(|hash| PasswordHash(hash.to_string()))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_argon2id_and_told_from_others() {
        let right = Secret::new("correct horse battery");
        let hash = PasswordHash::new("alice", &right).unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert_ne!(hash.0, PasswordHash::new("alice", &right).unwrap().0, "salted");
        assert!(hash.is(&right));
        assert!(!hash.is(&Secret::new("correct horse batterY")));
        assert!(!hash.is(&Secret::new("")));
        assert!(!format!("{hash:?}").contains("argon"));
    }

    #[test]
    fn weak_passwords_are_refused() {
        let refused = |text: &str| PasswordHash::new("alice", &Secret::new(text)).unwrap_err();
        assert!(matches!(refused("elevenchars"), PasswordError::Short));
        assert!(matches!(refused(&"x".repeat(257)), PasswordError::Long));
        assert!(matches!(refused("xxxxxxxAlicexxx"), PasswordError::Name));
    }
}
