//! One HTTP request on a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

use crate::pattern;
use crate::server::NAME_HEADER;

/// Longer than a lost SYN takes to be sent again twice (1 s, 2 s).
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// For bodies of a megabyte, and a path whose MTU has to be learned.
const LONG_PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
pub(crate) struct Answer {
    /// The name of the backend that answered.
    pub(crate) backend: String,
    pub(crate) body: Bytes,
}

/// What an upload found out.
pub(crate) struct Upload {
    pub(crate) backend: String,
    pub(crate) bytes: usize,
}

/// Fetches a path, from the address that the routes choose.
pub(crate) async fn get(target: SocketAddr, path: &str) -> Result<Answer> {
    within(PATIENCE, exchange(target, None, Method::GET, path, Bytes::new())).await
}

/// Fetches a path from one of the client's addresses, and a port: 0 lets the kernel choose.
pub(crate) async fn get_from(
    source: SocketAddr,
    target: SocketAddr,
    path: &str,
    patience: Duration,
) -> Result<Answer> {
    within(patience, exchange(target, Some(source), Method::GET, path, Bytes::new())).await
}

/// Fetches a body of the pattern and compares it.
pub(crate) async fn download(target: SocketAddr, bytes: usize) -> Result<Answer> {
    let path = format!("/bytes/{bytes}");
    let answer =
        within(LONG_PATIENCE, exchange(target, None, Method::GET, &path, Bytes::new())).await?;
    if let Some(position) = pattern::first_difference(0, &answer.body) {
        bail!("byte {position} of the answer is not what was sent");
    }
    if answer.body.len() != bytes {
        bail!("{} of {bytes} bytes arrived", answer.body.len());
    }
    Ok(answer)
}

/// Sends a body of the pattern; the server compares it.
pub(crate) async fn upload(target: SocketAddr, bytes: usize) -> Result<Upload> {
    let body = pattern::bytes(0, bytes);
    let answer =
        within(LONG_PATIENCE, exchange(target, None, Method::POST, "/upload", body)).await?;
    let text = String::from_utf8_lossy(&answer.body);
    if text.trim() != format!("{bytes} bytes") {
        bail!("the server received {:?} of {bytes} bytes", text.trim());
    }
    Ok(Upload { backend: answer.backend, bytes })
}

async fn within<T>(patience: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(patience, work).await {
        Ok(result) => result,
        Err(_) => bail!("no complete answer within {} ms", patience.as_millis()),
    }
}

async fn exchange(
    target: SocketAddr,
    source: Option<SocketAddr>,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Answer> {
    let response = open(target, source, method, path, body).await?;
    let backend = backend_of(&response)?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        let text =
            response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        bail!("{backend} answered {status}: {}", String::from_utf8_lossy(&text).trim());
    }
    let body = response
        .into_body()
        .collect()
        .await
        .with_context(|| format!("the answer of {backend} broke off"))?;
    Ok(Answer { backend, body: body.to_bytes() })
}

/// Connects, sends the request, and returns the response with its body still to come.
pub(super) async fn open(
    target: SocketAddr,
    source: Option<SocketAddr>,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Response<Incoming>> {
    let stream = connect(target, source).await.context("connect")?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.context("start of HTTP")?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, target.to_string())
        .body(Full::new(body))?;
    sender.send_request(request).await.context("request")
}

async fn connect(target: SocketAddr, source: Option<SocketAddr>) -> std::io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        // One port of ours may connect to several services.
        socket.set_reuseaddr(true)?;
        socket.bind(source)?;
    }
    let stream = socket.connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(super) fn backend_of<T>(response: &Response<T>) -> Result<String> {
    let name = response.headers().get(NAME_HEADER).context("the answer names no backend")?;
    Ok(name.to_str().context("the backend's name is no text")?.to_owned())
}
