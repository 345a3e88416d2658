//! Ports of one virtual address. A packet belongs to the service of its exact port, else to that of a range, else to
//! that of `any`; so only equals may not meet.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::report::Report;
use crate::limits;
use crate::object::{Kind, ObjectId};
use crate::objects::{Entry, Objects};
use crate::position::FieldPath;
use crate::problem::Problem;
use crate::service::Protocol;
use crate::values::{Port, PortRange, PortSpec};

/// The services of one virtual address and protocol.
#[derive(Default)]
struct Listeners<'o> {
    exact: HashMap<Port, &'o ObjectId>,
    ranges: Vec<(PortRange, &'o ObjectId, &'o Entry)>,
    any: Option<&'o ObjectId>,
}

pub(super) fn check(objects: &Objects, report: &mut Report) {
    let mut listeners: BTreeMap<(IpAddr, Protocol), Listeners<'_>> = BTreeMap::new();
    for (id, entry) in objects.of_kind(Kind::Service) {
        let Some(service) = entry.object.as_service() else { continue };
        let spec = &service.spec;
        let here = listeners.entry((spec.address, spec.protocol)).or_default();
        let holder = match spec.port {
            PortSpec::One(port) => here.exact.insert(port, id),
            PortSpec::Any => here.any.replace(id),
            PortSpec::Range(range) => {
                here.ranges.push((range, id, entry));
                None
            }
        };
        if let Some(holder) = holder {
            let taken = format!(
                "{} port {} of {} is taken by {holder}",
                spec.protocol, spec.port, spec.address
            );
            report.about(entry).value(
                FieldPath::spec("port"),
                Problem::new(taken)
                    .with_hint("change the port, the protocol or the address of one of the two"),
            );
        }
    }
    for ((address, _), here) in listeners {
        ranges(address, here.ranges, report);
    }
}

/// No two ranges may have a port in common.
fn ranges(address: IpAddr, mut ranges: Vec<(PortRange, &ObjectId, &Entry)>, report: &mut Report) {
    if let Some((_, _, entry)) = ranges.get(limits::PORT_RANGES_PER_ADDRESS) {
        let message = format!(
            "{address} has {} services with a range of ports, at most {} are allowed",
            ranges.len(),
            limits::PORT_RANGES_PER_ADDRESS
        );
        report.about(entry).value(FieldPath::spec("port"), Problem::new(message));
    }
    ranges.sort_by_key(|(range, id, _)| (range.first(), *id));
    // The range that reaches furthest so far: what overlaps any earlier one overlaps it too.
    let mut furthest: Option<(PortRange, &ObjectId)> = None;
    for (range, id, entry) in ranges {
        match furthest {
            Some((other, holder)) if range.overlaps(other) => {
                let message =
                    format!("the ports {range} of {address} overlap with {other} of {holder}");
                let problem = Problem::new(message)
                    .with_hint("ranges must not overlap; an exact port may lie in a range");
                report.about(entry).value(FieldPath::spec("port"), problem);
                if range.last() > other.last() {
                    furthest = Some((range, id));
                }
            }
            _ => furthest = Some((range, id)),
        }
    }
}
