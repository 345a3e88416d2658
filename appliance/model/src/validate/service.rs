//! Services by themselves, and their NAT pool.

use std::collections::HashMap;

use super::address::{family, unusable};
use super::health;
use super::prefixes::malformed;
use super::report::{About, Report};
use crate::gateway::{GatewaySpec, NatPool};
use crate::limits;
use crate::object::Kind;
use crate::objects::Objects;
use crate::position::FieldPath;
use crate::problem::Problem;
use crate::service::ServiceSpec;

pub(super) fn check(objects: &Objects, report: &mut Report) {
    let gateway = objects.gateway().map(|gateway| &gateway.spec);
    let services = objects.of_kind(Kind::Service);
    for (number, (_, entry)) in services.enumerate() {
        let Some(service) = entry.object.as_service() else { continue };
        let mut about = report.about(entry);
        if number == limits::SERVICES {
            let message = format!("there are more than {} services", limits::SERVICES);
            about.value(FieldPath::root().field("kind"), Problem::new(message));
        }
        address(&service.spec, gateway, &mut about);
        nat_pool(&service.spec, gateway, &mut about);
        allowed_sources(&service.spec, &mut about);
        timeouts(&service.spec, &mut about);
        health::check(&service.spec, &mut about);
    }
}

fn address(spec: &ServiceSpec, gateway: Option<&GatewaySpec>, about: &mut About<'_>) {
    if let Some(problem) = unusable(spec.address) {
        about.value(FieldPath::spec("address"), problem);
    }
    let pools = gateway.map(|gateway| gateway.nat_pools.as_slice()).unwrap_or_default();
    if let Some(pool) = pools.iter().find(|pool| pool.addresses.contains(&spec.address)) {
        let problem = Problem::new(format!("{} is in the NAT pool {}", spec.address, pool.name))
            .with_hint("a virtual address cannot be a source of NAT too: use different addresses");
        about.value(FieldPath::spec("address"), problem);
    }
}

fn nat_pool(spec: &ServiceSpec, gateway: Option<&GatewaySpec>, about: &mut About<'_>) {
    let path = FieldPath::spec("natPool");
    let Some(name) = spec.nat_pool_name() else {
        if spec.nat_pool.is_some() {
            let problem = Problem::new("mode dsr uses no NAT pool")
                .with_hint("remove the field, or use mode: nat");
            about.field(path, problem);
        }
        return;
    };
    // Without a gateway that is the problem, and it is told.
    let Some(gateway) = gateway else { return };
    let Some(pool) = gateway.nat_pools.iter().find(|pool| pool.name == name) else {
        about.value(
            path,
            Problem::new(format!("there is no NAT pool named {name}"))
                .with_hint(known(&gateway.nat_pools)),
        );
        return;
    };
    if !pool.addresses.iter().any(|address| address.is_ipv4() == spec.address.is_ipv4()) {
        let family = family(spec.address);
        let problem = Problem::new(format!(
            "the NAT pool {name} has no {family} address, but the service is {family}"
        ))
        .with_hint(format!(
            "add one to the pool: {family} backends are reached from an {family} address"
        ));
        about.value(path, problem);
    }
}

/// The pools there are, as a way out.
fn known(pools: &[NatPool]) -> String {
    if pools.is_empty() {
        return "add one to natPools of the Gateway".to_owned();
    }
    let names: Vec<_> = pools.iter().map(|pool| pool.name.as_str()).collect();
    format!("the Gateway has {}", names.join(", "))
}

fn allowed_sources(spec: &ServiceSpec, about: &mut About<'_>) {
    let sources = &spec.allowed_sources;
    let path = || FieldPath::spec("allowedSources");
    if sources.len() > limits::ALLOWED_SOURCES_PER_SERVICE {
        let (count, most) = (sources.len(), limits::ALLOWED_SOURCES_PER_SERVICE);
        about.field(
            path(),
            Problem::new(format!("there are {count} prefixes, at most {most} are allowed")),
        );
        return;
    }
    let mut seen = HashMap::new();
    for (index, prefix) in sources.iter().enumerate() {
        let at = || path().index(index);
        if let Some(problem) = malformed(*prefix) {
            about.value(at(), problem);
        } else if prefix.is_ipv4() != spec.address.is_ipv4() {
            let family = family(spec.address);
            let problem =
                Problem::new(format!("{prefix} can never match: the service is {family}"));
            about.value(at(), problem.with_hint(format!("use an {family} prefix, or remove it")));
        } else if let Some(first) = seen.insert(*prefix, index) {
            let problem =
                Problem::new(format!("{prefix} is listed twice, first as allowedSources[{first}]"));
            about.value(at(), problem.with_hint("remove one of the two"));
        }
    }
}

fn timeouts(spec: &ServiceSpec, about: &mut About<'_>) {
    let (shortest, longest) = limits::IDLE_TIMEOUT;
    let zero = std::time::Duration::ZERO;
    for (field, span, shortest, longest) in [
        ("drainTimeout", spec.drain_timeout, zero, limits::MAX_DRAIN_TIMEOUT),
        ("idleTimeout", spec.idle_timeout, shortest, longest),
    ] {
        health::in_range(FieldPath::spec(field), span, shortest, longest, about);
    }
}
