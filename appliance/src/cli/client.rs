//! HTTP to the daemon, over its Unix socket or TLS.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::args::Connection;
use super::{CliError, ssh, tls};
use crate::access::Secret;
use crate::wire::{ProblemDetails, SESSION_HEADER};

/// Longer than the daemon's own limit, whose answer says more.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// The daemon.
#[derive(Debug)]
pub(super) struct Client {
    place: Place,
    token: Option<Secret>,
}

#[derive(Debug)]
enum Place {
    Socket(PathBuf),
    Tls(Tls),
}

#[derive(Debug)]
struct Tls {
    /// Host and port.
    authority: String,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

/// A body with its media type.
pub(super) struct Body {
    pub(super) kind: &'static str,
    pub(super) text: String,
}

impl Body {
    pub(super) fn yaml(text: String) -> Self {
        Self { kind: "application/yaml", text }
    }

    pub(super) fn json(value: &impl Serialize) -> Result<Self, CliError> {
        let text =
            serde_json::to_string(value).map_err(|error| CliError::Argument(error.to_string()))?;
        Ok(Self { kind: "application/json", text })
    }
}

impl Client {
    /// Reads the token, but does not connect yet.
    pub(super) fn new(connection: &Connection) -> Result<Self, CliError> {
        let token = connection.token_file.as_deref().map(Secret::read).transpose()?;
        let place = match &connection.server {
            None => Place::Socket(connection.socket.clone()),
            Some(url) => {
                let authority = authority(url)?;
                let (name, config) = (tls::server_name(&authority)?, tls::config(connection)?);
                Place::Tls(Tls { authority, name, config })
            }
        };
        Ok(Self { place, token })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.answer(Method::GET, path, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Body,
    ) -> Result<T, CliError> {
        self.answer(Method::POST, path, Some(body)).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.answer(Method::DELETE, path, None).await
    }

    /// An answer to a request of another kind.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<T, CliError> {
        self.answer(method, path, Some(body)).await
    }

    /// A request whose answer says nothing but that it is done.
    pub(super) async fn done(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> Result<(), CliError> {
        self.bytes(method, path, body).await.map(drop)
    }

    /// An answer that is no JSON.
    pub(super) async fn text(&self, path: &str) -> Result<String, CliError> {
        let bytes = self.bytes(Method::GET, path, None).await?;
        String::from_utf8(bytes.into()).map_err(|error| self.nonsense(&error))
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> Result<T, CliError> {
        let bytes = self.bytes(method, path, body).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.nonsense(&error))
    }

    async fn bytes(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> Result<Bytes, CliError> {
        let exchange = async {
            let response = self.send(method, path, body, None).await?;
            let body = response.into_body().collect().await;
            Ok(body.map_err(|error| self.unreachable(&error))?.to_bytes())
        };
        timeout(ANSWER_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(self.unreachable(&"no answer")))
    }

    /// The head of the answer, if it is a good one; else the problem that it tells.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
        last_event: Option<&str>,
    ) -> Result<Response<Incoming>, CliError> {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, self.host());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        if let Some(body) = &body {
            request = request.header(header::CONTENT_TYPE, body.kind);
        }
        if let (Place::Socket(_), Some(session)) = (&self.place, ssh::session()) {
            request = request.header(SESSION_HEADER, session);
        }
        if let Some(id) = last_event {
            request = request.header("last-event-id", id);
        }
        let bytes = body.map(|body| Bytes::from(body.text)).unwrap_or_default();
        let request = request
            .body(Full::new(bytes))
            .map_err(|error| CliError::Argument(error.to_string()))?;
        let mut sender = self.connect().await?;
        let response =
            sender.send_request(request).await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success()
            || response.status() == hyper::StatusCode::SERVICE_UNAVAILABLE && path == "/readyz"
        {
            return Ok(response);
        }
        let status = response.status();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|error| self.unreachable(&error))?
            .to_bytes();
        match serde_json::from_slice::<ProblemDetails>(&bytes) {
            Ok(details) => Err(CliError::Api(details)),
            Err(_) => Err(self.nonsense(&format!("status {status}"))),
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, CliError> {
        match &self.place {
            Place::Socket(path) => {
                let stream =
                    UnixStream::connect(path).await.map_err(|error| self.unreachable(&error))?;
                self.handshake(stream).await
            }
            Place::Tls(Tls { authority, name, config }) => {
                let stream = TcpStream::connect(authority).await;
                let stream = stream.map_err(|error| self.unreachable(&error))?;
                let stream = tls::wrap(config.clone(), name.clone(), stream).await;
                self.handshake(stream.map_err(|error| self.unreachable(&error))?).await
            }
        }
    }

    async fn handshake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, CliError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(&error))?;
        // What ends the connection is told by the request on it.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn host(&self) -> &str {
        match &self.place {
            Place::Socket(_) => "localhost",
            Place::Tls(tls) => &tls.authority,
        }
    }

    fn place(&self) -> String {
        match &self.place {
            Place::Socket(path) => path.display().to_string(),
            Place::Tls(tls) => tls.authority.clone(),
        }
    }

    pub(super) fn unreachable(&self, error: &dyn std::fmt::Display) -> CliError {
        CliError::Unreachable { place: self.place(), error: error.to_string() }
    }

    pub(super) fn nonsense(&self, error: &dyn std::fmt::Display) -> CliError {
        CliError::Answer { place: self.place(), error: error.to_string() }
    }
}

/// Host and port of a URL such as `https://127.0.0.1:8440`.
fn authority(url: &str) -> Result<String, CliError> {
    let wrong = || {
        CliError::Argument(format!("--server {url}: expected a URL such as https://127.0.0.1:8440"))
    };
    let parsed: Uri = url.parse().map_err(|_| wrong())?;
    let authority =
        parsed.authority().filter(|authority| authority.port().is_some()).ok_or_else(wrong)?;
    let right = parsed.scheme_str() == Some("https") && matches!(parsed.path(), "" | "/");
    if right { Ok(authority.to_string()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_is_an_https_url_with_a_port() {
        assert_eq!(authority("https://127.0.0.1:8440").unwrap(), "127.0.0.1:8440");
        assert_eq!(authority("https://[::1]:8440/").unwrap(), "[::1]:8440");
        for wrong in [
            "127.0.0.1:8440",
            "http://127.0.0.1:8440",
            "https://127.0.0.1",
            "https://127.0.0.1:8440/v1",
            "",
        ] {
            assert!(authority(wrong).is_err(), "{wrong}");
        }
    }
}
