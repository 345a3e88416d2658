//! TLS towards backends: verified against the system's certificates, or not at all.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Check, words};

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
        Ok(Arc::new(builder()?.with_root_certificates(roots).with_no_client_auth()))
    };
    CONFIG.get_or_init(build).clone()
}

/// Accepts any certificate: the probe asks whether the backend serves, not who it is.
fn trusting() -> Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    let build = || {
        let verifier = Arc::new(AnyCertificate(ring::default_provider()));
        Ok(Arc::new(
            builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth(),
        ))
    };
    CONFIG.get_or_init(build).clone()
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))
}

#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
