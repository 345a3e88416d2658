//! Who may ask: everybody who can open the Unix socket; on TCP who knows the token.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::ApiError;
use crate::access::{Caller, CallerKind, Connection, Role};

/// Shorter tokens can be guessed.
const TOKEN_BYTES: usize = 16;

/// A text that is never shown.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

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
        Ok(Self(token.into()))
    }

    /// The text, for a header.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in a time that tells nothing but the length.
    fn is(&self, other: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(other).into()
    }
}

/// What a connection may do.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everything: the socket's permissions are the check.
    Open,
    /// Everything with the token; from loopback, `/healthz` and `/readyz` without.
    Token(Secret),
}

/// The door: lets nobody in who is not known, and says to the handlers who it is.
pub(super) async fn check(
    State((access, connection)): State<(Access, Connection)>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&access, connection, request.headers()) {
        Some(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        None if is_probe(request.uri().path()) && connection.is_local() => next.run(request).await,
        None => ApiError::Unauthorized.into_response(),
    }
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

fn caller(access: &Access, connection: Connection, headers: &HeaderMap) -> Option<Caller> {
    let (name, kind) = match access {
        Access::Open => ("root", CallerKind::Socket),
        Access::Token(token) => {
            bearer(headers).filter(|given| token.is(given))?;
            ("token-file", CallerKind::Token("token-file".into()))
        }
    };
    Some(Caller { name: name.into(), role: Role::Administrator, kind, connection })
}

/// RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::access::Ends;

    fn from(peer: &str) -> Connection {
        let local = "192.0.2.254:8440".parse().unwrap();
        Connection::new(Some(Ends::new(format!("{peer}:1").parse().unwrap(), local)))
    }

    fn allowed(peer: &str, path: &str, authorization: Option<&str>) -> bool {
        let access = Access::Token(Secret("0123456789abcdef".into()));
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        let connection = from(peer);
        caller(&access, connection, &headers).is_some() || is_probe(path) && connection.is_local()
    }

    #[test]
    fn who_opens_the_socket_is_root() {
        let caller = caller(&Access::Open, Connection::new(None), &HeaderMap::new()).unwrap();
        assert_eq!((&*caller.name, caller.role), ("root", Role::Administrator));
        assert_eq!(caller.connection.to_string(), "local");
        assert_eq!(from("[::ffff:192.0.2.1]").to_string(), "192.0.2.1");
    }

    #[test]
    fn token_opens_everything() {
        assert!(allowed("192.0.2.1", "/v1/status", Some("Bearer 0123456789abcdef")));
        assert!(allowed("192.0.2.1", "/v1/status", Some("bearer 0123456789abcdef")));
    }

    #[test]
    fn nothing_else_does() {
        for wrong in [
            "Bearer 0123456789abcdeF",
            "Bearer 0123456789abcde",
            "Bearer ",
            "Bearer",
            "Basic 0123456789abcdef",
            "",
        ] {
            assert!(!allowed("127.0.0.1", "/v1/status", Some(wrong)), "{wrong}");
        }
        assert!(!allowed("127.0.0.1", "/v1/status", None));
        assert!(!allowed("127.0.0.1", "/metrics", None));
    }

    #[test]
    fn probes_need_no_token_from_loopback_only() {
        assert!(allowed("127.0.0.1", "/healthz", None));
        assert!(allowed("[::1]", "/readyz", None));
        assert!(!allowed("192.0.2.1", "/healthz", None));
        assert!(!allowed("127.0.0.1", "/healthz/../v1/status", None));
    }

    #[test]
    fn token_is_never_shown() {
        let access = Access::Token(Secret("0123456789abcdef".into()));
        assert!(!format!("{access:?}").contains("0123"));
    }

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
