//! Security associations on the device.

use std::fmt::Write as _;

use sluice_netdevsim::Ipsec;
use sluice_vm_tests::{Nic, command, command_with_input, in_guest};

/// How many security associations the device has room for.
const ROOM: usize = 33;
const KEY_128: &str = "0x0102030405060708090a0b0c0d0e0f10";
const SALT: &str = "a1a2a3a4";

/// All security associations of the namespace go with this value.
struct Associations;

impl Drop for Associations {
    fn drop(&mut self) {
        let _ = command("ip xfrm state flush");
    }
}

fn held(nic: &Nic) -> Ipsec {
    nic.port().ipsec().unwrap()
}

/// The arguments of `ip xfrm state`.
fn add(spi: usize, aead: &str, offload: &str) -> String {
    format!(
        "add src 192.0.2.2 dst 192.0.2.1 proto esp spi {spi} reqid 1 mode transport aead {aead} offload {offload}"
    )
}

fn state(line: &str) -> sluice_vm_tests::Said {
    command(&format!("ip xfrm state {line}"))
}

fn gcm(key: &str, tag_bits: u32) -> String {
    format!("rfc4106(gcm(aes)) {key}{SALT} {tag_bits}")
}

#[test]
fn an_association_is_on_the_device_and_read_back() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let _all = Associations;
    let _ = state(&add(0x100, &gcm(KEY_128, 128), "dev card0 dir out")).ok();
    let ipsec = held(&nic);
    let [association] = ipsec.associations.as_slice() else { panic!("{ipsec:?}") };
    assert_eq!((association.spi, association.protocol), (0x100, 50));
    assert!(association.encrypts && !association.is_inbound);
    assert_eq!(association.key[0].to_ne_bytes(), [1, 2, 3, 4]);
    assert_eq!(association.salt.to_ne_bytes(), [0xa1, 0xa2, 0xa3, 0xa4]);
    let shown = command("ip xfrm state").ok();
    assert!(shown.contains("crypto offload parameters: dev card0 dir out"), "{shown}");
}

#[test]
fn there_is_room_for_33_associations() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let _all = Associations;
    let mut lines = String::new();
    for spi in 1..=ROOM {
        let line = add(0x100 + spi, &gcm(KEY_128, 128), "dev card0 dir in");
        let _ = writeln!(lines, "xfrm state {line}");
    }
    let _ = command_with_input("ip -batch -", &lines).ok();
    assert_eq!(held(&nic).associations.len(), ROOM);
    state(&add(0x200, &gcm(KEY_128, 128), "dev card0 dir in"))
        .refused("No space for SA in Rx table!");
    let _ = state(&format!("delete dst 192.0.2.1 proto esp spi {}", 0x101)).ok();
    let _ = state(&add(0x200, &gcm(KEY_128, 128), "dev card0 dir in")).ok();
    assert_eq!(held(&nic).associations.len(), ROOM);
}

/// Sixteen bytes of the key are kept, and the next four for the salt.
#[test]
fn a_key_of_256_bits_is_accepted_and_stored_wrong() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let _all = Associations;
    let key = format!("{KEY_128}1112131415161718191a1b1c1d1e1f20");
    let _ = state(&add(0x100, &gcm(&key, 128), "dev card0 dir out")).ok();
    let ipsec = held(&nic);
    let [association] = ipsec.associations.as_slice() else { panic!("{ipsec:?}") };
    assert_eq!(association.key[3].to_ne_bytes(), [13, 14, 15, 16]);
    assert_eq!(
        association.salt.to_ne_bytes(),
        [0x11, 0x12, 0x13, 0x14],
        "of the key, not the salt"
    );
}

#[test]
fn other_algorithms_and_tags_are_refused() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let _all = Associations;
    let words = "Failed to get key data for SA table";
    state(&add(0x100, &gcm(KEY_128, 96), "dev card0 dir out")).refused(words);
    let ccm = format!("rfc4309(ccm(aes)) {KEY_128}a1a2a3 128");
    state(&add(0x100, &ccm, "dev card0 dir out")).refused(words);
    assert_eq!(held(&nic).associations, []);
}

#[test]
fn packet_offload_is_refused() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let _all = Associations;
    state(&add(0x100, &gcm(KEY_128, 128), "packet dev card0 dir out"))
        .refused("Unsupported ipsec offload type");
    let policy = "ip xfrm policy add src 192.0.2.2 dst 192.0.2.1 dir out tmpl src 192.0.2.2 dst 192.0.2.1 \
                  proto esp reqid 1 mode transport offload packet dev card0";
    assert!(!command(policy).is_ok, "policies are not for the device");
    assert_eq!(held(&nic).associations, []);
}

/// Success says nothing: only what is read back does.
#[test]
fn a_link_without_offload_accepts_it_and_does_nothing() {
    if !in_guest() {
        return;
    }
    let _all = Associations;
    let _ = command("ip link add plain0 type veth peer name plain1").ok();
    let said = state(&add(0x100, &gcm(KEY_128, 128), "dev plain0 dir out"));
    let shown = command("ip xfrm state").ok();
    let _ = command("ip link del plain0").ok();
    let _ = said.ok();
    assert!(shown.contains("spi 0x00000100"), "{shown}");
    assert!(!shown.contains("offload"), "{shown}");
}
