//! The keys of tunnels whose ends share a secret.
//!
//! Both ends derive the same keys without talking. A key is for one pair of addresses, one direction, one suite and one key id: no
//! two tunnels, and not the two directions of one, ever have the same. AES-GCM and ChaCha20-Poly1305 lose everything when a key
//! meets the same sequence number twice, so that **a key id must never be used again**, after a restart neither (RFC 4106,
//! section 2, forbids keys that are static for this reason): whoever installs a state takes a key id that was not there before.

use std::net::IpAddr;

use ring::hkdf;
use zeroize::Zeroizing;

use super::{Secret, Suite};

/// Which of the states of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyOf {
    /// Who encrypts.
    pub from: IpAddr,
    /// Who decrypts. This is the direction: the state of the way back has the two exchanged.
    pub to: IpAddr,
    /// The suite.
    pub suite: Suite,
    /// Counts up with every rotation.
    pub key_id: u32,
}

/// A key with its salt, and the security parameter index of its state.
pub struct Derived {
    /// Key and salt, as the kernel wants them; wiped when they are dropped.
    pub key: Zeroizing<Vec<u8>>,
    /// The upper half is the lower half of the key id, so that a packet on the wire tells its key; the lower half keeps the tunnels
    /// of a destination apart.
    pub spi: u32,
}

/// Raised when anything of the derivation changes: both ends must do the same.
const VERSION: &[u8] = b"sluice.dev/v1 shared key";
const KEY: u8 = 1;
const SPI: u8 = 2;
/// Smaller indices are reserved (RFC 4303, section 2.1).
const FIRST_SPI: u32 = 256;

/// Derives a key by HKDF with SHA-256 (RFC 5869). The salt is the version, the information who, where, what and which.
///
/// None if more bytes are wanted than HKDF gives, which no suite does.
#[must_use]
pub fn derive(secret: &Secret, of: KeyOf) -> Option<Derived> {
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, VERSION).extract(secret.expose().as_bytes());
    let mut key = Zeroizing::new(vec![0; of.suite.key_bytes()]);
    expand(&secret, &information(KEY, of), &mut key)?;
    let mut low = [0; 2];
    expand(&secret, &information(SPI, of), &mut low)?;
    let spi = (of.key_id & 0xffff) << 16 | u32::from(u16::from_be_bytes(low));
    Some(Derived { key, spi: if spi < FIRST_SPI { spi + FIRST_SPI } else { spi } })
}

/// Every part has a fixed length for its family, and the family is told: no two different ones are the same bytes.
fn information(purpose: u8, of: KeyOf) -> Vec<u8> {
    let mut bytes = vec![purpose];
    for address in [of.from, of.to] {
        match address {
            IpAddr::V4(address) => {
                bytes.push(4);
                bytes.extend(address.octets());
            }
            IpAddr::V6(address) => {
                bytes.push(6);
                bytes.extend(address.octets());
            }
        }
    }
    bytes.push(match of.suite {
        Suite::Aes128Gcm => 1,
        Suite::Aes256Gcm => 2,
        Suite::ChaCha20Poly1305 => 3,
    });
    bytes.extend(of.key_id.to_be_bytes());
    bytes
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(secret: &hkdf::Prk, information: &[u8], to: &mut [u8]) -> Option<()> {
    secret.expand(&[information], Length(to.len())).ok()?.fill(to).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        let digits: Vec<u8> = hexadecimal.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Appendix A.1 to A.3: basic, long, and with neither salt nor information.
    #[test]
    fn the_primitive_is_that_of_rfc_5869() {
        let long = |first: u8, last: u8| (first..=last).collect::<Vec<u8>>();
        let cases = [
            (
                vec![0x0b; 22],
                long(0x00, 0x0c),
                long(0xf0, 0xf9),
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
            ),
            (
                long(0x00, 0x4f),
                long(0x60, 0xaf),
                long(0xb0, 0xff),
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
            ),
            (
                vec![0x0b; 22],
                vec![],
                vec![],
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
            ),
        ];
        for (secret, salt, information, expected) in cases {
            let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(&secret);
            let expected = bytes(expected);
            let mut found = vec![0; expected.len()];
            expand(&secret, &information, &mut found).unwrap();
            assert_eq!(found, expected);
        }
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        // Few, so that they are often equal, and of both families.
        prop_oneof![
            (0u8..4).prop_map(|last| IpAddr::from([10, 0, 0, last])),
            (0u16..4).prop_map(|last| IpAddr::from([0x0a00, 0, 0, 0, 0, 0, 0, last])),
        ]
    }

    prop_compose! {
        fn key_of()(
            from in address(), to in address(), suite in 0..3usize, key_id in 0u32..5,
        ) -> KeyOf {
            KeyOf { from, to, suite: Suite::ALL[suite], key_id: key_id << 14 }
        }
    }

    fn derived(secret: &str, of: KeyOf) -> Derived {
        derive(&Secret::new(secret.to_owned()), of).unwrap()
    }

    proptest! {
        #[test]
        fn no_two_states_have_the_same_key(one in key_of(), two in key_of()) {
            let (first, second) = (derived("a secret", one), derived("a secret", two));
            prop_assert_eq!(one == two, first.key == second.key);
            prop_assert_eq!(first.key.len(), one.suite.key_bytes());
            // Not even a part of it: no key is the beginning of another.
            if one != two {
                prop_assert_ne!(&first.key[..16], &second.key[..16]);
            }
            prop_assert!(first.spi >= FIRST_SPI);
            prop_assert_eq!(first.spi >> 16, one.key_id & 0xffff);
        }

        #[test]
        fn another_secret_gives_another_key(of in key_of()) {
            prop_assert_ne!(derived("a secret", of).key, derived("a secrft", of).key);
        }
    }

    /// Both ends of gateways of different releases derive the same: these bytes never change without [`VERSION`].
    #[test]
    fn the_derivation_is_what_it_was() {
        let of = KeyOf {
            from: [192, 0, 2, 1].into(),
            to: [198, 51, 100, 2].into(),
            suite: Suite::Aes128Gcm,
            key_id: 7,
        };
        let there = derived("correct horse battery staple", of);
        let back =
            derived("correct horse battery staple", KeyOf { from: of.to, to: of.from, ..of });
        let shown = |derived: &Derived| {
            let key: String = derived.key.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{key} {:08x}", derived.spi)
        };
        let expected = [
            "4666fee14bf9c2d52be42cb01993b393d566adfb 0007a46b",
            "40b0fbafb45d019e804264776017f728e2cbc91a 00075f13",
        ];
        assert_eq!([shown(&there), shown(&back)], expected);
    }

    #[test]
    fn many_rotations_never_repeat() {
        let of = |key_id| KeyOf {
            from: [192, 0, 2, 1].into(),
            to: [198, 51, 100, 2].into(),
            suite: Suite::Aes256Gcm,
            key_id,
        };
        let keys: BTreeSet<Vec<u8>> =
            (0..2000).map(|key_id| derived("secret", of(key_id)).key.to_vec()).collect();
        assert_eq!(keys.len(), 2000);
    }
}
