//! A cable between two ports.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use crate::bus::tell;
use crate::{Error, within};

/// A cable between two links of simulated NICs: what one sends, the other receives. It is unplugged with this value.
#[derive(Debug)]
pub struct Link {
    namespace: File,
    ifindex: u32,
}

impl Link {
    /// Plugs a cable into two links of the calling thread's network namespace.
    ///
    /// # Errors
    /// When one of them has a cable, or the kernel refuses.
    pub fn plug(first_ifindex: u32, second_ifindex: u32) -> Result<Self, Error> {
        let namespace = within::own_namespace()?;
        Self::plug_between(&namespace, first_ifindex, &namespace, second_ifindex)
    }

    /// Plugs a cable into links of two network namespaces.
    ///
    /// # Errors
    /// When one of them has a cable, or the kernel refuses.
    pub fn plug_between(
        first_namespace: impl AsFd,
        first_ifindex: u32,
        second_namespace: impl AsFd,
        second_ifindex: u32,
    ) -> Result<Self, Error> {
        let first = first_namespace.as_fd();
        let second = second_namespace.as_fd();
        let ends = format!(
            "{}:{first_ifindex} {}:{second_ifindex}",
            first.as_raw_fd(),
            second.as_raw_fd()
        );
        tell("link_device", &ends)?;
        let namespace = first.try_clone_to_owned().map_err(|source| Error::File {
            action: "keep",
            path: "the network namespace".into(),
            source,
        })?;
        Ok(Self { namespace: namespace.into(), ifindex: first_ifindex })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A device that was removed has taken its cable along.
        let end = format!("{}:{}", self.namespace.as_raw_fd(), self.ifindex);
        let _ = tell("unlink_device", &end);
    }
}
