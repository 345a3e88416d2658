use crate::{
    Errno, Error, LinkName, Object, Result, TunnelLink, TunnelLinkKind,
    wireguard::{Change, Device, Peer, PeerChange, PublicKey},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Tunnel links in memory. Clones are the same, and keep what is in it as a kernel does.
#[derive(Clone, Default)]
pub struct TunnelLinks(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    links: BTreeMap<String, TunnelLink>,
    devices: BTreeMap<String, Device>,
    last_index: u32,
    made: usize,
}

impl TunnelLinks {
    /// No links.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many links were made so far: a change that makes one anew is seen here.
    pub fn made(&self) -> usize {
        self.lock().made
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(name: &str, operation: &'static str, errno: Errno) -> Error {
    Error::kernel(Object::Link(LinkName { name: name.to_owned(), ifindex: 0 }), operation, errno)
}

impl crate::TunnelLinks for TunnelLinks {
    fn create(&mut self, name: &str, kind: TunnelLinkKind) -> Result<TunnelLink> {
        let mut inside = self.lock();
        if inside.links.contains_key(name) {
            return Err(refused(name, "create it", Errno::EEXIST));
        }
        let taken = inside.links.values().any(|link| match (link.kind, kind) {
            (TunnelLinkKind::Xfrm { if_id, .. }, TunnelLinkKind::Xfrm { if_id: new, .. }) => {
                if_id == new
            }
            _ => false,
        });
        if taken {
            return Err(refused(name, "create it", Errno::EEXIST));
        }
        inside.last_index += 1;
        inside.made += 1;
        let (ifindex, name) = (inside.last_index, name.to_owned());
        // As the kernel's: what is left of 1500 for IPv6, and of an unknown path.
        let mtu = if kind == TunnelLinkKind::Wireguard { 1420 } else { 1500 };
        let link = TunnelLink { ifindex, name: name.clone(), kind, up: false, mtu };
        if kind == TunnelLinkKind::Wireguard {
            inside.devices.insert(name.clone(), Device { ifindex, ..Device::default() });
        }
        inside.links.insert(name, link.clone());
        Ok(link)
    }

    fn set(&mut self, name: &str, up: bool, mtu: u32) -> Result<TunnelLink> {
        let mut inside = self.lock();
        let link = inside.links.get_mut(name);
        let link = link.ok_or_else(|| refused(name, "change it", Errno::ENODEV))?;
        (link.up, link.mtu) = (up, mtu);
        Ok(link.clone())
    }

    fn remove(&mut self, name: &str) -> Result<bool> {
        let mut inside = self.lock();
        inside.devices.remove(name);
        Ok(inside.links.remove(name).is_some())
    }

    fn list(&self) -> Result<Vec<TunnelLink>> {
        let mut links: Vec<_> = self.lock().links.values().cloned().collect();
        links.sort_by_key(|link| link.ifindex);
        Ok(links)
    }

    fn wireguard(&self, name: &str) -> Result<Option<Device>> {
        Ok(self.lock().devices.get(name).cloned())
    }

    fn change_wireguard(&mut self, name: &str, change: &Change) -> Result<()> {
        let mut inside = self.lock();
        let device = inside.devices.get_mut(name);
        let device = device.ok_or_else(|| refused(name, "change its peers", Errno::ENODEV))?;
        if let Some(key) = &change.private_key {
            // No key pair of anybody: as good as any other name here.
            let mut public = [0; 32];
            for (to, from) in public.iter_mut().zip(key.expose()) {
                *to = !*from;
            }
            device.public_key = Some(PublicKey(public));
        }
        device.listen_port = change.listen_port.unwrap_or(device.listen_port);
        device.mark = change.mark.unwrap_or(device.mark);
        for peer in &change.peers {
            apply(&mut device.peers, peer);
        }
        Ok(())
    }
}

fn apply(peers: &mut Vec<Peer>, change: &PeerChange) {
    let setting = match change {
        PeerChange::Remove(key) => return peers.retain(|peer| peer.public_key != *key),
        PeerChange::Set(setting) => setting,
    };
    // A network is one peer's: whoever gets it takes it from the other.
    for peer in peers.iter_mut() {
        peer.allowed.retain(|network| !setting.allowed.contains(network));
    }
    let known = peers.iter().position(|peer| peer.public_key == setting.public_key);
    let index = known.unwrap_or_else(|| {
        peers.push(Peer::new(setting.public_key));
        peers.len() - 1
    });
    if let Some(peer) = peers.get_mut(index) {
        if let Some(key) = &setting.preshared_key {
            peer.has_preshared_key = key.expose().iter().any(|byte| *byte != 0);
        }
        peer.endpoint = setting.endpoint.or(peer.endpoint);
        peer.keepalive_seconds = setting.keepalive_seconds.unwrap_or(peer.keepalive_seconds);
        peer.allowed.clone_from(&setting.allowed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        TunnelLinks as _, chaos,
        wireguard::{AllowedNetwork, PeerSetting},
    };

    fn network(last: u8) -> AllowedNetwork {
        AllowedNetwork { address: [10, 0, 0, last].into(), bits: 32 }
    }

    fn set(number: u8) -> PeerChange {
        PeerChange::Set(PeerSetting::new(PublicKey([number; 32]), vec![network(number)]))
    }

    #[test]
    fn peers_come_and_go_and_the_device_stays() {
        let mut links = TunnelLinks::new();
        let made = links.create("wg0", TunnelLinkKind::Wireguard).unwrap();
        let change = Change { peers: vec![set(1), set(2)], ..Change::default() };
        links.change_wireguard("wg0", &change).unwrap();
        let remove = PeerChange::Remove(PublicKey([1; 32]));
        links
            .change_wireguard("wg0", &Change { peers: vec![remove], ..Change::default() })
            .unwrap();
        let device = links.wireguard("wg0").unwrap().unwrap();
        assert_eq!((device.ifindex, device.peers.len()), (made.ifindex, 1));
        assert_eq!(device.peers[0].allowed, [network(2)]);
        assert_eq!(links.made(), 1);
    }

    #[test]
    fn an_id_is_one_interfaces() {
        let mut links = TunnelLinks::new();
        let kind = TunnelLinkKind::Xfrm { if_id: 4, below: None };
        links.create("ipsec0", kind).unwrap();
        let error = links.create("ipsec1", kind).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EEXIST));
        assert!(links.remove("ipsec0").unwrap() && !links.remove("ipsec0").unwrap());
    }

    #[test]
    fn calls_fail_on_demand() {
        let faults = chaos::Faults::none();
        let inside = TunnelLinks::new();
        let mut links = chaos::TunnelLinks::new(inside.clone(), faults.clone());
        faults.fail_call("create", 1, Errno::ENOMEM);
        assert!(links.create("wg0", TunnelLinkKind::Wireguard).is_err());
        assert_eq!(inside.list().unwrap(), []);
        links.create("wg0", TunnelLinkKind::Wireguard).unwrap();
        assert_eq!(inside.list().unwrap().len(), 1);
    }
}
