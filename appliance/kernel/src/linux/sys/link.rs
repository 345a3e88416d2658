use super::{Command, Kernel, Sys, bpf, bpf_fd, raw};
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const ATTACH_XDP: u32 = 37;
const LINK_TYPE_XDP: u32 = 6;

/// Begin of `struct bpf_link_info`, for XDP.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(in crate::linux) struct LinkInfo {
    kind: u32,
    pub(in crate::linux) id: u32,
    pub(in crate::linux) program: u32,
    pad: u32,
    /// Zero when the network device is gone.
    ifindex: u32,
    pad2: [u32; 11],
}

impl LinkInfo {
    /// The network device; none for links that are no XDP or whose device is gone.
    pub(in crate::linux) fn ifindex(&self) -> Option<u32> {
        (self.kind == LINK_TYPE_XDP && self.ifindex != 0).then_some(self.ifindex)
    }
}

impl Kernel {
    /// Attaches an XDP program; `flags` are `XDP_FLAGS_*`.
    pub(in crate::linux) fn link_create(
        &self,
        program: BorrowedFd<'_>,
        ifindex: u32,
        flags: u32,
    ) -> Sys<OwnedFd> {
        #[repr(C)]
        struct Attributes {
            program: u32,
            ifindex: u32,
            attach_type: u32,
            flags: u32,
        }
        self.check("link_create")?;
        let mut attributes =
            Attributes { program: raw(program), ifindex, attach_type: ATTACH_XDP, flags };
        // SAFETY: the attributes hold no addresses; the call returns a new descriptor.
        unsafe { bpf_fd(Command::LinkCreate, &mut attributes) }
    }

    /// Replaces the program of a link, without a moment in between.
    pub(in crate::linux) fn link_update(
        &self,
        link: BorrowedFd<'_>,
        program: BorrowedFd<'_>,
    ) -> Sys<()> {
        #[repr(C)]
        struct Attributes {
            link: u32,
            program: u32,
            flags: u32,
            old_program: u32,
        }
        self.check("link_update")?;
        let mut attributes =
            Attributes { link: raw(link), program: raw(program), flags: 0, old_program: 0 };
        // SAFETY: the attributes hold no addresses.
        unsafe { bpf(Command::LinkUpdate, &mut attributes) }.map(drop)
    }

    /// Detaches whatever the link holds; it stays as an empty shell for those who have it.
    pub(in crate::linux) fn link_detach(&self, link: BorrowedFd<'_>) -> Sys<()> {
        self.check("link_detach")?;
        let mut attributes = raw(link);
        // SAFETY: the attributes hold no addresses.
        match unsafe { bpf(Command::LinkDetach, &mut attributes) } {
            // Its device is gone already.
            Ok(_) | Err(Errno::ENOLINK) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    pub(in crate::linux) fn link_info(&self, link: impl AsFd) -> Sys<LinkInfo> {
        self.info(link.as_fd())
    }

    pub(in crate::linux) fn link_ids(&self) -> Sys<Vec<u32>> {
        self.ids(Command::LinkNextId)
    }

    pub(in crate::linux) fn link_by_id(&self, id: u32) -> Sys<Option<OwnedFd>> {
        self.by_id(Command::LinkById, id)
    }
}
