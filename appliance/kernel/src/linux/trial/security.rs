//! Security associations on trial. Without a policy no packet meets them, and their addresses are for documentation.

use super::{
    Refused, Trials, Tried,
    wire::{Attributes, find, u32_of},
};
use crate::{
    Errno,
    linux::netlink::{Netlink, Refusal},
};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};

const NEW: u16 = 0x10;
const DELETE: u16 = 0x11;
const GET: u16 = 0x12;
const A_AEAD: u16 = 18;
const A_OFFLOAD: u16 = 28;
const F_PACKET: u8 = 1 << 2;
const ESP: u8 = 50;
const INET: u16 = 2;
/// Nobody else's.
const SPI: u32 = 0x51c0_de00;
const SOURCE: [u8; 4] = [192, 0, 2, 1];
const DESTINATION: [u8; 4] = [192, 0, 2, 2];

/// What is to run on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityTrial {
    /// All of IPsec, not the encryption alone.
    pub packet: bool,
    /// Length of the AES-GCM key.
    pub key_bits: u16,
}

/// A security association on trial; it goes when it is dropped.
#[derive(Debug)]
pub struct HeldAssociation(());

impl Trials {
    /// Adds an outbound security association in tunnel mode, ESP with AES-GCM, and reads back that the link has it.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn association(&self, trial: SecurityTrial) -> Tried<HeldAssociation> {
        let key_bytes = usize::from(trial.key_bits) / 8 + 4;
        let mut aead = vec![0u8; 64];
        aead[..18].copy_from_slice(b"rfc4106(gcm(aes))\0");
        aead.extend(((key_bytes * 8) as u32).to_ne_bytes());
        aead.extend(128u32.to_ne_bytes());
        aead.extend((0..key_bytes).map(|byte| byte as u8));
        let mut offload = self.link.ifindex.to_ne_bytes().to_vec();
        offload.extend([if trial.packet { F_PACKET } else { 0 }, 0, 0, 0]);
        let attributes = Attributes::default().with(A_AEAD, &aead).with(A_OFFLOAD, &offload);
        let mut body = association();
        body.extend(attributes.bytes());
        Netlink::open_xfrm()?.bytes(NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &body)?;
        let held = HeldAssociation(());
        match read_back()? {
            Some((ifindex, packet)) if ifindex == self.link.ifindex && packet == trial.packet => {
                Ok(held)
            }
            Some((ifindex, packet)) => {
                let kind = if packet { "packet" } else { "crypto" };
                Err(Refused::read_back(format!("offloaded to link {ifindex}, {kind}")))
            }
            None => Err(Refused::read_back("accepted, but read-back shows no offload")),
        }
    }
}

impl Drop for HeldAssociation {
    fn drop(&mut self) {
        let _ = remove();
    }
}

/// Removes what an earlier process left; whether there was something.
pub(super) fn remove_leftovers() -> Result<bool, Refusal> {
    match remove() {
        Ok(()) => Ok(true),
        // None of ours, or a kernel without IPsec.
        Err(refusal) => match refusal.errno {
            Errno::ESRCH | Errno::ENOENT | Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP => Ok(false),
            _ => Err(refusal),
        },
    }
}

/// The link that the association is offloaded to, and whether all of it is.
fn read_back() -> Result<Option<(u32, bool)>, Refusal> {
    for message in Netlink::open_xfrm()?.bytes(GET, NLM_F_ACK, &id())? {
        let attributes = message.get(16 + ASSOCIATION_BYTES..).unwrap_or_default();
        if let Some(offload) = find(attributes, A_OFFLOAD) {
            let packet = offload.get(4).is_some_and(|flags| flags & F_PACKET != 0);
            return Ok(u32_of(offload).map(|ifindex| (ifindex, packet)));
        }
    }
    Ok(None)
}

fn remove() -> Result<(), Refusal> {
    Netlink::open_xfrm()?.bytes(DELETE, NLM_F_ACK, &id()).map(drop)
}

/// `struct xfrm_usersa_id`.
fn id() -> Vec<u8> {
    let mut bytes = address(DESTINATION).to_vec();
    bytes.extend(SPI.to_be_bytes());
    bytes.extend(INET.to_ne_bytes());
    bytes.extend([ESP, 0]);
    bytes
}

const ASSOCIATION_BYTES: usize = 224;

/// `struct xfrm_usersa_info`.
fn association() -> Vec<u8> {
    const TUNNEL: u8 = 1;
    let mut bytes = Vec::with_capacity(ASSOCIATION_BYTES);
    // The selector: anything in IPv4.
    bytes.extend([0; 40]);
    bytes.extend(INET.to_ne_bytes());
    bytes.extend([0; 14]);
    // The id.
    bytes.extend(address(DESTINATION));
    bytes.extend(SPI.to_be_bytes());
    bytes.extend([ESP, 0, 0, 0]);
    bytes.extend(address(SOURCE));
    // Limits of its life: bytes and packets without end, no times.
    bytes.extend([0xff; 32]);
    bytes.extend([0; 32]);
    // Its life until now, and statistics.
    bytes.extend([0; 32 + 12]);
    bytes.extend(0u32.to_ne_bytes());
    // The request id: packet offload wants one.
    bytes.extend(0x51c0u32.to_ne_bytes());
    bytes.extend(INET.to_ne_bytes());
    // Mode, replay window, flags.
    bytes.extend([TUNNEL, 0, 0]);
    bytes.resize(ASSOCIATION_BYTES, 0);
    bytes
}

/// `xfrm_address_t` of IPv4.
fn address(ip: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&ip);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_stand_where_the_kernel_looks_for_them() {
        let bytes = association();
        assert_eq!(bytes.len(), ASSOCIATION_BYTES);
        assert_eq!(bytes[56..60], DESTINATION);
        assert_eq!(bytes[72..76], SPI.to_be_bytes());
        assert_eq!(bytes[76], ESP);
        assert_eq!(bytes[80..84], SOURCE);
        assert_eq!(bytes[208..212], 0x51c0u32.to_ne_bytes());
        assert_eq!(bytes[212..215], [2, 0, 1]);
    }
}
