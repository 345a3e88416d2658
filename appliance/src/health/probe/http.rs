//! An HTTP GET is answered as expected.

use std::error::Error;
use std::future::pending;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use sluice_model::HealthType;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Check, shown};

/// The expected text must stand within so many bytes of the body.
const BODY_BYTES: usize = 64 * 1024;

pub(super) async fn probe<S>(check: &Check, stream: S) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| explain(&error))?;
    let request = request(check)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(|error| explain(&error))?;
        judge(check, response).await
    };
    // The connection is driven here and not by a task of its own. When it ends, the exchange knows how.
    let drive = async move {
        let _ = connection.await;
        pending().await
    };
    tokio::select! {
        result = exchange => result,
        never = drive => never,
    }
}

fn request(check: &Check) -> Result<Request<Empty<Bytes>>, String> {
    Request::get(check.health.path())
        .header(header::HOST, host(check))
        .header(header::USER_AGENT, concat!("sluice/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| format!("request for {}: {error}", check.health.path()))
}

/// RFC 9110, section 7.2: the port stands in `Host` unless it is the scheme's own.
fn host(check: &Check) -> String {
    if let Some(host) = &check.health.host {
        return host.clone();
    }
    let usual = if check.health.check == HealthType::Https { 443 } else { 80 };
    match check.target {
        target if target.port() != usual => target.to_string(),
        std::net::SocketAddr::V4(target) => target.ip().to_string(),
        std::net::SocketAddr::V6(target) => format!("[{}]", target.ip()),
    }
}

async fn judge(check: &Check, response: Response<Incoming>) -> Result<(), String> {
    let status = response.status().as_u16();
    if !check.health.accepts_status(status) {
        return Err(format!("status {status}, expected {}", expected_status(check)));
    }
    let Some(text) = &check.health.expect_body else { return Ok(()) };
    let body = beginning(response.into_body()).await?;
    let found =
        body.windows(text.len().max(1)).any(|part| part == text.as_bytes()) || text.is_empty();
    if found {
        Ok(())
    } else {
        Err(format!("body {} does not contain {}", shown(&body), shown(text.as_bytes())))
    }
}

fn expected_status(check: &Check) -> String {
    match &check.health.expect_status {
        Some(patterns) => patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
        None => "2xx or 3xx".to_owned(),
    }
}

async fn beginning(mut body: Incoming) -> Result<Vec<u8>, String> {
    let mut read = Vec::new();
    while read.len() < BODY_BYTES
        && let Some(frame) = body.frame().await
    {
        if let Some(data) = frame.map_err(|error| explain(&error))?.data_ref() {
            read.extend_from_slice(data);
        }
    }
    read.truncate(BODY_BYTES);
    Ok(read)
}

/// hyper says the class of an error, its source what happened.
fn explain(error: &hyper::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("HTTP: {error}{cause}")
}
