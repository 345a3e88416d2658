//! Links, addresses, routes and neighbours of a real namespace.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod support;

use futures_util::StreamExt;
use sluice_kernel::{
    Link, NeighbourState, Network as _, NetworkEvent, NetworkEvents, Routing, Unroutable,
    linux::Network,
};
use std::{net::IpAddr, time::Duration};
use support::{index, ip, place, veth};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The first event for which `wanted` has an answer.
async fn until<T>(
    events: &mut NetworkEvents,
    mut wanted: impl FnMut(NetworkEvent) -> Option<T>,
) -> T {
    let search = async {
        loop {
            let event = events.next().await.expect("the stream ended");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), search).await.expect("it was not told")
}

#[tokio::test]
async fn links_and_addresses_are_listed() {
    let Some(_place) = place() else { return };
    let link = veth("a0");
    ip("link set a0 mtu 1400 address 02:00:00:00:00:07");
    ip("address add 10.9.0.7/24 dev a0");
    ip("-6 address add 2001:db8::7/64 dev lo nodad");
    let network = Network::open().unwrap();
    let links = network.links().await.unwrap();
    let a0 = links.iter().find(|link| link.name == "a0").unwrap();
    let expected = Link {
        ifindex: link,
        name: "a0".into(),
        mac: Some([2, 0, 0, 0, 0, 7]),
        mtu: 1400,
        up: true,
        carrier: true,
        kind: Some("veth".into()),
        ..Link::default()
    };
    assert_eq!(*a0, expected);
    let lo = links.iter().find(|link| link.name == "lo").unwrap();
    assert_eq!((lo.mac, lo.kind.as_deref()), (None, None));

    let addresses = network.addresses().await.unwrap();
    let on = |text: &str| addresses.iter().find(|known| known.address == address(text)).unwrap();
    assert_eq!((on("10.9.0.7").ifindex, on("10.9.0.7").prefix_length), (link, 24));
    assert_eq!((on("2001:db8::7").ifindex, on("2001:db8::7").prefix_length), (index("lo"), 64));
}

#[tokio::test]
async fn links_on_others_name_them() {
    let Some(_place) = place() else { return };
    let link = veth("a0");
    ip("link add name br0 type bridge");
    ip("link set a0-peer master br0");
    ip("link add link a0 name m0 type macvlan");
    let network = Network::open().unwrap();
    let links = network.links().await.unwrap();
    let find = |name: &str| links.iter().find(|link| link.name == name).unwrap();
    assert_eq!(find("m0").parent, Some(link));
    assert_eq!(find("a0-peer").controller, Some(index("br0")));
    assert_eq!(find("br0").kind.as_deref(), Some("bridge"));
    assert_eq!(find("a0").parent, None, "the other end of a pair is not below it");
}

#[tokio::test]
async fn routes_say_which_way_or_why_not() {
    let Some(_place) = place() else { return };
    let link = veth("a0");
    std::fs::write("/proc/sys/net/ipv6/conf/a0/disable_ipv6", "0").unwrap();
    ip("address add 10.8.0.1/24 dev a0");
    ip("-6 address add 2001:db8::1/64 dev a0 nodad");
    ip("route add 192.0.2.0/24 via 10.8.0.254 src 10.8.0.1 mtu 1300");
    ip("-6 route add 2001:db8:1::/48 via 2001:db8::fe");
    for (prefix, kind) in [
        ("198.51.100.0/26", "unreachable"),
        ("198.51.100.64/26", "prohibit"),
        ("198.51.100.128/26", "blackhole"),
    ] {
        ip(&format!("route add {kind} {prefix}"));
    }
    ip("-6 route add prohibit 2001:db8:2::/48");
    ip("-6 route add blackhole 2001:db8:3::/48");
    ip("-6 route add unreachable 2001:db8:4::/48");
    let network = Network::open().unwrap();

    let Routing::Via(route) = network.route(address("192.0.2.9")).await.unwrap() else { panic!() };
    assert_eq!((route.ifindex, route.mtu), (link, Some(1300)));
    assert_eq!(route.gateway, Some(address("10.8.0.254")));
    assert_eq!(route.source, Some(address("10.8.0.1")));
    let Routing::Via(route) = network.route(address("10.8.0.9")).await.unwrap() else { panic!() };
    assert_eq!((route.ifindex, route.gateway, route.mtu), (link, None, None));
    let Routing::Via(route) = network.route(address("2001:db8:1::9")).await.unwrap() else {
        panic!()
    };
    assert_eq!((route.ifindex, route.gateway), (link, Some(address("2001:db8::fe"))));
    assert_eq!(route.source, Some(address("2001:db8::1")));

    for (to, why) in [
        ("203.0.113.1", Unroutable::NoRoute),
        ("198.51.100.1", Unroutable::Unreachable),
        ("198.51.100.65", Unroutable::Prohibited),
        ("198.51.100.129", Unroutable::Blackhole),
        ("10.8.0.1", Unroutable::Local),
        ("10.8.0.255", Unroutable::NotUnicast),
        ("2001:db8:9::1", Unroutable::NoRoute),
        ("2001:db8:2::1", Unroutable::Prohibited),
        ("2001:db8:3::1", Unroutable::Blackhole),
        ("2001:db8:4::1", Unroutable::Unreachable),
        ("2001:db8::1", Unroutable::Local),
    ] {
        assert_eq!(network.route(address(to)).await.unwrap(), Routing::Not(why), "{to}");
    }
}

#[tokio::test]
async fn neighbours_are_listed_probed_and_watched() {
    let Some(_place) = place() else { return };
    let link = veth("a0");
    let peer = index("a0-peer");
    let network = Network::open().unwrap();
    let mut events = network.watch().unwrap();
    let neighbours = network.neighbours().await.unwrap();
    let known = neighbours.iter().find(|known| known.address == address("10.9.0.1")).unwrap();
    assert_eq!((known.ifindex, known.state), (peer, NeighbourState::Permanent));
    assert_eq!(known.usable_mac(), Some([2, 0, 0, 0, 0, 1]));

    // Nobody answers.
    network.probe(address("10.9.0.77"), peer).await.unwrap();
    let asked = until(&mut events, |event| match event {
        NetworkEvent::Neighbour(known) if known.address == address("10.9.0.77") => Some(known),
        _ => None,
    });
    let asked = asked.await;
    assert_eq!((asked.ifindex, asked.usable_mac()), (peer, None));

    ip("neighbour replace 10.9.0.78 lladdr 02:00:00:00:00:78 dev a0 nud stale");
    let told = until(&mut events, |event| match event {
        NetworkEvent::Neighbour(known) if known.address == address("10.9.0.78") => Some(known),
        _ => None,
    });
    let told = told.await;
    assert_eq!((told.ifindex, told.state), (link, NeighbourState::Stale));
    assert_eq!(told.usable_mac(), Some([2, 0, 0, 0, 0, 0x78]));
    network.probe(address("10.9.0.78"), link).await.unwrap();
    let confirmed = network.neighbours().await.unwrap();
    let confirmed = confirmed.iter().find(|known| known.address == address("10.9.0.78")).unwrap();
    assert_ne!(confirmed.state, NeighbourState::Stale, "a probe asks for confirmation");

    ip("neighbour delete 10.9.0.78 dev a0");
    until(&mut events, |event| match event {
        NetworkEvent::NeighbourGone { address: gone, ifindex } => {
            ((gone, ifindex) == (address("10.9.0.78"), link)).then_some(())
        }
        _ => None,
    })
    .await;
    let error = network.probe(address("10.9.0.79"), 4711).await.unwrap_err().to_string();
    assert!(error.contains("probe a neighbour"), "{error}");
}

#[tokio::test]
async fn changes_are_told() {
    let Some(_place) = place() else { return };
    let network = Network::open().unwrap();
    let mut events = network.watch().unwrap();
    let link = veth("a0");
    until(&mut events, |event| match event {
        NetworkEvent::Link(new) if new.name == "a0" && new.up && new.carrier => Some(()),
        _ => None,
    })
    .await;
    ip("link set a0 mtu 1300");
    until(&mut events, |event| match event {
        NetworkEvent::Link(changed) if changed.ifindex == link && changed.mtu == 1300 => Some(()),
        _ => None,
    })
    .await;
    ip("address add 10.8.0.1/24 dev a0");
    until(&mut events, |event| match event {
        NetworkEvent::Address(new) if new.address == address("10.8.0.1") => Some(()),
        _ => None,
    })
    .await;
    ip("route add 192.0.2.0/24 via 10.8.0.254");
    until(&mut events, |event| (event == NetworkEvent::Route).then_some(())).await;
    ip("address delete 10.8.0.1/24 dev a0");
    until(&mut events, |event| match event {
        NetworkEvent::AddressGone(gone) if gone.address == address("10.8.0.1") => Some(()),
        _ => None,
    })
    .await;
    ip("link delete a0");
    until(&mut events, |event| match event {
        NetworkEvent::LinkGone { name, ifindex } => {
            ((name.as_str(), ifindex) == ("a0", link)).then_some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn lost_changes_are_told_and_the_stream_goes_on() {
    let Some(_place) = place() else { return };
    veth("a0");
    let network = Network::open().unwrap();
    let mut events = network.watch().unwrap();
    // More changes than fit into the socket's buffer, while nobody reads.
    let known = 500;
    let batch: String = (0..8 * known)
        .map(|n| {
            let (host, mac) = (n % known, n / known);
            let (third, fourth) = (host / 250, host % 250 + 1);
            format!("neighbour replace 10.7.{third}.{fourth} lladdr 02:00:00:00:00:0{mac} dev a0 nud stale\n")
        })
        .collect();
    let file = std::env::temp_dir().join(format!("sluice-kernel-test-{}", std::process::id()));
    std::fs::write(&file, batch).unwrap();
    ip(&format!("-batch {}", file.display()));
    std::fs::remove_file(&file).unwrap();
    until(&mut events, |event| (event == NetworkEvent::Overrun).then_some(())).await;
    let neighbours = network.neighbours().await.unwrap();
    let stale = neighbours.iter().filter(|neighbour| neighbour.state == NeighbourState::Stale);
    assert_eq!(stale.count(), known);
    ip("link set a0 mtu 1234");
    until(&mut events, |event| match event {
        NetworkEvent::Link(link) if link.mtu == 1234 => Some(()),
        _ => None,
    })
    .await;
}
