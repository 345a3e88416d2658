//! How the backends of a service are probed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Port, ProbeBytes, StatusPattern, TimeSpan};

/// `spec.health` of a `Service`. Which of the optional fields may be set depends on `type`; the accessors give the
/// value in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Health {
    /// The kind of probe.
    #[serde(rename = "type")]
    pub check: HealthType,
    /// The port probes go to. Default: the backend's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// From the start of one probe to the start of the next, jittered.
    pub interval: TimeSpan,
    /// A probe that has no answer after so long has failed.
    pub timeout: TimeSpan,
    /// So many good probes in a row bring a backend up.
    #[schemars(range(min = 1, max = 100))]
    pub rise: u16,
    /// So many failed probes in a row take a backend down.
    #[schemars(range(min = 1, max = 100))]
    pub fall: u16,
    /// `http`, `https`: the path of the GET request. Default: `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `http`, `https`: the Host header. Default: the backend's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// `http`, `https`: status codes that count as good. Default: 2xx and 3xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_status: Option<Vec<StatusPattern>>,
    /// `http`, `https`: text that the body must contain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_body: Option<String>,
    /// `https`: verify the certificate. Default: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_verify: Option<bool>,
    /// `https`: the name in SNI and, if verified, in the certificate. Default: `host`, else the backend's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// `udp`: the datagram to send: text, or bytes as `hex:00ff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<ProbeBytes>,
    /// `udp`: what the answer must begin with: text, or bytes as `hex:00ff`. Default: any answer is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<ProbeBytes>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            check: HealthType::None,
            port: None,
            interval: TimeSpan::from_duration(Duration::from_secs(2)),
            timeout: TimeSpan::from_duration(Duration::from_secs(1)),
            rise: 2,
            fall: 3,
            path: None,
            host: None,
            expect_status: None,
            expect_body: None,
            tls_verify: None,
            server_name: None,
            send: None,
            expect: None,
        }
    }
}

impl Health {
    /// The path of the GET request.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/")
    }

    /// Whether an HTTP answer with this status code counts as good.
    #[must_use]
    pub fn accepts_status(&self, code: u16) -> bool {
        match &self.expect_status {
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(code)),
            None => (200..400).contains(&code),
        }
    }

    /// Whether the certificate of an `https` backend is verified.
    #[must_use]
    pub fn tls_verify(&self) -> bool {
        self.tls_verify.unwrap_or(false)
    }
}

/// The kind of probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HealthType {
    /// No probes: every active backend counts as up.
    #[default]
    None,
    /// A TCP connection is accepted.
    Tcp,
    /// An HTTP GET is answered as expected.
    Http,
    /// The same over TLS.
    Https,
    /// A datagram is answered as expected.
    Udp,
}

impl HealthType {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Https => "https",
            Self::Udp => "udp",
        }
    }
}
