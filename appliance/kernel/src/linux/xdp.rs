//! What route netlink says and does about XDP programs on a link.

use super::{
    netlink::{Netlink, Refusal},
    network,
    sys::Kernel,
};
use crate::{Errno, Error, ForeignProgram, LinkName, Object, Result, XdpMode};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage, LinkXdp},
};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// `XDP_FLAGS_*`.
const FLAG_IF_NONE: u32 = 1;
const FLAG_GENERIC: u32 = 1 << 1;
const FLAG_NATIVE: u32 = 1 << 2;
const FLAG_HARDWARE: u32 = 1 << 3;
const FLAG_REPLACE: u32 = 1 << 4;

/// The flag that asks for a mode.
pub(super) fn mode_flag(mode: XdpMode) -> u32 {
    match mode {
        XdpMode::Native => FLAG_NATIVE,
        XdpMode::Generic => FLAG_GENERIC,
        XdpMode::Hardware => FLAG_HARDWARE,
    }
}

/// The name of a link, for messages.
pub(super) fn link_name(ifindex: u32) -> LinkName {
    let name = nix::net::if_::if_indextoname(ifindex).ok();
    let name = name.map(|name| name.to_string_lossy().into_owned());
    // The library takes the failure of the call for an empty name.
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("#{ifindex}"));
    LinkName { name, ifindex }
}

/// The programs on a link, with their modes; none of them if there is no such link.
pub(super) fn programs_on(link: &LinkName) -> Result<Programs> {
    let failed = |refusal: Refusal| refused(link, "ask for its XDP programs", refusal);
    let mut request = LinkMessage::default();
    request.header.index = link.ifindex;
    let answer = Netlink::open()
        .map_err(failed)?
        .request(RouteNetlinkMessage::GetLink(request), 0)
        .map_err(|refusal| match refusal.errno {
            Errno::ENODEV | Errno::EINVAL => Error::NoSuchLink { link: link.clone() },
            _ => failed(refusal),
        })?;
    Ok(answer.iter().filter_map(link_of).flat_map(in_message).collect())
}

/// Programs by their mode.
type Programs = Vec<(XdpMode, u32)>;

/// The links of this network namespace.
pub(super) fn links() -> Result<Vec<LinkName>> {
    let list = || Netlink::open()?.list(RouteNetlinkMessage::GetLink(LinkMessage::default()));
    let links = list().map_err(|refusal| network::failed("list the links", refusal))?;
    Ok(links.iter().filter_map(link_of).map(|link| link_name(link.header.index)).collect())
}

fn link_of(message: &RouteNetlinkMessage) -> Option<&LinkMessage> {
    match message {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    }
}

fn in_message(message: &LinkMessage) -> impl Iterator<Item = (XdpMode, u32)> {
    message.attributes.iter().flat_map(|attribute| match attribute {
        LinkAttribute::Xdp(xdp) => attached(xdp).collect(),
        _ => Vec::new(),
    })
}

fn attached(xdp: &[LinkXdp]) -> impl Iterator<Item = (XdpMode, u32)> {
    xdp.iter().filter_map(|attribute| match attribute {
        LinkXdp::DrvProgId(id) => Some((XdpMode::Native, *id)),
        LinkXdp::SkbProgId(id) => Some((XdpMode::Generic, *id)),
        LinkXdp::HwProgId(id) => Some((XdpMode::Hardware, *id)),
        _ => None,
    })
}

/// Who a program is.
pub(super) fn describe(
    kernel: &Kernel,
    link: &LinkName,
    mode: XdpMode,
    id: u32,
) -> Result<ForeignProgram> {
    let failed = |errno| kernel_error(link, "look at the program that is attached", errno);
    let info = match kernel.program_by_id(id).map_err(failed)? {
        Some(fd) => Some(kernel.program_info(fd).map_err(failed)?),
        None => None,
    };
    Ok(ForeignProgram {
        id,
        name: info.map(|info| info.name()).unwrap_or_default(),
        kind: info.map_or_else(|| "unknown".into(), |info| info.kind()),
        mode,
        bpf_link: holder(kernel, link, id)?,
    })
}

/// The bpf_link that holds a program on a link.
fn holder(kernel: &Kernel, link: &LinkName, program: u32) -> Result<Option<u32>> {
    let failed = |errno| kernel_error(link, "look for the bpf_link of its program", errno);
    for id in kernel.link_ids().map_err(failed)? {
        let Some(fd) = kernel.link_by_id(id).map_err(failed)? else { continue };
        let info = kernel.link_info(fd).map_err(failed)?;
        if info.ifindex() == Some(link.ifindex) && info.program == program {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Takes somebody else's program off a link.
pub(super) fn remove(kernel: &Kernel, link: &LinkName, program: &ForeignProgram) -> Result<()> {
    let operation = "detach the XDP program of somebody else";
    match program.bpf_link {
        Some(id) => {
            let failed = |errno| kernel_error(link, operation, errno);
            match kernel.link_by_id(id).map_err(failed)? {
                Some(fd) => kernel.link_detach(fd.as_fd()).map_err(failed),
                None => Ok(()),
            }
        }
        None => {
            set(link.ifindex, -1, mode_flag(program.mode)).map_err(|r| refused(link, operation, r))
        }
    }
}

/// Takes a program off a link by netlink, if it is still there.
pub(super) fn take_off(link: &LinkName, mode: XdpMode, program: &OwnedFd) -> Result<()> {
    exchange(link, mode, Some(program.as_fd()), None)
        .map_err(|refusal| refused(link, "take off an XDP program of ours", refusal))
}

/// Puts a program that was removed back. It is held by netlink then, whoever held it before.
pub(super) fn put_back(link: &LinkName, program: &OwnedFd, mode: XdpMode) -> Result<()> {
    set(link.ifindex, program.as_raw_fd(), mode_flag(mode) | FLAG_IF_NONE)
        .map_err(|refusal| refused(link, "put the XDP program of somebody else back", refusal))
}

/// Why the kernel does not attach a program: bpf(2) answers with a number only, netlink says it in words. Should
/// netlink attach it after all, the program is taken off again.
pub(super) fn ask_why(link: &LinkName, program: BorrowedFd<'_>, mode: XdpMode) -> Option<String> {
    let flags = mode_flag(mode);
    match set(link.ifindex, program.as_raw_fd(), flags | FLAG_IF_NONE) {
        Ok(()) => {
            let _ = set(link.ifindex, -1, flags);
            None
        }
        Err(refusal) => refusal.text,
    }
}

/// Puts a program on a link that has none in this mode, in place of one that must be there, or takes that one off.
pub(super) fn exchange(
    link: &LinkName,
    mode: XdpMode,
    old: Option<BorrowedFd<'_>>,
    new: Option<BorrowedFd<'_>>,
) -> std::result::Result<(), Refusal> {
    let new = new.map_or(-1, |program| program.as_raw_fd());
    let Some(old) = old else {
        return set(link.ifindex, new, mode_flag(mode) | FLAG_IF_NONE);
    };
    let flags = LinkXdp::Flags(mode_flag(mode) | FLAG_REPLACE);
    let expected = LinkXdp::ExpectedFd(old.as_raw_fd() as u32);
    set_attributes(link.ifindex, vec![LinkXdp::Fd(new), flags, expected])
}

fn set(ifindex: u32, program: RawFd, flags: u32) -> std::result::Result<(), Refusal> {
    set_attributes(ifindex, vec![LinkXdp::Fd(program), LinkXdp::Flags(flags)])
}

fn set_attributes(ifindex: u32, attributes: Vec<LinkXdp>) -> std::result::Result<(), Refusal> {
    let mut request = LinkMessage::default();
    request.header.index = ifindex;
    request.attributes.push(LinkAttribute::Xdp(attributes));
    Netlink::open()?.request(RouteNetlinkMessage::SetLink(request), 0).map(drop)
}

pub(super) fn kernel_error(link: &LinkName, operation: &'static str, errno: Errno) -> Error {
    Error::kernel(Object::Link(link.clone()), operation, errno)
}

pub(super) fn refused(link: &LinkName, operation: &'static str, refusal: Refusal) -> Error {
    let Refusal { errno, text } = refusal;
    Error::Kernel { object: Object::Link(link.clone()), operation, errno, kernel: text }
}
