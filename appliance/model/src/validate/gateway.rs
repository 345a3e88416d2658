//! The gateway: its links, tunnel sources, NAT pools and table sizes.

use std::collections::HashMap;
use std::net::IpAddr;

use super::address::unusable;
use super::placement;
use super::report::{About, Report};
use crate::gateway::{GatewaySpec, NatPool};
use crate::limits;
use crate::object::Kind;
use crate::objects::Objects;
use crate::position::FieldPath;
use crate::problem::Problem;

pub(super) fn check(objects: &Objects, report: &mut Report) {
    one_gateway(objects, report);
    for (_, entry) in objects.of_kind(Kind::Gateway) {
        let Some(gateway) = entry.object.as_gateway() else { continue };
        let mut about = report.about(entry);
        links(&gateway.spec, &mut about);
        tunnel_source(&gateway.spec, &mut about);
        nat_pools(&gateway.spec.nat_pools, &mut about);
        capacity(&gateway.spec, &mut about);
    }
}

/// There is one gateway, or nothing at all.
fn one_gateway(objects: &Objects, report: &mut Report) {
    let kind = || FieldPath::root().field("kind");
    let mut gateways = objects.of_kind(Kind::Gateway);
    let Some((first, _)) = gateways.next() else {
        if let Some((_, entry)) = objects.iter().next() {
            let problem = Problem::new("there is no Gateway, so that no link would carry this")
                .with_hint("add a document of kind Gateway");
            report.about(entry).value(kind(), problem);
        }
        return;
    };
    for (_, entry) in gateways {
        let problem =
            Problem::new(format!("there is a Gateway already, {first}; there can be only one"))
                .with_hint("remove one of the two");
        report.about(entry).value(kind(), problem);
    }
}

fn links(spec: &GatewaySpec, about: &mut About<'_>) {
    if spec.links.len() > limits::LINKS {
        let message =
            format!("there are {} links, at most {} are allowed", spec.links.len(), limits::LINKS);
        about.field(FieldPath::spec("links"), Problem::new(message));
    }
    let mut seen = HashMap::new();
    for (index, link) in spec.links.iter().enumerate() {
        if let Some(first) = seen.insert(&link.name, index) {
            let problem = Problem::new(format!(
                "the link {} is listed twice, first as links[{first}]",
                link.name
            ));
            about.value(
                FieldPath::spec("links").index(index).field("name"),
                problem.with_hint("remove one of the two"),
            );
        }
        placement::check(link, &FieldPath::spec("links").index(index), about);
    }
}

fn tunnel_source(spec: &GatewaySpec, about: &mut About<'_>) {
    let ipv4 = spec.tunnel_source.ipv4.map(IpAddr::from);
    let ipv6 = spec.tunnel_source.ipv6.map(IpAddr::from);
    for (field, address) in [("ipv4", ipv4), ("ipv6", ipv6)] {
        if let Some(problem) = address.and_then(unusable) {
            about.value(FieldPath::spec("tunnelSource").field(field), problem);
        }
    }
}

fn nat_pools(pools: &[NatPool], about: &mut About<'_>) {
    let path = |index| FieldPath::spec("natPools").index(index);
    if pools.len() > limits::NAT_POOLS {
        let message =
            format!("there are {} pools, at most {} are allowed", pools.len(), limits::NAT_POOLS);
        about.field(FieldPath::spec("natPools"), Problem::new(message));
    }
    let count: usize = pools.iter().map(|pool| pool.addresses.len()).sum();
    if count > limits::NAT_POOL_ADDRESSES {
        let message = format!(
            "the pools have {count} addresses together, at most {} are allowed",
            limits::NAT_POOL_ADDRESSES
        );
        about.field(FieldPath::spec("natPools"), Problem::new(message));
    }
    let mut names = HashMap::new();
    let mut owners = HashMap::new();
    for (index, pool) in pools.iter().enumerate() {
        if let Some(first) = names.insert(&pool.name, index) {
            let problem = Problem::new(format!(
                "the pool {} is declared twice, first as natPools[{first}]",
                pool.name
            ));
            about.value(path(index).field("name"), problem.with_hint("change one of the names"));
        }
        if pool.addresses.is_empty() {
            let problem = Problem::new(format!("the pool {} has no address", pool.name));
            about.value(
                path(index).field("addresses"),
                problem.with_hint("add one, or remove the pool"),
            );
        }
        for (number, address) in pool.addresses.iter().enumerate() {
            let path = || path(index).field("addresses").index(number);
            if let Some(problem) = unusable(*address) {
                about.value(path(), problem);
            } else if let Some(owner) = owners.insert(*address, &pool.name) {
                let problem = Problem::new(format!("{address} is in the pool {owner} already"));
                about.value(path(), problem.with_hint("an address belongs to one pool, once"));
            }
        }
    }
}

fn capacity(spec: &GatewaySpec, about: &mut About<'_>) {
    let capacity = spec.capacity;
    for (field, size, (least, most)) in [
        ("rememberedFlows", capacity.remembered_flows, limits::REMEMBERED_FLOWS),
        ("fragments", capacity.fragments, limits::FRAGMENTS),
    ] {
        if !(least..=most).contains(&size) {
            let problem = Problem::new(format!("{size} is out of range"))
                .with_hint(format!("expected {least} to {most}"));
            about.value(FieldPath::spec("capacity").field(field), problem);
        }
    }
}
