//! TLS towards the daemon: verified by the system's authorities, by a given one, or by the certificate's fingerprint.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::CliError;
use super::args::Connection;
use crate::access::fingerprint;
use crate::tls;

/// How the daemon's certificate is verified.
pub(super) fn config(connection: &Connection) -> Result<Arc<ClientConfig>, CliError> {
    let unusable = |error: rustls::Error| CliError::Argument(format!("TLS: {error}"));
    if let Some(text) = &connection.fingerprint {
        let expected = digits(text)?;
        let pinned = tls::judging(move |certificate| is_pinned(&expected, certificate));
        return Ok(Arc::new(pinned.map_err(unusable)?));
    }
    let roots = match &connection.ca {
        Some(path) => tls::authorities(path)
            .map_err(|error| CliError::Argument(format!("--ca {}: {error}", path.display())))?,
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    let builder = tls::client().map_err(unusable)?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Trusts one certificate, whoever made it.
fn is_pinned(expected: &str, certificate: &[u8]) -> Result<(), rustls::Error> {
    let found = fingerprint(certificate);
    if found == expected {
        return Ok(());
    }
    Err(rustls::Error::General(format!(
        "the certificate's SHA-256 is {found}, which is not --fingerprint: somebody else answers, or the certificate was \
         replaced"
    )))
}

/// The name or address before the port.
pub(super) fn server_name(authority: &str) -> Result<ServerName<'static>, CliError> {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| {
        CliError::Argument(format!("--server: {host} is not a name that a certificate can have"))
    })
}

pub(super) async fn wrap(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|error| {
        let text = error.to_string();
        if text.contains("UnknownIssuer") || text.contains("CaUsedAsEndEntity") {
            format!(
                "{text}; the gateway made its certificate itself: give its SHA-256, which the gateway's console and log \
                 show, by --fingerprint"
            )
        } else {
            text
        }
    })
}

/// Sixty-four digits; colons between them, as many programs print them, don't matter.
fn digits(text: &str) -> Result<String, CliError> {
    let plain: String = text.chars().filter(|letter| *letter != ':').collect();
    if plain.len() == 64 && plain.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(plain.to_ascii_lowercase());
    }
    let message = format!(
        "--fingerprint {text}: expected the SHA-256 of a certificate, 64 hexadecimal digits"
    );
    Err(CliError::Argument(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_64_digits_with_or_without_colons() {
        let plain = "0123456789abcdef".repeat(4);
        assert_eq!(digits(&plain.to_uppercase()).unwrap(), plain);
        let pairs: Vec<_> =
            plain.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap()).collect();
        assert_eq!(digits(&pairs.join(":")).unwrap(), plain);
        for wrong in ["", "0123", &plain[1..], &plain.replace('0', "g")] {
            assert!(digits(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_name_is_what_stands_before_the_port() {
        let name = |authority| server_name(authority).unwrap().to_str().into_owned();
        assert_eq!(name("gw.example:8440"), "gw.example");
        assert_eq!(name("192.0.2.1:8440"), "192.0.2.1");
        assert_eq!(name("[fd00::1]:8440"), "fd00::1");
    }
}
