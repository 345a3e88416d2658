//! Ways to addresses, as events change them.

use super::*;

const ETH0: u32 = 2;
const VLAN5: u32 = 9;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn link(ifindex: u32, name: &str) -> Link {
    let mac = Some([2, 0, 0, 0, 0, ifindex as u8]);
    Link { ifindex, name: name.into(), mac, mtu: 1500, up: true, carrier: true, ..Link::default() }
}

fn neighbour(address: &str, ifindex: u32, last: u8, state: NeighbourState) -> Neighbour {
    let mac = (last != 0).then_some([6, 0, 0, 0, 0, last]);
    Neighbour { ifindex, address: ip(address), mac, state }
}

fn via(ifindex: u32, gateway: Option<&str>) -> Routing {
    Routing::Via(Route {
        ifindex,
        gateway: gateway.map(ip),
        source: Some(ip("10.0.0.1")),
        mtu: None,
    })
}

/// 10.0.0.2 on the link, 10.9.0.1 behind the router 10.0.0.2, 10.5.0.2 on a VLAN.
fn hops() -> Hops {
    let mut hops = Hops::default();
    let vlan = Link { vlan: Some(5), parent: Some(ETH0), mtu: 1400, ..link(VLAN5, "eth0.5") };
    hops.set_links(vec![link(ETH0, "eth0"), vlan]);
    let mut asked = hops.want(&["10.0.0.2", "10.9.0.1", "10.5.0.2"].map(ip).into());
    asked.sort();
    assert_eq!(asked, ["10.0.0.2", "10.5.0.2", "10.9.0.1"].map(ip));
    hops.set_route(ip("10.0.0.2"), via(ETH0, None));
    hops.set_route(ip("10.9.0.1"), via(ETH0, Some("10.0.0.2")));
    hops.set_route(ip("10.5.0.2"), via(VLAN5, None));
    hops
}

fn tell(hops: &mut Hops, neighbour: Neighbour) -> Vec<IpAddr> {
    hops.take_changed();
    assert_eq!(hops.learn(NetworkEvent::Neighbour(neighbour)), Followup::None);
    let mut changed: Vec<_> = hops.take_changed().into_iter().collect();
    changed.sort();
    changed
}

#[test]
fn answer_of_a_router_resolves_all_that_is_behind_it() {
    let mut hops = hops();
    let why = hops.hop(ip("10.9.0.1")).unwrap_err();
    assert_eq!(why.to_string(), "10.0.0.2 on link eth0 has not answered yet");
    let changed = tell(&mut hops, neighbour("10.0.0.2", ETH0, 7, NeighbourState::Reachable));
    assert_eq!(changed, [ip("10.0.0.2"), ip("10.9.0.1")]);
    let hop = hops.hop(ip("10.9.0.1")).unwrap();
    assert_eq!(
        (hop.ifindex, hop.vlan, hop.mac[5], hop.source_mac[5], hop.mtu),
        (ETH0, None, 7, 2, 1500)
    );
}

#[test]
fn vlan_link_becomes_its_parent_and_a_tag() {
    let mut hops = hops();
    tell(&mut hops, neighbour("10.5.0.2", VLAN5, 8, NeighbourState::Stale));
    let hop = hops.hop(ip("10.5.0.2")).unwrap();
    assert_eq!((hop.ifindex, hop.vlan, hop.source_mac[5], hop.mtu), (ETH0, Some(5), 9, 1400));
    // The link below vanishes.
    assert_eq!(
        hops.learn(NetworkEvent::LinkGone { name: "eth0".into(), ifindex: ETH0 }),
        Followup::Routes
    );
    assert_eq!(hops.hop(ip("10.5.0.2")), Err(Unresolved::NoLink(ETH0)));
}

#[test]
fn changed_mac_is_told_and_the_same_is_not() {
    let mut hops = hops();
    tell(&mut hops, neighbour("10.5.0.2", VLAN5, 8, NeighbourState::Reachable));
    assert!(tell(&mut hops, neighbour("10.5.0.2", VLAN5, 8, NeighbourState::Stale)).is_empty());
    assert_eq!(
        tell(&mut hops, neighbour("10.5.0.2", VLAN5, 9, NeighbourState::Reachable)),
        [ip("10.5.0.2")]
    );
}

#[test]
fn neighbour_that_the_kernel_forgot_is_used_until_it_proves_silent() {
    let mut hops = hops();
    tell(&mut hops, neighbour("10.5.0.2", VLAN5, 8, NeighbourState::Stale));
    hops.learn(NetworkEvent::NeighbourGone { address: ip("10.5.0.2"), ifindex: VLAN5 });
    assert!(
        tell(&mut hops, neighbour("10.5.0.2", VLAN5, 0, NeighbourState::Incomplete)).is_empty()
    );
    assert_eq!(hops.hop(ip("10.5.0.2")).unwrap().mac[5], 8);
    assert_eq!(
        tell(&mut hops, neighbour("10.5.0.2", VLAN5, 0, NeighbourState::Failed)),
        [ip("10.5.0.2")]
    );
    let why = hops.hop(ip("10.5.0.2")).unwrap_err().to_string();
    assert_eq!(why, "10.5.0.2 on link eth0.5 does not answer (ARP or NDP)");
}

#[test]
fn what_is_not_sure_is_asked() {
    let mut hops = hops();
    let asked = |hops: &Hops| {
        let mut asked: Vec<_> =
            hops.doubtful().iter().map(|((a, _), new)| (a.to_string(), *new)).collect();
        asked.sort();
        asked
    };
    assert_eq!(asked(&hops), [("10.0.0.2".to_owned(), true), ("10.5.0.2".to_owned(), true)]);
    tell(&mut hops, neighbour("10.0.0.2", ETH0, 7, NeighbourState::Reachable));
    tell(&mut hops, neighbour("10.5.0.2", VLAN5, 8, NeighbourState::Stale));
    assert_eq!(asked(&hops), [("10.5.0.2".to_owned(), false)]);
    // Nobody sends there any more: nobody asks.
    hops.want(&[ip("10.9.0.1")].into());
    assert!(asked(&hops).is_empty());
}

#[test]
fn route_changes_and_refusals() {
    let mut hops = hops();
    tell(&mut hops, neighbour("10.0.0.2", ETH0, 7, NeighbourState::Reachable));
    hops.set_route(ip("10.9.0.1"), Routing::Not(Unroutable::NoRoute));
    assert!(hops.take_changed().contains(&ip("10.9.0.1")));
    assert_eq!(hops.hop(ip("10.9.0.1")).unwrap_err().to_string(), "there is no route");
    hops.set_route(ip("10.9.0.1"), via(VLAN5, Some("10.5.0.2")));
    tell(&mut hops, neighbour("10.5.0.2", VLAN5, 8, NeighbourState::Reachable));
    assert_eq!(hops.hop(ip("10.9.0.1")).unwrap().vlan, Some(5));
}
