//! Backends: their addresses, families and ports.

use std::collections::HashMap;
use std::net::IpAddr;

use super::address::{family, unusable};
use super::report::{About, Report};
use crate::limits;
use crate::object::{Kind, ObjectId};
use crate::objects::Objects;
use crate::position::FieldPath;
use crate::problem::Problem;
use crate::service::{Backend, DeliveryMode, ServiceSpec};
use crate::values::{Name, PortSpec};

/// Addresses that the gateway itself answers for: no backend can have one.
struct Own<'o> {
    services: HashMap<IpAddr, &'o ObjectId>,
    pools: HashMap<IpAddr, &'o Name>,
}

impl<'o> Own<'o> {
    fn of(objects: &'o Objects) -> Self {
        let services = objects
            .of_kind(Kind::Service)
            .rev()
            .filter_map(|(id, entry)| {
                entry.object.as_service().map(|service| (service.spec.address, id))
            })
            .collect();
        let pools =
            objects.gateway().map(|gateway| gateway.spec.nat_pools.as_slice()).unwrap_or_default();
        let pools = pools
            .iter()
            .flat_map(|pool| pool.addresses.iter().map(move |address| (*address, &pool.name)))
            .collect();
        Self { services, pools }
    }

    fn refuse(&self, address: IpAddr) -> Option<Problem> {
        let holder = match (self.services.get(&address), self.pools.get(&address)) {
            (Some(id), _) => format!("the virtual address of {id}"),
            (None, Some(pool)) => format!("in the NAT pool {pool}"),
            (None, None) => return None,
        };
        Some(
            Problem::new(format!("{address} is {holder}"))
                .with_hint("expected the address of a server"),
        )
    }
}

pub(super) fn check(objects: &Objects, report: &mut Report) {
    let own = Own::of(objects);
    let mut total = 0;
    for (_, entry) in objects.of_kind(Kind::Service) {
        let Some(service) = entry.object.as_service() else { continue };
        let spec = &service.spec;
        let mut about = report.about(entry);
        let before = total;
        total += spec.backends.len();
        if before <= limits::BACKENDS && total > limits::BACKENDS {
            let message =
                format!("with these there are more than {} backends in all", limits::BACKENDS);
            about.field(FieldPath::spec("backends"), Problem::new(message));
        }
        if spec.backends.len() > limits::BACKENDS_PER_SERVICE {
            let (count, most) = (spec.backends.len(), limits::BACKENDS_PER_SERVICE);
            about.field(
                FieldPath::spec("backends"),
                Problem::new(format!("there are {count}, at most {most} are allowed")),
            );
        }
        addresses(spec, &own, &mut about);
        families(spec, &mut about);
        for (index, backend) in spec.backends.iter().enumerate() {
            port(spec, index, backend, &mut about);
        }
    }
}

fn path(index: usize, field: &'static str) -> FieldPath {
    FieldPath::spec("backends").index(index).field(field)
}

/// Each server once, and none that is no server.
fn addresses(spec: &ServiceSpec, own: &Own<'_>, about: &mut About<'_>) {
    let mut seen = HashMap::new();
    for (index, backend) in spec.backends.iter().enumerate() {
        let address = backend.address;
        if let Some(problem) = unusable(address).or_else(|| own.refuse(address)) {
            about.value(path(index, "address"), problem);
        }
        let port = match spec.mode {
            // The port cannot tell two apart: the packet keeps it.
            DeliveryMode::Dsr => None,
            DeliveryMode::Nat => spec.backend_port(backend),
        };
        if let Some(first) = seen.insert((address, port), index) {
            let port = port.map(|port| format!(", port {port},")).unwrap_or_default();
            let problem = Problem::new(format!(
                "{address}{port} is listed twice, first as backends[{first}]"
            ))
            .with_hint("remove one of the two; a larger share is a larger weight");
            about.value(path(index, "address"), problem);
        }
    }
}

/// NAT changes no family; encapsulation carries IPv4 in IPv4 or IPv6, and IPv6 in IPv6.
fn families(spec: &ServiceSpec, about: &mut About<'_>) {
    let service = family(spec.address);
    let Some(first) = spec.backends.first() else { return };
    for (index, backend) in spec.backends.iter().enumerate() {
        let address = backend.address;
        let problem = match spec.mode {
            DeliveryMode::Nat if family(address) != service => Problem::new(format!(
                "{address} is {}, the service is {service}",
                family(address)
            ))
            .with_hint(
                "mode nat does not translate between families: use a backend of the same family",
            ),
            DeliveryMode::Dsr if spec.address.is_ipv6() && address.is_ipv4() => {
                Problem::new(format!("{address} is IPv4, the service is IPv6"))
                    .with_hint("mode dsr carries IPv6 only over IPv6: use an IPv6 backend")
            }
            DeliveryMode::Dsr if family(address) != family(first.address) => {
                let (this, other) = (family(address), family(first.address));
                Problem::new(format!("{address} is {this}, backends[0] is {other}"))
                    .with_hint("all backends of a dsr service are of one family")
            }
            _ => continue,
        };
        about.value(path(index, "address"), problem);
    }
}

/// In mode dsr the packet keeps its port.
fn port(spec: &ServiceSpec, index: usize, backend: &Backend, about: &mut About<'_>) {
    let (DeliveryMode::Dsr, Some(port)) = (spec.mode, backend.port) else { return };
    let differs = match spec.port {
        PortSpec::One(own) if own == port => return,
        PortSpec::One(own) => format!("{port} differs from the service's port {own}"),
        PortSpec::Range(range) => format!("{port} is one port, the service has {range}"),
        PortSpec::Any => format!("{port} is one port, the service has any"),
    };
    let problem = Problem::new(format!("{differs}; in dsr mode the packet keeps its port"))
        .with_hint("remove the field or use mode: nat");
    about.value(path(index, "port"), problem);
}
