//! The sealed backup: Argon2id makes a key of the passphrase, ChaCha20-Poly1305 seals with it.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_model::Object;
use sluice_model::objects::{Objects, Source};

use crate::wire::{Backup, KeyDerivation, Passphrase};

const FORMAT: &str = "sluice-backup";
const VERSION: u32 = 1;
const CIPHER: &str = "chacha20-poly1305";
const DERIVATION: &str = "argon2id";

/// The second recommendation of RFC 9106, section 4: 64 MiB, three passes, four lanes.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
const LANES: u32 = 4;
/// A backup may ask for no more than this: opening one from elsewhere must not exhaust the machine.
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 64;

const SHORTEST_PASSPHRASE: usize = 8;
const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Why a backup cannot be made or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// It could be guessed.
    #[error("passphrase: expected {SHORTEST_PASSPHRASE} characters or more")]
    ShortPassphrase,
    /// It is something else, or of a version that this one does not know.
    #[error(
        "backup: {0}; this version of sluiced opens backups of format {FORMAT}, version {VERSION}"
    )]
    Unknown(&'static str),
    /// The seal does not fit.
    #[error("the backup cannot be opened: the passphrase is another one, or the file was changed")]
    Sealed,
    /// There is no randomness, or no memory for the key.
    #[error("the machine cannot make a key: {0}")]
    Key(&'static str),
}

/// What a backup holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct Contents {
    /// The revision it was made of.
    pub revision: u64,
    /// The objects with where they came from.
    pub objects: Vec<SourcedObject>,
    /// Users, tokens and keys, as [`access`](crate::access) writes them.
    #[serde(default)]
    pub secrets: Value,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents")
            .field("revision", &self.revision)
            .field("objects", &self.objects.len())
            .finish_non_exhaustive()
    }
}

/// An object with where it came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourcedObject {
    /// A file or the API.
    pub source: Source,
    /// The object.
    pub object: Object,
}

impl Contents {
    /// These objects and secrets.
    pub fn new(revision: u64, objects: &Objects, secrets: Value) -> Self {
        let object = |entry: &sluice_model::objects::Entry| {
            let mut object = (*entry.object).clone();
            object.metadata_mut().resource_version = None;
            SourcedObject { source: entry.source.clone(), object }
        };
        let objects = objects.iter().map(|(_, entry)| object(entry)).collect();
        Self { revision, objects, secrets }
    }

    /// Seals it. Takes a while on purpose.
    ///
    /// # Errors
    /// When the passphrase is too short.
    pub fn seal(&self, passphrase: &Passphrase) -> Result<Backup, BackupError> {
        if passphrase.reveal().chars().count() < SHORTEST_PASSPHRASE {
            return Err(BackupError::ShortPassphrase);
        }
        let random = |bytes: &mut [u8]| {
            let no_random = |_| BackupError::Key("no randomness");
            SystemRandom::new().fill(bytes).map_err(no_random)
        };
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        random(&mut salt)?;
        random(&mut nonce)?;
        let mut backup = Backup {
            format: FORMAT.to_owned(),
            version: VERSION,
            created: Timestamp::now(),
            revision: self.revision,
            key: KeyDerivation {
                algorithm: DERIVATION.to_owned(),
                memory_kib: MEMORY_KIB,
                passes: PASSES,
                lanes: LANES,
                salt: BASE64.encode(salt),
            },
            cipher: CIPHER.to_owned(),
            nonce: BASE64.encode(nonce),
            sealed: String::new(),
        };
        let key = key(&backup.key, passphrase)?;
        let mut bytes = serde_json::to_vec(self).map_err(|_| BackupError::Key("no memory"))?;
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(head(&backup)),
            &mut bytes,
        )
        .map_err(|_| BackupError::Key("too much to seal"))?;
        backup.sealed = BASE64.encode(bytes);
        Ok(backup)
    }

    /// Opens a backup. Takes a while on purpose.
    ///
    /// # Errors
    /// When it is no backup, or the passphrase is another.
    pub fn open(backup: &Backup, passphrase: &Passphrase) -> Result<Self, BackupError> {
        if backup.format != FORMAT || backup.version != VERSION {
            return Err(BackupError::Unknown("its format or version is another"));
        }
        if backup.cipher != CIPHER || backup.key.algorithm != DERIVATION {
            return Err(BackupError::Unknown("its cipher is another"));
        }
        let decode = |text: &str| {
            let malformed = |_| BackupError::Unknown("a field is not Base64");
            BASE64.decode(text).map_err(malformed)
        };
        let nonce = <[u8; NONCE_BYTES]>::try_from(decode(&backup.nonce)?)
            .map_err(|_| BackupError::Unknown("its nonce has another length"))?;
        let mut bytes = decode(&backup.sealed)?;
        let opened = key(&backup.key, passphrase)?
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(head(backup)), &mut bytes)
            .map_err(|_| BackupError::Sealed)?;
        serde_json::from_slice(opened)
            .map_err(|_| BackupError::Unknown("it holds objects of another version"))
    }
}

/// What stands in clear is covered by the seal too.
fn head(backup: &Backup) -> Vec<u8> {
    let key = &backup.key;
    format!(
        "{} {} {} {} {} {} {} {} {} {}",
        backup.format,
        backup.version,
        backup.created,
        backup.revision,
        key.algorithm,
        key.memory_kib,
        key.passes,
        key.lanes,
        key.salt,
        backup.cipher
    )
    .into_bytes()
}

fn key(derivation: &KeyDerivation, passphrase: &Passphrase) -> Result<LessSafeKey, BackupError> {
    let KeyDerivation { memory_kib, passes, lanes, salt, .. } = derivation;
    if *memory_kib > MOST_MEMORY_KIB || *passes > MOST_PASSES || *lanes > MOST_LANES {
        return Err(BackupError::Unknown("making its key would take too much memory or time"));
    }
    let parameters = Params::new(*memory_kib, *passes, *lanes, Some(KEY_BYTES))
        .map_err(|_| BackupError::Unknown("its key has impossible parameters"))?;
    let salt = BASE64.decode(salt).map_err(|_| BackupError::Unknown("its salt is not Base64"))?;
    let mut bytes = [0; KEY_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(passphrase.reveal().as_bytes(), &salt, &mut bytes)
        .map_err(|_| BackupError::Unknown("its key has impossible parameters"))?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes)
        .map_err(|_| BackupError::Key("of this length"))?;
    Ok(LessSafeKey::new(key))
}
