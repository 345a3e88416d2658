//! Whether a change would cut off the session that asks for it.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use sluice_model::objects::Objects;
use sluice_model::{LinkName, Protocol};

use super::SessionEnds;
use crate::wire::{Warning, WarningKind};

/// What cuts a session off, if anything does.
struct Knife {
    object: String,
    field: String,
    message: String,
}

/// Warns of everything in `after` that cuts a session off and did not before.
///
/// Whether the session's packets come in by a link of the gateway is not known: the way may change at any time. So
/// warnings may be about packets that go another way; better than the other mistake.
pub fn cut_off(before: &Objects, after: &Objects, session: SessionEnds) -> Vec<Warning> {
    if session.peer.ip().is_loopback() || links(after).is_empty() {
        return Vec::new();
    }
    // A link that is new may be the one that the session comes in by.
    let is_wider = !links(after).is_subset(&links(before));
    let mut warnings = Vec::new();
    for find in [denying, taking] {
        let Some(knife) = find(after, session) else { continue };
        if is_wider || find(before, session).is_none() {
            let Knife { object, field, message } = knife;
            warnings.push(Warning { kind: WarningKind::CutsOff, object, field, message });
        }
    }
    warnings
}

fn links(objects: &Objects) -> HashSet<&LinkName> {
    let gateway = objects.gateway().into_iter();
    gateway.flat_map(|gateway| gateway.spec.links.iter().map(|link| &link.name)).collect()
}

/// The prefilter that denies the client. The longest match over all prefilters decides.
fn denying(objects: &Objects, session: SessionEnds) -> Option<Knife> {
    let address = session.peer.ip();
    let mut longest: Option<(IpNet, Option<(String, usize)>)> = None;
    for prefilter in objects.prefilters() {
        let denied = prefilter.spec.deny.iter().enumerate();
        let denied = denied.map(|(index, prefix)| (prefix.net(), Some(index)));
        let allowed = prefilter.spec.allow.iter().map(|prefix| (prefix.net(), None));
        for (net, denies) in denied.chain(allowed) {
            let is_longer =
                longest.as_ref().is_none_or(|(other, _)| net.prefix_len() > other.prefix_len());
            if net.contains(&address) && is_longer {
                let name = || format!("Prefilter/{}", prefilter.name());
                longest = Some((net, denies.map(|index| (name(), index))));
            }
        }
    }
    let (net, (object, index)) = longest.and_then(|(net, denies)| Some((net, denies?)))?;
    let message = format!(
        "{net} denies {address}, from which this session comes: it would be cut off; allow {} in the same prefilter to \
         keep it",
        IpNet::from(address)
    );
    Some(Knife { object, field: format!("spec.deny[{index}]"), message })
}

/// The service that takes the address and port of the API away.
fn taking(objects: &Objects, session: SessionEnds) -> Option<Knife> {
    let (address, port): (IpAddr, u16) = (session.local.ip(), session.local.port());
    let mut services = objects.services();
    let service = services.find(|service| {
        let spec = &service.spec;
        spec.protocol == Protocol::Tcp && spec.address == address && spec.port.contains(port)
    })?;
    let message = format!(
        "{address} port {port} is where this session ({}) reaches this machine: its packets would go to the backends of \
         the service, and it would be cut off; use another address or port",
        session.peer
    );
    Some(Knife {
        object: format!("Service/{}", service.name()),
        field: "spec.address".to_owned(),
        message,
    })
}
