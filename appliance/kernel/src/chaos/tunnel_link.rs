use super::Faults;
use crate::{
    Error, LinkName, Object, Result, TunnelLink, TunnelLinkKind,
    wireguard::{Change, Device},
};

/// Tunnel links whose calls fail on demand, by the names of the trait's methods. A call that fails does nothing.
pub struct TunnelLinks<T> {
    inner: T,
    faults: Faults,
}

impl<T: crate::TunnelLinks> TunnelLinks<T> {
    /// Wraps others.
    pub fn new(inner: T, faults: Faults) -> Self {
        Self { inner, faults }
    }

    fn check(&self, call: &'static str, name: &str) -> Result<()> {
        let link = Object::Link(LinkName { name: name.to_owned(), ifindex: 0 });
        self.faults.check(call).map_err(|errno| Error::kernel(link, call, errno))
    }
}

impl<T: crate::TunnelLinks> crate::TunnelLinks for TunnelLinks<T> {
    fn create(&mut self, name: &str, kind: TunnelLinkKind) -> Result<TunnelLink> {
        self.check("create", name)?;
        self.inner.create(name, kind)
    }

    fn set(&mut self, name: &str, up: bool, mtu: u32) -> Result<TunnelLink> {
        self.check("set", name)?;
        self.inner.set(name, up, mtu)
    }

    fn remove(&mut self, name: &str) -> Result<bool> {
        self.check("remove", name)?;
        self.inner.remove(name)
    }

    fn list(&self) -> Result<Vec<TunnelLink>> {
        self.check("list", "*")?;
        self.inner.list()
    }

    fn wireguard(&self, name: &str) -> Result<Option<Device>> {
        self.check("wireguard", name)?;
        self.inner.wireguard(name)
    }

    fn change_wireguard(&mut self, name: &str, change: &Change) -> Result<()> {
        self.check("change_wireguard", name)?;
        self.inner.change_wireguard(name, change)
    }
}
