//! The file with the token of `--token-file`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Secret;

/// Shorter tokens can be guessed.
const TOKEN_BYTES: usize = 16;

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("token file {}: cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others may read it.
    #[error("token file {}: its mode is {mode:03o}, others may read it; `chmod 600 {}`", path.display(), path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The token is too short, or has blanks.
    #[error("token file {}: expected one line with at least {TOKEN_BYTES} characters and no blanks; `openssl rand -hex 32` makes one", .0.display())]
    Weak(PathBuf),
}

impl Secret {
    /// Reads a token from a file that nobody but its owner may read.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |error| TokenError::Unreadable { path: path.to_owned(), error };
        let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Open { path: path.to_owned(), mode });
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let token = text.trim_end_matches(['\r', '\n']);
        if token.len() < TOKEN_BYTES || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Weak(path.to_owned()));
        }
        Ok(Self::new(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_file_must_be_private_and_strong() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let write = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Secret::read(&path).map(|secret| secret.reveal().to_owned())
        };
        assert_eq!(write("0123456789abcdef\n", 0o600).unwrap(), "0123456789abcdef");
        assert!(matches!(
            write("0123456789abcdef\n", 0o640),
            Err(TokenError::Open { mode: 0o640, .. })
        ));
        assert!(matches!(write("short\n", 0o600), Err(TokenError::Weak(_))));
        assert!(matches!(write("0123456789 abcdef\n", 0o600), Err(TokenError::Weak(_))));
    }
}
