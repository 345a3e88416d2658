//! Links of the kinds xfrm and wireguard over route netlink, and WireGuard's peers over generic netlink.

use super::{
    generic,
    netlink::{HEADER_BYTES, Netlink, Refusal},
    trial::wire::{Attributes, find, text_of, u32_of},
};
use crate::{
    Errno, Error, LinkName, Object, Result, TunnelLink, TunnelLinkKind,
    wireguard::{self, Change, Device},
};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use nix::net::if_::if_nametoindex;

/// `RTM_*` of `include/uapi/linux/rtnetlink.h`.
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
/// `IFLA_*` of `include/uapi/linux/if_link.h`.
const NAME: u16 = 3;
const MTU: u16 = 4;
const LINK_INFO: u16 = 18;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const XFRM_LINK: u16 = 1;
const XFRM_IF_ID: u16 = 2;
/// `struct ifinfomsg`.
const LINK_MESSAGE: usize = 16;
const UP: u32 = 1;

/// The tunnel links of the network namespace of the calling thread.
pub struct TunnelLinks {
    route: std::sync::Mutex<Netlink>,
}

type Asked<T> = Result<T, Refusal>;

impl TunnelLinks {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn open() -> Result<Self> {
        let route = Netlink::open().map_err(|refusal| Error::Kernel {
            object: Object::Network,
            operation: "open a netlink socket",
            errno: refusal.errno,
            kernel: refusal.text,
        })?;
        Ok(Self { route: std::sync::Mutex::new(route) })
    }

    fn route<T>(&self, ask: impl FnOnce(&mut Netlink) -> Asked<T>) -> Asked<T> {
        ask(&mut self.route.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn all(&self) -> Asked<Vec<TunnelLink>> {
        let answers = self.route(|route| route.list_bytes(GET_LINK, &body(0, 0, 0)))?;
        let mut links: Vec<_> = answers.iter().filter_map(|answer| link_of(answer)).collect();
        links.sort_by_key(|link| link.ifindex);
        Ok(links)
    }

    fn named(&self, name: &str, operation: &'static str) -> Result<Option<TunnelLink>> {
        let links = self.all().map_err(|refusal| refused(name, operation, refusal))?;
        Ok(links.into_iter().find(|link| link.name == name))
    }
}

fn refused(name: &str, operation: &'static str, refusal: Refusal) -> Error {
    let Refusal { errno, text: kernel } = refusal;
    Error::Kernel { object: object(name), operation, errno, kernel }
}

fn object(name: &str) -> Object {
    let ifindex = if_nametoindex(name).unwrap_or(0);
    Object::Link(LinkName { name: name.to_owned(), ifindex })
}

/// `struct ifinfomsg`: of any family and type.
fn body(ifindex: u32, flags: u32, change: u32) -> Vec<u8> {
    let words = [0, ifindex, flags, change];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn link_of(message: &[u8]) -> Option<TunnelLink> {
    let fixed = message.get(HEADER_BYTES..)?;
    let attributes = fixed.get(LINK_MESSAGE..)?;
    let info = find(attributes, LINK_INFO)?;
    let data = find(info, INFO_DATA).unwrap_or_default();
    let kind = match text_of(find(info, INFO_KIND)?).as_str() {
        "xfrm" => TunnelLinkKind::Xfrm {
            if_id: find(data, XFRM_IF_ID).and_then(u32_of)?,
            below: find(data, XFRM_LINK).and_then(u32_of).filter(|below| *below != 0),
        },
        "wireguard" => TunnelLinkKind::Wireguard,
        _ => return None,
    };
    Some(TunnelLink {
        ifindex: fixed.get(4..).and_then(u32_of)?,
        name: text_of(find(attributes, NAME)?),
        kind,
        up: fixed.get(8..).and_then(u32_of)? & UP != 0,
        mtu: find(attributes, MTU).and_then(u32_of)?,
    })
}

fn attributes(name: &str, kind: TunnelLinkKind) -> Attributes {
    let mut info = Attributes::default().with_text(INFO_KIND, kind.name());
    if let TunnelLinkKind::Xfrm { if_id, below } = kind {
        let mut data = Attributes::default().with_u32(XFRM_IF_ID, if_id);
        if let Some(below) = below {
            data = data.with_u32(XFRM_LINK, below);
        }
        info = info.with_nested(INFO_DATA, &data);
    }
    Attributes::default().with_text(NAME, name).with_nested(LINK_INFO, &info)
}

impl crate::TunnelLinks for TunnelLinks {
    fn create(&mut self, name: &str, kind: TunnelLinkKind) -> Result<TunnelLink> {
        const OPERATION: &str = "create it";
        let mut request = body(0, 0, 0);
        request.extend(attributes(name, kind).bytes());
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        self.route(|route| route.bytes(NEW_LINK, flags, &request))
            .map_err(|refusal| refused(name, OPERATION, refusal))?;
        match self.named(name, OPERATION)? {
            Some(link) if link.kind == kind => Ok(link),
            found => {
                let found = found.map_or_else(|| "none".to_owned(), |link| format!("{link:?}"));
                Err(Error::ReadBack { object: object(name), operation: OPERATION, found })
            }
        }
    }

    fn set(&mut self, name: &str, up: bool, mtu: u32) -> Result<TunnelLink> {
        const OPERATION: &str = "change it";
        let link = self.named(name, OPERATION)?;
        let link = link.ok_or_else(|| refused(name, OPERATION, Errno::ENODEV.into()))?;
        let mut request = body(link.ifindex, if up { UP } else { 0 }, UP);
        request.extend(Attributes::default().with_u32(MTU, mtu).bytes());
        self.route(|route| route.bytes(NEW_LINK, NLM_F_ACK, &request))
            .map_err(|refusal| refused(name, OPERATION, refusal))?;
        match self.named(name, OPERATION)? {
            Some(link) if link.up == up && link.mtu == mtu => Ok(link),
            found => {
                let found = found.map_or_else(|| "none".to_owned(), |link| format!("{link:?}"));
                Err(Error::ReadBack { object: object(name), operation: OPERATION, found })
            }
        }
    }

    fn remove(&mut self, name: &str) -> Result<bool> {
        const OPERATION: &str = "remove it";
        let Some(link) = self.named(name, OPERATION)? else { return Ok(false) };
        let request = body(link.ifindex, 0, 0);
        match self.route(|route| route.bytes(DELETE_LINK, NLM_F_ACK, &request)) {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.errno == Errno::ENODEV => Ok(false),
            Err(refusal) => Err(refused(name, OPERATION, refusal)),
        }
    }

    fn list(&self) -> Result<Vec<TunnelLink>> {
        self.all().map_err(|refusal| refused("*", "list the tunnel links", refusal))
    }

    fn wireguard(&self, name: &str) -> Result<Option<Device>> {
        const OPERATION: &str = "read its peers";
        let failed = |refusal| refused(name, OPERATION, refusal);
        let found = self.named(name, OPERATION)?;
        if found.is_none_or(|link| link.kind != TunnelLinkKind::Wireguard) {
            return Ok(None);
        }
        let mut socket = Netlink::open_generic().map_err(failed)?;
        let family = generic::family(&mut socket, wireguard::FAMILY).map_err(failed)?;
        let question = wireguard::question(name);
        let answers = match socket.bytes(family, NLM_F_DUMP, &question) {
            Ok(answers) => answers,
            Err(refusal) if refusal.errno == Errno::ENODEV => return Ok(None),
            Err(refusal) => return Err(failed(refusal)),
        };
        let messages = answers.iter().filter_map(|answer| answer.get(HEADER_BYTES..));
        let device = wireguard::read(messages).map_err(|malformed| Error::ReadBack {
            object: object(name),
            operation: OPERATION,
            found: malformed.to_string(),
        })?;
        Ok(Some(device))
    }

    fn change_wireguard(&mut self, name: &str, change: &Change) -> Result<()> {
        let failed = |refusal| refused(name, "change its peers", refusal);
        let mut socket = Netlink::open_generic().map_err(failed)?;
        let family = generic::family(&mut socket, wireguard::FAMILY).map_err(failed)?;
        for request in wireguard::requests(name, change) {
            socket.bytes(family, NLM_F_ACK, &request).map_err(failed)?;
        }
        Ok(())
    }
}
