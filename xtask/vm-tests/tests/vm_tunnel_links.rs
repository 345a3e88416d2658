//! Tunnels as links in a kernel that has them: xfrm interfaces and WireGuard devices.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

use sluice_kernel::linux::TunnelLinks;
use sluice_kernel::wireguard::{
    AllowedNetwork, Change, PeerChange, PeerSetting, PublicKey, SecretKey,
};
use sluice_kernel::{Errno, TunnelLinkKind, TunnelLinks as _};
use sluice_netdevsim::{NetworkNamespace, within};
use sluice_vm_tests::{command, in_guest};

fn in_namespace(test: impl FnOnce() + Send) {
    if !in_guest() {
        return;
    }
    within(&NetworkNamespace::create().unwrap(), test).unwrap();
}

#[test]
fn xfrm_interfaces_are_made_read_back_and_removed() {
    in_namespace(|| {
        let mut links = TunnelLinks::open().unwrap();
        let kind = TunnelLinkKind::Xfrm { if_id: 0x51, below: None };
        let made = links.create("ipsec0", kind).unwrap();
        assert_eq!((made.kind, made.up), (kind, false));
        let shown = command("ip -details link show dev ipsec0").ok();
        assert!(shown.contains("xfrm if_id 0x51"), "{shown}");
        let set = links.set("ipsec0", true, 1400).unwrap();
        assert_eq!((set.ifindex, set.up, set.mtu), (made.ifindex, true, 1400));
        let twice = links.create("ipsec1", kind).unwrap_err();
        assert_eq!(twice.errno(), Some(Errno::EEXIST), "{twice}");
        let below = if_index("lo");
        let on_lo = TunnelLinkKind::Xfrm { if_id: 0x52, below: Some(below) };
        assert_eq!(links.create("ipsec2", on_lo).unwrap().kind, on_lo);
        let names: Vec<_> = links.list().unwrap().into_iter().map(|link| link.name).collect();
        assert_eq!(names, ["ipsec0", "ipsec2"]);
        assert!(links.remove("ipsec0").unwrap() && links.remove("ipsec2").unwrap());
        assert!(!links.remove("ipsec0").unwrap(), "it is gone");
    });
}

fn if_index(name: &str) -> u32 {
    let text = command(&format!("ip -oneline link show dev {name}")).ok();
    text.split(':').next().unwrap().trim().parse().unwrap()
}

#[test]
fn links_of_other_kinds_are_never_removed() {
    in_namespace(|| {
        let _ = command("ip link add plain0 type veth peer name plain1").ok();
        let mut links = TunnelLinks::open().unwrap();
        assert!(!links.remove("plain0").unwrap());
        assert_eq!(links.list().unwrap(), []);
        assert_eq!(links.wireguard("plain0").unwrap(), None);
        let _ = command("ip link show dev plain0").ok();
    });
}

fn network(a: u8, b: u8) -> AllowedNetwork {
    AllowedNetwork { address: [10, a, b, 0].into(), bits: 24 }
}

fn set(number: u8, allowed: Vec<AllowedNetwork>) -> PeerChange {
    PeerChange::Set(PeerSetting::new(PublicKey([number; 32]), allowed))
}

#[test]
fn peers_change_and_the_device_stays() {
    in_namespace(|| {
        let mut links = TunnelLinks::open().unwrap();
        let made = links.create("wg0", TunnelLinkKind::Wireguard).unwrap();
        let fresh = links.wireguard("wg0").unwrap().unwrap();
        assert_eq!((fresh.public_key, fresh.peers.len()), (None, 0));
        let preshared = SecretKey::new(&[9; 32]);
        let first = PeerSetting {
            preshared_key: preshared,
            endpoint: Some("[2001:db8::7]:51820".parse().unwrap()),
            keepalive_seconds: Some(25),
            ..PeerSetting::new(PublicKey([1; 32]), vec![network(1, 0), network(1, 1)])
        };
        let change = Change {
            private_key: SecretKey::new(&[0x58; 32]),
            listen_port: Some(51820),
            mark: Some(7),
            peers: vec![PeerChange::Set(first), set(2, vec![network(2, 0)])],
        };
        links.change_wireguard("wg0", &change).unwrap();
        links.set("wg0", true, 1420).unwrap();
        let device = links.wireguard("wg0").unwrap().unwrap();
        assert!(device.public_key.is_some());
        assert_eq!((device.ifindex, device.listen_port, device.mark), (made.ifindex, 51820, 7));
        let peer = device.peers.iter().find(|peer| peer.public_key.0 == [1; 32]).unwrap();
        assert!(peer.has_preshared_key);
        assert_eq!(peer.endpoint, Some("[2001:db8::7]:51820".parse().unwrap()));
        assert_eq!((peer.keepalive_seconds, peer.last_handshake), (25, None));
        let mut allowed = peer.allowed.clone();
        allowed.sort();
        assert_eq!(allowed, [network(1, 0), network(1, 1)]);

        // One goes, one comes; the other keeps all that it has, and so does the device.
        let peers = vec![PeerChange::Remove(PublicKey([2; 32])), set(3, vec![network(3, 0)])];
        links.change_wireguard("wg0", &Change { peers, ..Change::default() }).unwrap();
        let after = links.wireguard("wg0").unwrap().unwrap();
        let mut keys: Vec<_> = after.peers.iter().map(|peer| peer.public_key.0[0]).collect();
        keys.sort_unstable();
        assert_eq!(keys, [1, 3]);
        let kept = after.peers.iter().find(|found| found.public_key.0 == [1; 32]).unwrap();
        assert_eq!((kept.endpoint, kept.has_preshared_key), (peer.endpoint, true));
        assert_eq!((after.public_key, after.ifindex), (device.public_key, device.ifindex));
        assert_eq!(after.listen_port, 51820);
        // To remove one that is not there is no error.
        let peers = vec![PeerChange::Remove(PublicKey([2; 32]))];
        links.change_wireguard("wg0", &Change { peers, ..Change::default() }).unwrap();
        assert!(links.remove("wg0").unwrap());
        assert_eq!(links.wireguard("wg0").unwrap(), None);
    });
}

#[test]
fn a_peer_with_more_networks_than_a_message_holds_has_them_all() {
    in_namespace(|| {
        let mut links = TunnelLinks::open().unwrap();
        links.create("wg0", TunnelLinkKind::Wireguard).unwrap();
        let many: Vec<_> = (0..5000u32)
            .map(|number| AllowedNetwork {
                address: std::net::IpAddr::V4((0x0a00_0000 + number).into()),
                bits: 32,
            })
            .collect();
        let peers = vec![set(1, many.clone()), set(2, vec![network(200, 0)])];
        links.change_wireguard("wg0", &Change { peers, ..Change::default() }).unwrap();
        let device = links.wireguard("wg0").unwrap().unwrap();
        let peer = device.peers.iter().find(|peer| peer.public_key.0 == [1; 32]).unwrap();
        let mut allowed = peer.allowed.clone();
        allowed.sort();
        assert_eq!(allowed, many);
        assert_eq!(device.peers.len(), 2);
        // What is set is all that there is.
        let peers = vec![set(1, vec![network(100, 0)])];
        links.change_wireguard("wg0", &Change { peers, ..Change::default() }).unwrap();
        let device = links.wireguard("wg0").unwrap().unwrap();
        let peer = device.peers.iter().find(|peer| peer.public_key.0 == [1; 32]).unwrap();
        assert_eq!(peer.allowed, [network(100, 0)]);
    });
}
