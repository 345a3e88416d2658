//! What would happen to a packet, with the names of what decided.

use std::net::IpAddr;

use sluice_kernel::Link;
use sluice_model::status::{NextHop, PrefilterAction};
use sluice_model::{LinkName, Prefix};

use super::Engine;
use crate::trace::{Found, Scene, TraceError, class, mac, trace};
use crate::wire::{TraceAnswer, TraceBackend, TracePrefix, TraceRequest};

impl Engine {
    /// What would happen to this packet now. Nothing is sent, and nothing is remembered.
    ///
    /// # Errors
    /// When there is no such packet or no such link.
    pub fn trace(&mut self, request: &TraceRequest) -> Result<TraceAnswer, TraceError> {
        let name = self.link_to_try(request)?;
        let gone = || TraceError::NoLink(name.to_string());
        let link = self.hops.link_named(name.as_str()).ok_or_else(gone)?;
        let settings = self
            .links
            .get(&name)
            .and_then(|actual| actual.attachment.as_ref()?.settings)
            .ok_or_else(gone)?;
        let scene = Scene {
            tables: self.datapath.tables(),
            settings,
            tick: self.datapath.now()?,
            mac: link.mac.unwrap_or_default(),
        };
        let found = trace(request, &scene)?;
        Ok(self.named(found, link))
    }

    fn link_to_try(&self, request: &TraceRequest) -> Result<LinkName, TraceError> {
        let links = self.desired.objects.gateway().map_or(&[][..], |gateway| &gateway.spec.links);
        match &request.link {
            None => links.first().map(|link| link.name.clone()).ok_or(TraceError::NoLinks),
            Some(name) if links.iter().any(|link| link.name == *name) => Ok(name.clone()),
            Some(name) => Err(TraceError::NoLink(name.to_string())),
        }
    }

    fn named(&self, found: Found, ingress: &Link) -> TraceAnswer {
        let outcome = found.outcome;
        let backend = self.index.backend_key(outcome.backend);
        let out = if outcome.ifindex == ingress.ifindex {
            Some(ingress)
        } else {
            self.hops.link(outcome.ifindex)
        };
        let out = out.and_then(|link| LinkName::new(link.name.clone()).ok());
        let next_hop = found
            .next_hop
            .zip(out)
            .map(|(address, link)| NextHop::Resolved { link, mac: mac(address) });
        TraceAnswer {
            verdict: class(outcome.reason),
            reason: outcome.reason.name().to_owned(),
            explanation: outcome.reason.explanation().to_owned(),
            service: self.index.service_name(outcome.service).cloned(),
            backend: backend.map(|key| TraceBackend { address: key.address, port: key.port }),
            prefix: found
                .prefix
                .and_then(|(address, bits, denies)| self.prefix(address, bits, denies)),
            next_hop,
            before: found.before,
            after: found.after,
            notes: found.notes,
        }
    }

    /// The prefilter that has a prefix.
    fn prefix(&self, address: IpAddr, bits: u8, denies: bool) -> Option<TracePrefix> {
        let prefix: Prefix = format!("{address}/{bits}").parse().ok()?;
        let has = |prefixes: &[Prefix]| prefixes.contains(&prefix);
        let mut all = self.desired.objects.prefilters();
        let owner =
            all.find(|object| has(if denies { &object.spec.deny } else { &object.spec.allow }))?;
        let action = if denies { PrefilterAction::Deny } else { PrefilterAction::Allow };
        Some(TracePrefix { prefix, action, prefilter: owner.name().clone() })
    }
}
