//! 'What would happen to this packet?': the native build of the stages over the live tables, which stay untouched.

mod frame;
mod tables;

use std::sync::Arc;

use sluice_datapath::abi::{
    Class, Features, Reason, ServiceCounter, ServiceCounts, Settings, ip_address,
};
use sluice_datapath::packet::MemoryPacket;
use sluice_datapath::stages::prefilter::{Match, longest4, longest6};
use sluice_datapath::{Outcome, run};
use sluice_kernel::TableStore;

use crate::wire::{TraceClass, TraceRequest};
pub(crate) use frame::mac;
use tables::Overlay;

/// Where the packet is tried.
pub(crate) struct Scene {
    /// The live tables.
    pub(crate) tables: Arc<dyn TableStore>,
    /// The constants of the program on the link.
    pub(crate) settings: Settings,
    /// The datapath's clock.
    pub(crate) tick: u32,
    /// The link's hardware address.
    pub(crate) mac: [u8; 6],
}

/// What became of the packet, in the terms of the tables.
pub(crate) struct Found {
    /// What the stages decided.
    pub(crate) outcome: Outcome,
    /// The prefix that its source matches longest.
    pub(crate) prefix: Option<(std::net::IpAddr, u8, bool)>,
    /// The packet as it came in, header by header.
    pub(crate) before: Vec<String>,
    /// The packet as it would leave.
    pub(crate) after: Vec<String>,
    /// Destination of the frame that would leave.
    pub(crate) next_hop: Option<[u8; 6]>,
    /// What else the service did, in sentences.
    pub(crate) notes: Vec<String>,
}

/// Why a packet cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Its addresses are of two families.
    #[error(
        "source and destination are of different families: give two IPv4 or two IPv6 addresses"
    )]
    Families,
    /// TCP flags on a packet that is not TCP.
    #[error("flags are for tcp: leave them out")]
    Flags,
    /// More bytes than an IP packet can have.
    #[error(
        "{0} bytes behind the headers are more than an IP packet holds: at most 65535 with all headers"
    )]
    TooLong(u16),
    /// The link is not one of the gateway's, or not there.
    #[error("{0}: not a link that the gateway handles: `sluice status` lists them")]
    NoLink(String),
    /// There is no link at all.
    #[error("the gateway handles no link: add one to spec.links of the Gateway")]
    NoLinks,
    /// The datapath cannot be read.
    #[error(transparent)]
    Kernel(#[from] sluice_kernel::Error),
}

/// Runs the packet through the stages.
pub(crate) fn trace(request: &TraceRequest, scene: &Scene) -> Result<Found, TraceError> {
    let bytes = frame::build(request, scene.mac)?;
    let overlay = Overlay::new(scene.tables.clone(), scene.settings, scene.tick);
    let mut packet = MemoryPacket::new(&bytes);
    let outcome = run(&mut packet, &overlay);
    let sent = outcome.reason.class() == Class::Sent;
    Ok(Found {
        outcome,
        prefix: prefix(request, &overlay),
        before: frame::describe(&bytes),
        after: if sent { frame::describe(packet.bytes()) } else { Vec::new() },
        next_hop: sent.then(|| packet.bytes().first_chunk().copied()).flatten(),
        notes: notes(&overlay.service_counts()),
    })
}

/// What the service counted on the way of a packet that it delivered.
fn notes(counts: &ServiceCounts) -> Vec<String> {
    let counted = ServiceCounter::ALL.iter().zip(counts).filter(|(_, count)| **count > 0);
    let notes = counted.filter_map(|(counter, _)| match counter {
        ServiceCounter::Remembered => Some("its slot is moving: the new flow would be remembered"),
        ServiceCounter::RememberedFullOld => {
            Some("its slot is moving and the table of remembered flows is full: the new flow goes to the slot's old backend")
        }
        ServiceCounter::RememberedFullNew => {
            Some("its slot is moving and the table of remembered flows is full: the new flow goes to the new backend, unremembered")
        }
        ServiceCounter::SentBefore => Some("its slot is moving: the flow is older than the change and stays at its backend"),
        _ => None,
    });
    notes.map(str::to_owned).collect()
}

/// Asked again, because a packet that was let through by a prefix looks like one that matched none.
fn prefix(request: &TraceRequest, overlay: &Overlay) -> Option<(std::net::IpAddr, u8, bool)> {
    let features = overlay.features();
    let (found, ipv6): (Option<Match>, bool) = match frame::table_address(request.source.ip()) {
        (address, false) if features.has(Features::PREFILTER4) => {
            (longest4(address[0], overlay), false)
        }
        (address, true) if features.has(Features::PREFILTER6) => {
            (longest6(&address, overlay), true)
        }
        _ => return None,
    };
    let found = found?;
    Some((ip_address(found.address, ipv6), found.word.bits() as u8, found.word.denies()))
}

/// The class of a reason, as the API writes it.
pub(crate) const fn class(reason: Reason) -> TraceClass {
    match reason.class() {
        Class::Sent => TraceClass::Sent,
        Class::Pass => TraceClass::Pass,
        Class::Drop => TraceClass::Drop,
    }
}
