//! A simulated NIC with a backend behind it, and a daemon for it.

use sluice_vm_tests::{Nic, command, in_guest};

use crate::daemon::Home;

/// The MAC address of the backend.
const BACKEND_MAC: &str = "06:00:00:00:00:01";

pub(crate) const DENY: &str = "kind: Prefilter\nmetadata: {name: filter}\nspec: {deny: [198.51.100.0/24, 203.0.0.0/16]}\n---\n";

const GATEWAY: &str =
    "kind: Gateway\nmetadata: {name: gateway}\nspec: {links: [{name: card0}]}\n---\n";

/// The gateway and what it does.
pub(crate) fn configuration(objects: &[&str]) -> String {
    GATEWAY.to_owned() + &objects.concat()
}

pub(crate) struct Scene {
    pub(crate) home: Home,
    pub(crate) nic: Nic,
}

impl Scene {
    /// Nothing outside of the guest.
    pub(crate) fn new() -> Option<Self> {
        in_guest().then(|| Self { home: Home::new(), nic: new_nic() })
    }
}

/// A NIC that takes everything, with an address and a backend that answers at once.
pub(crate) fn new_nic() -> Nic {
    let nic = Nic::create("card0");
    let _ = command("ethtool -K card0 hw-tc-offload on").ok();
    let _ = command("ip address add 10.0.1.254/24 dev card0").ok();
    let neighbour =
        format!("ip neighbour add 10.0.1.1 lladdr {BACKEND_MAC} dev card0 nud permanent");
    let _ = command(&neighbour).ok();
    nic
}
