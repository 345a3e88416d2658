//! Users and what they sign in by.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sluice_model::Name;

use super::password::PasswordHash;
use super::register::Register;
use super::totp::TotpKey;
use super::{AccessError, Role, Secret, StateError};

const FILE: &str = "users.json";
const MOST: usize = 1000;
/// Who opens the Unix socket, and the token of `--token-file`, are called so in the audit log.
const RESERVED: [&str; 2] = ["root", "token-file"];

/// Somebody who may sign in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) role: Role,
    pub(crate) created: Timestamp,
    identities: Vec<Identity>,
}

/// What a user signs in by. Other sources of identity (an OpenID provider's subject, a passkey) are further variants: each says
/// what is kept of it here and gets a door of its own, which ends in the same session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Identity {
    Password {
        hash: PasswordHash,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        totp: Option<TotpKey>,
    },
    /// The DNS name in a certificate of the client authority.
    Certificate { name: String },
}

impl User {
    fn password(&self) -> Option<(&PasswordHash, Option<&TotpKey>)> {
        self.identities.iter().find_map(|identity| match identity {
            Identity::Password { hash, totp } => Some((hash, totp.as_ref())),
            Identity::Certificate { .. } => None,
        })
    }

    /// Whether the user can sign in to the console and do everything.
    pub(crate) fn can_administrate(&self) -> bool {
        self.role == Role::Administrator && self.has_password()
    }

    pub(crate) fn has_password(&self) -> bool {
        self.password().is_some()
    }

    pub(crate) fn has_totp(&self) -> bool {
        self.password().is_some_and(|(_, totp)| totp.is_some())
    }

    /// The name in the certificate that the user signs in by.
    pub(crate) fn certificate(&self) -> Option<&str> {
        self.identities.iter().find_map(|identity| match identity {
            Identity::Certificate { name } => Some(name.as_str()),
            Identity::Password { .. } => None,
        })
    }
}

type All = BTreeMap<Name, User>;

/// All users, in memory and in their file.
#[derive(Debug)]
pub(super) struct Users {
    known: Register<Name, User>,
    codes: Mutex<Codes>,
}

#[derive(Debug, Default)]
struct Codes {
    /// Keys that were shown, but not confirmed by a code.
    new: HashMap<Name, TotpKey>,
    /// The last code that each user used.
    used: HashMap<Name, u64>,
}

/// What came of a password and a code.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Right,
    Wrong,
    CodeNeeded,
}

impl Users {
    pub(super) fn open(directory: &std::path::Path) -> Result<Self, StateError> {
        Ok(Self { known: Register::open(directory.join(FILE))?, codes: Mutex::default() })
    }

    fn codes(&self) -> MutexGuard<'_, Codes> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn list(&self) -> All {
        self.known.all().clone()
    }

    pub(super) fn get(&self, name: &Name) -> Option<User> {
        self.known.all().get(name).cloned()
    }

    pub(super) fn role(&self, name: &str) -> Option<Role> {
        let name = Name::new(name).ok()?;
        self.known.all().get(&name).map(|user| user.role)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.all().is_empty()
    }

    /// The user who signs in by the certificate of this name.
    pub(super) fn of_certificate(&self, dns_name: &str) -> Option<(Name, Role)> {
        let all = self.known.all();
        let mut found = all.iter().filter(|(_, user)| user.certificate() == Some(dns_name));
        found.next().map(|(name, user)| (name.clone(), user.role))
    }

    /// Puts others in the place of all.
    pub(super) fn replace(&self, users: BTreeMap<Name, User>) -> Result<(), AccessError> {
        self.known.replace(users)
    }

    /// Adds a user. `first` only if there is no other.
    pub(super) fn add(
        &self,
        name: &Name,
        role: Role,
        password: Option<&Secret>,
        certificate: Option<String>,
        first: bool,
    ) -> Result<User, AccessError> {
        if RESERVED.contains(&name.as_str()) {
            return Err(AccessError::Reserved(name.clone()));
        }
        let mut identities = Vec::new();
        if let Some(password) = password {
            let hash = PasswordHash::new(name.as_str(), password)?;
            identities.push(Identity::Password { hash, totp: None });
        }
        self.known.change(|all| {
            if all.contains_key(name) || first && !all.is_empty() {
                return Err(AccessError::Exists(name.clone()));
            }
            if all.len() >= MOST {
                return Err(AccessError::TooMany { what: "users", most: MOST });
            }
            if let Some(certificate) = certificate {
                free(all, &certificate, name)?;
                identities.push(Identity::Certificate { name: certificate });
            }
            let user = User { role, created: Timestamp::now(), identities };
            all.insert(name.clone(), user.clone());
            Ok(user)
        })
    }

    /// Changes role or certificate; an empty certificate takes it away. Returns the user before and after.
    pub(super) fn alter(
        &self,
        name: &Name,
        role: Option<Role>,
        certificate: Option<String>,
    ) -> Result<(User, User), AccessError> {
        self.known.change(|all| {
            if let Some(certificate) = &certificate {
                free(all, certificate, name)?;
            }
            let user = all.get_mut(name).ok_or_else(|| AccessError::NoUser(name.clone()))?;
            let before = user.clone();
            user.role = role.unwrap_or(user.role);
            if let Some(certificate) = certificate {
                user.identities.retain(|one| !matches!(one, Identity::Certificate { .. }));
                if !certificate.is_empty() {
                    user.identities.push(Identity::Certificate { name: certificate });
                }
            }
            let after = user.clone();
            keep_an_administrator(all, name, &before)?;
            Ok((before, after))
        })
    }

    pub(super) fn remove(&self, name: &Name) -> Result<User, AccessError> {
        self.known.change(|all| {
            let before = all.remove(name).ok_or_else(|| AccessError::NoUser(name.clone()))?;
            keep_an_administrator(all, name, &before)?;
            Ok(before)
        })
    }

    pub(super) fn set_password(&self, name: &Name, password: &Secret) -> Result<(), AccessError> {
        let new = PasswordHash::new(name.as_str(), password)?;
        self.known.change(|all| {
            let user = all.get_mut(name).ok_or_else(|| AccessError::NoUser(name.clone()))?;
            let old = user.identities.iter_mut().find_map(|identity| match identity {
                Identity::Password { hash, .. } => Some(hash),
                Identity::Certificate { .. } => None,
            });
            match old {
                Some(hash) => *hash = new,
                None => user.identities.push(Identity::Password { hash: new, totp: None }),
            }
            Ok(())
        })
    }

    /// Checks password and code, in the same time for users that don't exist.
    pub(super) fn prove(&self, name: &str, password: &Secret, code: Option<&str>) -> Proof {
        let name = Name::new(name).ok();
        let user = name.as_ref().and_then(|name| self.get(name));
        let Some((name, (hash, totp))) = name.zip(user.as_ref().and_then(User::password)) else {
            PasswordHash::pretend(password);
            return Proof::Wrong;
        };
        if !hash.is(password) {
            return Proof::Wrong;
        }
        let Some(key) = totp else { return Proof::Right };
        let Some(code) = code else { return Proof::CodeNeeded };
        let mut codes = self.codes();
        match key.step_of(code, unix_seconds(), codes.used.get(&name).copied()) {
            Some(step) => {
                codes.used.insert(name, step);
                Proof::Right
            }
            None => Proof::Wrong,
        }
    }

    /// A new key for the user's authenticator app, in force when a code of it confirms it.
    pub(super) fn new_key(&self, name: &Name) -> Result<(String, String), AccessError> {
        let user = self.get(name).ok_or_else(|| AccessError::NoUser(name.clone()))?;
        if !user.has_password() {
            return Err(AccessError::NoPassword(name.clone()));
        }
        let key = TotpKey::random()?;
        let shown = key.reveal(name.as_str());
        self.codes().new.insert(name.clone(), key);
        Ok(shown)
    }

    pub(super) fn confirm_key(&self, name: &Name, code: &str) -> Result<(), AccessError> {
        let key = self.codes().new.get(name).cloned().ok_or(AccessError::NoNewKey)?;
        let step = key.step_of(code, unix_seconds(), None).ok_or(AccessError::Code)?;
        self.set_key(name, Some(key))?;
        let mut codes = self.codes();
        codes.new.remove(name);
        codes.used.insert(name.clone(), step);
        Ok(())
    }

    /// Sets or takes away the key of the authenticator app.
    pub(super) fn set_key(&self, name: &Name, key: Option<TotpKey>) -> Result<(), AccessError> {
        self.known.change(|all| {
            let user = all.get_mut(name).ok_or_else(|| AccessError::NoUser(name.clone()))?;
            let kept = user.identities.iter_mut().find_map(|identity| match identity {
                Identity::Password { totp, .. } => Some(totp),
                Identity::Certificate { .. } => None,
            });
            *kept.ok_or_else(|| AccessError::NoPassword(name.clone()))? = key;
            Ok(())
        })
    }
}

fn free(all: &All, certificate: &str, name: &Name) -> Result<(), AccessError> {
    let taken =
        all.iter().find(|(other, user)| *other != name && user.certificate() == Some(certificate));
    match taken {
        Some((other, _)) => {
            Err(AccessError::CertificateTaken(certificate.to_owned(), other.clone()))
        }
        None => Ok(()),
    }
}

/// Refuses a change after which nobody could sign in who may do everything.
fn keep_an_administrator(all: &All, name: &Name, before: &User) -> Result<(), AccessError> {
    if before.can_administrate() && !all.values().any(User::can_administrate) {
        return Err(AccessError::LastAdministrator(name.clone()));
    }
    Ok(())
}

fn unix_seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn password() -> Secret {
        Secret::new("correct horse battery")
    }

    #[test]
    fn users_survive_a_restart_and_their_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let users = Users::open(directory.path()).unwrap();
        users.add(&name("alice"), Role::Administrator, Some(&password()), None, true).unwrap();
        users.add(&name("probe"), Role::Viewer, None, Some("probe.test".into()), false).unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!std::fs::read_to_string(&path).unwrap().contains("correct horse"));

        let users = Users::open(directory.path()).unwrap();
        assert_eq!(users.prove("alice", &password(), None), Proof::Right);
        assert_eq!(users.prove("alice", &Secret::new("wrong"), None), Proof::Wrong);
        assert_eq!(users.prove("nobody", &password(), None), Proof::Wrong);
        assert_eq!(users.prove("probe", &password(), None), Proof::Wrong, "has no password");
        assert_eq!(users.of_certificate("probe.test").unwrap().1, Role::Viewer);
        assert!(users.of_certificate("").is_none());
    }

    #[test]
    fn the_last_administrator_stays() {
        let directory = tempfile::tempdir().unwrap();
        let users = Users::open(directory.path()).unwrap();
        let (alice, bob) = (name("alice"), name("bob"));
        users.add(&alice, Role::Administrator, Some(&password()), None, true).unwrap();
        assert!(matches!(
            users.add(&bob, Role::Administrator, None, None, true),
            Err(AccessError::Exists(_))
        ));
        // One without a password cannot sign in to the console.
        users.add(&bob, Role::Administrator, None, Some("bob.test".into()), false).unwrap();
        assert!(matches!(users.remove(&alice), Err(AccessError::LastAdministrator(_))));
        assert!(matches!(
            users.alter(&alice, Some(Role::Viewer), None),
            Err(AccessError::LastAdministrator(_))
        ));
        users.set_password(&bob, &password()).unwrap();
        users.remove(&alice).unwrap();
        assert!(matches!(
            users.add(&name("root"), Role::Viewer, None, None, false),
            Err(AccessError::Reserved(_))
        ));
    }

    #[test]
    fn a_key_is_in_force_when_a_code_confirms_it() {
        let directory = tempfile::tempdir().unwrap();
        let users = Users::open(directory.path()).unwrap();
        let alice = name("alice");
        users.add(&alice, Role::Viewer, Some(&password()), None, false).unwrap();
        let (_, uri) = users.new_key(&alice).unwrap();
        assert!(uri.starts_with("otpauth://totp/Sluice:alice?secret="), "{uri}");
        assert_eq!(users.prove("alice", &password(), None), Proof::Right, "not confirmed yet");
        assert!(matches!(users.confirm_key(&alice, "12345"), Err(AccessError::Code)));
        users.set_key(&alice, Some(TotpKey::random().unwrap())).unwrap();
        assert_eq!(users.prove("alice", &password(), None), Proof::CodeNeeded);
        assert_eq!(users.prove("alice", &password(), Some("abcdef")), Proof::Wrong);
        users.set_key(&alice, None).unwrap();
        assert_eq!(users.prove("alice", &password(), None), Proof::Right);
    }
}
