//! Probes against real servers on loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sluice_model::Health;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::{Check, probe};

fn check(target: SocketAddr, yaml: &str) -> Check {
    let health: Health = serde_saphyr::from_str(yaml).unwrap();
    Check { target, health: Arc::new(health) }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads one request and answers with these bytes; the request comes back.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: &str) -> String {
    let mut request = vec![0; 4096];
    let mut length = 0;
    while !request[..length].ends_with(b"\r\n\r\n") {
        length += stream.read(&mut request[length..]).await.unwrap();
    }
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8_lossy(&request[..length]).into_owned()
}

async fn http(yaml: &str, bytes: &'static str) -> (Result<(), String>, String) {
    let (listener, address) = listener().await;
    let server =
        tokio::spawn(async move { answer(listener.accept().await.unwrap().0, bytes).await });
    let result = probe(&check(address, yaml)).await;
    (result, server.await.unwrap())
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn tcp_accepts_a_connection() {
    let (_listener, address) = listener().await;
    assert_eq!(probe(&check(address, "type: tcp")).await, Ok(()));
}

#[tokio::test]
async fn tcp_tells_a_refusal() {
    let (listener, address) = listener().await;
    drop(listener);
    let expected = format!("connect to {address}: connection refused");
    assert_eq!(probe(&check(address, "type: tcp")).await, Err(expected));
}

#[tokio::test]
async fn http_sends_path_and_host_and_accepts_status() {
    let (result, request) = http("{type: http, path: /healthz, host: www.example}", OK).await;
    assert_eq!(result, Ok(()));
    assert!(request.starts_with("GET /healthz HTTP/1.1\r\n"), "{request}");
    assert!(request.to_ascii_lowercase().contains("host: www.example\r\n"), "{request}");
}

#[tokio::test]
async fn http_tells_a_wrong_status() {
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let (result, _) = http("{type: http, expectStatus: [200]}", busy).await;
    assert_eq!(result, Err("status 503, expected 200".into()));
    let (result, _) = http("type: http", busy).await;
    assert_eq!(result, Err("status 503, expected 2xx or 3xx".into()));
}

#[tokio::test]
async fn http_looks_into_the_body() {
    assert_eq!(http("{type: http, expectBody: ell}", OK).await.0, Ok(()));
    let (result, _) = http("{type: http, expectBody: world}", OK).await;
    assert_eq!(result, Err("body \"hello\" does not contain \"world\"".into()));
}

#[tokio::test]
async fn http_body_in_chunks_is_one_text() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    assert_eq!(http("{type: http, expectBody: hello}", chunked).await.0, Ok(()));
}

#[tokio::test]
async fn http_tells_what_is_no_http() {
    let (result, _) = http("type: http", "SSH-2.0-OpenSSH_9.2\r\n").await;
    assert!(result.as_ref().is_err_and(|error| error.starts_with("HTTP: ")), "{result:?}");
    let (result, _) = http("type: http", "").await;
    assert!(result.as_ref().is_err_and(|error| error.starts_with("HTTP: ")), "{result:?}");
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let stream = listener.accept().await;
        std::future::pending::<()>().await;
        drop(stream);
    });
    let result = probe(&check(address, "{type: http, timeout: 50ms}")).await;
    assert_eq!(result, Err(format!("{address}: no answer within 50ms")));
    server.abort();
}

async fn https(yaml: &str) -> Result<(), String> {
    let made = rcgen::generate_simple_self_signed(vec!["www.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let stream = listener.accept().await.unwrap().0;
        if let Ok(stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            answer(stream, OK).await;
        }
    });
    let result = probe(&check(address, yaml)).await;
    server.await.unwrap();
    result
}

#[tokio::test]
async fn https_accepts_any_certificate_unless_told_to_verify() {
    assert_eq!(https("{type: https, expectBody: hello}").await, Ok(()));
    let result = https("{type: https, tlsVerify: true, serverName: www.example}").await;
    assert!(
        result.as_ref().is_err_and(
            |error| error.contains("invalid peer certificate") || error.contains("tlsVerify")
        ),
        "{result:?}"
    );
}

async fn udp(yaml: &str, bytes: &'static [u8]) -> (Result<(), String>, Vec<u8>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let mut asked = vec![0; 2048];
        let (length, from) = socket.recv_from(&mut asked).await.unwrap();
        socket.send_to(bytes, from).await.unwrap();
        asked.truncate(length);
        asked
    });
    let result = probe(&check(address, yaml)).await;
    (result, server.await.unwrap())
}

#[tokio::test]
async fn udp_compares_the_beginning_of_the_answer() {
    let (result, asked) = udp("{type: udp, send: \"hex:00ff\", expect: po}", b"pong").await;
    assert_eq!((result, asked), (Ok(()), vec![0, 0xff]));
    let (result, _) = udp("{type: udp, send: ping, expect: pong}", b"\x01no").await;
    assert_eq!(result, Err(r#"answer "\x01no" does not begin with "pong""#.into()));
}

#[tokio::test]
async fn udp_tells_a_closed_port() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let result = probe(&check(address, "{type: udp, send: ping}")).await;
    assert_eq!(result, Err(format!("answer from {address}: connection refused")));
}
