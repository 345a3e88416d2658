use crate::xfrm::{Aead, Algorithms};

/// Why a card of this driver must not get a state, where the driver is known to take it and to keep it wrong; the kernel shows
/// the state as it was given, so that reading back tells nothing.
pub fn kept_wrong(driver: &str, algorithms: &Algorithms) -> Option<&'static str> {
    /// Key and salt.
    const BITS: u32 = 128 + 32;
    let bits = match algorithms {
        Algorithms::Aead(aead) => Aead::key(aead).bits(),
        Algorithms::Apart { .. } => return None,
    };
    // `nsim_ipsec_parse_proto_keys` copies 16 bytes of the key, and takes the next four for the salt.
    (driver == "netdevsim" && bits > BITS)
        .then_some("the driver netdevsim takes keys of more than 128 bits and keeps 128 of them")
}
