//! What a simulated card does of IPsec, and that Sluice knows it.

use sluice_kernel::linux::Ipsec;
use sluice_kernel::xfrm::{Direction, Filter, Offload, OffloadKind, State, Suite};
use sluice_kernel::{Ipsec as _, place_state};
use sluice_vm_tests::{Nic, command, expectations, in_guest};

use crate::{hexadecimal, key, state};

/// How many states the card has room for.
const ROOM: u32 = 33;

/// The states of the guest's own namespace, where the card is, go with it.
struct Bench {
    nic: Nic,
    ipsec: Ipsec,
}

impl Bench {
    fn new() -> Option<Self> {
        in_guest().then(|| Self { nic: Nic::create("card0"), ipsec: Ipsec::open().unwrap() })
    }

    fn held(&self) -> usize {
        self.nic.port().ipsec().unwrap().associations.len()
    }

    fn wanted(&self, spi: u32, suite: Suite, kind: OffloadKind) -> State {
        let offload = Offload { ifindex: self.nic.ifindex, kind, direction: Direction::In };
        State { offload: Some(offload), ..state("192.0.2.2", "192.0.2.1", spi, suite) }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = command("ip xfrm state flush");
    }
}

#[test]
fn the_place_of_a_state_is_read_back_and_each_better_one_has_its_reason() {
    let Some(mut bench) = Bench::new() else { return };
    for spi in 1..=ROOM {
        let wanted = bench.wanted(0x100 + spi, Suite::AesGcm128, OffloadKind::Packet);
        let placed = place_state(&mut bench.ipsec, &wanted).unwrap();
        let actual = placed.installed.actual.unwrap();
        assert_eq!((actual.kind, actual.ifindex), (OffloadKind::Crypto, bench.nic.ifindex));
        let [fallback] = placed.fallbacks.as_slice() else { panic!("{placed:?}") };
        assert_eq!(fallback.wanted, OffloadKind::Packet);
        assert!(fallback.why.contains("Unsupported ipsec offload type"), "{fallback:?}");
    }
    assert_eq!(bench.held(), ROOM as usize);
    let one_more = bench.wanted(0x200, Suite::AesGcm128, OffloadKind::Packet);
    let placed = place_state(&mut bench.ipsec, &one_more).unwrap();
    assert_eq!(placed.installed.actual, None);
    assert!(placed.fallbacks[1].why.contains("No space for SA in Rx table!"), "{placed:?}");
    assert_eq!(bench.held(), ROOM as usize);
    assert_eq!(bench.ipsec.states(&Filter::default()).unwrap().len(), ROOM as usize + 1);
}

#[test]
fn a_key_that_the_card_would_keep_wrong_never_gets_there() {
    let Some(mut bench) = Bench::new() else { return };
    let wanted = bench.wanted(0x101, Suite::AesGcm256, OffloadKind::Crypto);
    let placed = place_state(&mut bench.ipsec, &wanted).unwrap();
    assert_eq!((placed.installed.actual, bench.held()), (None, 0));
    assert!(placed.fallbacks[0].why.contains("keeps 128 of them"), "{placed:?}");
    let refused = bench.ipsec.add_state(&wanted).unwrap_err().to_string();
    assert!(refused.contains("0x00000101 to 192.0.2.1"), "{refused}");
}

#[test]
fn a_link_that_takes_offload_silently_is_found_out() {
    let Some(mut bench) = Bench::new() else { return };
    let _ = command("ip link add plain0 type veth peer name plain1").ok();
    let ifindex = std::fs::read_to_string("/sys/class/net/plain0/ifindex").unwrap();
    let mut wanted = bench.wanted(0x101, Suite::AesGcm128, OffloadKind::Crypto);
    let offload = Offload { ifindex: ifindex.trim().parse().unwrap(), ..wanted.offload.unwrap() };
    wanted.offload = Some(offload);
    let installed = bench.ipsec.add_state(&wanted).unwrap();
    let _ = command("ip link del plain0").ok();
    assert_eq!((installed.requested, installed.actual), (Some(offload), None));
    assert!(!installed.is_as_requested());
}

/// The kernel would give the state to the card all the same, and show it as offloaded.
#[test]
fn a_card_whose_offload_is_switched_off_gets_nothing() {
    let Some(mut bench) = Bench::new() else { return };
    let switched = command("ethtool -K card0 esp-hw-offload off");
    if !expectations().esp_offload_has_switch {
        switched.refused("Could not change any device features");
        return;
    }
    let _ = switched.ok();
    let key = hexadecimal(&key(Suite::AesGcm128));
    let theirs = format!(
        "ip xfrm state add src 192.0.2.2 dst 192.0.2.1 proto esp spi 0x100 reqid 1 mode tunnel \
         aead rfc4106(gcm(aes)) 0x{key} 128 offload dev card0 dir in"
    );
    let _ = command(&theirs).ok();
    assert_eq!(bench.held(), 1, "the kernel does not ask the switch");
    let wanted = bench.wanted(0x101, Suite::AesGcm128, OffloadKind::Crypto);
    let placed = place_state(&mut bench.ipsec, &wanted).unwrap();
    assert_eq!((placed.installed.actual, bench.held()), (None, 1));
    assert!(placed.fallbacks[0].why.contains("switched off"), "{placed:?}");
    let _ = command("ethtool -K card0 esp-hw-offload on").ok();
    let wanted = bench.wanted(0x102, Suite::AesGcm128, OffloadKind::Crypto);
    assert!(bench.ipsec.add_state(&wanted).unwrap().is_as_requested());
}
