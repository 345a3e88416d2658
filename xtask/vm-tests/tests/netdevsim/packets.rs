//! What becomes of packets between two simulated NICs with a cable.

use std::net::UdpSocket;
use std::time::Duration;

use sluice_netdevsim::Link;
use sluice_vm_tests::{Kind, Nic, Pins, Program, Verdict, command, expectations, in_guest};

/// Two NICs with a cable, the far one in a namespace of its own.
struct Pair {
    near: Nic,
    _far: Nic,
    _cable: Link,
    namespace: Namespace,
}

/// A network namespace of `ip netns`.
struct Namespace(&'static str);

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = command(&format!("ip netns delete {}", self.0));
    }
}

const FAR: &str = "sluice-vm-far";

impl Pair {
    fn plug() -> Self {
        let (near, far) = (Nic::create("near0"), Nic::create("far0"));
        let cable = Link::plug(near.ifindex, far.ifindex).unwrap();
        let _ = command(&format!("ip netns add {FAR}")).ok();
        let namespace = Namespace(FAR);
        for line in [
            format!("ip link set dev far0 netns {FAR}"),
            format!("ip -n {FAR} link set dev far0 up"),
            format!("ip -n {FAR} address add 192.0.2.2/24 dev far0"),
            "ip address add 192.0.2.1/24 dev near0".to_owned(),
        ] {
            let _ = command(&line).ok();
        }
        Self { near, _far: far, _cable: cable, namespace }
    }

    /// Whether packets from the far end arrive at the near one.
    fn arrives(&self) -> bool {
        let socket = UdpSocket::bind("192.0.2.1:9000").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let namespace = sluice_netdevsim::NetworkNamespace::open(
            format!("/run/netns/{}", self.namespace.0).as_ref(),
        )
        .unwrap();
        let mut buffer = [0; 16];
        // The first packets wait for the neighbour's address.
        (0..10).any(|_| {
            sluice_netdevsim::within(&namespace, || {
                let sender = UdpSocket::bind("192.0.2.2:0").unwrap();
                sender.send_to(b"hello", "192.0.2.1:9000").unwrap();
            })
            .unwrap();
            socket.recv(&mut buffer).is_ok()
        })
    }
}

#[test]
fn an_offloaded_program_never_runs() {
    if !in_guest() {
        return;
    }
    let pair = Pair::plug();
    assert!(pair.arrives(), "the cable is plugged in");
    let pins = Pins::create();
    let drops = Program::load(&pins, "drops", Kind::Xdp, Verdict::Drop, pair.near.ifindex).unwrap();
    let _ = pair.near.attach_xdp("xdpoffload", &drops).ok();
    assert!(pair.arrives(), "the program would drop everything, if it ran");
    let _ = pair.near.detach_xdp("xdpoffload").ok();
}

#[test]
fn a_driver_program_runs_as_this_kernel_does() {
    if !in_guest() {
        return;
    }
    let pair = Pair::plug();
    assert!(pair.arrives(), "the cable is plugged in");
    let pins = Pins::create();
    let drops = Program::load(&pins, "drops", Kind::Xdp, Verdict::Drop, 0).unwrap();
    let _ = pair.near.attach_xdp("xdpdrv", &drops).ok();
    assert_eq!(!pair.arrives(), expectations().driver_program_runs);
    let _ = pair.near.detach_xdp("xdpdrv").ok();
    assert!(pair.arrives(), "nothing is left");
}

/// So a test of packets on a device can be made with generic XDP on any kernel.
#[test]
fn a_generic_program_runs() {
    if !in_guest() {
        return;
    }
    let pair = Pair::plug();
    let pins = Pins::create();
    let drops = Program::load(&pins, "drops", Kind::Xdp, Verdict::Drop, 0).unwrap();
    let _ = pair.near.attach_xdp("xdpgeneric", &drops).ok();
    assert!(!pair.arrives());
    let _ = pair.near.detach_xdp("xdpgeneric").ok();
    assert!(pair.arrives(), "nothing is left");
}
