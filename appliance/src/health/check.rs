//! What is probed.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sluice_model::{Health, HealthType, Name, Port, Service};

/// One backend of one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendKey {
    /// The service.
    pub service: Name,
    /// The backend's address.
    pub address: IpAddr,
    /// The port packets arrive at; `None` keeps the port the client chose.
    pub port: Option<Port>,
}

impl BackendKey {
    /// Address and port, without the service.
    pub fn endpoint(&self) -> String {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port.get()).to_string(),
            None => self.address.to_string(),
        }
    }
}

impl fmt::Display for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.endpoint())
    }
}

/// The probe of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Where probes go.
    pub target: SocketAddr,
    /// How to probe; shared by the backends of a service.
    pub health: Arc<Health>,
}

impl Check {
    /// The checks of a service's backends; none if it is not probed.
    pub fn of_service(service: &Service) -> Vec<(BackendKey, Self)> {
        if service.spec.health.check == HealthType::None {
            return Vec::new();
        }
        let health = Arc::new(service.spec.health.clone());
        let check = |backend: &sluice_model::Backend| {
            let key = BackendKey {
                service: service.name().clone(),
                address: backend.address,
                port: service.spec.backend_port(backend),
            };
            let port = service.spec.health_port(backend)?;
            Some((
                key,
                Self {
                    target: SocketAddr::new(backend.address, port.get()),
                    health: health.clone(),
                },
            ))
        };
        service.spec.backends.iter().filter_map(check).collect()
    }
}
