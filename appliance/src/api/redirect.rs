//! What is said to those who speak plain HTTP: the same address with `https`, and nothing else.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Answers one request; the caller bounds the time.
pub(super) async fn to_https(stream: TcpStream) {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request)));
    let _ = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let text = "this gateway speaks HTTPS only\n";
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    match host.and_then(|host| location(host, path)) {
        Some(location) => {
            // The method stays, and nobody repeats a secret in plain text because of a remembered answer.
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(header::LOCATION, location);
        }
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

fn location(host: &str, path: &str) -> Option<header::HeaderValue> {
    let authority: Authority = host.parse().ok()?;
    if authority.as_str().contains('@') || !path.starts_with('/') {
        return None;
    }
    header::HeaderValue::from_str(&format!("https://{authority}{path}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_with_https() {
        let to = |host, path| location(host, path).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(to("gw:8440", "/a?b=c").as_deref(), Some("https://gw:8440/a?b=c"));
        assert_eq!(to("[fd00::1]:8440", "/").as_deref(), Some("https://[fd00::1]:8440/"));
        for wrong in ["", "a b", "user@gw", "gw/evil"] {
            assert_eq!(to(wrong, "/"), None, "{wrong}");
        }
        assert_eq!(to("gw", "*"), None);
    }
}
