//! Sluice's IPsec in a kernel that has it: what Sluice writes is what `ip` writes, packets are encrypted by it, and what a card
//! does of it is read back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

#[path = "xfrm/card.rs"]
mod card;
#[path = "xfrm/events.rs"]
mod events;
#[path = "xfrm/packets.rs"]
mod packets;
#[path = "xfrm/same_as_ip.rs"]
mod same_as_ip;

use sluice_kernel::xfrm::{Aead, Algorithms, Ends, Key, Mode, State, Suite};
use sluice_netdevsim::{NetworkNamespace, within};

/// Runs in a network namespace of its own, if this is the guest.
fn in_namespace(test: impl FnOnce() + Send) {
    if !sluice_vm_tests::in_guest() {
        return;
    }
    let namespace = NetworkNamespace::create().unwrap();
    within(&namespace, test).unwrap();
}

/// Key and salt: 1, 2, 3 and so on.
fn key(suite: Suite) -> Key {
    let bytes: Vec<u8> = (1..=suite.key_bytes() as u8).collect();
    Key::new(&bytes).unwrap()
}

fn hexadecimal(key: &Key) -> String {
    key.expose().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn ends(source: &str, destination: &str) -> Ends {
    Ends::new(source.parse().unwrap(), destination.parse().unwrap()).unwrap()
}

/// ESP from `source` to `destination`.
fn state(source: &str, destination: &str, spi: u32, suite: Suite) -> State {
    let aead = Aead::of(suite, key(suite)).unwrap();
    let tunnel = State::tunnel(ends(source, destination), spi, Algorithms::Aead(aead));
    State { request_id: 0x51, mode: Mode::Tunnel, ..tunnel }
}
