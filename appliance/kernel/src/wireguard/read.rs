use super::{AllowedNetwork, Device, KEY_BYTES, Peer, PublicKey, allowed, device, peer};
use crate::xfrm::{Family, Malformed, Reader};
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    time::Duration,
};

type Read<T> = Result<T, Malformed>;

/// A device from the messages of a listing, each without its netlink header. A peer whose networks do not fit goes on in the next
/// message, and is put together again.
///
/// # Errors
/// When a message is none.
pub(crate) fn read<'a>(messages: impl Iterator<Item = &'a [u8]>) -> Read<Device> {
    let mut found = Device::default();
    for message in messages {
        let mut reader = Reader::new(message, "the generic header");
        reader.skip(4)?;
        for (kind, mut value) in reader.attributes()? {
            match kind {
                device::IFINDEX => found.ifindex = value.u32()?,
                device::PUBLIC_KEY => found.public_key = Some(PublicKey(value.array()?)),
                device::LISTEN_PORT => found.listen_port = value.u16()?,
                device::FWMARK => found.mark = value.u32()?,
                device::PEERS => {
                    for (_, value) in value.attributes()? {
                        add(&mut found.peers, read_peer(value)?);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

fn add(peers: &mut Vec<Peer>, peer: Peer) {
    match peers.last_mut() {
        Some(last) if last.public_key == peer.public_key => last.allowed.extend(peer.allowed),
        _ => peers.push(peer),
    }
}

fn read_peer(reader: Reader<'_>) -> Read<Peer> {
    let mut key = None;
    let mut found = Peer::new(PublicKey([0; KEY_BYTES]));
    for (kind, mut value) in reader.attributes()? {
        match kind {
            peer::PUBLIC_KEY => key = Some(PublicKey(value.array()?)),
            peer::PRESHARED_KEY => {
                found.has_preshared_key = value.take(KEY_BYTES)?.iter().any(|byte| *byte != 0);
            }
            peer::ENDPOINT => found.endpoint = Some(read_endpoint(value)?),
            peer::KEEPALIVE => found.keepalive_seconds = value.u16()?,
            peer::LAST_HANDSHAKE => found.last_handshake = read_time(value)?,
            peer::RX_BYTES => found.received_bytes = value.u64()?,
            peer::TX_BYTES => found.sent_bytes = value.u64()?,
            peer::ALLOWED => {
                for (_, value) in value.attributes()? {
                    found.allowed.push(read_network(value)?);
                }
            }
            _ => {}
        }
    }
    found.public_key = key.ok_or(Malformed::Short("the key of a peer"))?;
    Ok(found)
}

fn read_network(reader: Reader<'_>) -> Read<AllowedNetwork> {
    let (mut family, mut address, mut bits) = (None, None, None);
    for (kind, mut value) in reader.attributes()? {
        match kind {
            allowed::FAMILY => family = Some(Family::read(value.u16()?)?),
            allowed::ADDRESS => address = Some(value),
            allowed::BITS => bits = Some(value.u8()?),
            _ => {}
        }
    }
    let (Some(family), Some(mut address), Some(bits)) = (family, address, bits) else {
        return Err(Malformed::Short("a network of a peer"));
    };
    let address = match family {
        Family::V4 => Ipv4Addr::from(address.array::<4>()?).into(),
        Family::V6 => Ipv6Addr::from(address.array::<16>()?).into(),
    };
    Ok(AllowedNetwork { address, bits })
}

fn read_endpoint(mut reader: Reader<'_>) -> Read<SocketAddr> {
    let (family, port) = (Family::read(reader.u16()?)?, reader.be16()?);
    Ok(match family {
        Family::V4 => (Ipv4Addr::from(reader.array::<4>()?), port).into(),
        Family::V6 => {
            let flow = reader.be32()?;
            let address = Ipv6Addr::from(reader.array::<16>()?);
            SocketAddrV6::new(address, port, flow, reader.u32()?).into()
        }
    })
}

/// `struct __kernel_timespec`; zero is never.
fn read_time(mut reader: Reader<'_>) -> Read<Option<Duration>> {
    let (seconds, nanoseconds) = (reader.u64()?, reader.u64()?);
    if seconds == 0 && nanoseconds == 0 {
        return Ok(None);
    }
    let nanoseconds = u32::try_from(nanoseconds).ok().filter(|part| *part < 1_000_000_000);
    let nanoseconds = nanoseconds.ok_or(Malformed::Value("the time of a handshake"))?;
    Ok(Some(Duration::new(seconds, nanoseconds)))
}
