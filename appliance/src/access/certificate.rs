//! The gateway's certificate: what it says, whether its key fits, and one made here where none was given.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::secret::sha256;
use super::{AccessError, Secret};

/// A chain of certificates with the key of its first one, found to fit.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// As it is kept: certificates and key.
    pub(super) pem: Secret,
    pub(super) key: Arc<CertifiedKey>,
    pub(crate) about: CertificateAbout,
}

/// What the gateway's certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateAbout {
    /// The SHA-256 of the certificate, in hexadecimal digits: what a client can compare, and what `--fingerprint` takes.
    pub fingerprint: String,
    /// Whom it is for.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: String,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Whether nobody else vouches for it.
    pub self_signed: bool,
}

impl Certificate {
    /// Reads certificates and key in PEM and checks that they fit each other and are valid now.
    pub(crate) fn read(chain: &str, key: &Secret, now: Timestamp) -> Result<Self, AccessError> {
        let certificate = Self::parse(chain, key)?;
        let about = &certificate.about;
        if about.not_after < now {
            let over = format!("it was valid until {}; get a new one", about.not_after);
            return Err(wrong("certificate", &over));
        }
        if about.not_before > now {
            let early = format!(
                "it is valid from {} on, and it is {now}; check the gateway's clock",
                about.not_before
            );
            return Err(wrong("certificate", &early));
        }
        Ok(certificate)
    }

    /// Reads certificates and key in PEM, whatever the time is: an old one is better than none.
    pub(super) fn parse(chain: &str, key: &Secret) -> Result<Self, AccessError> {
        let certificates = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong("certificate", &format!("it is not PEM: {error}")))?;
        let Some(first) = certificates.first() else {
            let none = "there is no `-----BEGIN CERTIFICATE-----` in it; send the chain in PEM, the gateway's own first";
            return Err(wrong("certificate", &none));
        };
        let about = CertificateAbout::of(first)?;
        let private = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).map_err(|error| {
            wrong("key", &format!("it is no private key in PEM without a passphrase: {error}"))
        })?;
        let certified = CertifiedKey::from_der(certificates, private, &default_provider());
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                wrong("key", &"it is not the key of the first certificate of the chain")
            }
            error => wrong("key", &error),
        })?;
        let mut pem = String::with_capacity(chain.len() + key.reveal().len() + 2);
        for part in [chain, key.reveal()] {
            pem.push_str(part.trim_end());
            pem.push('\n');
        }
        Ok(Self { pem: Secret::from(pem), key: Arc::new(certified), about })
    }

    /// A new key, and a certificate that nobody but it vouches for.
    pub(super) fn self_signed(names: &[String]) -> Result<Self, AccessError> {
        let failed = |error: rcgen::Error| wrong("certificate", &error);
        let mut parameters = CertificateParams::new(names.to_vec()).map_err(failed)?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::OrganizationName, "Sluice gateway");
        subject.push(DnType::CommonName, names.first().map_or("gateway", String::as_str));
        parameters.distinguished_name = subject;
        // Whoever trusts it compares its fingerprint. Its time must not run out behind their back, nor lie ahead of a
        // gateway whose clock has not been set yet.
        (parameters.not_before, parameters.not_after) =
            (date_time_ymd(2000, 1, 1), date_time_ymd(2100, 1, 1));
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = parameters.self_signed(&key).map_err(failed)?;
        Self::parse(&certificate.pem(), &Secret::from(key.serialize_pem()))
    }
}

impl CertificateAbout {
    fn of(certificate: &CertificateDer<'_>) -> Result<Self, AccessError> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|error| wrong("certificate", &format!("it is no X.509: {error}")))?;
        let time = |seconds| Timestamp::from_second(seconds).unwrap_or_default();
        Ok(Self {
            fingerprint: fingerprint(certificate),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            names: names(&parsed),
            not_before: time(parsed.validity().not_before.timestamp()),
            not_after: time(parsed.validity().not_after.timestamp()),
            self_signed: parsed.subject() == parsed.issuer(),
        })
    }
}

/// What a client compares.
pub(crate) fn fingerprint(certificate: &[u8]) -> String {
    sha256(certificate)
}

/// The name of a machine or person in a client's certificate: its first DNS name. The common name counts as little as it does for
/// servers (RFC 9525).
pub(crate) fn name_of(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    alternatives(&parsed).find_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    })
}

fn alternatives<'a>(
    certificate: &'a X509Certificate<'a>,
) -> impl Iterator<Item = &'a GeneralName<'a>> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    extension.into_iter().flat_map(|extension| &extension.value.general_names)
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let address = |bytes: &[u8]| {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
    };
    alternatives(certificate)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => Some(address(bytes)?.to_string()),
            _ => None,
        })
        .collect()
}

fn wrong(field: &'static str, problem: &dyn std::fmt::Display) -> AccessError {
    AccessError::Certificate { field, problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> Certificate {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Certificate::self_signed(&names).unwrap()
    }

    fn parts(certificate: &Certificate) -> (String, Secret) {
        let text = certificate.pem.reveal();
        let at = text.find("-----BEGIN PRIVATE").unwrap();
        (text[..at].to_owned(), Secret::new(&text[at..]))
    }

    #[test]
    fn a_certificate_made_here_says_what_it_is_for() {
        let about = made(&["gw", "localhost", "192.0.2.1", "2001:db8::1"]).about;
        assert_eq!(about.names, ["gw", "localhost", "192.0.2.1", "2001:db8::1"]);
        assert!(about.self_signed && about.subject.contains("Sluice gateway"), "{about:?}");
        assert_eq!(about.fingerprint.len(), 64);
        assert_ne!(made(&["gw"]).about.fingerprint, made(&["gw"]).about.fingerprint);
    }

    #[test]
    fn a_certificate_that_cannot_be_used_is_refused_with_its_field() {
        let (one, other) = (made(&["one"]), made(&["other"]));
        let ((chain, key), (_, foreign)) = (parts(&one), parts(&other));
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert!(Certificate::read(&chain, &key, now).is_ok());
        let refused = |chain: &str, key: &Secret, now: &str| {
            Certificate::read(chain, key, now.parse().unwrap()).unwrap_err().to_string()
        };
        let now = "2026-01-01T00:00:00Z";
        for (error, begin) in [
            (refused(&chain, &foreign, now), "key: it is not the key of the first certificate"),
            (refused(&chain, &Secret::new("x"), now), "key: it is no private key in PEM"),
            (refused("x", &key, now), "certificate: there is no `-----BEGIN CERTIFICATE-----`"),
            (
                refused(&chain, &key, "2100-06-01T00:00:00Z"),
                "certificate: it was valid until 2100-01-01",
            ),
            (
                refused(&chain, &key, "1999-06-01T00:00:00Z"),
                "certificate: it is valid from 2000-01-01",
            ),
        ] {
            assert!(error.starts_with(begin), "{error}");
        }
    }

    #[test]
    fn a_client_is_called_by_its_dns_name() {
        let certificate = made(&["Metrics.example"]);
        assert_eq!(name_of(&certificate.key.cert[0]).as_deref(), Some("metrics.example"));
        assert_eq!(name_of(b"nonsense"), None);
    }
}
