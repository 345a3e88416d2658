//! TLS towards backends: verified against the system's certificates, or not at all.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Check, words};
use crate::tls;

pub(super) async fn wrap(check: &Check, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let name = server_name(check)?;
    let config = if check.health.tls_verify() { verifying() } else { trusting() }?;
    TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| format!("TLS with {}: {}", check.target, words(&error)))
}

fn server_name(check: &Check) -> Result<ServerName<'static>, String> {
    let Some(name) = check.health.server_name.as_ref().or(check.health.host.as_ref()) else {
        return Ok(ServerName::IpAddress(check.target.ip().into()));
    };
    ServerName::try_from(name.clone())
        .map_err(|_| format!("`{name}` is not a name that a certificate can have"))
}

type Config = Result<Arc<ClientConfig>, String>;

/// Checks the chain against the system's certificates, read once.
fn verifying() -> Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    let build = || {
        let mut roots = RootCertStore::empty();
        let (usable, _) =
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if usable == 0 {
            return Err(
                "tlsVerify: the system has no certificate authorities; install ca-certificates"
                    .to_owned(),
            );
        }
        let builder = tls::client().map_err(unusable)?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    };
    CONFIG.get_or_init(build).clone()
}

/// Accepts any certificate: the probe asks whether the backend serves, not who it is.
fn trusting() -> Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    let build = || Ok(Arc::new(tls::judging(|_| Ok(())).map_err(unusable)?));
    CONFIG.get_or_init(build).clone()
}

fn unusable(error: rustls::Error) -> String {
    format!("TLS: {error}")
}
