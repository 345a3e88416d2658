//! Filters (`cls_bpf`) at the ingress of a link, by route netlink.

use crate::linux::netlink::{Netlink, Refusal};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{
        TcAttribute, TcBpfFlags, TcFilterBpfOption, TcHandle, TcMessage, TcOption, TcU32OptionFlags,
    },
};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Our filters have a priority of their own, so that they never share one with filters of others.
const PRIORITY: u16 = 20_761;
const HANDLE: u32 = 1;
/// Begin of the names of our filters.
const NAME: &str = "sluice-card-";
const ALL_PROTOCOLS: u16 = 3;
const QDISC: &str = "clsact";
const KIND: &str = "bpf";

type Answer<T> = Result<T, Refusal>;

/// A filter as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) priority: u16,
    pub(super) handle: u32,
    pub(super) program: Option<u32>,
    pub(super) in_hardware: bool,
}

impl Filter {
    /// Whether it has the name, priority and handle of ours.
    pub(super) fn looks_like_ours(&self) -> bool {
        self.kind == KIND
            && self.name.starts_with(NAME)
            && (self.priority, self.handle) == (PRIORITY, HANDLE)
    }

    fn read(message: &TcMessage) -> Self {
        let mut filter = Self {
            kind: String::new(),
            name: String::new(),
            priority: (message.header.info >> 16) as u16,
            handle: message.header.handle.into(),
            program: None,
            in_hardware: false,
        };
        for attribute in &message.attributes {
            match attribute {
                TcAttribute::Kind(kind) => filter.kind.clone_from(kind),
                TcAttribute::Options(options) => options.iter().for_each(|o| filter.read_option(o)),
                _ => {}
            }
        }
        filter
    }

    fn read_option(&mut self, option: &TcOption) {
        match option {
            TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => self.name.clone_from(name),
            TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => self.program = Some(*id),
            TcOption::Bpf(TcFilterBpfOption::FlagsGeneric(flags)) => {
                self.in_hardware = flags.contains(TcU32OptionFlags::InHw);
            }
            _ => {}
        }
    }
}

/// The filters at a link's ingress; none if nothing there can hold filters.
pub(super) fn list(ifindex: u32) -> Answer<Vec<Filter>> {
    list_at(ifindex, TcHandle::MIN_INGRESS)
}

fn list_at(ifindex: u32, end: u16) -> Answer<Vec<Filter>> {
    let request = RouteNetlinkMessage::GetTrafficFilter(message(ifindex, end));
    let found = Netlink::open()?.list(request)?;
    let filters = found.iter().filter_map(|found| match found {
        // Each priority is shown once without a filter.
        RouteNetlinkMessage::NewTrafficFilter(message)
            if message.header.handle != TcHandle::UNSPEC =>
        {
            Some(Filter::read(message))
        }
        _ => None,
    });
    Ok(filters.collect())
}

/// Adds our filter, or gives the one that is there another program in one step.
pub(super) fn write(
    ifindex: u32,
    name: &str,
    program: BorrowedFd<'_>,
    skip_software: bool,
    replace: bool,
) -> Answer<()> {
    let mut message = ours(ifindex);
    let mut options = vec![
        TcFilterBpfOption::ProgFd(program.as_raw_fd() as u32),
        TcFilterBpfOption::ProgName(format!("{NAME}{name}")),
        TcFilterBpfOption::Flags(TcBpfFlags::DirectAction),
    ];
    if skip_software {
        options.push(TcFilterBpfOption::FlagsGeneric(TcU32OptionFlags::SkipSw));
    }
    let options = options.into_iter().map(TcOption::Bpf).collect();
    message.attributes.push(TcAttribute::Options(options));
    let flags = if replace { NLM_F_CREATE } else { NLM_F_CREATE | NLM_F_EXCL };
    Netlink::open()?.request(RouteNetlinkMessage::NewTrafficFilter(message), flags).map(drop)
}

/// Removes our filter.
pub(super) fn remove(ifindex: u32) -> Answer<()> {
    let request = RouteNetlinkMessage::DelTrafficFilter(ours(ifindex));
    match Netlink::open()?.request(request, 0) {
        Ok(_) => Ok(()),
        Err(refusal) if refusal.errno == Errno::ENOENT => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

/// Makes the place for filters; whether there was none.
pub(super) fn make_qdisc(ifindex: u32) -> Answer<bool> {
    let request = RouteNetlinkMessage::NewQueueDiscipline(qdisc(ifindex));
    match Netlink::open()?.request(request, NLM_F_CREATE | NLM_F_EXCL) {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.errno == Errno::EEXIST => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// Removes the place for filters unless it holds some.
pub(super) fn remove_empty_qdisc(ifindex: u32) -> Answer<()> {
    for end in [TcHandle::MIN_INGRESS, TcHandle::MIN_EGRESS] {
        if !list_at(ifindex, end)?.is_empty() {
            return Ok(());
        }
    }
    let request = RouteNetlinkMessage::DelQueueDiscipline(qdisc(ifindex));
    match Netlink::open()?.request(request, 0) {
        Ok(_) => Ok(()),
        Err(refusal) if matches!(refusal.errno, Errno::ENOENT | Errno::EINVAL) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

fn message(ifindex: u32, end: u16) -> TcMessage {
    let mut message = TcMessage::with_index(ifindex as i32);
    message.header.parent = TcHandle { major: TcHandle::CLSACT.major, minor: end };
    message
}

fn ours(ifindex: u32) -> TcMessage {
    let mut message = message(ifindex, TcHandle::MIN_INGRESS);
    message.header.handle = HANDLE.into();
    message.header.info = u32::from(PRIORITY) << 16 | u32::from(ALL_PROTOCOLS.to_be());
    message.attributes.push(TcAttribute::Kind(KIND.into()));
    message
}

fn qdisc(ifindex: u32) -> TcMessage {
    let mut message = TcMessage::with_index(ifindex as i32);
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = TcHandle { major: TcHandle::CLSACT.major, minor: 0 };
    message.attributes.push(TcAttribute::Kind(QDISC.into()));
    message
}
