//! How long an inner packet may be, so that what becomes of it fits the path.
//!
//! ESP in tunnel mode (RFC 4303, section 2): outer IP header, perhaps a UDP header (RFC 3948), 8 bytes of SPI and sequence number, the
//! initialisation vector, the inner packet, padding, its length and the next header (2 bytes), the tag. The suites of Sluice have
//! vectors of 8 and tags of 16 bytes (RFC 4106, sections 3 and 6; RFC 7634, section 2) and need no whole blocks, so that padding
//! only brings the encrypted part to a multiple of four bytes.
//!
//! WireGuard: outer IP and UDP header, 16 bytes of type, receiver and counter, the inner packet, the tag of 16 bytes. It pads to a
//! multiple of 16, but never beyond the device's MTU.

use super::Suite;

/// What is around an inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// ESP in tunnel mode.
    Esp {
        /// The suite.
        suite: Suite,
        /// Within UDP, through NAT.
        in_udp: bool,
    },
    /// WireGuard.
    Wireguard,
}

/// The outer packet's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OuterFamily {
    /// IPv4 without options.
    V4,
    /// IPv6 without extension headers.
    V6,
}

const UDP: u16 = 8;
const TAG: u16 = 16;
const SPI_AND_SEQUENCE: u16 = 8;
const PAD_LENGTH_AND_NEXT: u16 = 2;
const ESP_ALIGNMENT: u16 = 4;
const WIREGUARD_HEADER: u16 = 16;
const WIREGUARD_ALIGNMENT: u16 = 16;
const TCP: u16 = 20;
/// Every link carries this much of IPv6 (RFC 8200, section 5).
const IPV6_MINIMUM: u16 = 1280;
/// Every host takes this much of IPv4 (RFC 791).
const IPV4_MINIMUM: u16 = 576;

impl OuterFamily {
    const fn header(self) -> u16 {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }
}

impl Envelope {
    /// Bytes around the inner packet and its padding.
    const fn fixed(self, family: OuterFamily) -> u16 {
        match self {
            Self::Esp { suite, in_udp } => {
                let vector = match suite {
                    Suite::Aes128Gcm | Suite::Aes256Gcm | Suite::ChaCha20Poly1305 => 8,
                };
                let udp = if in_udp { UDP } else { 0 };
                family.header() + udp + SPI_AND_SEQUENCE + vector + TAG
            }
            Self::Wireguard => family.header() + UDP + WIREGUARD_HEADER + TAG,
        }
    }

    /// Length of the outer packet for an inner one, in bytes. `inner_mtu` is the tunnel's, which WireGuard's padding respects.
    #[must_use]
    pub fn outer_bytes(self, family: OuterFamily, inner: u16, inner_mtu: u16) -> u32 {
        let inner = u32::from(inner);
        let padded = match self {
            Self::Esp { .. } => {
                (inner + u32::from(PAD_LENGTH_AND_NEXT)).next_multiple_of(u32::from(ESP_ALIGNMENT))
            }
            Self::Wireguard => inner
                .next_multiple_of(u32::from(WIREGUARD_ALIGNMENT))
                .min(u32::from(inner_mtu).max(inner)),
        };
        padded + u32::from(self.fixed(family))
    }

    /// What a tunnel over a path carries; none if the path carries no packet at all in it.
    #[must_use]
    pub fn room(self, family: OuterFamily, path_mtu: u16) -> Option<Room> {
        let room = path_mtu.checked_sub(self.fixed(family))?;
        let mtu = match self {
            Self::Esp { .. } => (room - room % ESP_ALIGNMENT).checked_sub(PAD_LENGTH_AND_NEXT)?,
            Self::Wireguard => room,
        };
        (mtu > 0).then_some(Room { mtu })
    }
}

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Room {
    /// The longest inner packet, in bytes.
    pub mtu: u16,
}

impl Room {
    /// The longest TCP segment of an inner IPv4 connection without options (RFC 6691).
    #[must_use]
    pub const fn ipv4_mss(self) -> u16 {
        self.mtu.saturating_sub(OuterFamily::V4.header() + TCP)
    }

    /// The longest TCP segment of an inner IPv6 connection without options.
    #[must_use]
    pub const fn ipv6_mss(self) -> u16 {
        self.mtu.saturating_sub(OuterFamily::V6.header() + TCP)
    }

    /// Whether IPv6 may be in it without being taken apart.
    #[must_use]
    pub const fn carries_ipv6(self) -> bool {
        self.mtu >= IPV6_MINIMUM
    }

    /// Whether it carries what every host of IPv4 must take.
    #[must_use]
    pub const fn carries_ipv4(self) -> bool {
        self.mtu >= IPV4_MINIMUM
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn esp(suite: Suite, in_udp: bool) -> Envelope {
        Envelope::Esp { suite, in_udp }
    }

    #[test]
    fn an_ethernet_path_carries_what_is_known_of_it() {
        let mtu = |envelope: Envelope, family| envelope.room(family, 1500).unwrap().mtu;
        for suite in Suite::ALL {
            // 1500 - 20 - 8 - 8 - 16 = 1448, less the two bytes of the trailer.
            assert_eq!(mtu(esp(suite, false), OuterFamily::V4), 1446);
            // 1428 - 2.
            assert_eq!(mtu(esp(suite, false), OuterFamily::V6), 1426);
            // 1440 - 2 and 1420 - 2.
            assert_eq!(mtu(esp(suite, true), OuterFamily::V4), 1438);
            assert_eq!(mtu(esp(suite, true), OuterFamily::V6), 1418);
        }
        // What `wg-quick` takes for IPv6, and 20 more for IPv4.
        assert_eq!(mtu(Envelope::Wireguard, OuterFamily::V6), 1420);
        assert_eq!(mtu(Envelope::Wireguard, OuterFamily::V4), 1440);
    }

    #[test]
    fn segments_leave_room_for_their_headers() {
        let room = Room { mtu: 1420 };
        assert_eq!((room.ipv4_mss(), room.ipv6_mss()), (1380, 1360));
        assert!(room.carries_ipv6() && room.carries_ipv4());
        assert!(!Room { mtu: 1279 }.carries_ipv6() && !Room { mtu: 575 }.carries_ipv4());
        assert_eq!(Room { mtu: 30 }.ipv4_mss(), 0);
    }

    #[test]
    fn a_path_that_is_too_narrow_carries_nothing() {
        assert_eq!(Envelope::Wireguard.room(OuterFamily::V6, 80), None);
        assert_eq!(Envelope::Wireguard.room(OuterFamily::V6, 81), Some(Room { mtu: 1 }));
        assert_eq!(esp(Suite::Aes128Gcm, false).room(OuterFamily::V4, 55), None);
    }

    proptest! {
        /// The longest packet fits, and there is no longer one that does.
        #[test]
        fn the_mtu_is_exact(suite in 0..3usize, in_udp: bool, wireguard: bool, v6: bool, path: u16) {
            let envelope =
                if wireguard { Envelope::Wireguard } else { esp(Suite::ALL[suite], in_udp) };
            let family = if v6 { OuterFamily::V6 } else { OuterFamily::V4 };
            match envelope.room(family, path) {
                Some(Room { mtu }) => {
                    for inner in 1..=mtu {
                        prop_assert!(envelope.outer_bytes(family, inner, mtu) <= u32::from(path));
                    }
                    prop_assert!(envelope.outer_bytes(family, mtu + 1, mtu + 1) > u32::from(path));
                }
                None => prop_assert!(envelope.outer_bytes(family, 1, 1) > u32::from(path)),
            }
        }
    }
}
