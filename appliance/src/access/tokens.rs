//! Tokens for machines: of a role, perhaps for reading only, perhaps for a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sluice_model::Name;

use super::register::Register;
use super::secret::{Fingerprint, public_id};
use super::{AccessError, Role, Secret, StateError};

const FILE: &str = "tokens.json";
const MOST: usize = 1000;
/// Tells people and scanners for secrets what it is.
const PREFIX: &str = "sluice_";

/// What is kept of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token {
    pub(crate) name: Name,
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) read_only: bool,
    pub(crate) created: Timestamp,
    pub(crate) created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    secret: Fingerprint,
}

/// All tokens, in memory and in their file.
#[derive(Debug)]
pub(super) struct Tokens {
    known: Register<String, Token>,
    used: Mutex<HashMap<String, Timestamp>>,
}

/// What a new token may do.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) name: Name,
    pub(crate) role: Role,
    pub(crate) read_only: bool,
    pub(crate) expires: Option<Timestamp>,
}

impl Tokens {
    pub(super) fn open(directory: &std::path::Path) -> Result<Self, StateError> {
        Ok(Self { known: Register::open(directory.join(FILE))?, used: Mutex::default() })
    }

    /// All tokens by their public names, with when they were used last since the daemon started.
    pub(super) fn list(&self) -> Vec<(String, Token, Option<Timestamp>)> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = self.known.all();
        all.iter().map(|(id, token)| (id.clone(), token.clone(), used.get(id).copied())).collect()
    }

    pub(super) fn kept(&self) -> BTreeMap<String, Token> {
        self.known.all().clone()
    }

    /// Puts others in the place of all.
    pub(super) fn replace(&self, tokens: BTreeMap<String, Token>) -> Result<(), AccessError> {
        self.known.replace(tokens)
    }

    /// Makes a token. The secret is told once.
    pub(super) fn add(
        &self,
        scope: Scope,
        by: &str,
    ) -> Result<(String, Token, Secret), AccessError> {
        let (id, secret) = (public_id()?, Secret::random()?);
        let token = Token {
            name: scope.name,
            role: scope.role,
            read_only: scope.read_only,
            created: Timestamp::now(),
            created_by: by.to_owned(),
            expires: scope.expires,
            secret: Fingerprint::of(secret.reveal().as_bytes()),
        };
        self.known.change(|all| {
            let now = Timestamp::now();
            all.retain(|_, token| token.expires.is_none_or(|expires| expires > now));
            if all.len() >= MOST {
                return Err(AccessError::TooMany { what: "tokens", most: MOST });
            }
            all.insert(id.clone(), token.clone());
            Ok(())
        })?;
        let text = Secret::new(&format!("{PREFIX}{id}_{}", secret.reveal()));
        Ok((id, token, text))
    }

    pub(super) fn remove(&self, id: &str) -> Result<Token, AccessError> {
        self.known.change(|all| all.remove(id).ok_or_else(|| AccessError::NoToken(id.to_owned())))
    }

    /// Whether there is such a token that has not expired.
    pub(super) fn is_valid(&self, id: &str, now: Timestamp) -> bool {
        let all = self.known.all();
        all.get(id).is_some_and(|token| token.expires.is_none_or(|expires| expires > now))
    }

    /// The token that was sent, if it is one and has not expired.
    pub(super) fn find(&self, given: &[u8], now: Timestamp) -> Option<(String, Token)> {
        let text = std::str::from_utf8(given).ok()?.strip_prefix(PREFIX)?;
        let (id, secret) = text.split_once('_')?;
        let all = self.known.all();
        let (id, token) = all.get_key_value(id)?;
        let valid = token.secret.is(&Fingerprint::of(secret.as_bytes()))
            && token.expires.is_none_or(|expires| expires > now);
        if !valid {
            return None;
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), now);
        Some((id.clone(), token.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn tokens_are_found_until_they_expire_or_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(directory.path()).unwrap();
        let now = Timestamp::now();
        let scope = Scope {
            name: Name::new("backup").unwrap(),
            role: Role::Viewer,
            read_only: true,
            expires: Some(now + SignedDuration::from_hours(1)),
        };
        let (id, _, secret) = tokens.add(scope, "alice").unwrap();
        let text = std::fs::read_to_string(directory.path().join(FILE)).unwrap();
        let (_, random) = secret.reveal().rsplit_once(&format!("{id}_")).unwrap();
        assert!(!text.contains(random), "the secret is not kept");

        let tokens = Tokens::open(directory.path()).unwrap();
        let given = secret.reveal().as_bytes();
        assert_eq!(tokens.find(given, now).unwrap().0, id);
        assert!(tokens.find(given, now + SignedDuration::from_hours(2)).is_none(), "expired");
        let mut wrong = given.to_vec();
        *wrong.last_mut().unwrap() ^= 1;
        for wrong in [&wrong[..], &given[..given.len() - 1], b"", b"sluice_", b"sluice__", &[0xff]]
        {
            assert!(tokens.find(wrong, now).is_none(), "{wrong:?}");
        }
        tokens.remove(&id).unwrap();
        assert!(tokens.find(given, now).is_none(), "removed");
        assert!(matches!(tokens.remove(&id), Err(AccessError::NoToken(_))));
    }
}
