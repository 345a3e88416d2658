use super::{Flow, Fragmented};
use crate::{
    Packet,
    abi::Reason,
    packet::wire::{Tcp, Udp, protocol},
};

/// Reads ports and flags, if the packet has a transport header that Sluice knows.
#[inline(always)]
pub(super) fn transport<P: Packet>(packet: &P, flow: &mut Flow) -> Result<(), Reason> {
    if flow.fragmented == Fragmented::Later {
        return Ok(());
    }
    // The header must lie in the IP packet, not in what may follow it in the frame.
    let room = flow.l3 + usize::from(flow.length) - flow.l4;
    match flow.protocol {
        protocol::TCP => {
            if room < size_of::<Tcp>() {
                return Err(Reason::DropTcpTruncated);
            }
            let tcp: &Tcp = packet.at(flow.l4).ok_or(Reason::DropTcpTruncated)?;
            let header = usize::from(tcp.data_offset >> 4) * 4;
            if header < size_of::<Tcp>() || header > room {
                return Err(Reason::DropTcpHeaderLength);
            }
            flow.ports = tcp.ports.get();
            flow.tcp_flags = tcp.flags;
        }
        protocol::UDP => {
            if room < size_of::<Udp>() {
                return Err(Reason::DropUdpTruncated);
            }
            let udp: &Udp = packet.at(flow.l4).ok_or(Reason::DropUdpTruncated)?;
            let length = usize::from(u16::from_be(udp.length));
            // The length of a fragmented datagram is that of the whole.
            let whole = flow.fragmented == Fragmented::Whole;
            if length < size_of::<Udp>() || (whole && length > room) {
                return Err(Reason::DropUdpLength);
            }
            flow.ports = udp.ports.get();
        }
        _ => {}
    }
    Ok(())
}
