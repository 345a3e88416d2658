//! The new Ethernet header of a packet that is sent on.

use crate::{
    Packet,
    abi::{Backend, Mac},
    packet::wire::{ETH_VLAN, Ethernet, Vlan, copy_mac},
};

/// The link layer of the way onward.
pub(crate) struct NextHop<'a> {
    pub(crate) destination: &'a Mac,
    pub(crate) source: &'a Mac,
    /// VLAN tag in network order; zero for none.
    pub(crate) vlan: u16,
}

impl<'a> NextHop<'a> {
    #[inline(always)]
    pub(crate) fn of(backend: &'a Backend) -> Self {
        Self { destination: &backend.next_hop, source: &backend.source_mac, vlan: backend.vlan }
    }

    /// Length of the header.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        if self.vlan == 0 { size_of::<Ethernet>() } else { size_of::<Tagged>() }
    }

    /// Writes the header to the start of the frame. `protocol`: EtherType of what follows.
    #[inline(always)]
    pub(crate) fn write<P: Packet>(&self, packet: &mut P, protocol: u16) -> Option<()> {
        let ethernet: &mut Ethernet = packet.at_mut(0)?;
        copy_mac(self.destination, &mut ethernet.destination);
        copy_mac(self.source, &mut ethernet.source);
        if self.vlan == 0 {
            ethernet.protocol = protocol;
            return Some(());
        }
        ethernet.protocol = ETH_VLAN;
        let tag: &mut Vlan = packet.at_mut(size_of::<Ethernet>())?;
        tag.tci = self.vlan;
        tag.protocol = protocol;
        Some(())
    }
}

#[repr(C)]
struct Tagged {
    _ethernet: Ethernet,
    _vlan: Vlan,
}
