//! Which certificate the gateway shows: a given one, files that somebody else renews, or one made at the first start.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use tracing::{info, warn};

use super::certificate::{Certificate, CertificateAbout};
use super::{AccessError, Secret, StateError, files};
use crate::tls;

/// Where a certificate comes from that others keep, such as an ACME client.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The chain in PEM, the gateway's own certificate first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// The gateway's certificate and those before it. What is shown can change between two connections.
#[derive(Debug)]
pub struct Certificates {
    kept: PathBuf,
    files: Option<CertificateFiles>,
    current: RwLock<Certificate>,
    /// When the files were last written, as far as they were read.
    read: RwLock<Option<[SystemTime; 2]>>,
}

impl Certificates {
    /// Reads the certificate, or makes one for this machine's name and these addresses.
    ///
    /// # Errors
    /// When there is one that cannot be used, or none can be kept.
    pub fn open(
        state: &Path,
        files: Option<CertificateFiles>,
        listen: Option<SocketAddr>,
    ) -> Result<Arc<Self>, AccessError> {
        files::directory(state)?;
        let kept = state.join("certificate.pem");
        let (current, read) = match &files {
            Some(files) => {
                // Whatever the time is: a gateway with an old certificate is better than none.
                let (certificate, written) = files.read(None)?;
                (certificate, Some(written))
            }
            None => (open_kept(&kept, listen)?, None),
        };
        let about = &current.about;
        info!(fingerprint = %about.fingerprint, names = ?about.names, until = %about.not_after, self_signed = about.self_signed, "certificate");
        if about.not_after < Timestamp::now() {
            warn!(until = %about.not_after, "the certificate is not valid any more: give the gateway a new one");
        }
        let (current, read) = (RwLock::new(current), RwLock::new(read));
        Ok(Arc::new(Self { kept, files, current, read }))
    }

    /// What the certificate in use says.
    pub fn about(&self) -> CertificateAbout {
        self.current().about
    }

    fn current(&self) -> Certificate {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, certificate: Certificate) {
        let about = &certificate.about;
        info!(fingerprint = %about.fingerprint, until = %about.not_after, "new certificate");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// Takes another certificate; connections from now on see it. The one before is kept beside it.
    pub(crate) fn replace(
        &self,
        chain: &str,
        key: &Secret,
    ) -> Result<(CertificateAbout, CertificateAbout), AccessError> {
        if let Some(files) = &self.files {
            return Err(AccessError::CertificateFiles(files.certificate.clone()));
        }
        let (before, next) = (self.current(), Certificate::read(chain, key, Timestamp::now())?);
        // The next start reads both out of one file.
        Certificate::parse(next.pem.reveal(), &next.pem)?;
        let previous = self.kept.with_file_name("certificate.previous.pem");
        files::replace(&previous, before.pem.reveal().as_bytes())?;
        files::replace(&self.kept, next.pem.reveal().as_bytes())?;
        let about = next.about.clone();
        self.show(next);
        Ok((before.about, about))
    }

    /// Reads the files again if they were written since. What cannot be used is told, and the old one stays.
    pub fn refresh(&self) {
        let Some(files) = &self.files else { return };
        let known = *self.read.read().unwrap_or_else(PoisonError::into_inner);
        let now = files.written().ok();
        if now.is_none() || now == known {
            return;
        }
        // Read or refused, these are not read again until they change.
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = now;
        match files.read(Some(Timestamp::now())) {
            Ok((certificate, _)) => self.show(certificate),
            Err(error) => warn!(%error, "the new certificate cannot be used: the old one stays"),
        }
    }

    /// How TLS is spoken: with this certificate, and with clients that may show one of this authority.
    ///
    /// # Errors
    /// When the authority's file cannot be used.
    pub fn server(
        self: &Arc<Self>,
        client_ca: Option<&Path>,
    ) -> Result<Arc<ServerConfig>, AccessError> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots =
                    tls::authorities(path).map_err(|error| client_ca_error(path, &error))?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| client_ca_error(path, &error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut server = builder.with_cert_resolver(self.clone());
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).key.clone())
    }
}

impl CertificateFiles {
    fn written(&self) -> io::Result<[SystemTime; 2]> {
        let time = |path: &Path| fs::metadata(path)?.modified();
        Ok([time(&self.certificate)?, time(&self.key)?])
    }

    /// Reads both; valid at that time, if one is given.
    fn read(&self, at: Option<Timestamp>) -> Result<(Certificate, [SystemTime; 2]), AccessError> {
        let read = |path: &Path| {
            fs::read_to_string(path).map_err(|error| StateError::io(path, "read", error))
        };
        let written =
            self.written().map_err(|error| StateError::io(&self.certificate, "read", error))?;
        let (chain, key) = (read(&self.certificate)?, Secret::from(read(&self.key)?));
        let certificate = match at {
            Some(at) => Certificate::read(&chain, &key, at)?,
            None => Certificate::parse(&chain, &key)?,
        };
        Ok((certificate, written))
    }
}

fn open_kept(kept: &Path, listen: Option<SocketAddr>) -> Result<Certificate, AccessError> {
    if let Some(content) = files::read(kept)? {
        let text = String::from_utf8(content).map_err(|error| StateError::content(kept, &error))?;
        let both = Certificate::parse(&text, &Secret::new(&text));
        return both.map_err(|error| StateError::content(kept, &error).into());
    }
    let made = Certificate::self_signed(&names(listen))?;
    files::replace(kept, made.pem.reveal().as_bytes())?;
    Ok(made)
}

/// What this machine is called, as far as it knows by itself.
fn names(listen: Option<SocketAddr>) -> Vec<String> {
    let mut names = Vec::new();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    if rustls::pki_types::DnsName::try_from(host).is_ok() && host != "localhost" {
        names.push(host.to_owned());
    }
    names.push("localhost".to_owned());
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    let own = listen.map(|address| address.ip()).filter(|ip| !ip.is_unspecified());
    for address in own.into_iter().chain(loopback) {
        let text = address.to_string();
        if !names.contains(&text) {
            names.push(text);
        }
    }
    names
}

fn client_ca_error(path: &Path, error: &dyn std::fmt::Display) -> AccessError {
    StateError::content(path, error).into()
}

fn unusable(error: rustls::Error) -> AccessError {
    AccessError::Certificate { field: "TLS", problem: error.to_string() }
}
