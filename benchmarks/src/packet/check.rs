//! Whether a program did to a packet what it had to: a fast wrong answer doesn't count.

use super::{
    configuration::{Delivery, virtual_address},
    frame::{sum, transport_sum},
};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeSet, net::IpAddr};

/// `XDP_*`.
pub(super) const DROP: u32 = 1;
/// See [`DROP`].
pub(super) const PASS: u32 = 2;
/// See [`DROP`].
pub(super) const TX: u32 = 3;

const L2: usize = 14;
/// The next hop and ourselves, as the facts of the measured gateway have them.
const LINK_LAYER: [u8; 12] = [2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1];

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// It leaves in a tunnel to one of the backends.
    Tunnel,
    /// It leaves, translated, to one of the backends.
    Forward,
    /// It leaves, translated back, to its client.
    Reply,
    /// It stays as it is.
    Unchanged,
    /// Nobody looks: a floor.
    Anything,
}

/// The addresses of the gateway's configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    /// Of the backends.
    pub backends: BTreeSet<IpAddr>,
    /// Of the NAT pools.
    pub pools: BTreeSet<IpAddr>,
}

/// Compares a packet before and after.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(
    expectation: Expectation,
    addresses: &Addresses,
    before: &[u8],
    after: &[u8],
) -> Result<()> {
    let result = match expectation {
        Expectation::Anything => return Ok(()),
        Expectation::Unchanged => {
            ensure!(before == after, "the packet was changed");
            return Ok(());
        }
        Expectation::Tunnel => tunnel(addresses, before, after),
        Expectation::Forward => translated(before, after).and_then(|(source, destination)| {
            ensure!(addresses.pools.contains(&source), "the source {source} is no pool's");
            ensure!(addresses.backends.contains(&destination), "{destination} is no backend");
            Ok(())
        }),
        Expectation::Reply => translated(before, after).and_then(|(source, _)| {
            let wanted = virtual_address(Delivery::Nat, source.is_ipv6());
            ensure!(source == wanted, "the source is {source}, not {wanted}");
            Ok(())
        }),
    };
    result.with_context(|| format!("before {}\nafter  {}", hex(before), hex(after)))
}

fn tunnel(addresses: &Addresses, before: &[u8], after: &[u8]) -> Result<()> {
    ensure!(after.get(..12) == Some(&LINK_LAYER), "wrong hardware addresses");
    let is_inner6 = before.get(12) == Some(&0x86);
    let header = if after.get(12) == Some(&0x86) { 40 } else { 20 };
    ensure!(after.len() == before.len() + header, "{} bytes", after.len());
    let protocol = after[L2 + if header == 40 { 6 } else { 9 }];
    ensure!(protocol == if is_inner6 { 41 } else { 4 }, "protocol {protocol} in the outer header");
    if header == 20 {
        ensure!(sum(&after[L2..L2 + 20]) == 0xffff || sum(&after[L2..L2 + 20]) == 0, "checksum");
        let length = usize::from(u16::from_be_bytes([after[L2 + 2], after[L2 + 3]]));
        ensure!(length == after.len() - L2, "length {length} in the outer header");
    }
    let destination = ends(after)?.1;
    ensure!(addresses.backends.contains(&destination), "{destination} is no backend");
    ensure!(after[L2 + header..] == before[L2..], "the inner packet was changed");
    Ok(())
}

/// Source and destination after a translation.
fn translated(before: &[u8], after: &[u8]) -> Result<(IpAddr, IpAddr)> {
    ensure!(before.len() == after.len(), "{} bytes", after.len());
    let is_v6 = before.get(12) == Some(&0x86);
    let (l4, hops) = if is_v6 { (L2 + 40, L2 + 7) } else { (L2 + 20, L2 + 8) };
    ensure!(after[hops] + 1 == before[hops], "hop limit {}", after[hops]);
    // The addresses of the templates vary without their checksums: what is kept is the difference.
    ensure!(transport_sum(before) == transport_sum(after), "transport checksum");
    let header = |frame: &[u8]| sum(&frame[L2..L2 + 20]) % 0xffff;
    ensure!(is_v6 || header(before) == header(after), "header checksum");
    ensure!(before[l4 + 20..] == after[l4 + 20..], "the data was changed");
    ends(after)
}

fn ends(frame: &[u8]) -> Result<(IpAddr, IpAddr)> {
    let address = |bytes: &[u8]| -> Option<IpAddr> {
        match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
            _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        }
    };
    let (first, length) = if frame.get(12) == Some(&0x86) { (L2 + 8, 16) } else { (L2 + 12, 4) };
    let at = |at: usize| frame.get(at..at + length).and_then(address).context("too short");
    Ok((at(first)?, at(first + length)?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Transport, frame};
    use super::*;

    #[test]
    fn a_wrong_answer_is_found() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let client = (address("198.51.100.1"), 1000);
        let before = frame(client, (address("192.0.2.20"), 443), Transport::ESTABLISHED);
        let mut after =
            frame((address("10.1.0.1"), 2000), (address("10.0.2.1"), 443), Transport::ESTABLISHED);
        let addresses = Addresses {
            backends: BTreeSet::from([address("10.0.2.1")]),
            pools: BTreeSet::from([address("10.1.0.1")]),
        };
        let found = |after: &[u8]| check(Expectation::Forward, &addresses, &before, after);
        assert!(found(&after).is_err(), "the hop limit is the same");
        after[22] -= 1;
        assert!(found(&after).is_err(), "the header checksum is the same");
        let word = u16::from_be_bytes([after[24], after[25]]) + 0x100;
        after[24..26].copy_from_slice(&word.to_be_bytes());
        found(&after).unwrap();
        after[51] ^= 1;
        assert!(found(&after).is_err(), "the transport checksum is wrong");
        assert!(check(Expectation::Unchanged, &addresses, &before, &after).is_err());
        assert!(check(Expectation::Tunnel, &addresses, &before, &after).is_err());
    }
}
