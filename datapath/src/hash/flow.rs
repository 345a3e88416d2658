use super::mix::finish;

/// The hash of a flow: 64 bits, of which `low` chooses the Maglev slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowHash {
    /// Chooses slots and buckets.
    pub low: u32,
    /// The words that `high` is made of, mixed only where it is needed.
    seed: u32,
}

impl FlowHash {
    /// Independent of `low`: tells flows of one bucket apart.
    #[inline(always)]
    pub const fn high(self) -> u32 {
        finish(self.seed)
    }
}

/// Hash of a flow towards a service. Addresses as [`super::fold`] gives them; `ports`: source port above
/// destination port as they stand in the packet.
#[inline(always)]
pub const fn flow(src: u32, dst: u32, ports: u32, protocol: u8) -> FlowHash {
    let mut low = src.wrapping_mul(0x9e37_79b1) ^ dst.rotate_left(13) ^ protocol as u32;
    low = (low ^ (low >> 15)).wrapping_mul(0x85eb_ca77) ^ ports;
    low = (low ^ (low >> 13)).wrapping_mul(0xc2b2_ae3d);
    low ^= low >> 16;
    let seed = src.rotate_left(7).wrapping_mul(0xc2b2_ae3d)
        ^ ports.wrapping_mul(0x27d4_eb2f)
        ^ dst.wrapping_mul(0x1656_67b1)
        ^ protocol as u32;
    FlowHash { low, seed }
}

/// Hash of a client alone, for services with affinity. The address as [`super::fold`] gives it.
#[inline(always)]
pub const fn source(src: u32) -> u32 {
    finish(src.wrapping_mul(0x9e37_79b1))
}
