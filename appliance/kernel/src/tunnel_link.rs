use crate::{
    Result,
    wireguard::{Change, Device},
};

/// Links that tunnels are: xfrm interfaces and WireGuard devices, in the network namespace in which it was opened.
pub trait TunnelLinks: Send {
    /// Makes a link that is down, and reads it back.
    ///
    /// # Errors
    /// [`crate::Error::Kernel`] with `EEXIST` if there is a link of this name; [`crate::Error::ReadBack`] if the kernel shows another
    /// than was asked for.
    fn create(&mut self, name: &str, kind: TunnelLinkKind) -> Result<TunnelLink>;

    /// Switches a link on or off and sets its MTU, and reads it back.
    fn set(&mut self, name: &str, up: bool, mtu: u32) -> Result<TunnelLink>;

    /// Removes a link; whether it was there. A link of another kind is never removed, and counts as not there.
    fn remove(&mut self, name: &str) -> Result<bool>;

    /// All links of these kinds, in the order of their indices.
    fn list(&self) -> Result<Vec<TunnelLink>>;

    /// A WireGuard device with its peers; none if there is none of this name.
    fn wireguard(&self, name: &str) -> Result<Option<Device>>;

    /// Changes a WireGuard device without making it anew: whatever the change does not name stays as it is.
    ///
    /// # Errors
    /// After a refusal some of the peers may have been changed: the kernel takes them one by one.
    fn change_wireguard(&mut self, name: &str, change: &Change) -> Result<()>;
}

/// What a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TunnelLinkKind {
    /// Packets that leave by it meet the states and policies with its id, and packets of those states arrive by it.
    Xfrm {
        /// The id, not 0.
        if_id: u32,
        /// The link below, for offload; none is any.
        below: Option<u32>,
    },
    /// WireGuard.
    Wireguard,
}

impl TunnelLinkKind {
    /// The kernel's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xfrm { .. } => "xfrm",
            Self::Wireguard => "wireguard",
        }
    }
}

/// A link as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelLink {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TunnelLinkKind,
    /// Whether it is switched on.
    pub up: bool,
    /// Longest inner packet.
    pub mtu: u32,
}
